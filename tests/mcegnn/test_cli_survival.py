"""What a run promises: it survives kill -9, shares its file with nobody, ends at full disks and
explosions in a sentence, and goes on."""

import importlib.util
import json
import re
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from trajectories.storage import checkpoint, journal
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]
LENNARD_JONES = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")


@pytest.fixture(scope="module")
def kills() -> ModuleType:
    """The benchmark's own, of which a few are tried here."""
    path = Path(__file__).parents[1] / "benchmarks" / "kills.py"
    spec = importlib.util.spec_from_file_location("kills", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "n"), [("charged", 2), ("solar", 2), ("Langevin", 2), ("NPT", 2)])
def test_killed_at_any_moment(kills: ModuleType, tmp_path: Path, name: str, n: int) -> None:
    """Real processes and SIGKILL; `kills.survived` says what has to hold. The moments are others in
    every run of the tests."""
    counts = kills.trial(tmp_path / "kills", name, n, seed=time.time_ns() % 2**32)
    assert sum(counts.values()) == n


def test_killed_before_its_file_was_there(succeed: Run, equal: Run, tmp_path: Path) -> None:
    """The checkpoint comes first, so that there is something to go on from."""
    arguments = ("rollout", "solar", "--steps", 40, "--every", 10, "--dt", "0.5 day")
    succeed(*arguments, "-o", "whole.h5md")
    succeed(*arguments[:3], 10, *arguments[4:], "-o", "run.h5md")
    saved = checkpoint.load("run.h5md")
    first = H5MDReader("run.h5md")
    with first:
        start = checkpoint.Checkpoint(first[0], 1, {**saved.configuration, "n_steps": 40})
    checkpoint.save("run.h5md", start)
    Path("run.h5md").unlink()
    succeed("rollout", "--resume", "run.h5md")
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_a_file_that_is_gone(succeed: Run, refuse: Run) -> None:
    succeed("rollout", "solar", "--steps", 40, "--every", 10, "--dt", "0.5 day", "-o", "run.h5md")
    Path("run.h5md").unlink()
    refuse(
        "there is no file run.h5md, of which its checkpoint holds 5 frames; put it back",
        "rollout",
        "--resume",
        "run.h5md",
    )


def test_two_processes_and_one_file(launch: Run, shell: Run, tmp_path: Path) -> None:
    """The second is refused, whether it resumes, overwrites or reads; the first does not notice."""
    process = launch(
        "rollout", "solar", "--steps", 400000, "--every", 20, "--dt", "0.5 day", "-o", "run.h5md"
    )
    wait = time.monotonic() + 300
    while not (tmp_path / "run.h5md").exists():
        assert process.poll() is None
        assert time.monotonic() < wait
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # it holds the file, however slow the others are to start
    for arguments in (
        ("rollout", "--resume", "run.h5md"),
        ("rollout", "solar", "--steps", 10, "-o", "run.h5md", "--force"),
        ("analyse", "run.h5md"),
    ):
        outcome = shell(*arguments)
        assert outcome.code == 2, outcome
        assert "run.h5md" in outcome.err
        assert "another" in outcome.err
        assert outcome.err.count("\n") == 1
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    with H5MDReader(tmp_path / "run.h5md") as reader:
        assert len(reader) == 20001


@pytest.mark.parametrize("most", [20_000, 300_000, 2_000_000])
def test_a_file_that_may_not_grow(tmp_path: Path, most: int) -> None:
    """A limit of the operating system, as a quota or a full disk is one: exit code 1, a sentence,
    and all frames that were written."""
    command = str(Path(sys.executable).with_name("mcegnn"))
    arguments = (
        "rollout",
        "charged",
        "--systems",
        "10",
        "--steps",
        "20000",
        "--every",
        "10",
        "-o",
        "run.h5md",
        "--quiet",
    )
    done = subprocess.run(
        [command, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 1, done
    assert "mcegnn: writing run.h5md failed (File too large); " in done.stderr
    assert done.stderr.endswith("go on with: mcegnn rollout --resume run.h5md\n")
    assert done.stderr.count("\n") == 1
    again = [command, "rollout", "--resume", "run.h5md"]
    resumed = subprocess.run(
        again, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert resumed.returncode == 0, resumed
    with H5MDReader(tmp_path / "run.h5md") as reader:
        assert len(reader) == 2001
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.h5md", "run.h5md.checkpoint"]


def test_mended_is_said_in_a_line(succeed: Run, cli: Run) -> None:
    succeed("rollout", "solar", "--steps", 40, "--every", 10, "--dt", "0.5 day", "-o", "run.h5md")
    content = Path("run.h5md").read_bytes()
    journal.journal_of("run.h5md").write_bytes(
        journal.record_of(len(content), [(0, zlib.crc32(bytes(4096)), content[:4096])])
    )
    Path("run.h5md").write_bytes(bytes(4096) + content[4096:])
    outcome = cli("analyse", "run.h5md")
    assert outcome.code == 0
    assert (
        outcome.err
        == "warning: run.h5md was left in the middle of a write; it has been repaired from its"
        " journal\n"
    )
    assert cli("analyse", "run.h5md").err == ""
    assert Path("run.h5md").read_bytes() == content


@pytest.mark.parametrize(
    "arguments",
    [
        ("charged", "--systems", 1, "--steps", 20000, "--every", 10),
        ("charged", "--systems", 100),
        ("charged", "-n", 200, "--systems", 3),
        ("solar", "--dt", "0.5 day", "--steps", 20000, "--every", 10),
        ("argon.xyz", *LENNARD_JONES, "--temperature", "40 K"),
        (
            "argon.xyz",
            *LENNARD_JONES,
            "--temperature",
            "40 K",
            "--ensemble",
            "npt",
            "--pressure",
            "1 bar",
            "--systems",
            2,
            "--steps",
            600,
            "--every",
            2,
        ),
    ],
)
def test_the_size_that_was_said(structures: Path, succeed: Run, arguments: tuple[Any, ...]) -> None:
    """By --dry-run, within a twentieth and what small files have of their own."""
    said = succeed("rollout", *arguments, "-o", "run.h5md", "--dry-run").out
    number, unit = re.findall(r"about ([\d.]+) (kB|MB) \(", said)[0]
    assert " free)" in said
    succeed("rollout", *arguments, "-o", "run.h5md")
    size = Path("run.h5md").stat().st_size
    expected = float(number) * {"kB": 1e3, "MB": 1e6}[unit]
    assert abs(size - expected) < 0.05 * size + 1e4


def test_what_is_written_is_said(cli: Run) -> None:
    outcome = cli(
        "rollout",
        "charged",
        "--systems",
        2,
        "--steps",
        100,
        "--every",
        20,
        "--verbose",
        "-o",
        "run.h5md",
    )
    assert outcome.code == 0
    assert outcome.err.splitlines()[-1] == "written: 6 frames, step 100"


def test_a_resume_elsewhere_says_so(succeed: Run, cli: Run) -> None:
    succeed("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 20, "-o", "run.h5md")
    assert cli("rollout", "--resume", "run.h5md", "--steps", 100).err == ""
    from trajectories.storage.layout import seal

    with h5py.File("run.h5md", "r+") as file:
        recorded = file["parameters/provenance"]
        versions = json.loads(recorded["versions"][()])
        recorded["versions"][()] = json.dumps(versions | {"numba": "0.1"})
        recorded["processor"][()] = "abacus"
        seal(file)
    outcome = cli("rollout", "--resume", "run.h5md", "--steps", 100)
    assert outcome.code == 0
    assert outcome.err.startswith(
        "warning: the bits of this run may differ from here on: processor "
    )
    assert "(it began under abacus)" in outcome.err
    assert "(it began under 0.1)" in outcome.err
    assert outcome.err.count("\n") == 1


def test_an_explosion(structures: Path, cli: Run, succeed: Run) -> None:
    """Exit code 3 and a sentence with step, time, particle and cause; the frames before are kept,
    and a looser limit lets it go on."""
    arguments = (
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "40 K",
        "--dt",
        "105 fs",
        "--every",
        10,
        "--steps",
        1000,
    )
    outcome = cli(*arguments, "-o", "run.h5md", "--quiet")
    assert outcome.code == 3
    assert outcome.out == ""
    assert outcome.err.splitlines()[1:] == [
        "if the run is sound, go on without this limit: mcegnn rollout --resume run.h5md"
        " --max-energy-jump off"
    ]
    for words in (
        "mcegnn: at step ",
        " ps), particle ",
        "the energy has gone from ",
        " eV; probably the time step of 105 fs is too long",
    ):
        assert words in outcome.err
    step = int(outcome.err.split("at step ")[1].split()[0])
    with H5MDReader("run.h5md") as reader:
        assert list(reader.steps) == list(range(0, step, 10))
        energies = reader.observable("potential_energy")
        assert energies is not None
        assert abs(energies).max() < 100
    assert (
        f"{len(list(range(0, step, 10)))} frames are kept, the last good state is of step"
        f" {(step - 1) // 10 * 10}" in outcome.err
    )
    # the same again, from where it was left
    assert (
        cli("rollout", "--resume", "run.h5md", "--quiet").err.split(";")[0]
        == outcome.err.split(";")[0]
    )
    again = cli(
        "rollout",
        "--resume",
        "run.h5md",
        "--quiet",
        "--max-energy-jump",
        "off",
        "--min-distance",
        "off",
    )
    assert again.code in (0, 3)  # whatever becomes of it now
    assert "the energy has gone" not in again.err
    with H5MDReader("run.h5md") as reader:
        assert (
            reader.steps[-1] >= step // 10 * 10
        )  # where the forces fail at last is another matter


def test_limits_are_options(structures: Path, cli: Run, succeed: Run) -> None:
    """A bound that any run breaks, on each kind of system, and off."""
    charged = ("rollout", "charged", "--systems", 3, "--steps", 200, "--every", 10, "--force")
    outcome = cli(*charged, "--max-energy-jump", "1e-12")
    assert outcome.code == 3
    assert outcome.err.count("the energy has gone from") == 3
    near = cli(*charged, "--min-distance", "2")
    assert near.code == 2
    assert (
        "particles 1 and 4 of system 0 are 1.12 apart at the start, nearer than 2; choose another"
        " start" in near.err
    )
    succeed(*charged, "--min-distance", "off", "--max-energy-jump", "off")
    solar = ("rollout", "solar", "--steps", 200, "--dt", "0.5 day", "--every", 10, "--force")
    assert (
        "Earth and Moon are 0.00269 au apart at the start, nearer than 0.5 au"
        in cli(*solar, "--min-distance", "0.5 au").err
    )
    assert "apart at the start" in cli(*solar, "--min-distance", "1e8 km").err
    assert (
        "Earth and Moon: they are 0.00254 au apart, nearer than 0.00255 au"
        in cli(*solar, "--min-distance", "0.00255 au").err
    )
    assert cli(*solar, "--max-energy-jump", "1e-20").code == 3
    atoms = (
        "rollout",
        "argon.xyz",
        *LENNARD_JONES,
        "--temperature",
        "40 K",
        "--steps",
        20,
        "--every",
        10,
        "--force",
    )
    assert (
        "nearer than 4 Angstrom; relax them first (--relax)"
        in cli(*atoms, "--min-distance", "4 A").err
    )
    assert (
        "Angstrom apart, nearer than 3.6 Angstrom"
        in cli(*atoms, "--steps", 2000, "--min-distance", "3.6 A").err
    )
    assert cli(*atoms, "--max-energy-jump", "1e-9 meV").code == 3


@pytest.mark.parametrize(
    ("system", "option", "value", "words"),
    [
        ("charged", "--max-energy-jump", "10 eV", "is a bare number"),
        ("charged", "--min-distance", "1 A", "is a bare number"),
        ("charged", "--max-energy-jump", "-1", "is a bare number"),
        ("charged", "--max-energy-jump", "much", "is not a quantity"),
        ("argon.xyz", "--max-energy-jump", "10", "has no unit"),
        ("argon.xyz", "--max-energy-jump", "10 kg", "is not a unit of energy"),
        ("argon.xyz", "--min-distance", "1", "has no unit"),
        ("argon.xyz", "--min-distance", "-1 A", "not below zero"),
        ("solar", "--min-distance", "1", "has no unit"),
        ("solar", "--max-energy-jump", "1 eV", "is a bare number"),
    ],
)
def test_limits_that_are_none(
    structures: Path, refuse: Run, system: str, option: str, value: str, words: str
) -> None:
    forces = (*LENNARD_JONES, "--temperature", "40 K") if system == "argon.xyz" else ()
    refuse(words, "rollout", system, *forces, "--steps", 10, option, value)


def test_a_system_that_is_lost_stays_lost(cli: Run, equal: Run) -> None:
    """Through a stop and a resume, to the same bits; exit code 3 at the end of each."""
    arguments = ("rollout", "charged", "--systems", 30, "--every", 50, "--max-energy-jump", 1)
    whole = cli(*arguments, "--steps", 4000, "-o", "whole.h5md", "--quiet")
    assert whole.code == 3
    assert "systems diverged and were frozen at their last valid state: " in whole.err
    parts = (
        cli(*arguments, "--steps", 3000, "-o", "run.h5md", "--quiet"),
        cli("rollout", "--resume", "run.h5md", "--steps", 1000, "--quiet"),
    )
    assert {part.code for part in parts} == {3}
    assert equal(Path("run.h5md"), Path("whole.h5md"))
    assert parts[1].err.splitlines()[-1] == whole.err.splitlines()[-1]
    assert dict(checkpoint.load("run.h5md").lost) == dict(checkpoint.load("whole.h5md").lost)
    with H5MDReader("run.h5md") as reader:
        system, step = next(iter(checkpoint.load("run.h5md").lost.items()))
        x = reader.frames("position")[:, system]
        still = -(-step // 50)
        assert (x[still:] == x[still - 1]).all()
        assert (np.diff(x[:still], axis=0) != 0).any(axis=(1, 2)).all()
        assert json.loads(reader.provenance["lost systems from step 3000"])


def test_a_stop_between_frames_loses_no_bit_of_what_is_held_later(
    cli: Run, equal: Run, signalled: Run
) -> None:
    """The system goes bad soon after the resume, within the interval that the stop was in."""
    arguments = (
        "rollout",
        "charged",
        "--systems",
        30,
        "--every",
        500,
        "--max-energy-jump",
        1,
        "--steps",
        4000,
        "--quiet",
    )
    whole = cli(*arguments, "-o", "whole.h5md")
    step = min(checkpoint.load("whole.h5md").lost.values())
    assert step % 500 > 5
    with signalled(step - 3):
        assert cli(*arguments, "-o", "run.h5md").code == 130
    saved = checkpoint.load("run.h5md")
    assert saved.frame is not None
    assert saved.state.step % 500
    assert cli("rollout", "--resume", "run.h5md", "--quiet").err == whole.err
    assert equal(Path("run.h5md"), Path("whole.h5md"))


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(),
    reason="the peak of a process is read as Linux tells it",
)
def test_memory_is_flat(tmp_path: Path) -> None:
    """Ten times the steps take no more memory; ten times the frames no more than HDF5's index, of
    at most 32 MB, and a second's frames."""
    peaks = []
    code = (  # not ru_maxrss, which begins with that of the process that it was forked from
        "import sys; from mcegnn.cli.app import app; app(sys.argv[1:], standalone_mode=False);"
        " print(next(line.split()[1] for line in open('/proc/self/status') if"
        " line.startswith('VmHWM')))"
    )
    for steps, every in ((200_000, 100), (2_000_000, 1000), (2_000_000, 100)):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                "rollout",
                "charged",
                "--systems",
                "1",
                "-n",
                "2",
                "--steps",
                str(steps),
                "--every",
                str(every),
                "-o",
                f"{steps}-{every}.h5md",
                "--quiet",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert abs(peaks[1] - peaks[0]) < 5, peaks
    assert peaks[2] - peaks[0] < 50, peaks


def test_a_run_stopped_between_frames_knows_whom_it_has_lost(
    cli: Run, signalled: Run, equal: Run
) -> None:
    """At which steps, as if it had never been stopped: what is stopped is looked at then, not where
    it goes on."""
    arguments = (
        "rollout",
        "charged",
        "--systems",
        8,
        "--dt",
        0.1,
        "--steps",
        3000,
        "--every",
        3000,
        "--max-energy-jump",
        1,
    )
    whole = cli(*arguments, "-o", "whole.h5md", "--quiet")
    with signalled(200):
        assert cli(*arguments, "-o", "run.h5md", "--quiet").code == 130
    assert len(dict(checkpoint.load("run.h5md").lost)) > 2
    again = cli("rollout", "--resume", "run.h5md", "--quiet")
    assert (whole.code, again.code) == (3, 3)
    assert again.err.splitlines()[-1] == whole.err.splitlines()[-1]
    assert equal(Path("run.h5md"), Path("whole.h5md"))
    said = json.loads(cli("analyse", "run.h5md", "--json").out)["lost_systems"]
    assert said == {
        str(system): step for system, step in checkpoint.load("whole.h5md").lost.items()
    }
    assert f"{len(said)} of 8 systems: " in " ".join(cli("analyse", "run.h5md").out.split())


def test_the_last_system_is_told_with_the_others(cli: Run) -> None:
    outcome = cli(
        "rollout",
        "charged",
        "--systems",
        3,
        "--steps",
        200,
        "--every",
        10,
        "--max-energy-jump",
        "1e-12",
        "-o",
        "run.h5md",
    )
    assert outcome.code == 3
    assert len(json.loads(cli("analyse", "run.h5md", "--json").out)["lost_systems"]) == 3


def test_planets_under_a_time_step_that_loses_them(cli: Run) -> None:
    outcome = cli("rollout", "solar", "--dt", "60 day", "--steps", 1000, "-o", "run.h5md")
    assert outcome.code == 3
    assert "probably the time step of 60 days is too long" in outcome.err


@pytest.mark.parametrize("ending", ["xyz", "traj", "dcd"])
def test_converting_to_a_full_disk(succeed: Run, tmp_path: Path, ending: str) -> None:
    """Exit code 1 and a sentence; neither half a file nor the old one's loss."""
    succeed("rollout", "charged", "--systems", 50, "--steps", 1000, "--every", 10, "-o", "run.h5md")
    (tmp_path / f"x.{ending}").write_text("before")
    process = subprocess.run(
        [
            str(Path(sys.executable).with_name("mcegnn")),
            "convert",
            "run.h5md",
            f"x.{ending}",
            "--force",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000)),
    )
    assert process.returncode == 1, process.stderr
    assert process.stderr.startswith(f"mcegnn: writing x.{ending} failed (")
    assert process.stderr.count("\n") == 1
    assert (tmp_path / f"x.{ending}").read_text() == "before"
    assert not list(tmp_path.glob("*.tmp*"))
    succeed("convert", "run.h5md", f"x.{ending}", "--force")
