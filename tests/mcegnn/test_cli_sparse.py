"""Runs whose atoms drift apart: told of, marked, stopped in words that help; and what training
decides of it."""

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
from ase.neighborlist import neighbor_list

from mcegnn.models.store import Stored, load, save
from trajectories.monitor import SPARSE

Command = Callable[..., Any]
SMALL = {"n_features": 8, "n_channels": [3, 2], "n_layers": 2, "n_radial": 5, "cutoff": 4.0}
RUN = (
    "rollout",
    "some.xyz",
    "--model",
    "m.safetensors",
    "--dt",
    "1 fs",
    "--steps",
    300,
    "--every",
    50,
    "-o",
    "run.h5md",
    "--force",
)


def drifting(**knows: Any) -> None:
    """A potential that has learned next to nothing, and nine atoms of copper that fly apart, in the
    working folder: all within the cutoff of each other at first, at 50 fs opposite corners are not,
    and at 300 fs each has the middle one alone, or the middle all.
    """
    torch.manual_seed(0)
    decided = {"species": [29], "scale": 1e-4, "periodic": True, "fewest": 7.9, **knows}
    save(Stored.make("ConservativePotential", {**SMALL, **decided}), "m.safetensors")
    corners = np.array(
        [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)] + [[0, 0, 0]], float
    )
    atoms = Atoms("Cu9", 1.1 * corners)
    atoms.set_velocities(0.0035 * corners / units.fs)
    ase.io.write("some.xyz", atoms)


def at(step: int) -> float:
    """The mean number of neighbours then, by ASE."""
    atoms = ase.io.read("some.xyz")
    atoms.positions += step * units.fs * atoms.get_velocities()
    return len(neighbor_list("i", atoms, 4.0)) / len(atoms)


def test_a_run_is_warned_marked_and_stopped(cli: Command) -> None:
    """At its steps, with numbers that ASE counts; the advice is right for atoms that are held too
    weakly."""
    drifting()
    out = cli(*RUN)
    assert out.code == 3
    warned, stopped = (
        next(k for k in range(0, 301, step) if at(k) < least)
        for step, least in ((50, SPARSE * 7.9), (1, 3.95))
    )
    said = (
        "the atoms have drifted apart: on average {:.4g} neighbours within 4 Angstrom, in training"
        " never fewer than 7.9"
    )
    told = (
        f"warning: at step {warned} (time {warned} fs): {said.format(at(warned))}: its energies"
        " and forces are extrapolated"
    )
    assert out.err.count(told) == out.err.count("warning:") == 1
    assert (
        f"mcegnn: at step {stopped} (time {stopped} fs): {said.format(at(stopped))}; m.safetensors"
        " does not hold" in out.err
    )
    assert (
        "these atoms together at this temperature: start anew at a lower temperature, or train it"
        " on structures with more" in out.err
    )
    assert (
        "to go on all the same, with no check of near pairs either: mcegnn rollout --resume"
        " run.h5md --min-distance off" in out.err
    )
    assert "time step" not in out.err
    assert (
        f"{stopped // 50 + 1} frames are kept, the last good state is of step {stopped // 50 * 50}"
        in out.err
    )
    again = cli("rollout", "--resume", "run.h5md")
    assert (again.code, f"at step {stopped}" in again.err) == (3, True)
    on = cli("rollout", "--resume", "run.h5md", "--min-distance", "off")
    assert on.code == 0, on.err
    n = warned // 50
    found = json.loads(cli("analyse", "run.h5md", "--json").out)
    assert (found["frames"], found["frames_left_out"]) == (n, 7 - n)
    why = (
        f"from step {warned} on atoms had fewer neighbours on average than in any structure that"
        " the model was trained on"
    )
    assert (
        f"{7 - n} of 7 frames are left out: {why}; take them in with --all-frames"
        in found["warnings"][-1]
    )
    every = json.loads(cli("analyse", "run.h5md", "--json", "--all-frames").out)
    assert f"{why}: {7 - n} of 7 frames are extrapolated" in every["warnings"][-1]


def test_a_start_that_is_too_sparse(cli: Command) -> None:
    """Is refused below half, marks all frames below the fewest; with the limit off it is run; an
    older model never tells."""
    drifting(fewest=16.5)
    refused = cli(*RUN)
    assert refused.code == 2
    numbers = (
        f"on average {at(0):.4g} neighbours within 4 Angstrom, in training never fewer than 16.5"
    )
    assert (
        f"at the start the atoms have drifted apart: {numbers}; begin with a denser structure"
        in refused.err
    )
    assert "--min-distance off switches off this check too" in refused.err
    assert cli(*RUN, "--min-distance", "off", "--steps", 50).code == 0
    assert "of system 0 the atoms have" in cli(*RUN, "--systems", 2, "--temperature", "1 K").err
    all_out = cli("analyse", "run.h5md")
    assert (all_out.code, "from step 0 on atoms had fewer neighbours" in all_out.err) == (2, True)
    drifting(fewest=0.0)
    out = cli(*RUN)
    assert (out.code, "drifted" in out.err) == (0, False)
    assert json.loads(cli("analyse", "run.h5md", "--json").out)["frames_left_out"] == 0


def test_near_pairs_and_far_atoms_are_two_things(cli: Command) -> None:
    """Each is told of, and analyse names the one that came first."""
    drifting(nearest=[[1.92]], fewest=7.9)  # the middle atom and a corner are 1.91 apart
    out = cli(*RUN, "--steps", 150)
    assert out.code == 0, out.err
    assert (
        out.err.count("in training never nearer"),
        out.err.count("in training never fewer"),
    ) == (1, 1)
    assert "from step 0 on atoms were nearer to each other" in cli("analyse", "run.h5md").err


@pytest.fixture
def clusters(tmp_path: Path) -> list[Atoms]:
    """Copper of three to six atoms, some pairs farther apart than the cutoff, and one atom alone,
    which has its place elsewhere."""
    stream, made = np.random.default_rng(0), [Atoms("Cu")]
    for n in (3, 4, 5, 6) * 4:
        made += [
            Atoms(
                f"Cu{n}", np.arange(n)[:, None] * [[2.3, 0, 0]] + stream.normal(size=(n, 3)) * 0.2
            )
        ]
    for atoms in made:
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces()
        )
    ase.io.write(tmp_path / "some.xyz", made)
    return ase.io.read(tmp_path / "some.xyz", ":")


def test_training_keeps_the_fewest_and_fine_tuning_those_of_both(
    clusters: list[Atoms], cli: Command, train_small: Command
) -> None:
    """By ASE's counts, of all but the one structure that validates; an older model gets those of
    the new structures with its distances."""

    def trained(folder: str, *more: str) -> Any:
        train_small("some.xyz", (15, 1), folder, *more)
        return load(f"{folder}/best.safetensors")

    means = sorted(len(neighbor_list("i", atoms, 4.0)) / len(atoms) for atoms in clusters)
    assert means[0] == 0.0  # the atom alone
    model = trained("new")
    fewest = model.hyperparameters["fewest"]
    assert min(abs(fewest - mean) for mean in means[1:3]) < 1e-12
    shown = " ".join(cli("info", "new/best.safetensors").out.split())
    assert f"neighbours in training at least {fewest:.4g} an atom within 4 Angstrom" in shown
    assert "fewest" not in shown
    for own, kept in ((0.5, 0.5), (0.0, fewest), (9.0, fewest)):
        known = {**model.hyperparameters, "fewest": own}
        again = Stored.make("ConservativePotential", known)
        save(again, "own.safetensors")
        assert trained(f"from-{own}", "--from", "own.safetensors").hyperparameters[
            "fewest"
        ] == pytest.approx(kept, rel=1e-12)
    older = {
        name: value
        for name, value in model.hyperparameters.items()
        if name not in ("fewest", "nearest", "repulsion")
    }
    save(Stored.make("ConservativePotential", older), "older.safetensors")
    assert "neighbours in training" not in cli("info", "older.safetensors").out
    assert trained("older", "--from", "older.safetensors").hyperparameters[
        "fewest"
    ] == pytest.approx(fewest)
    save(
        Stored.make("ConservativePotential", {**older, "repulsion": True}), "guarded.safetensors"
    )  # keeps what it has, as with distances
    assert trained("guarded", "--from", "guarded.safetensors").hyperparameters["fewest"] == 0.0
    off = trained("off", "--from", "own.safetensors", "--set", "model.hyperparameters.fewest=0.0")
    assert off.hyperparameters["fewest"] == 0.0
