"""Runs that leave what their potential was trained on: told of, marked, stopped in words that help;
and what training decides of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mcegnn.data.dataset import Dataset
from mcegnn.data.labelled import from_file
from mcegnn.models.store import Stored, load, save
from mcegnn.tasks.potential_model import potential
from mcegnn.training.nearest import nearest_distances
from mcegnn.training.options import parse
from trajectories.storage.h5md import H5MDReader

Command = Callable[..., Any]
SMALL = {"n_features": 8, "n_channels": [3, 2], "n_layers": 2, "n_radial": 5, "cutoff": 4.0}
# two atoms of copper that fly at each other: after 29 fs they are nearer than 2.4, after 98 fs than
# 1.92 Angstrom
APART, SPEED = 2.6, 0.0035
RUN = (
    "rollout",
    "near.xyz",
    "--model",
    "m.safetensors",
    "--dt",
    "1 fs",
    "--steps",
    150,
    "--every",
    5,
    "-o",
    "run.h5md",
    "--force",
)


def colliding(repulsion: bool, speed: float = SPEED) -> None:
    """A potential that has learned next to nothing, and its two atoms, in the working folder."""
    torch.manual_seed(0)
    decided = {"species": [29], "nearest": [[2.4]], "scale": 1e-4, "repulsion": repulsion}
    save(Stored.make("ConservativePotential", {**SMALL, **decided}), "m.safetensors")
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, APART]])
    atoms.set_velocities(np.array([[0, 0, speed], [0, 0, -speed]]) / units.fs)
    ase.io.write("near.xyz", atoms)


def test_a_run_is_warned_marked_and_stopped(cli: Command) -> None:
    """At its steps, in words that name the pair; the advice is not to go on without the limit."""
    colliding(repulsion=False)
    out = cli(*RUN)
    assert out.code == 3
    assert (
        "warning: at step 29 (time 29 fs): Cu 0 and Cu 1 are 2.397 Angstrom apart, in training"
        " never nearer than 2.4 Angstrom" in out.err
    )
    assert (
        "mcegnn: at step 98 (time 98 fs): Cu 0 and Cu 1 are 1.914 Angstrom apart, in training never"
        " nearer than 2.4 Angstrom" in out.err
    )
    assert (
        "start anew with a shorter time step than 1 fs or a lower temperature, or train it on"
        " structures like these" in out.err
    )
    assert " off" not in out.err
    assert "20 frames are kept" in out.err
    again = cli("rollout", "--resume", "run.h5md")
    assert (again.code, "at step 98" in again.err) == (3, True)
    on = cli("rollout", "--resume", "run.h5md", "--min-distance", "off")
    assert (on.code, "Angstrom apart" in on.err.split("warning:")[0]) == (0, False)
    found = json.loads(cli("analyse", "run.h5md", "--json").out)
    assert (found["frames"], found["frames_left_out"]) == (6, 25)
    assert (
        "25 of 31 frames are left out: from step 29 on atoms were nearer" in found["warnings"][-1]
    )
    every = json.loads(cli("analyse", "run.h5md", "--json", "--all-frames").out)
    assert (every["frames"], every["frames_left_out"]) == (31, 0)
    assert "from step 29 on" in every["warnings"][-1]
    assert cli("report", "run.h5md", "--all-frames").code == 0


def test_repulsion_turns_atoms_back(cli: Command) -> None:
    """They come nearer than in training, of which the run tells once, but not by a fifth."""
    colliding(repulsion=True)
    out = cli(*RUN)
    assert out.code == 0, out.err
    assert out.err.count("in training never nearer") == 1
    with H5MDReader("run.h5md") as reader:
        apart = np.linalg.norm(np.diff(reader.frames("position"), axis=1), axis=-1)
    assert 0.8 * 2.4 < apart.min() < 2.4
    assert apart[-1] > 2.4


def test_a_start_that_is_too_near(cli: Command) -> None:
    """Is refused below 0.8, marks all frames where it is only below the nearest, and a sound one
    marks none."""
    colliding(repulsion=True)
    atoms = ase.io.read("near.xyz")
    atoms.positions[1, 2] = 1.9
    ase.io.write("near.xyz", atoms)
    refused = cli(*RUN)
    assert refused.code == 2
    assert (
        "at the start Cu 0 and Cu 1 are 1.9 Angstrom apart, in training never nearer than 2.4"
        " Angstrom; relax them first" in refused.err
    )
    atoms.positions[1, 2] = 2.3
    ase.io.write("near.xyz", atoms)
    assert cli(*RUN).code == 0
    all_out = cli("analyse", "run.h5md")
    assert all_out.code == 2
    assert "from step 0 on" in all_out.err
    assert "--all-frames" in all_out.err
    assert cli("analyse", "run.h5md", "--all-frames").code == 0
    colliding(repulsion=True, speed=1e-5)
    assert "never nearer" not in cli(*RUN).err
    assert json.loads(cli("analyse", "run.h5md", "--json").out)["frames_left_out"] == 0


def test_systems_of_an_ensemble_are_told_of_one_by_one(cli: Command) -> None:
    """Each once, by its number."""
    colliding(repulsion=True)
    atoms = ase.io.read("near.xyz")
    atoms.positions[1, 2] = 2.39
    ase.io.write("near.xyz", atoms)
    out = cli(*RUN, "--systems", 2, "--temperature", "1 K")
    assert out.code == 0, out.err
    assert [
        out.err.count(f"system {k}: at step 0 (time 0 fs): Cu 0 and Cu 1 are 2.39 Angstrom apart")
        for k in range(3)
    ] == [1, 1, 0]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Copper and oxygen, of which no two oxygens are within the cutoff."""
    stream, made = np.random.default_rng(0), []
    for _ in range(12):
        atoms = Atoms(
            "Cu2O", [[0, 0, 0], [2.4, 0, 0], [0, 2.0, 0]] + stream.normal(size=(3, 3)) * 0.05
        )
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()
        )
        made.append(atoms)
    ase.io.write(tmp_path / "pairs.xyz", made)
    return tmp_path


def test_training_decides_it_and_the_file_keeps_it(
    pairs: Path, cli: Command, train_small: Command
) -> None:
    """On unless it is switched off, with the same weights to the last bit; `info` shows what it
    knows."""
    train_small("pairs.xyz", (9, 2), "on")
    train_small("pairs.xyz", (9, 2), "off", "--set", "model.hyperparameters.repulsion=false")
    on, off = (load(f"{name}/best.safetensors") for name in ("on", "off"))
    assert (on.hyperparameters["repulsion"], off.hyperparameters["repulsion"]) == (True, False)
    assert on.hyperparameters["nearest"] == off.hyperparameters["nearest"]
    for name, weight in on.model.state_dict().items():
        np.testing.assert_array_equal(weight, off.model.state_dict()[name])
    shown = " ".join(cli("info", "on/best.safetensors").out.split())
    (oxygens, mixed), (_, coppers) = on.hyperparameters["nearest"]
    assert oxygens == 0.0
    assert f"O-Cu {mixed:.4g}, Cu-Cu {coppers:.4g} Angstrom" in shown
    assert "O-O; nearest is taken for the sum of covalent radii" in shown


def test_an_older_model_gets_it(pairs: Path, cli: Command, train_small: Command) -> None:
    """By fine-tuning, which says so; not where it is switched off. Nearest distances of both are
    kept."""
    torch.manual_seed(0)
    older = {**SMALL, "species": [8, 29]}
    save(Stored.make("ConservativePotential", older), "older.safetensors")
    assert (
        "repulsion at short range is added"
        in train_small("pairs.xyz", (9, 2), "new", "--from", "older.safetensors").err
    )
    new = load("new/best.safetensors").hyperparameters
    assert new["repulsion"] is True
    structures = from_file("pairs.xyz")
    found = nearest_distances(structures, [8, 29], 4.0)
    known = Stored.make(
        "ConservativePotential", {**older, "nearest": [[1.0, 1.1], [1.1, 9.0]], "repulsion": True}
    )
    both = tuned(structures, known).hyperparameters
    np.testing.assert_allclose(both["nearest"], [[1.0, 1.1], [1.1, found[1, 1]]])
    off = tuned(structures, load("older.safetensors"), repulsion=False).hyperparameters
    assert off["repulsion"] is False
    np.testing.assert_allclose(off["nearest"], found)
    # what was trained with the repulsion that models had before keeps it
    kept = tuned(
        structures, Stored.make("ConservativePotential", {**older, "repulsion": True})
    ).hyperparameters
    assert (kept["repulsion"], kept["nearest"]) == (True, [])


def tuned(structures: Dataset, start: Stored, **more: Any) -> Stored:
    """What fine-tuning begins with."""
    chosen = {
        "data": {"name": "pairs.xyz"},
        "model": {"kind": "ConservativePotential", "hyperparameters": more},
        "task": {"kind": "energy-forces"},
    }
    return potential(parse(chosen), structures, start)
