"""Torch modules of others, brought in by a factory's name: as models, adapted, saved, loaded."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from torch import nn

from mcegnn import load
from mcegnn.models.store import Stored
from mcegnn.names import SourceChangedWarning, is_factory
from systems.sources.atoms import from_atoms
from systems.system import System

Command = Callable[..., Any]
_numbers = itertools.count()

#: a user's file: networks that know no symmetry, one of them with running means
SOURCE = """
import numpy as np
import torch
from torch import nn

calls = []

class Energies(nn.Module):
    mcegnn = {"role": "potential", "species": np.array([1, 6, 8])}

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.first, self.norm = nn.Linear(7, 16), nn.BatchNorm1d(16)
        self.last = nn.Linear(16, 1)
        self.unit = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, numbers, positions):
        h = self.first(torch.cat([self.embedding(numbers), positions], -1))
        h = self.norm(h.transpose(1, 2)).transpose(1, 2)
        return self.unit * self.last(torch.tanh(h)).sum((1, 2))

class States(nn.Module):
    mcegnn = {"role": "flow", "interval": 1.0}
    units = 64  # any name of the author's own

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 6)

    def forward(self, x, v, charges):
        h = self.layer(torch.cat([x, v, charges.unsqueeze(-1)], -1))
        return x + v + torch.tanh(h[..., :3]), v + h[..., 3:]

def potential(pretrained=True):
    calls.append(pretrained)
    torch.manual_seed(5 if pretrained else 6)
    return Energies()

def flow():
    torch.manual_seed(0)
    return States()

def number():
    return 3

def silent():
    return nn.Linear(2, 2)

def saying(**said):
    made = nn.Linear(2, 2)
    made.mcegnn = {"role": "potential", **said}
    return made

def elementless():
    return saying()

def misspelt():
    return saying(species=[1], cutof=3.0)

def unkept():
    return saying(species={1, 6})

def weightless():
    return nn.Identity()

class Blind(Energies):
    def forward(self, numbers, positions):
        with torch.no_grad():
            return super().forward(numbers, positions)

def blind():
    return Blind()

def broken():
    raise FileNotFoundError("weights.pt is not there")

class Wrong(Energies):
    def forward(self, numbers, positions):
        return super().forward(numbers, positions).unsqueeze(1)

def wrong():
    return Wrong()

class WrongStates(States):
    def forward(self, x, v, charges):
        return x, None

def wrong_states():
    return WrongStates()
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a user's module in the working directory."""
    monkeypatch.chdir(tmp_path)
    made = f"foreign_networks_{next(_numbers)}"
    Path(f"{made}.py").write_text(SOURCE)
    ase.io.write("train.xyz", [labelled(k) for k in range(20)])
    return made


def labelled(k: int) -> Atoms:
    stream, atoms = np.random.default_rng(k), molecule("CH3CH2OH")
    moves = 0.05 * stream.normal(size=atoms.positions.shape)
    atoms.positions += moves
    atoms.calc = SinglePointCalculator(atoms, energy=5.0 * (moves**2).sum(), forces=-10.0 * moves)
    return atoms


def water(k: int) -> Atoms:
    atoms = molecule("H2O")
    atoms.positions += 0.05 * np.random.default_rng(k).normal(size=(3, 3))
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((3, 3)))
    return atoms


def rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(q * np.linalg.det(q))


def shaken(formula: str, seed: int) -> System:
    atoms = molecule(formula)
    atoms.positions += 0.1 * np.random.default_rng(seed).normal(size=atoms.positions.shape) + 3.0
    return from_atoms(atoms)


ADAPT = ("--set", "n_updates=4", "--set", "batch=4", "--set", "validate_every=2")


def test_which_names_are_factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_factory("package.module:make")
    for other in ("ethanol", "runs/best.safetensors", "rmd17:", ":make", "a b:c", "C:/model"):
        assert not is_factory(other)
    Path("a:b").write_text("")
    assert not is_factory("a:b")


def test_energies_and_forces_are_the_modules(name: str) -> None:
    """Of molecules of any sizes at once, by what the module itself says of their positions."""
    model = Stored.make("ForeignPotential", {"factory": f"{name}:potential", "species": [1, 6, 8]})
    potential = model.model.double().eval()
    module: nn.Module = potential.network.module
    systems = [shaken(f, k) for k, f in enumerate(("CH3CH2OH", "H2O", "CH4", "H2O", "CO2", "O"))]
    for system, found in zip(systems, potential.evaluate_batch(systems), strict=True):
        x = torch.tensor(np.asarray(system.positions), requires_grad=True)
        numbers = torch.tensor(np.asarray(system.species), dtype=torch.long)
        energy = module(numbers[None], (x - x.mean(0))[None]).sum()
        (slope,) = torch.autograd.grad(energy, x)
        assert float(found.energy) == pytest.approx(float(energy.detach()), abs=1e-12)
        np.testing.assert_allclose(found.forces, -slope, atol=1e-12)


def test_atoms_beyond_the_cutoff_are_said(name: str) -> None:
    given = {"factory": f"{name}:potential", "species": [1, 6, 8], "cutoff": 1.5}
    model = Stored.make("ForeignPotential", given).model.eval()
    with pytest.raises(ValueError, match="farther apart than the cutoff"):
        model(shaken("CH3CH2OH", 0))


def test_states_are_the_modules(name: str) -> None:
    model = Stored.make("ForeignDynamics", {"factory": f"{name}:flow"}).model.double().eval()
    from mcegnn.graph import complete

    x, v = torch.randn(2, 5, 7, 3, dtype=torch.float64)
    charges = torch.randn(5, 7, dtype=torch.float64)
    with torch.no_grad():
        found = model.predict(x, v, charges, complete(5))
        ends = model.network.module(x.transpose(0, 1), v.transpose(0, 1), charges.t())
    for one, other in zip(found, ends, strict=True):
        torch.testing.assert_close(one, other.transpose(0, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("canonicalizer", ["direct", "smooth"])
def test_an_adapted_potential_is_equivariant(name: str, canonicalizer: str) -> None:
    """In double precision; by itself it is far from that."""
    own = {"factory": f"{name}:potential", "species": [1, 6, 8]}
    whole = {"model": "ForeignPotential", "hyperparameters": own, "canonicalizer": canonicalizer}
    adapted = Stored.make("Canonicalized", whole).model.double().eval()
    plain = Stored.make("ForeignPotential", own).model.double().eval()
    r, atoms = rotation(1), labelled(0)
    system = from_atoms(atoms)
    atoms.positions = atoms.positions @ r.T
    turned = from_atoms(atoms)
    assert abs(float(plain(system).energy - plain(turned).energy)) > 1e-3
    one, other = adapted(system), adapted(turned)
    assert float(one.energy) == pytest.approx(float(other.energy), abs=1e-10)
    np.testing.assert_allclose(np.asarray(one.forces) @ r.T, other.forces, atol=1e-9)


@pytest.mark.parametrize("freeze", [True, False])
def test_from_the_command_line(name: str, cli: Command, freeze: bool) -> None:
    """Adapted, saved, loaded with the weights of the file, evaluated, rolled out."""
    command = ("train", "adapt", "--from", f"{name}:potential", "--data", "train.xyz", *ADAPT)
    more = ("--set", f"task.freeze={str(freeze).lower()}", "--set", "data.n_train=12")
    out = cli(*command, *more, "--set", "data.n_validation=4", "-o", "adapted")
    assert out.code == 0, out.err
    adapted = load("adapted/best.safetensors")
    assert sys.modules[name].calls[-1] is False  # its weights are the file's
    brought = sys.modules[name].potential().state_dict()
    kept = adapted.inner_network.module.state_dict()
    same = {key: torch.equal(brought[key], kept[key]) for key in brought}
    assert same.pop("unit")  # what its author lets not learn
    assert set(same.values()) == {freeze}  # running means among them
    for verb in (
        ("evaluate", "adapted/best.safetensors", "train.xyz"),
        ("evaluate", f"{name}:potential", "train.xyz"),
        ("predict", f"{name}:potential", "train.xyz"),
        ("info", "adapted/best.safetensors"),
        (
            *("rollout", "train.xyz", "--model", "adapted/best.safetensors", "--steps", "3"),
            *("--temperature", "100 K", "-o", "run.h5md"),
        ),
    ):
        out = cli(*verb)
        assert out.code == 0, out.err
        assert "warning" not in out.err


def test_a_flow_from_the_command_line(name: str, cli: Command) -> None:
    command = ("train", "adapt", "--from", f"{name}:flow", "--data", "charged", *ADAPT)
    out = cli(*command, "--set", "data.n_train=40", "-o", "adapted")
    assert out.code == 0, out.err
    steps = ("--steps", "2", "--systems", "3", "-o", "run.h5md")
    for verb in (
        ("rollout", "charged", "--model", "adapted/best.safetensors", *steps),
        ("evaluate", "adapted/best.safetensors", "charged"),
        ("evaluate", f"{name}:flow", "charged"),
    ):
        out = cli(*verb)
        assert out.code == 0, out.err


def test_training_on_keeps_what_the_module_says(name: str, cli: Command) -> None:
    """A potential of others is trained by itself, too, in its own units and from its own zero, in
    batches of molecules of any sizes."""
    ase.io.write("mixed.xyz", [labelled(k) for k in range(10)] + [water(k) for k in range(10)])
    own = "{kind='ForeignPotential', hyperparameters={factory='" + name + ":potential'}}"
    few = ("--set", "data.n_train=12", "--set", "data.n_validation=4", "--set", "lr=1e-20")
    command = ("train", "extxyz", "--data", "mixed.xyz", "--set", f"model={own}", *ADAPT, *few)
    out = cli(*command, "--set", "ema=0", "--set", "warmup=0", "-o", "on")
    assert out.code == 0, out.err
    before = Stored.make("ForeignPotential", {"factory": f"{name}:potential", "species": [1, 6, 8]})
    after, system = load("on/best.safetensors"), shaken("H2O", 0)
    for mean in ("running_mean", "running_var"):  # these do move
        state = after.network.module.norm.state_dict()[mean]
        getattr(before.model.network.module.norm, mean).copy_(state)
    expected = before.model.eval()(system)
    assert float(after(system).energy) == pytest.approx(float(expected.energy), abs=1e-5)


def test_periodic_structures_are_refused(name: str, cli: Command) -> None:
    boxes = [labelled(k) for k in range(12)]
    for atoms in boxes:
        atoms.set_cell([12.0, 12.0, 12.0])
        atoms.pbc = True
    ase.io.write("box.xyz", boxes)
    out = cli("evaluate", f"{name}:potential", "box.xyz")
    assert out.code == 2
    assert "the network is of molecules in free space" in out.err
    few = ("--set", "data.n_train=8", "--set", "data.n_validation=2")
    out = cli("train", "adapt", "--from", f"{name}:potential", "--data", "box.xyz", *ADAPT, *few)
    assert out.code == 2
    assert "the network is of molecules in free space" in out.err


def test_a_factory_is_no_file(name: str, cli: Command) -> None:
    steps = ("--steps", "2", "--temperature", "10 K", "-o", "run.h5md")
    out = cli("rollout", "train.xyz", "--model", f"{name}:potential", *steps)
    assert out.code == 2
    assert f"mcegnn train adapt --from {name}:potential --data DATA writes one" in out.err


def test_a_file_that_fails_on_import_is_told(name: str, cli: Command) -> None:
    for k, source in enumerate(
        ("def make(:", "raise SystemExit('usage')", "import nowhere_at_all")
    ):
        Path(f"{name}_{k}.py").write_text(source)
        out = cli("train", "adapt", "--from", f"{name}_{k}:make", "--data", "train.xyz", "-o", "x")
        assert out.code == 2
        wanted = ("importing", "importing", "there is no module nowhere_at_all")[k]
        assert wanted in out.err
        assert "Traceback" not in out.err


@pytest.fixture
def adapted(name: str, cli: Command) -> Path:
    command = ("train", "adapt", "--from", f"{name}:potential", "--data", "train.xyz", *ADAPT)
    few = ("--set", "data.n_train=12", "--set", "data.n_validation=4")
    assert cli(*command, *few, "-o", "adapted").code == 0
    return Path("adapted/best.safetensors")


def test_a_missing_module_is_named(adapted: Path, name: str, cli: Command) -> None:
    sys.modules.pop(name)
    Path(f"{name}.py").unlink()
    out = cli("info", adapted)
    assert out.code == 2
    assert f"there is no module {name}" in out.err
    assert str(adapted) in out.err


def test_a_changed_source_is_told(adapted: Path, name: str, cli: Command) -> None:
    with open(f"{name}.py", "a") as file:
        file.write("# changed\n")
    from mcegnn.models.factory import source_of
    from mcegnn.models.foreign import _check_source

    for kept in (source_of, _check_source):
        kept.cache_clear()
    with pytest.warns(SourceChangedWarning, match="not what it was"):
        load(adapted)
    _check_source.cache_clear()
    out = cli("info", adapted)
    assert out.code == 0
    assert out.err.count("warning: the source of") == 1


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("number", "makes no torch.nn.Module but a value of the type int"),
        ("silent", "must say what it is by an attribute such as mcegnn = {"),
        ("misspelt", "says 'cutof', which a potential does not have; did you mean cutoff?"),
        ("unkept", "cannot be kept: Object of type set is not JSON serializable"),
        ("weightless", "makes a module without weights"),
        ("blind", "take no_grad, detach and numpy out of it"),
        ("elementless", "must say for which elements"),
        ("broken", "FileNotFoundError: weights.pt is not there"),
        ("gone", "has no gone; did you mean"),
        ("wrong", "a tensor of the shape [4]; it returns a tensor of the shape [4, 1]"),
    ],
)
def test_refuses(name: str, cli: Command, factory: str, words: str) -> None:
    few = ("--set", "data.n_train=12", "--set", "data.n_validation=4")
    command = ("train", "adapt", "--from", f"{name}:{factory}", "--data", "train.xyz", *ADAPT)
    out = cli(*command, *few, "-o", "adapted")
    assert out.code == 2
    assert words in out.err


def test_refuses_states_of_other_shapes(name: str) -> None:
    model = Stored.make("ForeignDynamics", {"factory": f"{name}:wrong_states"}).model
    from mcegnn.graph import complete

    with pytest.raises(ValueError, match="two tensors of the shape"):
        model.predict(torch.zeros(5, 2, 3), torch.zeros(5, 2, 3), torch.ones(5, 2), complete(5))


def test_refuses_modules_that_are_not_there(cli: Command) -> None:
    out = cli("train", "adapt", "--from", "no_such_module:make", "--data", "charged", "-o", "x")
    assert out.code == 2
    assert "there is no module no_such_module" in out.err
