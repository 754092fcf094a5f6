"""What users say of files of other programs, on each command that reads one; what is guessed is
said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from systems.units import METAL
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]
LJ = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")


@pytest.fixture
def given(tmp_path: Path, cases: Path) -> Callable[..., None]:
    """Copies of cases in the test's folder."""

    def copy(*names: str) -> None:
        for name in names:
            shutil.copy(cases / name, tmp_path / name)

    return copy


def test_masses_units_and_formats_of_structures(cli: Run, given: Run) -> None:
    given("mass_column.xyz", "vel_column.xyz", "lammps_atomic.data", "types.xyz")

    def first(name: str, *options: str) -> tuple[H5MDReader, str]:
        outcome = cli(
            "rollout",
            name,
            *LJ,
            "--steps",
            2,
            "--force",
            "-o",
            "run.h5md",
            "--max-energy-jump",
            "off",
            *options,
        )
        assert outcome.code == 0, outcome.err
        return H5MDReader("run.h5md"), outcome.err

    fs, ps = METAL.convert(1.0, "fs"), METAL.convert(1.0, "ps")
    run, err = first("mass_column.xyz", "--temperature", "10 K")
    with run:
        assert run.masses.tolist() == [80.0, 80.0]
        assert err == ""
    run, _ = first("mass_column.xyz", "--temperature", "10 K", "--masses", "Ar=36")
    with run:
        assert run.masses.tolist() == [36.0, 36.0]
    for options, size in (((), fs), (("--units", "metal"), ps)):
        run, err = first("vel_column.xyz", *options)
        with run:
            np.testing.assert_allclose(
                run.frames("velocity", 0)[:, 2] * size, [0.01, -0.01], rtol=1e-9
            )
            assert ("are taken to be in Angstrom/fs" in err) is (not options)
            assert ("units" in run.assumed) is (not options)
    for options in (
        (),
        ("--format", "lammps-data"),
        ("--format", "lammps-data:atom_style=atomic", "--units", "metal"),
    ):
        run, err = first("lammps_atomic.data", *options)
        with run:
            np.testing.assert_allclose(run.frames("velocity", 0)[:, 2] * ps, [1.0, -1.0], rtol=1e-9)
            assert run.species.tolist() == [18, 18]
            assert ("metal units, which the data file does not tell" in err) is (
                "--units" not in options
            )
    again = cli("rollout", "--resume", "run.h5md", "--steps", 2)
    assert again.code == 0


def test_what_a_structure_does_not_tell(refuse: Run, given: Run) -> None:
    given("types.xyz", "disordered.cif", "tip4p.gro", "mass_column.xyz")
    hot = ("--temperature", "10 K")
    refuse(
        'does not tell the masses of atoms 1, 2; give them as --masses "1=',
        "rollout",
        "types.xyz",
        *LJ,
        *hot,
    )
    for command in (
        ("rollout", "disordered.cif", *LJ, *hot),
        ("label", "disordered.cif", *LJ),
        ("analyse", "disordered.cif"),
        ("convert", "disordered.cif", "a.h5md"),
        ("report", "disordered.cif"),
    ):
        refuse("the site at (0, 0, 0) is occupied in part (0.5 Cu and 0.5 Au)", *command)
    refuse("has sites without mass (MW)", "rollout", "tip4p.gro", *LJ, *hot)
    refuse("units lj have no size", "rollout", "mass_column.xyz", *LJ, *hot, "--units", "lj")


@pytest.mark.parametrize(
    "command", [("analyse",), ("report",), ("convert", "out.h5md"), ("rollout",), ("label",)]
)
def test_what_cannot_be_said(refuse: Run, given: Run, command: tuple[str, ...]) -> None:
    given("mass_column.xyz")
    line = (
        command[0],
        "mass_column.xyz",
        *command[1:],
        *(LJ if command[0] in ("rollout", "label") else ()),
    )
    refuse("'mettal' are no units of LAMMPS; did you mean metal?", *line, "--units", "mettal")
    refuse(
        "'extxyzz' is no format that ASE or MDAnalysis reads; did you mean extxyz?",
        *line,
        "--format",
        "extxyzz",
    )
    refuse("--masses 'H' is not a mass", *line, "--masses", "H")
    refuse("--units is empty", *line, "--units", "")


def test_what_is_assumed_is_said_everywhere(succeed: Run, given: Run) -> None:
    given("nve_forces.dump")
    words = "are taken to be in LAMMPS' metal units"
    assert (
        f"assumed units: lengths, velocities, forces {words}"
        in succeed("analyse", "nve_forces.dump").out
    )
    told = json.loads(
        succeed("analyse", "nve_forces.dump", "--json", "--frame-interval", "2 fs").out
    )
    assert words in told["assumed"]["units"]
    assert told["time"] == pytest.approx(0.078)
    assert not {"energy_change", "energy_slope"} & told["numbers"].keys()
    succeed("report", "nve_forces.dump")
    page = Path("nve_forces.html").read_text(encoding="utf-8")
    assert "assumed units" in page
    assert (
        f"assumed units: lengths, velocities, forces {words}"
        in succeed("convert", "nve_forces.dump", "guessed.h5md").out
    )
    assert (
        "assumed units"
        not in succeed("convert", "nve_forces.dump", "kept.h5md", "--units", "metal").out
    )
    assert "assumed units" not in succeed("analyse", "kept.h5md").out
    reduced = succeed("analyse", "nve_forces.dump", "--units", "lj", "--frame-interval", "0.5").out
    assert "40, time 0 to 19.5" in reduced


def test_of_a_run_of_ours_nothing_is_said(refuse: Run, succeed: Run) -> None:
    succeed("rollout", "charged", "--systems", 2, "--steps", 4, "--every", 2, "-o", "run.h5md")
    for option in (
        ("--units", "real"),
        ("--format", "extxyz"),
        ("--masses", "H=2"),
        ("--frame-interval", "1 fs"),
    ):
        refuse(f"{option[0]} goes with files of other programs", "analyse", "run.h5md", *option)
    refuse("--units does not go with charged", "rollout", "charged", "--units", "real")
