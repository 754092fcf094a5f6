"""Kills of real `mcegnn rollout` processes, and what has to hold after each: for the benchmark
`survival` and, a few, for the tests."""

import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from trajectories.mdanalysis import universe
from trajectories.storage import checkpoint, journal
from trajectories.storage.h5md import H5MDReader

# flushes come as fast as they can, so that the moments within one are met
_HASTY = (
    "import trajectories.storage.writer as w; w._SECONDS = {seconds};"
    " from mcegnn.cli.app import main; main()"
)
_ATOMS = (
    "ar.xyz",
    "--potential",
    "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4",
    "--temperature",
    "60 K",
    "--dt",
    "5 fs",
    "--every",
    "2",
)
RUNS: dict[str, tuple[str, ...]] = {
    "charged": ("charged", "--systems", "20", "--every", "20", "--steps", "60000"),
    "solar": ("solar", "--dt", "0.5 day", "--every", "10", "--steps", "60000"),
    "Langevin": (*_ATOMS, "--ensemble", "nvt", "--steps", "4000"),
    "NPT": (*_ATOMS, "--ensemble", "npt", "--pressure", "1 bar", "--steps", "4000"),
}
# what is on disk in the moment of the kill, beside moments of time
SIGHTS = ("run.h5md.tmp", "run.h5md.checkpoint.tmp", "run.h5md.journal", "run.h5md")


def prepare(folder: Path) -> None:
    """The file of atoms."""
    from ase.build import bulk
    from ase.io import write

    write(folder / "ar.xyz", bulk("Ar", "fcc", 5.3, cubic=True) * 2)


def run(folder: Path, *arguments: str, seconds: float | None = None) -> "subprocess.Popen[str]":
    """A process; ``seconds`` between flushes, or as ever."""
    command = [str(Path(sys.executable).with_name("mcegnn"))]
    if seconds is not None:
        command = [sys.executable, "-c", _HASTY.format(seconds=seconds)]
    return subprocess.Popen(
        [*command, "rollout", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finished(folder: Path, *arguments: str) -> None:
    """Run to the end."""
    process = run(folder, *arguments, "--quiet")
    _, err = process.communicate()
    assert process.returncode == 0, err


def frames(path: Path) -> dict[str, np.ndarray]:
    """Every dataset of frames, bit for bit."""
    found: dict[str, np.ndarray] = {}

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.maxshape[:1] == (None,):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(look)
    return found


def moments(n: int, seed: int, longest: float) -> list[float | str]:
    """Half of them times after the start, the others sights of what lies on disk."""
    stream = np.random.default_rng(seed)
    times = [float(t) for t in stream.uniform(0.2, longest, n)]
    return [times[k] if k % 2 == 0 else SIGHTS[k // 2 % len(SIGHTS)] for k in range(n)]


def kill(
    folder: Path,
    arguments: Sequence[str],
    moment: float | str,
    seconds: float | None,
    stream: np.random.Generator,
) -> int:
    """Begin a run and kill it; returns how many frames it had reported as written."""
    for old in folder.glob("run.h5md*"):
        old.unlink()
    process = run(folder, *arguments, "-o", "run.h5md", "--verbose", seconds=seconds)
    if isinstance(moment, float):
        time.sleep(moment)
    else:
        # a file that comes and goes is waited for later on too; a journal is of interest while it
        # holds something
        sight, began = folder / moment, time.monotonic()
        wait = float(stream.uniform(0.0, 4.0)) if moment in SIGHTS[1:3] else 0.0
        while process.poll() is None and (taken := time.monotonic() - began) < 10.0:
            if taken > wait and sight.exists() and (moment != SIGHTS[2] or _length(sight)):
                break
    process.kill()
    _, err = process.communicate()
    written = re.findall(r"^written: (\d+) frames", err, re.MULTILINE)
    return int(written[-1]) if written else 0


def _length(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def survived(
    folder: Path, arguments: Sequence[str], reported: int, whole: dict[str, np.ndarray]
) -> str:
    """AssertionError where something reported is lost or a resumed run is another one; returns what
    was found, in a word."""
    path, found = folder / "run.h5md", "frames"
    if path.exists():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with H5MDReader(path) as reader:
                n = len(reader)
        found = "mended" if any(one.category is journal.RecoveredWarning for one in said) else found
        assert n >= max(reported, 1), f"{n} frames of {reported} that were reported"
        held = frames(path)
        for name, values in held.items():
            assert values[:reported].tobytes() == whole[name][:reported].tobytes(), name
        u = universe(path)
        assert len(u.trajectory) == n
        seen = u.trajectory[-1].positions.copy()
        u.trajectory.close()  # it locks the file while it is open
        assert np.allclose(
            seen, held["particles/trajectory/position/value"][-1], rtol=1e-5, atol=1e-5
        )
    else:
        assert not reported
        found = "begun" if checkpoint.path_of(path).exists() else "nothing yet"
    if path.exists() or checkpoint.path_of(path).exists():
        finished(folder, "--resume", "run.h5md")
    else:
        finished(folder, *arguments, "-o", "run.h5md")
    again = frames(path)
    assert again.keys() == whole.keys()
    for name, values in again.items():
        assert values.tobytes() == whole[name].tobytes(), name
    left = sorted(one.name for one in folder.glob("run.h5md*"))
    assert left == ["run.h5md", "run.h5md.checkpoint"], left
    return found


def trial(
    folder: Path, name: str, n: int, seed: int = 0, tell: Callable[[str], None] = lambda text: None
) -> dict[str, int]:
    """Kill a run ``n`` times; returns how often each state of its file was found. AssertionError,
    with the moment, where one is bad."""
    arguments = RUNS[name]
    folder.mkdir(exist_ok=True)
    prepare(folder)
    began = time.monotonic()
    finished(folder, *arguments, "-o", "whole.h5md", "--force")
    longest, whole = time.monotonic() - began, frames(folder / "whole.h5md")
    counts: dict[str, int] = {}
    stream = np.random.default_rng(seed + 1)
    for k, moment in enumerate(moments(n, seed, longest)):
        seconds = None if k % 4 == 0 else 0.0 if k % 4 == 1 else 0.05
        reported = kill(folder, arguments, moment, seconds, stream)
        try:
            found = survived(folder, arguments, reported, whole)
        except BaseException:
            shutil.copytree(folder, folder.with_name(f"{folder.name}-lost-{k}"))
            tell(f"{name}: lost in kill {k}, moment {moment}, {reported} frames reported")
            raise
        counts[found] = counts.get(found, 0) + 1
        tell(f"{name}: kill {k} at {moment}, {reported} frames reported, {found}")
    return counts
