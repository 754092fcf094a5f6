"""Every verb of the command line on a system without what Linux alone has (`elsewhere.py` hides
it), and runs that survive kill -9 there too."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from trajectories.storage import checkpoint
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.locks import lock_path

pytestmark = pytest.mark.slow

ELSEWHERE = Path(__file__).with_name("elsewhere.py")
SOFT = "only soft file lock is available"  # filelock's own warning
Run = Callable[..., Any]
SOLAR = ("rollout", "solar", "--dt", "0.5 day", "--every", "10")


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Begin a command there, in the test's folder."""

    def run(*arguments: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(ELSEWHERE), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "cp1252", "USERNAME": "user", "COLUMNS": "200"},
            text=True,
            encoding="cp1252",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return run


@pytest.fixture
def there(start: Callable[..., "subprocess.Popen[str]"]) -> Callable[..., tuple[str, str]]:
    """Run a command there to its end; what it said."""

    def run(*arguments: Any, code: int = 0) -> tuple[str, str]:
        process = start(*arguments)
        out, err = process.communicate(timeout=900)
        assert process.returncode == code, f"{arguments}: {out}{err}"
        assert "Traceback" not in err
        return out, err

    return run


def equal(one: Path, other: Path) -> bool:
    """Frames to the bit."""
    with H5MDReader(one) as a, H5MDReader(other) as b:
        return all(
            a.frames(name).tobytes() == b.frames(name).tobytes()
            for name in ("position", "velocity")
        )


def test_rollouts(there: Run, tmp_path: Path) -> None:
    """Begun, gone on with, overwritten, looked at and converted; nothing is left beside them."""
    there("rollout", "charged", "--systems", 2, "--steps", 100, "--every", 20, "-o", "run.h5md")
    there("rollout", "--resume", "run.h5md", "--steps", 100)
    _, warned = there(*SOLAR, "--steps", 40, "-o", "run.h5md", "--force")
    assert SOFT in warned
    there("rollout", "--resume", "run.h5md", "--steps", 20)
    assert re.search(r"frames +7\b", there("info", "run.h5md")[0])
    there("analyse", "run.h5md", "--figure", "x.png")
    there("report", "run.h5md")
    for ending in ("xyz", "traj", "dcd"):
        there("convert", "run.h5md", f"x.{ending}")
    there("convert", "x.traj", "run.h5md", "--force")
    with H5MDReader(tmp_path / "run.h5md") as reader:
        assert len(reader) == 7
    assert b"\r" not in (tmp_path / "x.xyz").read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        *("run.h5md", "run.h5md.checkpoint", "run.html", "x.dcd", "x.png", "x.traj", "x.xyz")
    ]


def test_atoms(there: Run, tmp_path: Path) -> None:
    """A file's atoms are moved, labelled, learned from, gone on with and evaluated."""
    rng, structures = np.random.default_rng(0), []
    for _ in range(12):
        atoms = bulk("Ar", "fcc", 5.3, cubic=True)
        atoms.rattle(0.1, rng=rng)
        structures.append(atoms)
    ase.io.write(tmp_path / "set.xyz", structures)
    ase.io.write(tmp_path / "one.xyz", structures[0])
    forces = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4,cutoff=4.5")
    there("rollout", "one.xyz", *forces, "--temperature", "40 K", "--steps", 20, "-o", "one.h5md")
    there("label", "set.xyz", *forces, "-o", "labelled.xyz")
    small = {"n_features": 8, "n_channels": [2], "n_layers": 1, "n_radial": 4, "cutoff": 4.5}
    sets = {f"model.hyperparameters.{name}": value for name, value in small.items()}
    sets |= {"model.hyperparameters.n_couplings": 0, "n_updates": 4, "validate_every": 2}
    sets |= {"batch": 2, "warmup": 1, "compile": "false", "data.n_train": 8}
    sets |= {"data.n_validation": 2}
    options = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    there("train", "extxyz", "--data", "labelled.xyz", "-o", "mine", *options)
    (tmp_path / "mine/report.html").unlink()  # as where it was killed before that was written
    there("train", "--resume", "mine")
    assert (tmp_path / "mine/report.html").is_file()
    assert "forces" in there("evaluate", "mine/best.safetensors", "labelled.xyz")[0]
    there("predict", "mine/best.safetensors", "set.xyz", "-o", "table.csv")
    assert (tmp_path / "table.csv").read_bytes().count(b"\n") == 13
    model = ("--model", "mine/best.safetensors", "--temperature", "10 K", "--steps", 2)
    there("rollout", "one.xyz", *model, "--min-distance", "off", "-o", "model.h5md")
    assert "structures" in there("info", "mine/best.safetensors")[0]


@pytest.mark.parametrize("moment", ["first", "later"])
def test_killed(start: Run, there: Run, tmp_path: Path, moment: str) -> None:
    """kill -9: the lock that is left behind keeps nobody away, what was said to be written is
    there, and the resumed run has the bits of one that was never stopped."""
    run = ("rollout", "charged", "--systems", 20, "--every", 20, "--steps", 60000)
    there(*run, "-o", "whole.h5md", "--quiet")
    process = start(*run, "-o", "run.h5md", "--verbose")
    path, deadline = tmp_path / "run.h5md", time.monotonic() + 300
    target = checkpoint.path_of(path) if moment == "first" else path
    while not target.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert lock_path(path).exists()
    if moment == "later":
        process.send_signal(signal.SIGSTOP)  # it holds the file, however slow the others are
        _, refused = there("rollout", "--resume", "run.h5md", code=2)
        assert f"(process {process.pid} on " in refused
        _, refused = there("analyse", "run.h5md", code=2)
        assert f"it is open in another program (process {process.pid} on " in refused
    process.kill()
    _, err = process.communicate(timeout=600)
    assert process.returncode == -9, "it ended before it could be killed"
    assert lock_path(path).exists()
    written = re.findall(r"^written: (\d+) frames", err, re.MULTILINE)
    if written:
        with H5MDReader(path) as reader:
            assert len(reader) >= int(written[-1])
    there("rollout", "--resume", "run.h5md", "--quiet")
    assert equal(path, tmp_path / "whole.h5md")
    assert not list(tmp_path.glob("*.lock")) + list(tmp_path.glob("*.tmp"))
