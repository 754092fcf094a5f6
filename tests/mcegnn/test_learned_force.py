"""Learned forces: their table, its energy, the clip, learned masses, and gradients through rollouts
by our own flows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from integrators.ensembles import integrator, velocity_verlet
from integrators.state import State
from mcegnn.models.force import LearnedForce
from systems.potentials.coulomb import Coulomb
from systems.system import System
from trajectories.rollout import rollout

seeds = st.integers(0, 10**6)
few = settings(deadline=None, max_examples=10)
H = 2.0**-8  # step of differences by positions
COUPLINGS = pytest.mark.parametrize("coupling", ["charges", "masses"])


def learned(
    seed: int, coupling: Any = "charges", dtype: torch.dtype = torch.float64, **options: Any
) -> LearnedForce:
    """A law of random weights, of either sign, about as steep as r^+-1."""
    model, stream = (
        LearnedForce(8, coupling=coupling, **options).to(dtype),
        torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(
                torch.randn(p.shape, generator=stream, dtype=torch.float64)
                * (p.shape[-1] ** -0.5 if p.ndim == 2 else 0.3)
            )
        model.size.copy_(torch.tensor(0.8 if seed % 2 else -0.8))
    return model


def scattered(seed: int, n: int, *copies: int) -> System:
    """On a grid of spacing 1.5, shaken by 0.3, charges of both signs, masses from 0.5 to 2."""
    stream = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(2.0)] * 3), -1).reshape(-1, 3)[:n] * 1.5
    x = grid + stream.uniform(-0.3, 0.3, (*copies, n, 3))
    return System.create(
        x,
        velocities=stream.normal(size=x.shape),
        masses=stream.uniform(0.5, 2.0, n),
        charges=stream.normal(size=x.shape[:-1]),
    )


def tensors(system: System, dtype: torch.dtype = torch.float64) -> System:
    return system.map(
        lambda a: torch.as_tensor(a).to(dtype) if a.dtype.kind == "f" else torch.as_tensor(a)
    )


def couplings(model: LearnedForce, system: System) -> Any:
    return getattr(system, model.coupling)


def test_an_exponent_of_minus_three_log_r_is_coulombs_law() -> None:
    """The law is s exp(u(log r)): with u = -3 log r and s = 1, charges repel each other as they
    do."""
    model, system = learned(1), scattered(1, 5, 2)
    model.exponent = nn.Sequential(nn.Linear(1, 1, dtype=torch.float64))
    with torch.no_grad():
        for p, value in (
            (model.exponent[0].weight, -3.0),
            (model.exponent[0].bias, 0.0),
            (model.size, 1.0),
        ):
            p.fill_(value)
        forces = model(tensors(system)).forces.numpy()
    expected = Coulomb()(system).forces
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-13 * abs(expected).max())


@few
@given(seed=seeds, n=st.integers(1, 7), copies=st.sampled_from([(), (3,)]))
@COUPLINGS
def test_the_table_holds_the_law(coupling: str, seed: int, n: int, copies: tuple[int, ...]) -> None:
    """Cubic between knots 1.3e-3 apart in log r: (1.3e-3)^4 / 384 of a fourth derivative of order
    one is 1e-14."""
    model, system = learned(seed, coupling), scattered(seed, n, *copies)
    with torch.no_grad():
        expected = model(tensors(system)).forces.numpy()
    found = model.tabulated()(system)
    assert found.forces.shape == expected.shape
    np.testing.assert_allclose(
        found.forces, expected, rtol=0, atol=1e-8 * max(1e-3, abs(expected).max())
    )
    assert n == 1 or abs(expected).max() > 1e-3


@pytest.mark.parametrize("r", [1.1e-5, 1e-3, 0.1, 10.0, 1e3, 9e3])
def test_the_table_holds_the_law_at_all_distances(r: float) -> None:
    model = learned(3)
    pair = System.create([[0.0, 0, 0], [r, 0, 0]], charges=[1.0, 2.0])
    with torch.no_grad():
        expected = model(tensors(pair)).forces.numpy()
    np.testing.assert_allclose(model.tabulated()(pair).forces, expected, rtol=1e-8, atol=0)


def test_the_table_of_a_single_precision_law_is_in_double_precision() -> None:
    model, system = learned(5, dtype=torch.float32), scattered(5, 5)
    found = model.tabulated()(system).forces
    assert next(model.parameters()).dtype == torch.float32
    with torch.no_grad():
        expected = model.double()(tensors(system)).forces.numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * abs(expected).max())


def test_the_table_is_of_the_law_as_it_is_now() -> None:
    model, system = learned(1), scattered(1, 4)
    before = model.tabulated()
    forces = before(system).forces
    with torch.no_grad():
        model.size.mul_(-2.0)
    np.testing.assert_array_equal(before(system).forces, forces)
    np.testing.assert_allclose(model.tabulated()(system).forces, -2.0 * forces, rtol=1e-12, atol=0)


def slope(energy: Callable[[np.ndarray], np.ndarray], x: np.ndarray, where: Any) -> np.ndarray:
    """The derivative by one coordinate: central differences with step h and 2 h, extrapolated."""
    shift = np.zeros_like(x)
    shift[where] = H
    near, far = energy(x + shift) - energy(x - shift), energy(x + 2 * shift) - energy(x - 2 * shift)
    return (8.0 * near - far) / (12.0 * H)


@few
@given(seed=seeds, copies=st.sampled_from([(), (2,)]))
@COUPLINGS
def test_the_tables_energy_has_the_forces_as_its_gradient(
    coupling: str, seed: int, copies: tuple[int, ...]
) -> None:
    """Of a law that falls with the distance as a trained one does: energies, counted from 1e4, of
    one that is flat are of order 1e8.

    What is left of the differences is h^4 / 7 = 3e-11 of fifth derivatives of order ten, and the
    rounding of energies over h.
    """
    model, system = learned(seed, coupling), scattered(seed, 4, *copies)
    with torch.no_grad():
        for layer, sign in zip((0, 2, 4), (1.0, 1.0, -1.0), strict=True):
            weight = model.exponent.get_submodule(str(layer)).weight
            weight.copy_(sign * weight.abs())
    table = model.tabulated()

    def energy(x: np.ndarray) -> np.ndarray:
        return table(System.create(x, masses=system.masses, charges=system.charges)).energy

    with torch.no_grad():
        expected = model(tensors(system)).forces.numpy()
    found = np.stack(
        [
            np.stack([-slope(energy, system.positions, (..., i, a)) for a in range(3)], -1)
            for i in range(4)
        ],
        -2,
    )
    rounding = 1e-15 * abs(energy(system.positions)).max() / H
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-8 * max(1.0, abs(expected).max()) + rounding
    )


def test_the_module_gives_no_energy_and_says_who_it_is() -> None:
    model, system = learned(1), tensors(scattered(1, 3))
    assert model(system).energy is None
    assert model(system).potential is model


@COUPLINGS
def test_the_clip_acts_on_components_of_the_sum(coupling: str) -> None:
    """In the module's forward and in its table; not in the bare forces nor in what is asked for
    without."""
    free, system = learned(2, coupling), scattered(2, 6, 4)
    with torch.no_grad():
        exact = free(tensors(system)).forces.numpy()
        limit = float(np.median(abs(exact)))
        model = learned(2, coupling, limit=limit)
        clipped, bare = (
            model(tensors(system)).forces.numpy(),
            model.unclipped(tensors(system)).forces.numpy(),
        )
        forces = model.forces(
            tensors(system).positions, torch.as_tensor(couplings(model, system))
        ).numpy()
    expected = np.minimum(np.maximum(exact, -limit), limit)
    assert (abs(expected) == limit).sum() == exact.size // 2
    np.testing.assert_array_equal(clipped, expected)
    np.testing.assert_array_equal(bare, exact)
    np.testing.assert_array_equal(forces, exact)
    np.testing.assert_allclose(
        model.tabulated()(system).forces, expected, rtol=0, atol=1e-8 * abs(exact).max()
    )
    # the energy is the law's, clipped or not
    np.testing.assert_array_equal(model.tabulated()(system).energy, free.tabulated()(system).energy)


def test_rollouts_of_the_table_are_those_of_the_module() -> None:
    model, system = learned(4, limit=0.3), scattered(4, 5, 3)
    *_, compiled = rollout(velocity_verlet(model.tabulated()), State(system), 0.01, 100, 100)
    with torch.no_grad():
        *_, plain = rollout(velocity_verlet(model), State(tensors(system)), 0.01, 100, 100)
    moved = abs(compiled.system.positions - system.positions).max()
    assert moved > 0.5
    np.testing.assert_allclose(compiled.system.positions, plain.system.positions, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        compiled.system.velocities, plain.system.velocities, rtol=0, atol=1e-8
    )


def test_a_fresh_law_is_no_force() -> None:
    """Its size starts at zero, whose gradient does not."""
    model, system = LearnedForce(8), tensors(scattered(1, 4), torch.float32)
    forces = model(system).forces
    assert (forces == 0).all()
    forces.square().sum().backward()
    assert model.size.grad == 0
    model.forces(system.positions, system.charges)[0, 0].backward()
    assert model.size.grad != 0


def test_learned_masses_begin_with_the_unit() -> None:
    model = learned(1, "masses", n_masses=4)
    assert model.masses is not None
    expected = [1.0, *np.exp(model.log_masses.detach().numpy())]
    np.testing.assert_allclose(model.masses.detach(), expected, rtol=1e-15, atol=0)
    assert len({*expected}) == 4
    model.masses.sum().backward()
    np.testing.assert_allclose(model.log_masses.grad, expected[1:], rtol=1e-15, atol=0)


@pytest.mark.parametrize("copies", [(), (3,)])
@pytest.mark.parametrize("kind", ["NumPy", "torch"])
def test_dressed_systems_keep_their_velocities(kind: str, copies: tuple[int, ...]) -> None:
    model, system = learned(1, "masses", n_masses=5), scattered(1, 5, *copies)
    start = system if kind == "NumPy" else tensors(system)
    dressed = model.with_learned_masses(start)
    assert model.masses is not None
    assert type(dressed.masses) is type(dressed.momenta) is type(start.masses)
    masses, velocities, momenta = (
        torch.as_tensor(a).detach().numpy()
        for a in (dressed.masses, dressed.velocities, dressed.momenta)
    )
    np.testing.assert_array_equal(masses, model.masses.detach())
    np.testing.assert_allclose(velocities, system.velocities, rtol=1e-15, atol=0)
    np.testing.assert_allclose(momenta, system.velocities * masses[:, None], rtol=1e-15, atol=0)
    for name in ("positions", "charges", "species", "cell", "pbc", "units"):
        assert getattr(dressed, name) is getattr(start, name), name
    if kind == "torch":
        assert dressed.masses.requires_grad
        assert dressed.momenta.requires_grad


@COUPLINGS
def test_systems_stay_as_they_are_where_no_masses_are_learned(coupling: str) -> None:
    system, model = scattered(1, 5), learned(1, coupling)
    assert model.masses is None
    assert model.with_learned_masses(system) is system


def test_a_system_of_another_number_of_bodies_is_refused() -> None:
    with pytest.raises(
        ValueError, match="the model has learned the masses of 4 bodies; the system has 5"
    ):
        learned(1, "masses", n_masses=4).with_learned_masses(scattered(1, 5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"coupling": "springs"},
            "couple by charges or masses, and only masses are learned; not 'springs' with 0 masses",
        ),
        ({"coupling": "charges", "n_masses": 3}, "not 'charges' with 3 masses"),
        ({"n_masses": 1}, "not 'charges' with 1 masses"),
    ],
)
def test_couplings_that_there_are_not_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LearnedForce(**options)


def loss_of(model: LearnedForce, system: System, scheme: str, clip: bool, target: Tensor) -> Tensor:
    """As `mcegnn.training.unrolled.Unrolled` has it: the dressed system, our own flow, positions at
    the end."""
    flow, state = (
        integrator(scheme)(model if clip else model.unclipped),
        State(model.with_learned_masses(system)),
    )
    for _ in range(6):
        state = flow(state, 0.1)
    return (state.system.positions - target).square().sum()


@pytest.mark.parametrize("scheme", ["velocity-verlet", "symplectic-euler", "yoshida-4"])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(("coupling", "n_masses"), [("charges", 0), ("masses", 0), ("masses", 5)])
def test_gradients_through_rollouts(coupling: str, n_masses: int, clip: bool, scheme: str) -> None:
    """By each parameter along a direction: central differences of step h and 2 h, extrapolated, of
    a loss of order ten.

    Round-off, 1e-14 of the loss, over h is 1e-8 at most. A longer h would step over the clip's
    kinks, where there is no derivative.
    """
    model, system = learned(3, coupling, n_masses=n_masses), tensors(scattered(3, 5, 2))
    if clip:
        with torch.no_grad():
            model.limit = 0.7 * float(model(model.with_learned_masses(system)).forces.abs().max())
    stream = torch.Generator().manual_seed(1)
    target = torch.randn(2, 5, 3, generator=stream, dtype=torch.float64)
    loss_of(model, system, scheme, clip, target).backward()
    h = 2.0**-16
    for name, p in model.named_parameters():
        if not p.numel():
            continue
        direction, start = (
            torch.randn(p.shape, generator=stream, dtype=torch.float64),
            p.detach().clone(),
        )

        def moved(
            step: float, p: Tensor = p, start: Tensor = start, direction: Tensor = direction
        ) -> float:
            with torch.no_grad():
                p.copy_(start + step * direction)
                return float(loss_of(model, system, scheme, clip, target))

        expected = (8.0 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12.0 * h)
        moved(0.0)
        assert p.grad is not None, name
        found = float((p.grad * direction).sum())
        assert abs(found) > 1e-4, name
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg=name)


def test_gradients_by_where_the_particles_start() -> None:
    model, system = learned(3), tensors(scattered(3, 4))
    x = system.positions.clone().requires_grad_()
    target = torch.zeros(4, 3, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        start = System(x, system.momenta, system.masses, system.species, system.charges)
        return loss_of(model, start, "velocity-verlet", False, target)

    loss(x).backward()
    with torch.no_grad():
        expected = [
            [
                slope(lambda y: loss(torch.from_numpy(y)).numpy(), system.positions.numpy(), (i, a))
                for a in range(3)
            ]
            for i in range(4)
        ]
    np.testing.assert_allclose(x.grad, expected, rtol=0, atol=1e-7)


@few
@given(seed=seeds)
def test_the_law_to_first_order_is_the_law(seed: int) -> None:
    """Its value, and its derivative along any change of the distances and of the last layer."""
    model, stream = learned(seed), torch.Generator().manual_seed(seed)
    last = dict(model.exponent[-1].named_parameters())
    r2 = torch.rand(20, generator=stream, dtype=torch.float64) + 0.1
    tangents = [
        torch.randn(p.shape, generator=stream, dtype=torch.float64)
        for p in (r2, last["weight"], last["bias"])
    ]

    def whole(r2: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        names = {
            f"exponent.{len(model.exponent) - 1}.{name}": value
            for name, value in (("weight", weight), ("bias", bias))
        }
        return torch.func.functional_call(
            _Law(model), {f"model.{name}": value for name, value in names.items()}, (r2,)
        )

    def split(r2: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return model.law_to_first_order({"weight": weight, "bias": bias})(r2)

    at = (r2, last["weight"].detach(), last["bias"].detach())
    for expected, found in zip(
        *(torch.func.jvp(law, at, tuple(tangents)) for law in (whole, split)), strict=True
    ):
        np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-12, atol=1e-13)


class _Law(nn.Module):
    """The law as a module's forward."""

    def __init__(self, model: LearnedForce) -> None:
        super().__init__()
        self.model = model

    def forward(self, r2: Tensor) -> Tensor:
        return self.model.law(r2)
