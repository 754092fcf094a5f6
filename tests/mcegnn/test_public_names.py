"""The package's face: its names are there, and neither importing it nor asking for help loads
anything heavy."""

import subprocess
import sys
from typing import Any

import pytest

import mcegnn

HEAVY = ("torch", "numba", "MDAnalysis", "h5py", "ase", "scipy", "matplotlib", "jplephem")


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", mcegnn.__all__)
def test_every_name_resolves(name: str) -> None:
    value: Any = getattr(mcegnn, name)
    if name == "__version__":
        assert value.count(".") == 2
        return
    assert value.__name__ == name
    assert value.__doc__


def test_the_names_are_the_modules() -> None:
    assert dir(mcegnn) == sorted(mcegnn.__all__)
    assert len(set(mcegnn.__all__)) == len(mcegnn.__all__)
    for essential in (
        "System",
        "State",
        "rollout",
        "velocity_verlet",
        "H5MDReader",
        "H5MDWriter",
        "universe",
    ):
        assert essential in mcegnn.__all__


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'mcegnn' has no attribute 'rolout'"):
        _ = mcegnn.rolout  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from mcegnn import Rollout  # type: ignore[attr-defined]  # noqa: F401


LOADED = f"import sys; print([name for name in {HEAVY} if name in sys.modules])"


@pytest.mark.parametrize(
    "code",
    [
        "import mcegnn",
        "import mcegnn, systems, integrators, trajectories; mcegnn.__version__; dir(mcegnn)",
    ]
    + [
        "from typer.testing import CliRunner; from mcegnn.cli.app import app; assert"
        f" CliRunner().invoke(app, {args}).exit_code == 0"
        for args in (
            ["--help"],
            ["rollout", "--help"],
            ["analyse", "--help"],
            ["convert", "--help"],
            ["info", "--help"],
        )
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert run(f"{code}\n{LOADED}").strip() == "[]"


def test_analyses_load_what_they_use_when_they_use_it() -> None:
    """All but h5py, which reads runs."""
    code = (
        "import trajectories.analysis, trajectories.foreign, trajectories.figures,"
        " trajectories.report"
    )
    assert run(f"{code}\n{LOADED}").strip() == "['h5py']"


MISTAKE = f"""
import sys
from typer.testing import CliRunner
from mcegnn.cli.app import app
assert CliRunner().invoke(app, sys.argv[1:]).exit_code == 2
{LOADED}
"""


@pytest.mark.parametrize(
    "arguments", [("rollout", "chraged"), ("rollout",), ("rollout", "charged", "--sedd", "1")]
)
def test_mistakes_are_told_without_numba(arguments: tuple[str, ...]) -> None:
    """A slip of the keyboard is answered at once."""
    loaded = run(MISTAKE, *arguments)
    assert "numba" not in loaded
    assert "torch" not in loaded


ROLLOUT = """
import sys
import numpy as np
from mcegnn import System, State, Coulomb, Springs, velocity_verlet, yoshida, rollout
from mcegnn import H5MDWriter, H5MDReader
from trajectories.conservation import conservation, reversibility
import systems.sources.ephemeris
import trajectories.convert
import trajectories.figures
import trajectories.forecast
from trajectories.storage.checkpoint import Checkpoint
from trajectories.storage.checkpoint import load
from trajectories.storage.checkpoint import save
state = State(System.create(np.random.default_rng(0).normal(size=(2, 4, 3)), charges=1.0))
class Plain:
    def __call__(self, system):
        return Coulomb()(system)
with H5MDWriter(sys.argv[1], state.system) as writer:
    plain = velocity_verlet(Plain())
    for flow in (velocity_verlet(Coulomb()), yoshida(Springs([[0, 1]]), 4), plain):
        for now in rollout(flow, state, 0.01, 4):
            writer.write(now)
save(sys.argv[1], Checkpoint(now, 15, {}))
load(sys.argv[1])
with H5MDReader(sys.argv[1]) as reader:
    conservation(reader)
reversibility(velocity_verlet(Coulomb()), state, 0.01, 2)
print("torch" in sys.modules, "numba" in sys.modules)
"""


def test_a_numpy_rollout_does_not_load_torch(tmp_path: Any) -> None:
    """Nothing in systems, integrators and trajectories needs it; that numba is there shows that the
    rollouts did run compiled."""
    assert run(ROLLOUT, str(tmp_path / "run.h5md")).split() == ["False", "True"]
