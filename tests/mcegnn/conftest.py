"""What the tests of the command line share: running it in this process, or as a user's shell does,
in a folder of its own."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixBondLength
from typer.testing import CliRunner

import integrators.compiled.driver
import integrators.compiled.list_driver
import trajectories.monitor
from mcegnn.cli.app import app


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


def invoke(*arguments: Any) -> Outcome:
    """``mcegnn arguments`` in this process; an exception that would be a traceback is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command in this process, in the test's folder, on a terminal wide enough that no table
    is folded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    # on a slow machine commands would say how far they are; the tests of that ask for it
    monkeypatch.setattr("mcegnn.cli.progress._FIRST_SECONDS", 600.0)
    return invoke


@pytest.fixture
def train_small(cli: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Train a small potential, or the one that it is to begin from, for a few updates on structures
    of a file; what was said."""

    def run(data: str, sizes: tuple[int, int], folder: str, *more: str) -> Outcome:
        n_train, n_validation = sizes
        small = {
            "n_features": 8,
            "n_channels": [3, 2],
            "n_layers": 2,
            "n_radial": 5,
            "cutoff": 4.0,
            "n_couplings": 0,
        }
        sets = (
            {}
            if "--from" in more
            else {f"model.hyperparameters.{name}": value for name, value in small.items()}
        )
        sets |= {"n_updates": 4, "batch": 4, "validate_every": 4, "warmup": 1, "compile": "false"}
        sets |= {"data.n_validation": n_validation, "data.n_train": n_train}
        options = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
        out = cli("train", "extxyz", "--data", data, "-o", folder, *options, *more)
        assert out.code == 0, out.err
        return out

    return run


COMMAND = str(Path(sys.executable).with_name("mcegnn"))


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Outcome]:
    """Run a command as a process of its own, in the test's folder."""

    def run(*arguments: Any, timeout: float = 300.0, **more: Any) -> Outcome:
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "300"},
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
            **more,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


# uid 0 may write anywhere; without these two capabilities permission bits bind it as they bind
# everybody
_BOUND = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="session")
def bound_prefix(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What to put before a command so that permission bits bind it, whoever runs the tests."""
    prefix = [sys.executable, "-c", _BOUND]
    probe = tmp_path_factory.mktemp("probe") / "closed"
    probe.touch(mode=0)
    if (
        subprocess.run(
            [*prefix, "/bin/cat", str(probe)], capture_output=True, timeout=60, check=False
        ).returncode
        == 0
    ):
        pytest.skip("permission bits do not bind here")
    return prefix


@pytest.fixture
def bound(tmp_path: Path, bound_prefix: list[str]) -> Callable[..., Outcome]:
    """As ``shell``, for a user whom permission bits bind."""

    def run(*arguments: Any) -> Outcome:
        command = [*bound_prefix, COMMAND, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, text=True, capture_output=True, timeout=300, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command as a process of its own, in the test's folder, and do not wait for it."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: Any) -> subprocess.Popen[str]:
        command = [COMMAND, *map(str, arguments)]
        started.append(
            subprocess.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=60)


@pytest.fixture
def succeed(cli: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """As ``cli``, for commands that have to succeed without a word on standard error."""

    def run(*arguments: Any) -> Outcome:
        outcome = cli(*arguments)
        assert outcome.code == 0, outcome.err
        assert outcome.err == ""
        return outcome

    return run


def snapshot(folder: Path) -> dict[str, Any]:
    """Every file and folder below, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def refuse(cli: Callable[..., Outcome], tmp_path: Path) -> Callable[..., None]:
    """A command that has to be refused: exit code 2, these words in exactly one line on standard
    error, nothing on disk changed."""

    def check(words: str, *arguments: Any) -> None:
        before = snapshot(tmp_path)
        with warnings.catch_warnings():
            # what the test runner makes an exception a user would read on standard error
            warnings.simplefilter("always")
            warnings.showwarning = lambda *what: print(
                warnings.formatwarning(*what[:4]), file=sys.stderr
            )
            outcome = cli(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        assert words in outcome.err
        assert outcome.err.startswith("mcegnn: ")
        assert outcome.err.endswith("\n")
        assert outcome.err.count("\n") == 1, outcome.err
        assert snapshot(tmp_path) == before

    return check


def scores(outcome: Outcome) -> list[str]:
    """The rows of a table that say how well a model does and what was scored, without the table's
    spaces."""
    rows = [" ".join(line.split()) for line in outcome.out.splitlines()]
    return [row for row in rows if row.startswith(("scored ", "test, "))]


@pytest.fixture
def same_scores(cli: Callable[..., Outcome]) -> Callable[..., list[str]]:
    """A training's closing table and what `mcegnn evaluate` says of its best weights, which have to
    be the same rows."""

    def check(trained: Outcome, *arguments: Any) -> list[str]:
        rows = scores(trained)
        assert len(rows) > 2
        assert scores(cli("evaluate", *arguments)) == rows
        return rows

    return check


@pytest.fixture
def contents() -> Callable[[Path], dict[str, Any]]:
    """Every dataset and attribute of an HDF5 file by its path, without those that say when and by
    which command it was made."""

    def read(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
            found.update({f"{name}@{key}": np.asarray(value) for key, value in item.attrs.items()})
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]

        with h5py.File(path) as file:
            file.visititems(visit)
            # visititems calls hard links to one dataset once only
            found |= {
                f"links of {name}": sorted(group)
                for name, group in file["particles/trajectory"].items()
            }
        return {
            name: value
            for name, value in found.items()
            if not name.startswith(("parameters/provenance/", "parameters@checksum"))
        }

    return read


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """Within, Ctrl-C comes while a run takes the steps up to ``step``, and its driver tells of
    every step."""

    @contextmanager
    def at(step: int) -> Iterator[None]:
        advance, came = trajectories.monitor.advance, False

        def interrupted(*arguments: Any, **more: Any) -> Iterator[Any]:
            nonlocal came
            for state in advance(*arguments, **more):
                if state.step >= step and not came:
                    came = True
                    signal.raise_signal(signal.SIGINT)
                yield state

        with monkeypatch.context() as patch:
            patch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1e-9)
            patch.setattr(integrators.compiled.list_driver, "SLICE_SECONDS", 1e-9)
            patch.setattr(trajectories.monitor, "advance", interrupted)
            yield

    return at


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """The same bits; of texts, which are objects, the same letters."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()


@pytest.fixture
def equal(contents: Callable[[Path], dict[str, Any]]) -> Callable[[Path, Path], bool]:
    """Whether two runs' files hold the same bits."""

    def compare(a: Path, b: Path) -> bool:
        first, second = contents(a), contents(b)
        assert first.keys() == second.keys()
        return all(_same(np.asarray(first[name]), np.asarray(second[name])) for name in first)

    return compare


def argon(n: int = 3) -> Atoms:
    """A crystal that is a little out of order; cutoffs are longer than half the cell."""
    atoms = bulk("Ar", "fcc", 5.26, cubic=True).repeat(n)
    atoms.rattle(0.02, seed=1)
    return atoms


def copper(moving: bool = True) -> Atoms:
    """A slab of which the lowest layer is held."""
    atoms = bulk("Cu", "fcc", 3.61, cubic=True).repeat((2, 2, 2))
    atoms.set_pbc((True, True, False))
    if moving:
        atoms.set_momenta(
            np.random.default_rng(3).normal(0.0, 1.3, (len(atoms), 3))
        )  # sqrt(m kB 300 K)
    return atoms


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    """Structures to roll out, in the folder of the test."""
    ase.io.write(tmp_path / "argon.xyz", argon())
    ase.io.write(tmp_path / "copper.traj", copper())
    ase.io.write(tmp_path / "ethanol.xyz", molecule("CH3CH2OH"))
    held = copper(moving=False)
    held.set_constraint(FixAtoms(mask=held.positions[:, 2] < 1.0))
    ase.io.write(tmp_path / "held.traj", held)
    return tmp_path


@pytest.fixture
def bad_structures(structures: Path) -> Path:
    """Files that something is wrong with."""
    (structures / "folder").mkdir()
    ase.io.write(structures / "plain", molecule("CH3CH2OH"), format="xyz")
    (structures / "a@b.xyz").write_bytes((structures / "ethanol.xyz").read_bytes())
    (structures / "text.xyz").write_text("once upon a time\n")
    (structures / "no-atoms.xyz").write_text("0\n\n")
    (structures / "run.h5md").write_text("")
    ase.io.write(structures / "several.xyz", [molecule("H2O"), molecule("H2O")])
    water = molecule("H2O")
    water.set_constraint(FixBondLength(0, 1))
    ase.io.write(structures / "bond.traj", water)
    solid = copper()
    solid.set_constraint(FixAtoms(indices=range(len(solid))))
    ase.io.write(structures / "solid.traj", solid)
    held = bulk("Cu", "fcc", 3.61, cubic=True)
    held.set_constraint(FixAtoms(indices=[0]))
    ase.io.write(structures / "frozen3d.traj", held)
    ase.io.write(
        structures / "flat.traj", Atoms("Cu", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True)
    )
    ase.io.write(structures / "atom.xyz", Atoms("Cu"))
    (structures / "without.py").write_text(
        "from ase.calculators.calculator import Calculator\n\n\nclass NoStress(Calculator):\n   "
        " implemented_properties = ['energy', 'forces']\n\n\nclass NoForces(Calculator):\n   "
        " implemented_properties = ['energy']\n"
    )
    return structures
