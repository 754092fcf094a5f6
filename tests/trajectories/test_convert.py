"""Runs written in other formats, read back by the libraries that own the formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

# on its first import it changes the filters of warnings, which pytest restores for each test
import MDAnalysis
import numpy as np
import pytest

from systems.units import METAL
from trajectories.convert import FORMATS
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader

NAMES = [f"body{k}" for k in range(11)]


@pytest.fixture(params=["charged ensemble", "planets"])
def run(
    request: pytest.FixtureRequest, make_case: Callable[[str], Any], record: Callable[..., Path]
) -> Path:
    """Four frames of an ensemble without names, and of planets with names, whose numbers span
    twelve decades."""
    case = make_case(request.param)
    return record(
        rollout(case.flow, case.state, case.dt, 30, 10),
        names=NAMES if request.param == "planets" else [],
    )


def written(run: Path, suffix: str) -> Path:
    path = run.with_suffix(suffix)
    with H5MDReader(run) as reader:
        FORMATS[suffix](reader, path, None)
    return path


def flat(array: np.ndarray) -> np.ndarray:
    """[..., 3] of a frame as [particles, 3], systems one after the other."""
    return np.reshape(array, (-1, 3))


def assert_frames(run: Path, frames: list[Any], tolerance: float) -> None:
    """Every frame's numbers, each component relative to its particle's vector."""
    with H5MDReader(run) as reader:
        assert len(frames) == len(reader) == 4
        for atoms, state in zip(frames, reader, strict=True):
            system = state.system
            copies = system.n_systems or 1
            for found, exact in (
                (atoms.positions, flat(system.positions)),
                (atoms.get_momenta(), flat(system.momenta)),
            ):
                error = np.linalg.norm(found - exact, axis=-1) / np.linalg.norm(exact, axis=-1)
                assert error.max() <= tolerance
            np.testing.assert_allclose(
                atoms.get_masses(), np.tile(system.masses, copies), rtol=tolerance
            )
            np.testing.assert_allclose(
                atoms.get_initial_charges(), np.ravel(system.charges), rtol=tolerance
            )
            np.testing.assert_array_equal(atoms.numbers, np.tile(system.species, copies))
            assert not any(atoms.pbc)


def test_traj_is_exact(run: Path) -> None:
    from ase.io import read

    frames = read(written(run, ".traj"), ":")
    assert_frames(run, frames, 0.0)
    with H5MDReader(run) as reader:
        assert [atoms.info["time"] for atoms in frames] == list(reader.times)
        assert [atoms.info["step"] for atoms in frames] == list(reader.steps)


def test_xyz_is_exact(run: Path) -> None:
    """Text of any length can hold float64, and a planet's momentum has none of ASE's eight
    decimals."""
    from ase.io import read

    frames = read(written(run, ".xyz"), ":")
    assert_frames(run, frames, 0.0)
    with H5MDReader(run) as reader:
        assert [atoms.info["time"] for atoms in frames] == list(reader.times)
        assert [atoms.info["step"] for atoms in frames] == list(reader.steps)
        assert all(list(atoms.arrays.get("names", [])) == reader.names for atoms in frames)


def test_names_of_any_letters(record: Callable[..., Path], make_case: Callable[[str], Any]) -> None:
    """In XYZ a blank would begin another column."""
    from ase.io import read

    names = [
        "Sun",
        "2003 UB 313",
        "Ü",
        "a=b",
        "x\ty",
        '"q"',
        "Properties=",
        "#",
        "\\",
        "Wild 2",
        "1",
    ]
    atoms = read(written(record([make_case("planets").state], names=names), ".xyz"))
    for found, name in zip(atoms.arrays["names"], names, strict=True):
        assert str(found).replace("_", "") == name.replace(" ", "").replace("\t", "")


@pytest.mark.parametrize("suffix", [".xyz", ".traj"])
def test_cells(record: Callable[..., Path], random_state: Callable[..., Any], suffix: str) -> None:
    from ase.io import read

    cell = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.1, -0.7, 5.0]])
    state = random_state(np.random.default_rng(0), units=METAL, cell=cell, pbc=(True, False, True))
    atoms = read(written(record([state, state]), suffix), 1)
    np.testing.assert_array_equal(atoms.cell[:], cell)
    assert list(atoms.pbc) == [True, False, True]
    assert list(atoms.numbers) == list(state.system.species)


def test_xyz_does_not_grow_an_old_file(run: Path) -> None:
    path = written(run, ".xyz")
    first = path.read_bytes()
    assert written(run, ".xyz").read_bytes() == first


@pytest.mark.filterwarnings(
    "ignore:No dimensions set for current frame:UserWarning",
    "ignore:DCDReader currently makes:DeprecationWarning",
)
def test_dcd_is_float32(run: Path) -> None:
    path = written(run, ".dcd")
    with H5MDReader(run) as reader:
        positions = reader.frames("position").reshape(4, -1, 3).astype(np.float32)
        spacing = reader.times[1]
    u = MDAnalysis.Universe.empty(positions.shape[1], trajectory=False)
    u.load_new(str(path), convert_units=False)
    read = [ts.positions.copy() for ts in u.trajectory]
    assert u.trajectory.dt == pytest.approx(spacing, rel=1e-6)
    np.testing.assert_array_equal(read, positions)


def test_formats() -> None:
    assert set(FORMATS) == {".xyz", ".traj", ".dcd"}
