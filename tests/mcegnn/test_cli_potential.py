"""Potentials and committees of potentials on the command line, and as ASE calculators."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from mcegnn import PotentialCalculator
from mcegnn import load as load_model
from mcegnn.models.store import Stored, save
from systems.sources.atoms import from_atoms
from trajectories.storage.h5md import H5MDReader

Command = Callable[..., Any]
HOT = ("--temperature", "300 K", "--steps", "20", "--every", "5")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two of hydrogen, carbon and oxygen (a and b), one of carbon alone, and one of crystals of
    copper; and what they may move."""
    small = {
        "n_features": 8,
        "n_channels": [3, 2],
        "n_layers": 2,
        "n_radial": 5,
        "cutoff": 4.0,
        "scale": 0.05,
    }
    for seed, (name, more) in enumerate(
        {
            "a": {"species": [1, 6, 8]},
            "b": {"species": [1, 6, 8]},
            "carbon": {"species": [6]},
            "copper": {"species": [29], "periodic": True},
        }.items()
    ):
        torch.manual_seed(seed)
        save(
            Stored.make("ConservativePotential", {**small, **more}),
            tmp_path / f"{name}.safetensors",
        )
    ase.io.write(tmp_path / "ethanol.xyz", molecule("CH3CH2OH"))
    ase.io.write(tmp_path / "copper.xyz", bulk("Cu", cubic=True) * (2, 2, 2))
    return tmp_path


def test_a_potential_moves_a_molecule(models: Path, cli: Command) -> None:
    out = cli("rollout", "ethanol.xyz", "--model", "a.safetensors", *HOT, "-o", "run.h5md")
    assert out.code == 0, out.err
    potential = load_model("a.safetensors")
    with H5MDReader("run.h5md") as reader:
        assert len(reader) == 5
        last = reader[4]
        said = potential(last.system)
        np.testing.assert_allclose(last.evaluation.energy, said.energy, rtol=1e-5)
        np.testing.assert_allclose(
            last.evaluation.forces, said.forces, rtol=0, atol=1e-4 * abs(said.forces).max()
        )
    assert "energy" in cli("analyse", "run.h5md").out
    assert "C, O" not in cli("info", "a.safetensors").err


def test_replicas_of_a_molecule(models: Path, cli: Command) -> None:
    assert (
        cli(
            "rollout",
            "ethanol.xyz",
            "--model",
            "a.safetensors",
            "--systems",
            "3",
            *HOT,
            "-o",
            "run.h5md",
        ).code
        == 0
    )
    with H5MDReader("run.h5md") as reader:
        assert reader.n_systems == 3
        last = reader[4]
        potential = load_model("a.safetensors")
        for k in range(3):
            forces = potential(last.system.copy_of(k)).forces
            np.testing.assert_allclose(
                last.evaluation.forces[k], forces, rtol=0, atol=1e-4 * abs(forces).max()
            )


def test_a_crystal_at_constant_pressure(models: Path, cli: Command) -> None:
    out = cli(
        "rollout",
        "copper.xyz",
        "--model",
        "copper.safetensors",
        *HOT,
        "--ensemble",
        "npt",
        "--pressure",
        "1 bar",
        "-o",
        "run.h5md",
    )
    assert out.code == 0, out.err
    with H5MDReader("run.h5md") as reader:
        assert np.isfinite(reader.observable("pressure")).all()


@pytest.mark.parametrize("ensemble", [["--ensemble", "nvt"], []])
def test_a_resumed_run_is_the_same_to_the_bit(
    models: Path, cli: Command, ensemble: list[str]
) -> None:
    start = (
        "rollout",
        "ethanol.xyz",
        "--model",
        "a.safetensors",
        "--temperature",
        "300 K",
        "--every",
        "5",
        *ensemble,
    )
    assert cli(*start, "--steps", "40", "-o", "whole.h5md").code == 0
    assert cli(*start, "--steps", "20", "-o", "half.h5md").code == 0
    assert cli("rollout", "--resume", "half.h5md", "--steps", "20").code == 0
    with H5MDReader("whole.h5md") as whole, H5MDReader("half.h5md") as half:
        np.testing.assert_array_equal(whole.frames("position"), half.frames("position"))


def test_a_committee_says_how_far_it_agrees(models: Path, cli: Command) -> None:
    out = cli(
        "rollout",
        "ethanol.xyz",
        "--model",
        "a.safetensors,b.safetensors",
        *HOT,
        "--warn-above",
        "0.0001 meV/A",
        "-o",
        "run.h5md",
    )
    assert out.code == 0, out.err
    assert (
        out.err.count("warning: the 2 models of the committee disagree on the force on particle")
        == 1
    )
    a, b = (load_model(f"{name}.safetensors") for name in "ab")
    with H5MDReader("run.h5md") as reader:
        last = reader[4]
        forces = np.stack([model(last.system).forces for model in (a, b)])
        np.testing.assert_allclose(
            last.evaluation.forces, forces.mean(0), rtol=0, atol=1e-4 * abs(forces).max()
        )
        spread = ((forces - forces.mean(0)) ** 2).sum(-1).mean(0).max() ** 0.5
        np.testing.assert_allclose(reader.observable("uncertainty")[4], spread, rtol=1e-3)
        largest = reader.observable("uncertainty").max()
    said = json.loads(cli("analyse", "run.h5md", "--json").out)
    assert f"{largest:.3g}"[:3] in json.dumps(said)
    assert "disagreement of the committee" in cli("analyse", "run.h5md").out


def test_a_committee_stops_and_keeps_what_was_before(models: Path, cli: Command) -> None:
    out = cli(
        "rollout",
        "ethanol.xyz",
        "--model",
        "a.safetensors,b.safetensors",
        *HOT,
        "--stop-above",
        "0.000001 eV/A",
        "-o",
        "run.h5md",
    )
    assert out.code == 3 or out.code == 2
    assert "disagree on the force on particle" in out.err
    assert "Traceback" not in out.err


MISTAKES = {
    "unknown species": (
        ["ethanol.xyz", "--model", "carbon.safetensors"],
        "the model was not trained on H, O, only on C",
    ),
    "a crystal": (
        ["periodic.xyz", "--model", "a.safetensors"],
        "the model was trained on molecules alone",
    ),
    "one of a committee": (
        ["ethanol.xyz", "--model", "a.safetensors,"],
        "a committee is of at least two models, all different",
    ),
    "twice the same": (
        ["ethanol.xyz", "--model", "a.safetensors,a.safetensors"],
        "at least two models, all different",
    ),
    "other species": (
        ["ethanol.xyz", "--model", "a.safetensors,carbon.safetensors"],
        "make no committee: their species are (1, 6, 8) and (6,)",
    ),
    "a pair force": (
        ["ethanol.xyz", "--model", "a.safetensors,charged-force"],
        "a.safetensors and charged-force make no committee: their units are metal and reduced",
    ),
    "not there": (
        ["ethanol.xyz", "--model", "a.safetensors,c.safetensors"],
        "there is no model c.safetensors",
    ),
    "no committee": (
        ["ethanol.xyz", "--model", "a.safetensors", "--warn-above", "1 eV/A"],
        "--warn-above is of a committee",
    ),
    "no unit": (
        ["ethanol.xyz", "--model", "a.safetensors,b.safetensors", "--stop-above", "1"],
        "has no unit; write --stop-above",
    ),
    "another unit": (
        ["ethanol.xyz", "--model", "a.safetensors,b.safetensors", "--stop-above", "1 eV"],
        "is not a unit of force",
    ),
    "nothing": (
        ["ethanol.xyz", "--model", "a.safetensors,b.safetensors", "--stop-above", "0 eV/A"],
        "must be above zero",
    ),
    "charged": (
        ["charged", "--model", "a.safetensors"],
        "is in metal units, not in the reduced units of a charged system",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(models: Path, cli: Command, name: str) -> None:
    atoms = molecule("CH3CH2OH")
    atoms.set_cell([9, 9, 9])
    atoms.pbc = True
    ase.io.write("periodic.xyz", atoms)
    arguments, said = MISTAKES[name]
    hot = HOT if arguments[0] != "charged" else ("--steps", "20")
    out = cli("rollout", *arguments, *hot, "-o", "run.h5md")
    assert out.code == 2
    assert said in out.err
    assert len(out.err.strip().splitlines()) == 1
    assert not Path("run.h5md").exists()


def test_as_a_calculator_of_ase(models: Path) -> None:
    """Energy, forces and stress; constraints, copies and pickles; and what it was not made for is
    refused in words."""
    model = load_model(models / "copper.safetensors")
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.05)
    atoms.calc = PotentialCalculator(model)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert forces.shape == (8, 3)
    assert atoms.get_stress().shape == (6,)
    np.testing.assert_allclose(atoms.get_potential_energies().sum(), energy)
    atoms.set_constraint(FixAtoms([0]))
    np.testing.assert_array_equal(atoms.get_forces()[0], 0.0)
    again = pickle.loads(pickle.dumps(PotentialCalculator(model)))
    other = atoms.copy()
    other.calc = again
    assert other.get_potential_energy() == energy
    with pytest.raises(ValueError, match="not trained on H, C, O"):
        PotentialCalculator(model).get_potential_energy(molecule("CH3CH2OH"))


def test_a_model_whose_weights_change_does_not_say_what_it_said_before(models: Path) -> None:
    """It is compiled with its weights: those that training moves, that are loaded, or that become
    more precise."""
    model, system = load_model(models / "a.safetensors"), from_atoms(molecule("CH3CH2OH"))
    before = model(system).energy
    assert model(system).energy == before
    with torch.no_grad():
        model.network.readout[0].bias += 1.0
    moved = model(system).energy
    assert abs(moved - before) > 1e-6
    np.testing.assert_allclose(moved, model.differentiated(system).energy, rtol=1e-5)
    model.double()
    assert model(system).energy != moved
    np.testing.assert_allclose(
        model(system).energy, model.differentiated(system).energy, rtol=1e-12
    )
    model.load_state_dict(load_model(models / "a.safetensors").state_dict())
    np.testing.assert_allclose(model(system).energy, before, rtol=1e-5)
    assert model(system).potential is model


def test_potentials_of_ours_may_be_laid_out_anew() -> None:
    """A run does not keep the text of our own files, which formatting and moves change; of a
    user's file it does."""
    from mcegnn.interfaces import named
    from systems.potentials.lennard_jones import LennardJones

    assert named.digest(LennardJones(0.01, 3.4)) == ""
    assert len(named.digest(test_potentials_of_ours_may_be_laid_out_anew)) == 16
