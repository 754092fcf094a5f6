"""Any module made equivariant by canonicalization: every group, on random and symmetric inputs."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import molecule
from torch import Tensor, nn

from mcegnn.nn.canonical.frames import frame_of
from mcegnn.nn.canonical.groups import group_of, point_group
from mcegnn.nn.canonical.module import canonicalize
from mcegnn.nn.canonical.random_turns import random_turns, stream_of

N_RANDOM = 200
AXIS = (0.3, -0.5, 0.8)
INPUTS = {
    "x": "position",
    "v": "vector",
    "w": "pseudovector",
    "s": "scalar",
    "t": "tensor",
}
OUTPUTS = {
    "energy": "scalar",
    "chirality": "pseudoscalar",
    "dipole": "vector",
    "spin": "pseudovector",
    "stress": "tensor",
    "torsion": "pseudotensor",
    "charges": "scalar per particle",
    "moved": "position per particle",
    "forces": "vector per particle",
    "moments": "pseudovector per particle",
    "strains": "tensor per particle",
}
SHAPES = {"scalar": (), "vector": (3,), "position": (3,), "tensor": (3, 3)}
FINITE = ("C_1", "C_4", "D_3", "T", "O", "I", "C_s", "C_i", "S_4", "C_3v", "C_2h", "D_2d")
FINITE += ("D_6h", "T_d", "T_h", "O_h", "I_h")
CONTINUOUS = ("SO(3)", "O(3)", "SE(3)", "E(3)", "SO(2)")
PRODUCTS = ("E(3) x S_n", "SO(3) x Sym(5)", "SO(2) x S_n", "translations x C_4", "O_h x S_n")
PRODUCTS += ("translations x SO(2)", "translations x D_3 x S_n")
GROUPS = ("translations", "S_n", *CONTINUOUS, *FINITE, *PRODUCTS)
ORDERS = {"C_1": 1, "C_4": 4, "D_3": 6, "T": 12, "O": 24, "I": 60, "C_s": 2, "C_i": 2, "S_4": 4}
ORDERS |= {"C_3v": 6, "C_2h": 4, "D_2d": 8, "D_6h": 24, "T_d": 24, "T_h": 24, "O_h": 48}
ORDERS |= {"I_h": 120}


class Unconstrained(nn.Module):
    """A network that knows no symmetry, of all kinds of inputs; ``alike`` makes particles equal to
    it, but for what they are told apart by."""

    def __init__(self, n: int, *, alike: bool, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.n, self.alike = n, alike
        n_in = 3 + 3 + 3 + 2 + 9
        self.first = nn.Linear(n_in if alike else n * n_in, 24)
        each = sum(int(np.prod(shape_of(kind))) for kind in OUTPUTS.values() if each_of(kind))
        other = sum(int(np.prod(shape_of(kind))) for kind in OUTPUTS.values() if not each_of(kind))
        self.of_each = nn.Linear(24 + n_in, each)
        self.of_all = nn.Linear(24, other)
        self.double()

    def forward(self, x: Tensor, v: Tensor, w: Tensor, s: Tensor, t: Tensor) -> dict[str, Tensor]:
        rows = torch.cat([x, v, w, s, t.flatten(-2)], -1)
        if self.alike:
            h = torch.sin(self.first(rows)).mean(-2)
        else:
            h = torch.sin(self.first(rows.flatten(-2)))
        wide = h.unsqueeze(-2).expand(*rows.shape[:-1], 24)
        each = torch.sin(self.of_each(torch.cat([wide, rows], -1)))
        found, parts = {}, {True: each, False: torch.sin(self.of_all(h))}
        for name, kind in OUTPUTS.items():
            size = int(np.prod(shape_of(kind)))
            own = each_of(kind)
            part, parts[own] = parts[own][..., :size], parts[own][..., size:]
            found[name] = part.reshape((*part.shape[:-1], *shape_of(kind)))
        return found


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    """The rotation by an angle about an axis."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * k @ k)


def random_rotation(stream: np.random.Generator) -> np.ndarray:
    """A uniformly distributed rotation."""
    q, r = np.linalg.qr(stream.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def shape_of(kind: str) -> tuple[int, ...]:
    return SHAPES[kind.removesuffix(" per particle").removeprefix("pseudo")]


def each_of(kind: str) -> bool:
    return kind.endswith(" per particle")


def moved(
    values: dict[str, np.ndarray],
    kinds: dict[str, str],
    element: tuple[np.ndarray, np.ndarray, np.ndarray],
    each: Callable[[str], bool],
) -> dict[str, np.ndarray]:
    """Quantities moved by a rotation or reflection, a shift and a permutation (written apart from
    the package)."""
    r, shift, order = element
    found = {}
    for name, value in values.items():
        kind = kinds[name].removesuffix(" per particle")
        bare = kind.removeprefix("pseudo")
        if bare in ("vector", "position"):
            value = value @ r.T
        if bare == "tensor":
            value = np.einsum("ab,...bc,dc->...ad", r, value, r)
        if bare == "position":
            value = value + shift
        if kind.startswith("pseudo"):
            value = value * np.linalg.det(r)
        found[name] = value[order] if each(kinds[name]) else value
    return found


def random_element(
    name: str, n: int, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An element of a group."""
    group = group_of(name, AXIS if "SO(2)" in name else None)
    r, shift, order = np.eye(3), np.zeros(3), np.arange(n)
    if group.elements is not None:
        r = group.elements[stream.integers(len(group.elements))]
    elif group.rotations == "SO(2)":
        r = about(np.array(AXIS), stream.uniform(0.0, 7.0))
    elif group.rotations:
        r = random_rotation(stream) * (stream.choice([1, -1]) if group.rotations == "O(3)" else 1)
    if group.translations:
        shift = stream.normal(size=3) * 3.0
    if group.permutations:
        order = stream.permutation(n)
    return r, shift, order


def random_inputs(n: int, stream: np.random.Generator) -> dict[str, np.ndarray]:
    shapes = {"x": (n, 3), "v": (n, 3), "w": (n, 3), "s": (n, 2), "t": (n, 3, 3)}
    return {name: stream.normal(size=shape) for name, shape in shapes.items()}


def made(group: str, n: int, canonicalizer: str = "direct", *, alike: bool = False) -> Any:
    module = Unconstrained(n, alike=alike)
    axis = AXIS if "SO(2)" in group else None
    model = canonicalize(module, INPUTS, OUTPUTS, group, canonicalizer, axis=axis)
    with torch.no_grad():  # as if it had learned
        for name, weight in model.canonicalization.named_parameters():
            if name == "canonicalizer.turn":
                weight.normal_()
    return model


def evaluated(model: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        said = model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in said.items()}


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest relative one of all outputs."""
    return max(
        float(abs(one[name] - other[name]).max() / max(1e-3, abs(one[name]).max())) for name in one
    )


def errors_of(
    model: Any, group: str, samples: list[dict[str, np.ndarray]], stream: np.random.Generator
) -> list[float]:
    """How far f(g x) is from g f(x) for an element of the group each, all evaluated together."""
    n = len(samples[0]["x"])
    elements = [random_element(group, n, stream) for _ in samples]
    there = [
        moved(sample, INPUTS, element, lambda kind: True)
        for sample, element in zip(samples, elements, strict=True)
    ]
    said = [
        evaluated(model, {name: np.stack([one[name] for one in part]) for name in INPUTS})
        for part in (samples, there)
    ]
    errors = []
    for k, element in enumerate(elements):
        one, other = ({name: values[k] for name, values in part.items()} for part in said)
        errors.append(difference(moved(one, OUTPUTS, element, each_of), other))
    return errors


@pytest.mark.parametrize("name", ORDERS)
def test_point_groups_have_their_orders_and_are_closed(name: str) -> None:
    elements = point_group(name)
    assert len(elements) == ORDERS[name]
    products = np.einsum("iab,jbc->ijac", elements, elements).reshape(-1, 3, 3)
    away = abs(products[:, None] - elements[None]).max((2, 3)).min(1)
    assert away.max() < 1e-12
    np.testing.assert_allclose(elements[0], np.eye(3))


@pytest.mark.parametrize("group", GROUPS)
def test_equivariance_on_random_inputs(group: str) -> None:
    stream, model = np.random.default_rng(1), made(group, 5)
    errors = errors_of(model, group, [random_inputs(5, stream) for _ in range(N_RANDOM)], stream)
    assert max(errors) < 1e-10


OTHERS = [
    (group, canonicalizer)
    for canonicalizer, groups in {
        "optimized": ("SO(3)", "O(3)", "E(3)", "E(3) x S_n", "D_3", "O_h"),
        "smooth": ("SO(3)", "O(3)", "E(3)", "D_3", "O_h"),  # sorting is not smooth
        "principal-axes": ("SO(3)", "O(3)", "E(3)", "E(3) x S_n"),
        "random": ("SO(3)", "O(3)", "E(3)", "E(3) x S_n"),
    }.items()
    for group in groups
]


@pytest.mark.parametrize(("group", "canonicalizer"), OTHERS)
def test_equivariance_of_other_canonicalizers(group: str, canonicalizer: str) -> None:
    stream, model = np.random.default_rng(2), made(group, 4, canonicalizer)
    errors = errors_of(model, group, [random_inputs(4, stream) for _ in range(40)], stream)
    assert max(errors) < 1e-10


def cloud(positions: Any, species: Any, along: float = 0.0) -> dict[str, np.ndarray]:
    """Inputs of points told apart by their species alone; ``along`` are velocities along
    positions."""
    x = np.asarray(positions, dtype=float)
    x = x - x.mean(0)
    n = len(x)
    numbers = np.asarray(species, dtype=float)
    s = np.stack([numbers, np.cos(numbers)], 1) / 10.0
    return {"x": x, "v": along * x, "w": 0 * x, "s": s, "t": np.zeros((n, 3, 3))}


def clouds() -> dict[str, dict[str, np.ndarray]]:
    """Degenerate ones: collinear, coplanar, symmetric and spherical tops, few particles, and
    particles of one place."""
    found = {}
    for name in ("NH3", "C6H6", "CH4", "H2O", "C2H6", "C2H4", "BF3", "CO2", "C2H2", "N2", "SO2"):
        atoms = molecule(name)
        found[name] = cloud(atoms.positions, atoms.numbers)
    for name in ("NH3", "CO2", "CH4"):
        atoms = molecule(name)
        found[f"{name} breathing"] = cloud(atoms.positions, atoms.numbers, 0.7)
    cube = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
    found["cube"] = cloud(cube, [1] * 8)
    found["coloured cube"] = cloud(cube, [1 + (p.prod() > 0) for p in cube])
    found["octahedron"] = cloud([*np.eye(3), *-np.eye(3)], [1] * 6)
    found["square"] = cloud([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], [1] * 4)
    found["rhomb"] = cloud([[2, 0, 0], [0, 1, 0], [-2, 0, 0], [0, -1, 0]], [1] * 4)
    found["prism"] = cloud(
        [[np.cos(a), np.sin(a), z] for a in (0.0, 2.0944, 4.1888) for z in (-0.7, 0.7)], [1] * 6
    )
    ring = [[np.cos(a), np.sin(a), 0.0] for a in 2.0 * np.pi * np.arange(5) / 5]
    found["ring"] = cloud(ring, [1] * 5)
    found["ring of two"] = cloud(ring[:4], [1, 2, 2, 1])
    stream = np.random.default_rng(7)
    found["line"] = cloud(np.outer(stream.normal(size=5), [1.0, 2.0, -0.5]), [1, 2, 1, 3, 1])
    found["even line"] = cloud(np.outer([-2, -1, 0, 1, 2], [0.0, 0.0, 1.0]), [1] * 5)
    flat = stream.normal(size=(5, 3)) * [1.0, 1.0, 0.0]
    found["plane"] = cloud(flat @ random_rotation(stream), [1, 1, 2, 2, 3])
    found["plane of like ones"] = cloud(flat, [1] * 5)
    found["two"] = cloud([[0, 0, 0.5], [0, 0.2, -0.5]], [1, 1])
    found["two unlike"] = cloud([[0, 0, 0.5], [0.3, 0, -0.5]], [1, 2])
    found["one"] = cloud([[0.0, 0.0, 0.0]], [6])
    found["in one place"] = cloud(np.zeros((3, 3)), [1, 1, 2])
    return found


CLOUDS = clouds()


def relaxed_error(
    model: Any, group: str, inputs: dict[str, np.ndarray], stream: np.random.Generator
) -> float:
    """How far f(g x) is from g s f(x), where s is what the outputs say, and must be a symmetry of x
    (with a permutation of like particles); infinite if it is none."""
    element = random_element(group, len(inputs["x"]), stream)
    said = evaluated(model, inputs)
    there = evaluated(model, moved(inputs, INPUTS, element, lambda kind: True))
    symmetry = element[0].T @ between(said, there)
    order = same_points(
        moved(inputs, INPUTS, (symmetry, np.zeros(3), ALL), lambda k: False), inputs
    )
    if order is None:
        return np.inf
    turned = moved(said, OUTPUTS, (symmetry, np.zeros(3), order), each_of)
    return difference(moved(turned, OUTPUTS, element, each_of), there)


ALL = np.arange(0)


def between(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> np.ndarray:
    """The rotation or reflection from outputs to others, as those of the system tell it."""
    hand = float(np.sign(one["chirality"] * other["chirality"]))

    def columns(outputs: dict[str, np.ndarray], sign: float) -> np.ndarray:
        a, b = outputs["dipole"], sign * outputs["spin"]
        return np.stack([a, b, sign * np.cross(a, b)], 1)

    found: np.ndarray = columns(other, hand) @ np.linalg.inv(columns(one, 1.0))
    return found


def same_points(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> np.ndarray | None:
    """Which particle of the others each of one cloud is; None if they differ."""
    rows = [np.concatenate([c["x"], c["v"], c["w"], c["s"]], 1) for c in (one, other)]
    order: list[int] = []
    for row in rows[0]:
        near = abs(rows[1] - row).max(1)
        near[order] = np.inf
        order.append(int(near.argmin()))
        if near[order[-1]] > 1e-9:
            return None
    return np.argsort(order)


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("group", ["SO(3)", "O(3)", "E(3)", "E(3) x S_n"])
def test_relaxed_equivariance_of_symmetric_inputs(group: str, name: str) -> None:
    """What a symmetric input leaves open is its own symmetry, and nothing else."""
    stream, inputs = np.random.default_rng(3), CLOUDS[name]
    model = made(group, len(inputs["x"]), alike=True)
    errors = [relaxed_error(model, group, inputs, stream) for _ in range(5)]
    assert max(errors) < 1e-10


def with_biases(model: Any) -> None:
    """The first known defect of the published code: vector neurons with biases."""
    for layer in model.canonicalization.canonicalizer.network.layers:
        for name in ("own", "others"):
            old = getattr(layer, name)
            new = nn.Linear(old.in_features, old.out_features).double()
            new.weight = old.weight
            setattr(layer, name, new)


def wrong_axis(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """The second: Gram and Schmidt on what is not one vector each."""
    third = torch.linalg.cross(a, b) if c is None else c
    return frame_of(*torch.stack([a, b, third], -1).unbind(-2))


@pytest.mark.parametrize("group", ["SO(3)", "O(3)", "E(3) x S_n"])
@pytest.mark.parametrize("defect", ["biases", "axis"])
def test_the_published_defects_are_found(
    group: str, defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, model = np.random.default_rng(1), made(group, 5)
    if defect == "biases":
        with_biases(model)
    else:
        monkeypatch.setattr("mcegnn.nn.canonical.direct.frame_of", wrong_axis)
    errors = errors_of(model, group, [random_inputs(5, stream) for _ in range(20)], stream)
    assert np.median(errors) > 1e-2


@pytest.mark.parametrize("name", [name for name in CLOUDS if "place" not in name])
@pytest.mark.parametrize("group", ["SO(3)", "O(3)", "E(3)"])
def test_smooth_averages_over_the_symmetry_of_its_input(group: str, name: str) -> None:
    """Equivariant itself, whatever the symmetry, lines and single points included."""
    stream, inputs = np.random.default_rng(3), CLOUDS[name]
    model = made(group, len(inputs["x"]), "smooth", alike=True)
    errors = errors_of(model, group, [inputs] * 5, stream)
    assert max(errors) < 1e-10


def path_through(name: str) -> Callable[[float], np.ndarray]:
    """Positions along a path, at zero those of a symmetric cloud."""
    x = CLOUDS[name]["x"]
    stream = np.random.default_rng(5)
    away, bent = (stream.normal(size=x.shape) for _ in range(2))
    return lambda s: x + 0.3 * s * away + 0.1 * s * s * bent


def largest_jumps(model: Any, name: str, n: int, width: float) -> tuple[float, float]:
    """The largest changes of the energy and of the forces from a step to the next, of n steps
    through a symmetric cloud."""
    path = path_through(name)
    x = np.stack([path(s) for s in np.linspace(-width, width, n + 1)])
    inputs = {k: torch.from_numpy(np.stack([v] * (n + 1))) for k, v in CLOUDS[name].items()}
    positions = torch.from_numpy(x).requires_grad_(True)
    energies = model(**{**inputs, "x": positions})["energy"]
    (gradient,) = torch.autograd.grad(energies.sum(), positions)
    jumps = [np.diff(part.detach().numpy(), axis=0) for part in (energies, gradient)]
    return float(abs(jumps[0]).max()), float(abs(jumps[1]).max())


@pytest.mark.parametrize("name", ["NH3", "C6H6", "CH4", "BF3", "CO2", "line", "even line", "two"])
def test_smooth_is_continuous_where_systems_gain_symmetry(name: str) -> None:
    """Jumps of energies and forces fall with the step, for they are none."""
    model = made("O(3)", len(CLOUDS[name]["x"]), "smooth", alike=True)
    coarse, fine = (largest_jumps(model, name, n, 0.05) for n in (50, 400))
    for one, other in zip(coarse, fine, strict=True):
        assert other < one / 4.0
    slopes = [jump / (0.1 / 400) for jump in fine]
    for width in (1e-4, 1e-5, 1e-6, 1e-7, 1e-9):  # where directions are round-off, too
        for jump, slope in zip(largest_jumps(model, name, 20, width), slopes, strict=True):
            assert jump < 10.0 * slope * width / 10.0 + 1e-9


@pytest.mark.parametrize("name", ["NH3", "CO2", "CH4"])
def test_a_single_frame_jumps(name: str) -> None:
    """Shown, not hidden: jumps are as large however small the step."""
    model = made("O(3)", len(CLOUDS[name]["x"]), "direct", alike=True)
    smooth = made("O(3)", len(CLOUDS[name]["x"]), "smooth", alike=True)
    coarse, fine = (largest_jumps(model, name, n, 0.05) for n in (100, 400))
    assert fine[0] > 0.5 * coarse[0]
    assert fine[1] > 1e3 * largest_jumps(smooth, name, 400, 0.05)[1]


SLOPES = [("E(3)", which) for which in ("direct", "smooth", "optimized")]
SLOPES += [("O_h", "direct"), ("D_3", "smooth"), ("SO(2)", "direct")]


@pytest.mark.parametrize(("group", "canonicalizer"), SLOPES)
def test_gradients_go_through_the_canonicalizer(group: str, canonicalizer: str) -> None:
    """Against finite differences, of positions; and weights learn."""
    stream = np.random.default_rng(11)
    model = made(group, 4, canonicalizer, alike=True)
    inputs = {k: torch.from_numpy(v) for k, v in random_inputs(4, stream).items()}
    x = inputs["x"].clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(model(**{**inputs, "x": x})["energy"], x)
    direction = torch.from_numpy(stream.normal(size=(4, 3)))
    step = 1e-5
    ends = [
        float(model(**{**inputs, "x": inputs["x"] + s * step * direction})["energy"].detach())
        for s in (1.0, -1.0)
    ]
    slope = float((gradient * direction).sum())
    assert (ends[0] - ends[1]) / (2.0 * step) == pytest.approx(slope, rel=1e-5, abs=1e-8)
    model(**inputs)["energy"].backward()
    learned = [p.grad for p in model.canonicalization.parameters() if p.grad is not None]
    assert any(float(gradient.abs().max()) > 0.0 for gradient in learned)


def hard_cases() -> dict[str, tuple[str, dict[str, np.ndarray]]]:
    """Inputs whose pose other quantities than positions tell, and quantities of very unlike
    sizes."""
    stream = np.random.default_rng(17)
    nothing = {"v": np.zeros((2, 3)), "w": np.zeros((2, 3)), "s": np.zeros((2, 2))}
    two = {"x": np.array([[0.5, 0, 0], [-0.5, 0, 0]]), **nothing, "t": np.zeros((2, 3, 3))}
    water = cloud(molecule("H2O").positions, [8, 1, 1])
    drift = np.tile([0.0, 10.0, 1.0], (3, 1))
    apart = {**water, "s": np.array([[1000.0, 0.0], [2000.0, 0.0], [2000.0, 1.0]])}
    return {
        "fast": ("E(3)", {**two, "v": np.tile([0.0, 10.0, 0.0], (2, 1))}),
        "fast water": ("E(3)", {**water, "v": drift}),
        "tensors": ("E(3)", {**two, "t": stream.normal(size=(2, 3, 3))}),
        "spins": ("SO(3)", {**two, "w": stream.normal(size=(2, 3))}),
        "large scalars": ("E(3) x S_n", apart),
        "small": ("O(3) x S_n", {**water, "x": 1e-10 * water["x"]}),
    }


HARD = hard_cases()


@pytest.mark.parametrize("name", HARD)
def test_equivariance_where_little_tells_the_pose(name: str) -> None:
    group, inputs = HARD[name]
    stream, model = np.random.default_rng(3), made(group, len(inputs["x"]), alike=True)
    errors = [relaxed_error(model, group, inputs, stream) for _ in range(5)]
    assert max(errors) < 1e-10


def test_single_precision() -> None:
    """As exact as its numbers are."""
    stream, model = np.random.default_rng(1), made("E(3)", 5, alike=True).float()
    errors = []
    for _ in range(50):
        inputs = random_inputs(5, stream)
        element = random_element("E(3)", 5, stream)
        there = moved(inputs, INPUTS, element, lambda kind: True)
        one, other = (
            evaluated(model, {k: v.astype(np.float32) for k, v in part.items()})
            for part in (inputs, there)
        )
        errors.append(difference(moved(one, OUTPUTS, element, each_of), other))
    assert np.median(errors) < 1e-4


def test_elements_of_a_group_are_not_rounded() -> None:
    """By the precision that a module had when it was wrapped."""
    module = Unconstrained(5, alike=True).float()
    model = canonicalize(module, INPUTS, OUTPUTS, "I").double()
    stream = np.random.default_rng(1)
    errors = errors_of(model, "I", [random_inputs(5, stream) for _ in range(20)], stream)
    assert max(errors) < 1e-10


def test_a_lost_system_loses_no_other() -> None:
    model = made("E(3)", 5, "principal-axes", alike=True)
    samples = [random_inputs(5, np.random.default_rng(k)) for k in range(3)]
    good = evaluated(model, samples[0])["energy"]
    samples[1]["x"][0] = np.nan
    together = {k: np.stack([one[k] for one in samples]) for k in INPUTS}
    assert evaluated(model, together)["energy"][0] == pytest.approx(float(good), rel=1e-12)


def test_a_batch_is_its_samples() -> None:
    stream, model = np.random.default_rng(4), made("E(3) x S_n", 5)
    samples = [random_inputs(5, stream) for _ in range(6)]
    together = evaluated(model, {k: np.stack([one[k] for one in samples]) for k in samples[0]})
    for k, sample in enumerate(samples):
        alone = evaluated(model, sample)
        for name in OUTPUTS:
            np.testing.assert_allclose(together[name][k], alone[name], rtol=1e-11, atol=1e-12)


def test_modules_of_other_forms() -> None:
    """Called by position, of one output without a name, and of several in a tuple."""
    torch.manual_seed(0)
    x = torch.randn(7, 6, 3, dtype=torch.float64)
    flat = nn.Sequential(nn.Flatten(-2), nn.Linear(18, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    invariant = canonicalize(flat, inputs={"x": "vector"}, outputs="scalar")
    turn = torch.from_numpy(-random_rotation(np.random.default_rng(1)))
    assert invariant(x).shape == (7, 1)
    torch.testing.assert_close(invariant(x), invariant(x @ turn.mT), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(invariant(x[0]), invariant(x)[0], rtol=1e-10, atol=1e-12)

    class Two(nn.Module):
        def forward(self, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
            weight = torch.arange(18.0, dtype=x.dtype).view(6, 3)
            return (torch.sin(x * weight) * m).sum((-1, -2)), torch.sin(x * weight)

    model = canonicalize(
        Two(), {"x": "position", "m": "scalar"}, ("scalar", "vector per particle"), "E(3)"
    ).double()
    m = torch.rand(7, 6, 1, dtype=torch.float64)
    energy, forces = model(x, m)
    there_energy, there_forces = model(x @ turn.mT + 2.0, m)
    torch.testing.assert_close(energy, there_energy, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(forces @ turn.mT, there_forces, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("group", ["SO(3)", "O(3)"])
def test_augmentation_is_of_training_alone(group: str) -> None:
    """There the network sees other poses, each time others, or those that belong to an update; what
    it says elsewhere is as equivariant as without."""
    torch.manual_seed(0)
    x = torch.randn(40, 6, 3, dtype=torch.float64)
    plain = nn.Sequential(nn.Flatten(-2), nn.Linear(18, 1)).double()
    seen: list[Tensor] = []
    plain.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model = canonicalize(plain, {"x": "vector"}, "scalar", group, augmentation=3.0)
    for _ in range(2):
        model(x)
    for update in (3, 4, 3):
        model.canonicalization.begin_update(0, update)
        for _ in range(2):
            model(x)
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(seen[:6], 2))
    assert torch.equal(seen[6], seen[2])
    assert torch.equal(seen[7], seen[3])
    model.eval()(x)
    turns = torch.linalg.lstsq(seen[-1], seen[0]).solution  # [40, 3, 3]: x R Q from x R
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).double().expand(40, 3, 3))
    hands = torch.linalg.det(turns).round()
    assert (hands == 1.0).all() if group == "SO(3)" else 8 < int((hands < 0.0).sum()) < 32
    turn = torch.from_numpy(random_rotation(np.random.default_rng(1)))
    torch.testing.assert_close(model(x @ turn.mT), model(x), rtol=1e-10, atol=1e-12)


def test_poses_of_flat_systems_may_leave_their_plane() -> None:
    """Where data lie alike in a plane that is none of the coordinates', the prior is reached by
    the rotation that is learned, and is not without."""
    torch.manual_seed(0)
    shape = torch.tensor([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [2.0, 1.3, 0.0], [0.0, 0.9, 0.0]])
    turn = torch.from_numpy(random_rotation(np.random.default_rng(3)))
    x = (shape.double() + 0.05 * torch.randn(50, 4, 3, dtype=torch.float64)) @ turn.mT
    found = []
    for learned in (True, False):
        torch.manual_seed(0)
        flat = nn.Sequential(nn.Flatten(-2), nn.Linear(12, 1)).double()
        model = canonicalize(flat, {"x": "position"}, "scalar", "SE(3)")
        own = model.canonicalization.canonicalizer
        own.turn.requires_grad_(learned)
        optimizer = torch.optim.Adam(model.canonicalization.parameters(), 2e-2)
        for _ in range(150):
            optimizer.zero_grad()
            model.canonicalization_prior(x).backward()
            optimizer.step()
        found.append(float(model.canonicalization_prior(x).detach()))
    assert found[0] < 0.1 < 0.3 < found[1]


def test_the_discrete_prior_keeps_upright_inputs_upright() -> None:
    """- log p(identity) of a finite group: that of equal chances at first, where the scores are
    equal, and once it is learned the poses of upright data are the identity, and those of turned
    data what turned them."""
    torch.manual_seed(0)
    shape = torch.tensor([[0.0, 0.0, 0.2], [1.5, 0.0, 0.0], [2.0, 1.3, -0.3], [0.0, 0.9, 0.0]])
    x = shape.double() + 0.05 * torch.randn(40, 4, 3, dtype=torch.float64)
    flat = nn.Sequential(nn.Flatten(-2), nn.Linear(12, 1)).double()
    model = canonicalize(flat, {"x": "vector"}, "scalar", "D_3")
    canonicalization = model.canonicalization
    last = [w for w in canonicalization.parameters() if w.ndim == 2][-1]
    kept = last.detach().clone()
    with torch.no_grad():
        last.zero_()
    assert float(model.canonicalization_prior(x).detach()) == pytest.approx(np.log(6.0), rel=1e-9)
    with torch.no_grad():
        last.copy_(kept)
    optimizer = torch.optim.Adam(canonicalization.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model.canonicalization_prior(x).backward()
        optimizer.step()
    assert float(model.canonicalization_prior(x).detach()) < 0.1
    owner = torch.arange(40).repeat_interleave(4)
    empty = x.new_zeros(160, 0)
    for element in point_group("D_3"):
        turned = (x @ torch.from_numpy(np.array(element)).mT).flatten(0, 1)
        poses = canonicalization([turned], empty, owner, 40)
        expected = torch.from_numpy(np.array(element)).expand(40, 3, 3)
        torch.testing.assert_close(poses.rotations.detach(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("spread", [0.01, 0.5, 2.0, 3.0])
@pytest.mark.parametrize("proper", [True, False])
def test_random_turns_are_as_far_as_they_say(spread: float, proper: bool) -> None:
    """Of a normal vector w the mean of cos |w| is known; elements of uniform turns are zero in the
    mean, and their angles have the density (1 - cos) / pi."""
    n = 40_000
    turns = random_turns(
        n, spread, torch.zeros(1, dtype=torch.float64), stream_of([1]), proper=proper
    )
    eye = torch.eye(3, dtype=torch.float64).expand(n, 3, 3)
    torch.testing.assert_close(turns @ turns.mT, eye, rtol=0, atol=1e-12)
    hands = torch.linalg.det(turns).round()
    assert float((hands < 0).double().mean()) == pytest.approx(0.0 if proper else 0.5, abs=0.01)
    turns = turns * hands.view(-1, 1, 1)
    cosines = 0.5 * (turns.diagonal(dim1=1, dim2=2).sum(1) - 1.0)
    known = (1.0 - spread**2) * np.exp(-0.5 * spread**2) if spread < 3.0 else -0.5
    error = float(cosines.std()) / n**0.5
    assert float(cosines.mean()) == pytest.approx(known, abs=4.0 * error)
    if spread == 3.0:
        assert float(turns.mean(0).abs().max()) < 0.02
        angles = cosines.clamp(-1.0, 1.0).arccos().numpy()
        near = (angles < 0.5).mean()
        assert near == pytest.approx((0.5 - np.sin(0.5)) / np.pi, rel=0.2)


BAD = {
    "turns of a finite group": (
        {"x": "vector"},
        "scalar",
        "D_3",
        {"augmentation": 1.0},
        "augmentation turns poses of SO(3) and O(3), not of D_3",
    ),
    "turns below none": (
        {"x": "vector"},
        "scalar",
        "O(3)",
        {"augmentation": -1.0},
        "augmentation is an angle between 0 and 10 radians",
    ),
    "a kind that is none": ({"x": "vectr"}, "scalar", "O(3)", {}, "did you mean vector"),
    "no group": ({"x": "vector"}, "scalar", "O(4)", {}, "there is no group 'O(4)'"),
    "a group of the plane": ({"x": "vector"}, "scalar", "O(2)", {}, "there is no group 'O(2)'"),
    "no axis": ({"x": "vector"}, "scalar", "SO(2)", {}, "SO(2) turns about an axis; give one"),
    "an axis of zeros": ({"x": "vector"}, "scalar", "SO(2)", {"axis": (0, 0, 0)}, "not all zero"),
    "an axis too many": ({"x": "vector"}, "scalar", "O(3)", {"axis": (0, 0, 1)}, "has no axis"),
    "rotations twice": ({"x": "vector"}, "scalar", "O(3) x C_4", {}, "rotations in two of its"),
    "nothing that moves": ({"x": "vector"}, "scalar", "E(3)", {}, "no input is of the kind 'posi"),
    "nothing that turns": ({"x": "scalar"}, "scalar", "O(3)", {}, "no input of each particle is a"),
    "no canonicalizer": ({"x": "vector"}, "scalar", "O(3)", {"canonicalizer": "smoth"}, "smooth?"),
    "not of that group": (
        {"x": "vector"},
        "scalar",
        "D_3",
        {"canonicalizer": "principal-axes"},
        "is for rotations of SO(3), O(3), not D_3",
    ),
    "no such option": ({"x": "vector"}, "scalar", "O(3)", {"n_hiden": 3}, "n_hiden"),
    "no inputs": ({}, "scalar", "O(3)", {}, "declare the inputs"),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str) -> None:
    inputs, outputs, group, more, words = BAD[name]
    with pytest.raises(ValueError, match=re.escape(words)) as told:
        canonicalize(nn.Flatten(-2), inputs, outputs, group, **more)
    assert "\n" not in str(told.value)


def test_refuses_other_systems_and_outputs() -> None:
    x = torch.randn(4, 5, 3)
    permuting = canonicalize(nn.Flatten(-2), {"x": "vector"}, "scalar", "O(3) x Sym(4)")
    with pytest.raises(ValueError, match=r"O\(3\) x Sym\(4\) permutes 4 particles; there are 5"):
        permuting(x)
    model = canonicalize(nn.Identity(), {"x": "vector"}, "vector", "O(3)")
    with pytest.raises(ValueError, match="an output is declared a vector per system, and has the"):
        model(x)
    with pytest.raises(ValueError, match=r"x is declared a vector, \[n, 3\] or with an axis of"):
        model(torch.randn(4, 5, 2))
    with pytest.raises(ValueError, match="the inputs are declared as x; given were 2 without"):
        model(x, x)
    dictionary = canonicalize(Unconstrained(5, alike=True), INPUTS, {"energy": "scalar"}, "O(3)")
    inputs = random_inputs(5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="declared are energy: declare the kind of each"):
        evaluated(dictionary, inputs)
