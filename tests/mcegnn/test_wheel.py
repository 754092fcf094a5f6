"""The wheel: built from clean sources and installed with nothing else beside it, it does the demo's
work, read-only or not."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[2]
PACKAGES = ("systems", "integrators", "trajectories", "mcegnn")
NOT_SOURCES = (
    ".venv",
    ".git",
    "__pycache__",
    "build",
    "dist",
    "*.egg-info",
    "demo",
    "learned",
    ".*_cache",
    ".hypothesis",
    ".coverage",
)

DEMO = (
    ("rollout", "charged", "--systems", "100", "-o", "charged.h5md"),
    ("rollout", "solar", "--relativity", "--time", "10 year", "-o", "solar.h5md"),
    ("analyse", "charged.h5md", "--figure", "charged.png"),
    ("analyse", "solar.h5md", "--figure", "solar.png"),
)


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and what it needs, and the wheel."""

    environment: Path
    wheel: Path

    @property
    def packages(self) -> Path:
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPO, folder / "sources", ignore=shutil.ignore_patterns(*NOT_SOURCES))
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "sources"),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=300)
    pip = [
        str(environment / "bin" / "pip"),
        "install",
        "--quiet",
        "--no-compile",  # most of torch is never imported
        "-c",
        str(REPO / "constraints.txt"),
        str(wheel),
    ]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return Installed(environment, wheel)


def run(
    prefix: list[str], installed: Installed, folder: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """One of the wheel's commands, in a folder away from the checkout and without what the tests'
    own environment says."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "NUMBA", "XDG", "MPL", "VIRTUAL"))
    }
    done = subprocess.run(
        [*prefix, str(installed.environment / "bin" / "mcegnn"), *arguments],
        cwd=folder,
        env={**kept, **variables},
        text=True,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def demo(prefix: list[str], installed: Installed, folder: Path, **variables: str) -> str:
    """All of the demo's commands; what they said on standard output."""
    out = "".join(
        run(prefix, installed, folder, *arguments, **variables).stdout for arguments in DEMO
    )
    for name in ("charged.png", "solar.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert (folder / name).stat().st_size > 20_000
    return out


def test_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert "systems/data/j2000.csv" in names
    data = [
        p.relative_to(REPO)
        for folder in ("presets", "pretrained")
        for p in (REPO / "mcegnn" / folder).iterdir()
        if p.is_file()
    ]
    assert {str(path) for path in data} <= set(names)
    sources = [
        path.relative_to(REPO) for package in PACKAGES for path in (REPO / package).rglob("*.py")
    ]
    assert {str(path) for path in sources} <= set(names)
    assert all(f"{package}/py.typed" in names for package in PACKAGES)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".nbi", ".nbc"))]


def test_models_come_with_it(installed: Installed, tmp_path: Path) -> None:
    """Learned forces and dynamics roll out right after the install, and a training starts."""
    small = ("--systems", "3", "--quiet")
    run(
        [],
        installed,
        tmp_path,
        "rollout",
        "charged",
        "--model",
        "charged-force",
        "--steps",
        "200",
        *small,
        "-o",
        "law.h5md",
    )
    run(
        [],
        installed,
        tmp_path,
        "rollout",
        "charged",
        "--model",
        "charged-mcegnn",
        "--time",
        "2",
        *small,
        "-o",
        "stroke.h5md",
    )
    changes = ("--set", "data.n_train=20", "--set", "n_updates=2", "--set", "batch=4", "--quiet")
    run([], installed, tmp_path, "train", "charged-egnn", "-o", "net", *changes)
    frames = [
        json.loads(run([], installed, tmp_path, "analyse", name, "--json").stdout)["frames"]
        for name in ("law.h5md", "stroke.h5md")
    ]
    assert frames == [3, 3]
    assert (tmp_path / "net" / "best.safetensors").is_file()


def test_the_demo_away_from_the_checkout(installed: Installed, tmp_path: Path) -> None:
    out = demo([], installed, tmp_path, HOME=str(tmp_path))
    assert out.count("steps a second") == 4  # of each run and of its analysis
    summary = json.loads(
        run([], installed, tmp_path, "analyse", "solar.h5md", "--json", HOME=str(tmp_path)).stdout
    )
    assert (summary["n_particles"], summary["time"]) == (11, 3652.5)
    where = subprocess.run(
        [
            installed.environment / "bin" / "python",
            "-c",
            "import mcegnn, systems; print(mcegnn.__file__, systems.__file__)",
        ],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
        env={"HOME": str(tmp_path)},
        timeout=300,
    ).stdout.split()
    assert all(path.startswith(str(installed.packages)) for path in where)


@pytest.fixture
def closed(installed: Installed) -> Iterator[Installed]:
    """The environment as a system's administrator leaves it: nobody may write to it, and no
    compiled code lies in it."""
    for package in PACKAGES:
        shutil.rmtree(installed.packages / package / "__pycache__", ignore_errors=True)
        for cache in (installed.packages / package).rglob("__pycache__"):
            shutil.rmtree(cache)
    chmod(installed.environment, "a-w")
    yield installed
    chmod(installed.environment, "u+w")


def chmod(folder: Path, mode: str) -> None:
    subprocess.run(["chmod", "-R", mode, str(folder)], check=True, timeout=300)


def caches(folder: Path) -> dict[Path, int]:
    """numba's files below a folder and when they were written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ic]")}


def test_the_demo_where_the_packages_may_not_be_written(
    closed: Installed, bound_prefix: list[str], tmp_path: Path
) -> None:
    """Compiled code then lies in the user's home, and the second start takes it from there."""
    home = tmp_path / "home"
    home.mkdir()
    demo(bound_prefix, closed, tmp_path, HOME=str(home))
    assert not caches(closed.packages)
    compiled = caches(home)
    assert any("_driver" in path.name for path in compiled)
    again = run(
        bound_prefix, closed, tmp_path, *DEMO[0], "--force", HOME=str(home), NUMBA_DEBUG_CACHE="1"
    )
    assert "data loaded from" in again.stdout
    assert "data saved to" not in again.stdout
    assert caches(home) == compiled


def test_the_demo_where_nothing_may_be_written(
    closed: Installed, bound_prefix: list[str], tmp_path: Path
) -> None:
    """Without any place for compiled code it is compiled in each process: slow, but no failure."""
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    out = demo(bound_prefix, closed, tmp_path, HOME=str(home))
    assert out.count("steps a second") == 4  # of each run and of its analysis
    assert not caches(closed.packages)
    assert not caches(tmp_path)


def test_a_home_that_is_not_there(
    closed: Installed, bound_prefix: list[str], tmp_path: Path
) -> None:
    """As services and containers have it."""
    arguments: tuple[Any, ...] = DEMO[0]
    run(bound_prefix, closed, tmp_path, *arguments, HOME="/nonexistent")
    assert (tmp_path / "charged.h5md").exists()
