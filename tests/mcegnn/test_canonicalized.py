"""Models in canonical poses: flows and potentials that know no symmetry, made equivariant."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from mcegnn import fit, load, predict, simulate
from mcegnn.data.dataset import Dataset
from mcegnn.data.target import Target
from mcegnn.data.upright import upright
from mcegnn.graph import complete
from mcegnn.models.store import Stored, save
from mcegnn.models.unconstrained import UnconstrainedDynamics
from mcegnn.runs.events import Saved
from mcegnn.runs.training import TrainingRun
from mcegnn.runs.training_options import training_options
from systems.sources.atoms import from_atoms
from systems.system import System

SMALL = {"n_features": 8, "n_layers": 2}
ATOMS = {**SMALL, "n_radial": 4, "cutoff": 4.0, "species": [1, 6, 7, 8]}


def turned(stream: np.random.Generator, *, proper: bool = False) -> np.ndarray:
    q, _ = np.linalg.qr(stream.normal(size=(3, 3)))
    return np.asarray(q * np.sign(np.linalg.det(q)) * (1.0 if proper else stream.choice([1, -1])))


def canonicalized(model: str, canonicalizer: str, hyperparameters: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    given = {"canonicalizer": canonicalizer, "model": model, "hyperparameters": hyperparameters}
    return Stored.make("Canonicalized", given)


@pytest.mark.parametrize("architecture", ["graph", "transformer", "perceptron"])
@pytest.mark.parametrize("canonicalizer", ["direct", "optimized", "smooth", "principal-axes"])
def test_flows_turn_with_their_states(architecture: str, canonicalizer: str) -> None:
    stream = np.random.default_rng(0)
    made = canonicalized(
        "UnconstrainedDynamics", canonicalizer, {**SMALL, "architecture": architecture}
    )
    model = made.model.double().eval()
    assert (model.role.value, model.interval) == ("flow", 1.0)
    x, v = (torch.from_numpy(stream.normal(size=(5, 7, 3))) for _ in range(2))
    charges = torch.from_numpy(stream.choice([-1.0, 1.0], size=(5, 7)))
    r, shift = torch.from_numpy(turned(stream)), torch.from_numpy(stream.normal(size=3))
    with torch.no_grad():
        one = model.predict(x, v, charges, complete(5))
        other = model.predict(x @ r.T + shift, v @ r.T, charges, complete(5))
    torch.testing.assert_close(one[0] @ r.T + shift, other[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(one[1] @ r.T, other[1], rtol=1e-9, atol=1e-10)


def test_networks_that_know_nothing() -> None:
    """Without poses they do not turn, or the tests above would say nothing."""
    stream = np.random.default_rng(0)
    for architecture in ("graph", "transformer", "perceptron"):
        model = UnconstrainedDynamics(**SMALL, architecture=architecture).double()  # type: ignore[arg-type]
        assert not model.equivariant
        x, v = (torch.from_numpy(stream.normal(size=(5, 7, 3))) for _ in range(2))
        charges = torch.from_numpy(stream.choice([-1.0, 1.0], size=(5, 7)))
        r = torch.from_numpy(turned(stream))
        with torch.no_grad():
            one = model.predict(x, v, charges, complete(5))[1]
            other = model.predict(x @ r.T, v @ r.T, charges, complete(5))[1]
        assert float((one @ r.T - other).abs().max()) > 1e-2


def moved(system: System, r: np.ndarray) -> System:
    cell = None if system.cell is None else np.asarray(system.cell) @ r.T
    return replace(system, positions=np.asarray(system.positions) @ r.T + 3.0, cell=cell)


def some_systems() -> list[System]:
    made = [molecule("CH3CH2OH"), molecule("NH3"), molecule("CO2"), molecule("C6H6")]
    for k, atoms in enumerate(made[:1]):
        atoms.rattle(0.1, seed=k)
    return [from_atoms(atoms) for atoms in made]


@pytest.mark.parametrize("architecture", ["graph", "transformer"])
@pytest.mark.parametrize("canonicalizer", ["direct", "smooth", "principal-axes"])
def test_potentials_turn_with_their_systems(architecture: str, canonicalizer: str) -> None:
    """Molecules of all sizes in one batch, symmetric and linear ones."""
    stream = np.random.default_rng(1)
    inner = {**ATOMS, "architecture": architecture}
    model = canonicalized("UnconstrainedPotential", canonicalizer, inner).model.double().eval()
    systems = some_systems()
    r = turned(stream)
    before, after = (
        model.evaluate_batch(part) for part in (systems, [moved(s, r) for s in systems])
    )
    for k, (one, other) in enumerate(zip(before, after, strict=True)):
        alone = model(systems[k])
        assert float(alone.energy) == pytest.approx(float(one.energy), rel=1e-9)
        assert float(other.energy) == pytest.approx(float(one.energy), rel=1e-9)
        assert np.isfinite(one.forces).all()
        if canonicalizer == "smooth" or k == 0:
            # symmetric ones have forces up to their symmetry, where a frame is single
            np.testing.assert_allclose(other.forces, one.forces @ r.T, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("canonicalizer", ["direct", "smooth"])
def test_forces_are_the_slope_of_the_energy(canonicalizer: str) -> None:
    stream = np.random.default_rng(2)
    model = canonicalized("UnconstrainedPotential", canonicalizer, ATOMS).model.double().eval()
    system = some_systems()[0]
    x, direction = np.asarray(system.positions), stream.normal(size=(9, 3))
    ends = [
        float(model(replace(system, positions=x + s * 1e-4 * direction)).energy) for s in (1, -1)
    ]
    slope = -(model(system).forces * direction).sum()
    assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_a_file_keeps_all_of_it(tmp_path: Path) -> None:
    stored = canonicalized("UnconstrainedPotential", "direct", ATOMS)
    assert stored.hyperparameters["hyperparameters"]["scale"] == 1.0  # its default
    save(stored, tmp_path / "model.safetensors")
    again, system = load(tmp_path / "model.safetensors"), some_systems()[0]
    np.testing.assert_array_equal(stored.model.eval()(system).forces, again(system).forces)
    atoms = molecule("CH3CH2OH")
    atoms.calc = again.calculator()
    assert np.isfinite(atoms.get_forces()).all()


def test_refuses_what_is_equivariant_already() -> None:
    with pytest.raises(ValueError, match="a DirectDynamics is equivariant already"):
        canonicalized("DirectDynamics", "direct", {})
    with pytest.raises(ValueError, match="crystals have none to train on"):
        canonicalized("UnconstrainedPotential", "direct", {**ATOMS, "periodic": True})
    with pytest.raises(ValueError, match="there is no model 'Unconstraind"):
        canonicalized("UnconstraindDynamics", "direct", {})
    with pytest.raises(ValueError, match="architecture is one of graph, transformer, not 'mlp'"):
        canonicalized("UnconstrainedPotential", "direct", {**ATOMS, "architecture": "mlp"})


def labelled(k: int) -> Atoms:
    """Shaken ethanol, turned in some way, with labels by springs to where atoms are at rest."""
    stream, atoms = np.random.default_rng(k), molecule("CH3CH2OH")
    rest = atoms.positions.copy()
    moves = 0.05 * stream.normal(size=rest.shape)
    r = turned(stream, proper=True)
    atoms.positions = (rest + moves) @ r.T
    energy, forces = 5.0 * (moves**2).sum(), -10.0 * moves @ r.T
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, and a plain potential trained for a moment on upright ethanol."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("train.xyz", [labelled(k) for k in range(30)])
    config = """
        n_updates = 6\nbatch = 4\nlr = 1e-2\nvalidate_every = 3\nwarmup = 1\nema = 0.5
        [data]\nname = "train.xyz"\nn_train = 16\nn_validation = 4\nupright = true
        [model]\nkind = "UnconstrainedPotential"
        hyperparameters = { n_features = 8, n_layers = 2, n_radial = 4, cutoff = 4.0 }
        [task]\nkind = "energy-forces"
    """
    Path("plain.toml").write_text(config.replace("        ", ""))
    fit(preset="plain.toml", output="plain", progress=False)
    return tmp_path


FREE = "nothing would learn: the model is frozen, and its canonicalizer has no weights"
ADAPT = ("--set", "n_updates=4", "--set", "batch=4", "--set", "validate_every=2")


STEPS = ("--steps", "3", "--temperature", "100 K", "-o", "run.h5md")


def test_adapting(trained: Path, cli: Callable[..., Any]) -> None:
    """What is made is equivariant, of the role of what was adapted, and used by every verb."""
    out = cli(
        *("train", "adapt", "--from", "plain/best.safetensors", "--data", "train.xyz"),
        *(*ADAPT, "--set", "data.upright=true", "-o", "adapted"),
    )
    assert out.code == 0, out.err
    plain, adapted = (load(f"{name}/best.safetensors") for name in ("plain", "adapted"))
    assert type(adapted).__name__ == "Canonicalized"
    system = from_atoms(labelled(3))
    r = turned(np.random.default_rng(0))
    spread = [
        abs(float(model(moved(system, r)).energy - model(system).energy))
        for model in (plain, adapted)
    ]
    assert spread[1] < 1e-4 < spread[0]  # in single precision
    for verb in (
        ("evaluate", "adapted/best.safetensors", "train.xyz", "--json"),
        ("predict", "adapted/best.safetensors", "train.xyz", "-o", "table.csv"),
        ("info", "adapted/best.safetensors"),
        ("report", "adapted", "--force"),
        ("rollout", "train.xyz", "--model", "adapted/best.safetensors", *STEPS),
    ):
        out = cli(*verb)
        assert out.code == 0, out.err
    assert predict(adapted, "train.xyz")["energy"].values.shape == (30,)
    run = simulate(
        "train.xyz", model=adapted, temperature="100 K", steps=2, output="two.h5md", progress=False
    )
    assert len(run) > 0


def test_a_frozen_model_stays_what_it_was(trained: Path, cli: Callable[..., Any]) -> None:
    """To the bit, while the canonicalizer learns, whatever the decay of weights."""
    command = ("train", "adapt", "--from", "plain/best.safetensors", "--data", "train.xyz")
    options = (*ADAPT, "--set", "data.upright=true", "--set", "task.freeze=true")
    out = cli(*command, *options, "--set", "weight_decay=0.1", "-o", "frozen")
    assert out.code == 0, out.err
    plain, adapted = (load(f"{name}/best.safetensors") for name in ("plain", "frozen"))
    inner = adapted.inner_network.state_dict()
    for name, weights in plain.network.state_dict().items():
        assert torch.equal(inner[name], weights)
    out = cli(*command, *options, "--set", "task.beta=0", "-o", "free")
    assert out.code == 0, out.err
    other = load("free/best.safetensors").canonicalization.state_dict()
    one = adapted.canonicalization.state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_nothing_to_adapt(trained: Path, cli: Callable[..., Any]) -> None:
    out = cli("train", "adapt", "--from", "ethanol", "--data", "train.xyz", *ADAPT, "-o", "none")
    assert out.code == 0, out.err
    assert "equivariant already: there is nothing to do" in out.out + out.err
    assert not Path("none").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--set", "task.beta=-1"), "task.beta: "),
        (("--set", "task.freeze=true", "--set", "model.hyperparameters.canonicalizer=fixed"), FREE),
        (("--set", "task.freeze=true", "--set", "precision=float64"), "is in float32, and would"),
        (("--set", "model.hyperparameters.model=MCEGNN"), "is that of the model to adapt"),
        (("--set", 'data.without=["Moon"]'), "whose data have no key 'without'"),
        (("--set", "model.hyperparameters.group=E(2)"), "there is no group 'E(2)'"),
    ],
)
def test_adapting_refuses(
    trained: Path, cli: Callable[..., Any], more: tuple[str, ...], words: str
) -> None:
    out = cli(
        *("train", "adapt", "--from", "plain/best.safetensors", "--data", "train.xyz"),
        *(*ADAPT, *more, "-o", "none"),
    )
    assert (out.code, out.out) == (2, "")
    assert words in out.err
    assert out.err.count("\n") == 1
    assert not Path("none").exists()


def test_adapting_needs_a_model(trained: Path, cli: Callable[..., Any]) -> None:
    out = cli("train", "adapt", "--data", "train.xyz", *ADAPT, "-o", "none")
    assert out.code == 2
    assert "name the trained model that is to be adapted: --from MODEL" in out.err


def test_upright_is_the_nearest_pose() -> None:
    """Against scipy's alignment, weighed by masses, with forces that turn too."""
    from scipy.spatial.transform import Rotation

    stream = np.random.default_rng(9)
    systems = [from_atoms(labelled(k)) for k in range(8)]
    forces = stream.normal(size=(8 * 9, 3))
    dataset = Dataset.of_systems(systems, {"forces": Target(forces, "eV/Angstrom", "vector")})
    found = upright(dataset)
    first, masses = found.positions[:9], molecule("CH3CH2OH").get_masses()
    for k in range(8):
        x = dataset.positions[9 * k : 9 * k + 9]
        x = x - masses @ x / masses.sum()
        turn, _ = Rotation.align_vectors(first, x, weights=masses)
        np.testing.assert_allclose(found.positions[9 * k : 9 * k + 9], turn.apply(x), atol=1e-9)
        np.testing.assert_allclose(
            found["forces"][9 * k : 9 * k + 9], turn.apply(forces[9 * k : 9 * k + 9]), atol=1e-9
        )
    mixed = Dataset.of_systems([systems[0], from_atoms(molecule("H2O"))])
    with pytest.raises(ValueError, match="only structures of one molecule"):
        upright(mixed)


def test_a_random_canonicalizer_stays_random(trained: Path) -> None:
    """No trainer makes it learn."""
    config = (trained / "plain.toml").read_text()
    given = "{ n_features = 8, n_layers = 2, n_radial = 4, cutoff = 4.0 }"
    whole = (
        '{ canonicalizer = "random", model = "UnconstrainedPotential", hyperparameters = '
        + given
        + " }"
    )
    text = config.replace('"UnconstrainedPotential"', '"Canonicalized"').replace(given, whole)
    (trained / "random.toml").write_text(text)
    fit(preset="random.toml", output="random", n_updates=3, progress=False)
    fit(preset="random.toml", output="longer", n_updates=6, progress=False)
    one, other = (
        load(f"{name}/best.safetensors").canonicalization.canonicalizer.state_dict()
        for name in ("random", "longer")
    )
    assert one
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stopped_adaptation_goes_on(trained: Path, cli: Callable[..., Any]) -> None:
    """To the weights of one that never stopped."""
    command = ("train", "adapt", "--from", "plain/best.safetensors", "--data", "train.xyz")
    options = (*ADAPT, "--set", "data.upright=true")
    assert cli(*command, *options, "-o", "whole").code == 0
    run = TrainingRun(
        training_options(
            "adapt",
            [*options[1::2]],
            data="train.xyz",
            started=True,
        ),
        "parts",
        start="plain/best.safetensors",
    )
    events = iter(run)
    assert any(isinstance(event, Saved) for event in events)
    events.close()  # type: ignore[attr-defined]
    out = cli("train", "--resume", "parts")
    assert out.code == 0, out.err
    one, other = (load(f"{name}/best.safetensors").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stopped_training_draws_what_it_would_have_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    """Augmented poses of an update are the same wherever a training is resumed, and not those of
    another seed."""
    monkeypatch.chdir(tmp_path)
    options = ["data.n_train=40", "n_updates=4", "batch=8", "validate_every=2", "ema=0"]
    options += ["model.hyperparameters.hyperparameters={n_features=8, n_layers=1}"]
    sets = [word for one in options for word in ("--set", one)]
    assert cli("train", "charged-canonical", *sets, "--quiet", "-o", "whole").code == 0
    run = TrainingRun(training_options("charged-canonical", options), "parts")
    events = iter(run)
    assert any(isinstance(event, Saved) for event in events)
    events.close()  # type: ignore[attr-defined]
    assert cli("train", "--resume", "parts", "--quiet").code == 0
    one, other = (load(f"{name}/best.safetensors").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert load("whole/best.safetensors").canonicalization.augmentation == 3.0


def test_adapting_a_flow(cli: Callable[..., Any]) -> None:
    """On the benchmark that it was trained for, and evaluated there."""
    few = ("--set", "data.n_train=40", "--set", "n_updates=4", "--set", "batch=8")
    few += ("--set", "validate_every=2")
    plain = ("charged-canonical", "--set", "model.kind=UnconstrainedDynamics")
    plain += ("--set", "model.hyperparameters={n_features=8, n_layers=2}")
    for command in (
        ("train", *plain, *few, "-o", "plain"),
        (
            "train",
            "adapt",
            "--from",
            "plain/best.safetensors",
            "--data",
            "charged",
            *few,
            "-o",
            "adapted",
        ),
        ("evaluate", "adapted/best.safetensors", "charged", "--json"),
        (
            "rollout",
            "charged",
            "--model",
            "adapted/best.safetensors",
            "--steps",
            "2",
            "--systems",
            "3",
            "-o",
            "run.h5md",
        ),
    ):
        out = cli(*command)
        assert out.code == 0, out.err
