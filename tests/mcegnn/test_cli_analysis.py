"""`mcegnn analyse`: numbers with errors, curves as files, trajectories of other programs, and
refusals in one sentence."""

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixedPlane
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

import mcegnn.cli.progress
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]
LENNARD_JONES = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")


@pytest.fixture
def liquid(structures: Path, succeed: Run) -> Path:
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "150 K",
        "--ensemble",
        "nvt",
        "--friction",
        "20 /ps",
        "--dt",
        "4 fs",
        "--steps",
        3000,
        "--every",
        4,
        "-o",
        "liquid.h5md",
        "--quiet",
    )
    return Path("liquid.h5md")


def test_numbers_with_errors(succeed: Run, liquid: Path) -> None:
    outcome = succeed("analyse", liquid)
    shown = " ".join(outcome.out.split())
    assert "temperature" in shown
    assert ", mean of the second half, target 150" in shown
    assert "±" in shown
    said = json.loads(succeed("analyse", liquid, "--json").out)
    temperature = said["numbers"]["temperature"]
    assert temperature["unit"] == "K"
    assert abs(temperature["value"] - 150) < 40
    assert said["notes"]


def test_files(cli: Run, succeed: Run, refuse: Run, liquid: Path) -> None:
    outcome = succeed(
        "analyse", liquid, "--csv", "numbers", "--figures", "drawn", "--netcdf", "all.nc"
    )
    assert "wrote " in outcome.out
    assert {path.stem for path in Path("numbers").iterdir()} >= {
        "numbers",
        "rdf",
        "msd",
        "vacf",
        "spectrum",
        "temperature",
    }
    assert {path.suffix for path in Path("drawn").iterdir()} == {".pdf", ".png"}
    assert Path("all.nc").read_bytes()[:3] == b"CDF"
    rdf = np.loadtxt("numbers/rdf.csv", delimiter=",", skiprows=1)
    assert 3.4 < rdf[rdf[:, 1].argmax(), 0] < 4.2
    refuse("exists already", "analyse", liquid, "--csv", "numbers")
    refuse("exists already", "analyse", liquid, "--figures", "drawn")
    refuse("exists already", "analyse", liquid, "--netcdf", "all.nc")
    succeed(
        "analyse", liquid, "--csv", "numbers", "--figures", "drawn", "--netcdf", "all.nc", "--force"
    )
    Path("numbers/other.csv").write_text("of another run")
    said = cli("analyse", liquid, "--csv", "numbers", "--force").err
    assert said == "warning: from before, and not of this run, are still there: numbers/other.csv\n"


def test_refusals(refuse: Run, succeed: Run, liquid: Path) -> None:
    refuse("'element Xe' matches no particle", "analyse", liquid, "--select", "element Xe")
    refuse(
        "is no selection that MDAnalysis understands",
        "analyse",
        liquid,
        "--select",
        "everything there is",
    )
    refuse("there is no folder nowhere", "analyse", liquid, "--csv", "nowhere/numbers")
    refuse("is a file; name a folder", "analyse", liquid, "--figures", "argon.xyz")
    refuse("--tolerance goes with --reference", "analyse", liquid, "--tolerance", 1)
    succeed("rollout", "charged", "--systems", 1, "-o", "charged.h5md", "--steps", 100, "--quiet")
    refuse("the runs are not of the same systems", "analyse", liquid, "--reference", "charged.h5md")


@pytest.mark.parametrize("option", ["--csv", "--figures", "--netcdf"])
def test_what_cannot_be_written(refuse: Run, liquid: Path, option: str) -> None:
    """Where even the superuser may not; told before the work."""
    refuse("/proc/numbers", "analyse", liquid, option, "/proc/numbers")


@pytest.fixture
def protein() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from MDAnalysisTests import datafiles
    return datafiles


def test_another_programs_trajectory(cli: Run, refuse: Run, protein: Any) -> None:
    outcome = cli(
        "analyse", protein.XTC, "--topology", protein.GRO, "--select", "name CA", "--csv", "out"
    )
    assert outcome.err == ""  # the dodecahedron is large enough for water to be followed for 100 ps
    assert outcome.code == 0
    assert "the frames hold no velocities" in outcome.out
    assert Path("out/rdf.csv").exists()
    refuse("formats without atoms' names need --topology FILE", "analyse", protein.XTC)
    refuse("there is no file nothing.gro", "analyse", protein.XTC, "--topology", "nothing.gro")
    Path("text.xtc").write_text("nothing of the kind")
    refuse("MDAnalysis cannot read text.xtc", "analyse", "text.xtc", "--topology", protein.GRO)


def test_an_imported_run_keeps_its_numbers(protein: Any, tmp_path: Path) -> None:
    from trajectories.foreign import import_trajectory

    told: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_trajectory(
            protein.TRR,
            tmp_path / "run.h5md",
            protein.GRO,
            told=lambda done, n: told.append((done, n)),
        )
    assert told[-1] == (10, 10)
    with H5MDReader(tmp_path / "run.h5md") as run:
        assert run.missing == ()
        assert run.configuration["n_degrees"] == 3 * (
            47681 - 11084
        )  # the M sites of TIP4P water have no mass
        assert run.provenance["imported"].endswith("adk_oplsaa.trr")
        np.testing.assert_allclose(np.diff(run.times), run.times[1] - run.times[0], rtol=1e-5)
    with pytest.raises(FileExistsError):
        import_trajectory(protein.TRR, tmp_path / "run.h5md", protein.GRO)


def test_atoms_of_unknown_mass(succeed: Run, tmp_path: Path) -> None:
    """Beads of a coarse model have no element; that their masses are invented is said."""
    beads = [f"{k:5d}BEAD    Q{k:d}{k:5d}{0.1 * k:8.3f}{0.0:8.3f}{0.0:8.3f}" for k in (1, 2)]
    lines = ["beads", "    2", *beads, "   2.00000   2.00000   2.00000"]
    (tmp_path / "beads.gro").write_text("\n".join(lines) + "\n")
    out = succeed("analyse", "beads.gro").out
    assert "note: atoms whose mass the files do not give have a mass of 1 u\n" in out
    assert "the frames hold no velocities" in out
    head = (
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0"
        " 9\nITEM: ATOMS id type x y z vx vy vz\n"
    )
    (tmp_path / "dump").write_text(
        "".join(f"{head}1 1 1 1 1 {v} 0 0\n2 2 3 3 3 0 1 0\n" for v in (1, 2))
    )
    moving = succeed("analyse", "dump").out
    assert "no temperature: the files do not give all masses" in moving
    assert "drift" not in moving
    succeed("report", "beads.gro", "--select", "index 0:1", "-o", "page.html")
    page = Path("page.html").read_text()
    assert '<th scope="row">imported</th><td>beads.gro</td>' in page
    assert ">selection</text>" in page  # the name of a curve


def test_report(succeed: Run, refuse: Run) -> None:
    """Of a run, of two, at the end of a rollout; never over a page that is there."""
    succeed("rollout", "charged", "--systems", 3, "--steps", 300, "--report")
    page = Path("charged.html").read_text()
    assert "<h2>How the run was made</h2>" in page
    assert "<title>charged.h5md</title>" in page
    drift = re.search(
        r"<th scope=\"row\">largest relative drift of energy</th><td>(.*?)</td>", page
    )
    assert drift
    assert "the worst of 3 systems; median " in drift[1]
    assert "benchmark&#x27;s own scheme: forces above 100 are clipped" in drift[1]
    median = re.search(
        r"relative drift of energy +median (\S+),", succeed("analyse", "charged.h5md").out
    )
    assert median
    assert float(median[1]) == pytest.approx(
        float(drift[1].split("median ")[1].split(";")[0]), rel=0.05
    )
    refuse("charged.html exists already", "report", "charged.h5md")
    outcome = succeed("report", "charged.h5md", "--force")
    assert outcome.out.startswith("wrote charged.html, ")
    succeed(
        "rollout",
        "charged",
        "--systems",
        3,
        "--steps",
        300,
        "--integrator",
        "velocity-verlet",
        "-o",
        "other.h5md",
        "--quiet",
    )
    succeed("report", "charged.h5md", "--reference", "other.h5md", "-o", "both.html")
    both = Path("both.html").read_text()
    assert both.count("data-scene=") == 2
    assert "Distance to the reference" in both
    refuse("is a folder", "report", "charged.h5md", "-o", ".")
    refuse("is the file that is read", "report", "charged.h5md", "-o", "charged.h5md", "--force")
    refuse("there is no folder nowhere", "report", "charged.h5md", "-o", "nowhere/page.html")
    refuse("there is no file none.h5md", "report", "none.h5md")
    succeed("rollout", "--resume", "charged.h5md", "--steps", 100, "--report", "--quiet")
    assert "5 frames" in Path("charged.html").read_text()
    Path("next.html").write_text("mine")
    refuse(
        "next.html exists already",
        "rollout",
        "charged",
        "--systems",
        2,
        "--steps",
        100,
        "-o",
        "next.h5md",
        "--report",
    )
    assert not Path("next.h5md").exists()


def test_how_far_a_report_is(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the figures too, which take as long as what is computed."""
    assert cli("rollout", "charged", "--systems", 2, "--steps", 100, "--quiet").code == 0
    for name in ("_FIRST_SECONDS", "_LINE_SECONDS"):
        monkeypatch.setattr(mcegnn.cli.progress, name, -1.0)
    said = cli("report", "charged.h5md").err.splitlines()
    drawn = Path("charged.html").read_text(encoding="utf-8").count("<figure>")
    figures = [f"drawing figures: {round(100 * k / drawn)} of 100 per cent" for k in range(drawn)]
    assert [line.partition(", about")[0] for line in said[-drawn:]] == figures
    assert said[-drawn - 1].startswith("the scene: ")


def test_lost_systems_have_a_report(cli: Run) -> None:
    outcome = cli(
        "rollout",
        "charged",
        "--systems",
        8,
        "--dt",
        0.1,
        "--steps",
        300,
        "--max-energy-jump",
        1,
        "--report",
        "-o",
        "run.h5md",
    )
    assert outcome.code == 3
    assert "diverged, frozen since" in Path("run.html").read_text()


@pytest.mark.parametrize("ensemble", [(), ("--ensemble", "npt", "--pressure", "1 bar")])
def test_replicas_in_boxes(succeed: Run, structures: Path, ensemble: tuple[str, ...]) -> None:
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "80 K",
        *ensemble,
        "--systems",
        2,
        "--dt",
        "4 fs",
        "--steps",
        60,
        "--every",
        2,
        "-o",
        "two.h5md",
        "--report",
    )
    succeed("analyse", "two.h5md", "--csv", "numbers")
    rdf = np.loadtxt("numbers/rdf.csv", delimiter=",", skiprows=1)
    assert 3.4 < rdf[rdf[:, 1].argmax(), 0] < 4.2
    assert "canvas" in Path("two.html").read_text(encoding="utf-8")


def test_a_ramp(succeed: Run, structures: Path) -> None:
    out = succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--ensemble",
        "nvt",
        "--temperature",
        "10 K to 100 K",
        "--dt",
        "4 fs",
        "--steps",
        200,
        "--every",
        10,
        "-o",
        "ramp.h5md",
    ).out
    assert "last tenth of a ramp" in out
    assert "target 10 to 100" in out


def test_what_files_of_other_programs_leave_open(succeed: Run, structures: Path) -> None:
    """Without times there are no correlations; with velocities a temperature, of which constraints
    are not known."""
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "80 K",
        "--steps",
        90,
        "--every",
        2,
        "-o",
        "run.h5md",
    )
    succeed("convert", "run.h5md", "told.xyz")
    frames = ase.io.read("told.xyz", ":")
    ase.io.write(
        "bare.xyz",
        [
            Atoms(f.symbols, f.positions, momenta=f.get_momenta(), cell=f.cell, pbc=True)
            for f in frames
        ],
    )
    out = succeed("analyse", "bare.xyz").out
    assert (
        "note: the files give no times, so curves are against frames; set them with"
        " --frame-interval\n" in out
    )
    assert "time 0 to" not in out
    succeed("report", "bare.xyz")
    page = Path("bare.html").read_text()
    assert '"timed": false' in page or '"timed":false' in page
    assert ">frame</text>" in page
    assert ">time (ps)</text>" not in page
    assert "note: no correlations in time: the files give no times\n" in out
    out = succeed("analyse", "bare.xyz", "--frame-interval", "2 fs").out
    assert "46, time 0 to 0.09 ps" in out
    assert "the files give no times" not in out
    assert "46, time 0 to 0.09 ps" in succeed("analyse", "told.xyz").out


def test_what_ase_says_of_its_dynamics(succeed: Run, cli: Run, tmp_path: Path) -> None:
    """What held the temperature, what was frozen: so much is judged, and no more."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = EMT()
    atoms.set_constraint(FixAtoms([0, 5]))
    atoms.set_momenta(
        np.random.default_rng(0).normal(0.0, (63.546 * units.kB * 600) ** 0.5, (32, 3))
    )
    with VelocityVerlet(
        atoms, 40 * units.fs, trajectory=str(tmp_path / "nve.traj")
    ) as dynamics:  # by far too long a step
        dynamics.run(60)
    with Langevin(
        atoms,
        5 * units.fs,
        temperature_K=321,
        friction=0.01,
        fixcm=False,
        trajectory=str(tmp_path / "nvt.traj"),
    ) as dynamics:
        dynamics.run(60)
    held = succeed("analyse", "nvt.traj").out
    assert "target 321; 90 degrees of freedom" in held
    assert "relative drift" not in held
    outcome = cli("analyse", "nve.traj")
    assert "halve the time step" in outcome.err
    free = outcome.out
    assert "asked" not in free
    assert "relative drift of energy" in free
    assert "relative drift of momentum" not in free
    atoms.set_constraint(FixedPlane(3, (0, 0, 1)))
    with VelocityVerlet(atoms, 5 * units.fs, trajectory=str(tmp_path / "plane.traj")) as dynamics:
        dynamics.run(5)
    held = cli("analyse", "plane.traj").out
    assert "relative drift of energy" in held
    assert "relative drift of momentum" not in held
    ase.io.write("nve.xyz", ase.io.read("nve.traj", ":"))
    unsure = cli("analyse", "nve.xyz", "--frame-interval", "40 fs")
    assert "halve the time step" not in unsure.err
    cli("report", "nve.traj")
    assert (
        '<th scope="row">dynamics</th><td>VelocityVerlet of ASE</td>'
        in Path("nve.html").read_text()
    )


def test_files_without_times_are_compared_by_frames(
    cli: Run, succeed: Run, refuse: Run, structures: Path
) -> None:
    """And in picoseconds where there are times; temporary files are not named."""
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "80 K",
        "--steps",
        8,
        "--every",
        2,
        "-o",
        "run.h5md",
    )
    succeed("convert", "run.h5md", "run.traj")
    ase.io.write("bare.xyz", [Atoms(f.symbols, f.positions) for f in ase.io.read("run.traj", ":")])
    out = succeed("analyse", "bare.xyz", "--reference", "bare.xyz").out
    assert "compared                       5 frames\n" in re.sub(" *\n", "\n", out)
    assert "within 0.1 Angstrom for        4 frames\n" in re.sub(" *\n", "\n", out)
    refuse(
        "bare.xyz tells no times to compare at", "analyse", "run.h5md", "--reference", "bare.xyz"
    )
    refuse(
        "run.h5md and bare.xyz have no frame at the same time",
        "analyse",
        "run.h5md",
        "--reference",
        "bare.xyz",
        "--frame-interval",
        "7.77 fs",
    )
    said = json.loads(succeed("analyse", "run.traj", "--reference", "run.h5md", "--json").out)
    assert said["time_unit"] == "ps"
    assert said["time"] == pytest.approx(0.008)
    assert (
        said["against"]["last_time"] == said["against"]["median_valid_time"] == pytest.approx(0.008)
    )
    # the reference's own times stay
    succeed("analyse", "bare.xyz", "--frame-interval", "2 fs", "--reference", "run.traj")
    told = cli("analyse", "bare.xyz", "--figure", "bare.png")
    assert "warning: no picture bare.png: bare.xyz holds neither velocities nor ene" in told.err
    assert "; --figures FOLDER draws what there is" in told.err
    assert "frames" in told.out
    assert not Path("bare.png").exists()


def test_no_picture_stops_no_numbers(cli: Run, succeed: Run) -> None:
    """A LAMMPS dump whose types have no mass has velocities, but no temperature."""
    dump = "".join(
        f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n"
        + "0 9\n" * 3
        + f"ITEM: ATOMS id type x y z vx vy vz\n1 1 1 1 1 0 0 1\n2 2 {3 + step} 1 1 0 1 0\n"
        for step in range(3)
    )
    Path("run.lammpstrj").write_text(dump)
    told = cli("analyse", "run.lammpstrj", "--figure", "q.png", "--figures", "d")
    assert told.code == 0
    assert "warning: no picture q.png: run.lammpstrj holds no energies to draw against" in told.err
    assert "no temperature without all masses, which --masses tells" in told.err
    assert "particles" in told.out
    assert Path("d/rdf.png").is_file()
    assert not Path("q.png").exists()
    with_masses = ("--masses", "1=12,2=16", "--frame-interval", "1 fs")
    succeed("analyse", "run.lammpstrj", *with_masses, "--figure", "q.png")
    assert Path("q.png").is_file()


def test_another_programs_trajectory_becomes_a_run(
    succeed: Run, refuse: Run, structures: Path
) -> None:
    """It need not be read anew each time."""
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "80 K",
        "--steps",
        8,
        "--every",
        2,
        "-o",
        "run.h5md",
    )
    succeed("convert", "run.h5md", "run.traj")
    assert succeed("convert", "run.traj", "back.h5md", "--quiet").out == ""
    with H5MDReader("run.h5md") as run, H5MDReader("back.h5md") as back:
        np.testing.assert_array_equal(back.frames("position"), run.frames("position"))
    refuse("back.h5md exists already", "convert", "run.traj", "back.h5md")
    succeed(
        "convert", "run.traj", "said.h5md", "--frame-interval", "7 fs"
    )  # whatever the file says
    assert "5, time 0 to 0.028 ps" in succeed("analyse", "said.h5md").out
    ase.io.write("bare.xyz", [Atoms(f.symbols, f.positions) for f in ase.io.read("run.traj", ":")])
    succeed("convert", "bare.xyz", "back.h5md", "--frame-interval", "7 fs", "--force")
    assert "5, time 0 to 0.028 ps" in succeed("analyse", "back.h5md").out
    refuse("name a file that ends in .h5md", "convert", "run.traj", "run.xyz")
    refuse("--system goes with a run of ours", "convert", "run.traj", "new.h5md", "--system", 0)
    refuse(
        "--frame-interval goes with files of other programs",
        "convert",
        "run.h5md",
        "new.xyz",
        "--frame-interval",
        "1 fs",
    )
    refuse(
        "--frame-interval goes with files of other programs",
        "analyse",
        "run.h5md",
        "--frame-interval",
        "1 fs",
    )
    refuse("'7' has no unit", "analyse", "run.traj", "--frame-interval", "7")
    Path("cut.traj").write_bytes(Path("run.traj").read_bytes()[:99])
    refuse("cut.traj cannot be read as a trajectory", "analyse", "cut.traj")


def test_a_reference_of_another_program(succeed: Run, refuse: Run, structures: Path) -> None:
    """What is compared with may be any trajectory too."""
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "80 K",
        "--steps",
        30,
        "--every",
        10,
        "-o",
        "run.h5md",
    )
    succeed("convert", "run.h5md", "run.dcd")
    succeed("convert", "run.h5md", "top.xyz")
    out = succeed("analyse", "run.dcd", "--topology", "top.xyz", "--reference", "run.dcd").out
    assert "error of positions at the end  0" in out
    succeed("report", "run.h5md", "--reference", "run.h5md", "-o", "same.html")
    refuse(
        "--tolerance goes with --reference",
        "report",
        "run.h5md",
        "-o",
        "other.html",
        "--tolerance",
        1,
    )


def test_names_that_would_mislead(succeed: Run, refuse: Run, structures: Path) -> None:
    succeed(
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "80 K",
        "--steps",
        4,
        "--every",
        2,
        "-o",
        "run.h5md",
    )
    refuse(
        "out.csv does not end in .nc or .cdf, the format that is written; name it out.nc",
        "analyse",
        "run.h5md",
        "--netcdf",
        "out.csv",
    )
    refuse(
        "out.pdf does not end in .html or .htm, the format that is written; name it out.html",
        "report",
        "run.h5md",
        "-o",
        "out.pdf",
    )
    Path("training").mkdir()
    refuse(
        "training is a folder; name a run in it, or of a training make the page with mcegnn report",
        "analyse",
        "training",
    )
