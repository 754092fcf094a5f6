"""What models say of themselves, and the verbs, the systems and the committees that they fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from integrators.state import State
from mcegnn import load
from mcegnn.models.committee import ModelCommittee
from mcegnn.models.model import Model, Role
from mcegnn.models.named import load_with_digest
from mcegnn.models.registry import MODELS
from mcegnn.models.store import Stored, save
from mcegnn.prediction import predict
from systems.potentials.committee import Committee
from systems.potentials.coulomb import Coulomb
from systems.sources.atoms import from_atoms
from systems.sources.charged import charged_systems
from systems.system import Evaluation, System
from systems.units import METAL
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]


class Ionic(Model):
    """Energies that are the charges' squares: a potential of a kind that nothing else knows."""

    role, units, requires = Role.POTENTIAL, METAL, frozenset({"charges"})

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = torch.nn.Parameter(torch.tensor(strength))

    def as_potential(self, threads: int = 1) -> Any:
        strength = float(self.strength.detach())

        def potential(system: System) -> Evaluation:
            energy = strength * (np.asarray(system.charges) ** 2).sum(-1)
            return Evaluation(energy, np.zeros_like(system.positions))

        return potential


@pytest.fixture
def ionic(cli: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two such models in the test's folder, and two molecules, with charges and without."""
    monkeypatch.setattr(MODELS, "_places", dict(MODELS._places))
    MODELS.register("Ionic", Ionic)
    for k in (1, 2):
        save(Stored.make("Ionic", {"strength": float(k)}), f"ionic{k}.safetensors")
    bare, charged = molecule("H2O"), molecule("H2O")
    charged.set_initial_charges([-2.0, 1.0, 1.0])
    ase.io.write("bare.xyz", bare)
    ase.io.write("charged.traj", charged)
    return Path()


def test_a_system_without_what_a_model_requires(ionic: Path, refuse: Run, succeed: Run) -> None:
    """Is named, with what it lacks; others with it are moved, by whatever kind of model."""
    words = "this model requires charges, which the system does not have"
    command = ("rollout", "bare.xyz", "--model", "ionic1.safetensors", "--steps", "2")
    refuse(words, *command, "--temperature", "300 K")
    succeed(*command[:1], "charged.traj", *command[2:], "--temperature", "300 K", "--quiet")
    with pytest.raises(ValueError, match=f"structure 1: {words}"):
        predict(
            load("ionic1.safetensors"),
            [from_atoms(ase.io.read("charged.traj")), from_atoms(molecule("H2O"))],
        )


def test_committees_by_role(ionic: Path, refuse: Run) -> None:
    """Potentials of one kind make one, whichever it is; other roles, units and needs do not."""
    committee, digest = load_with_digest("ionic1.safetensors,ionic2.safetensors", warn=3.0)
    assert (committee.role, committee.units) == (Role.POTENTIAL, METAL)
    assert committee.requires == {"charges"}
    assert [len(part) for part in digest.split("-")] == [8, 8]
    system = from_atoms(ase.io.read("charged.traj"))
    potential = committee.as_potential()
    assert isinstance(potential, Committee)
    assert (potential.warn, potential.stop) == (3.0, np.inf)
    assert potential(system).energy == 9.0
    found = predict(committee, [system])
    assert (found["energy"][0].tolist(), found["energy"][1]) == ([9.0], "eV")
    with pytest.raises(ValueError, match="this model requires charges"):
        committee.check_system(from_atoms(molecule("H2O")))
    for other, words in (
        ("charged-mcegnn", "made of potentials; charged-mcegnn is a DirectDynamics"),
        ("ethanol", "and ethanol make no committee: their species are "),
        ("charged-force", "and charged-force make no committee: their units are metal and reduced"),
    ):
        with pytest.raises(ValueError, match=words):
            load_with_digest(f"ionic1.safetensors,{other}")
    with pytest.raises(ValueError, match="at least two members, not 1"):
        ModelCommittee([load("ethanol")], ["ethanol"])


def test_a_committee_of_learned_forces_moves_charges(cli: Run, succeed: Run) -> None:
    """Forces are proportional to a model's size: the mean of 0.4 and 0.6 acts as 0.5 does."""
    stored = Stored.make("LearnedForce", {"n_features": 4, "n_layers": 1})
    for size in (0.4, 0.5, 0.6):
        with torch.no_grad():
            stored.model.size.fill_(size)
        save(stored, f"{size}.safetensors")
    few = ("--systems", "2", "--steps", "20", "--every", "10", "--quiet")
    ends = []
    for models in ("0.5.safetensors", "0.4.safetensors,0.6.safetensors"):
        out = f"{len(models)}.h5md"
        succeed("rollout", "charged", "--model", models, *few, "-o", out)
        with H5MDReader(out) as reader:
            ends.append(reader[-1].system.positions - reader[0].system.positions)
    assert abs(ends[0]).max() > 1e-3
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)


VERBS = {
    "a flow predicts": (
        "charged-mcegnn is a DirectDynamics, which mcegnn predict cannot use; it is for mcegnn"
        " rollout and mcegnn evaluate",
        ("predict", "charged-mcegnn", "water.xyz"),
    ),
    "a property moves": (
        "gap.safetensors is a PropertyModel, which mcegnn rollout cannot use; it is for mcegnn"
        " predict and mcegnn evaluate",
        ("rollout", "water.xyz", "--model", "gap.safetensors"),
    ),
    "a flow moves a file's atoms": (
        "flow.safetensors is a DirectDynamics, which moves particles itself; a file's atoms are"
        " moved by forces, so name a potential",
        ("rollout", "water.xyz", "--model", "flow.safetensors"),
    ),
    "masses of charges": (
        "requires masses; the particles of a charged system differ by their charges",
        ("rollout", "charged", "--model", "masses.safetensors"),
    ),
    "a pair force predicts": (
        "water.xyz: this model is in reduced units; the system is in metal units",
        ("predict", "charged-force", "water.xyz"),
    ),
}


@pytest.mark.parametrize("name", VERBS)
def test_models_that_do_not_fit_the_verb(name: str, refuse: Run) -> None:
    """It is said which verbs do."""
    ase.io.write("water.xyz", molecule("H2O"))
    small = {"n_features": 4, "n_channels": 1, "n_layers": 1}
    for kind, file, more in (
        ("PropertyModel", "gap", {"property": "gap"}),
        ("DirectDynamics", "flow", {"units": "metal", "inputs": "masses"}),
        ("DirectDynamics", "masses", {"inputs": "masses"}),
    ):
        save(Stored.make(kind, {**small, **more}), f"{file}.safetensors")
    words, command = VERBS[name]
    refuse(words, *command)


def test_a_pair_force_predicts_in_its_own_units() -> None:
    """Energies and largest forces of charges, by the same words as of atoms."""
    force, system = load("charged-force"), charged_systems(3, 0).copy_of(1)
    (energy, unit), (largest, of_force) = predict(force, [system]).values()
    known = force.as_potential()(system)
    assert (unit, of_force) == ("", "")
    assert energy == known.energy
    assert largest == np.linalg.norm(known.forces, axis=-1).max()


def test_models_of_other_roles_say_what_they_are_for() -> None:
    stored = Stored.make("PropertyModel", {"n_features": 4, "n_channels": 1, "n_layers": 1})
    for ask in (stored.model.as_potential, stored.model.as_flow):
        with pytest.raises(ValueError, match="gives no potential; it is for mcegnn predict and"):
            ask()
    with pytest.raises(ValueError, match="a LearnedForce moves particles by an integrator; give"):
        load("charged-force").as_flow()
    with pytest.raises(ValueError, match="gives no predictions of structures; it is for mcegnn ro"):
        load("charged-mcegnn").predict_targets([])


def test_a_dynamics_model_is_not_changed_by_a_run(cli: Run, succeed: Run) -> None:
    """Frames are evaluated by the exact potential, the model itself has none before and after."""
    succeed("rollout", "charged", "--model", "charged-mcegnn", "--systems", "2", "--quiet")
    model, _ = load_with_digest("charged-mcegnn")
    assert model.potential is None  # the one that the run had
    coulomb = Coulomb()
    flow = model.as_flow(reference=coulomb)
    assert flow.potential is coulomb
    assert model.potential is None
    start = State(charged_systems(2, 0))
    np.testing.assert_array_equal(
        flow(start, model.interval).system.positions, model(start, model.interval).system.positions
    )


def test_every_class_declares_itself() -> None:
    """Roles, units, needs and whether periodic systems are known, of every model of the table."""
    required: dict[str, dict[str, Any]] = {
        "ConservativePotential": {"species": [1]},
        "UnconstrainedPotential": {"species": [1]},
        "ForeignDynamics": {"factory": "torch.nn:PReLU"},
        "ForeignPotential": {"factory": "torch.nn:PReLU", "species": [1]},
        "Canonicalized": {"model": "UnconstrainedDynamics"},
    }
    for name in MODELS:
        model = Stored.make(name, required.get(name, {})).model
        assert model.role in Role
        assert model.role.verbs
        assert model.requires <= {"charges", "masses", "cell"}
        crystal = from_atoms(Atoms("H", cell=[3, 3, 3], pbc=True))
        if model.units is METAL:
            with pytest.raises(ValueError, match="does not know periodic systems"):
                model.check_system(crystal)
        other = charged_systems(1, 0) if model.units is METAL else crystal
        with pytest.raises(ValueError, match=f"this model is in {model.units.name} units"):
            model.check_system(other)
