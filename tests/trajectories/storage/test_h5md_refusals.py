"""Files that are not ours, or not whole, are refused by the reader in one sentence that names
them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from integrators.state import State
from systems.system import System
from trajectories.storage.h5md import GROUP, H5MDReader
from trajectories.storage.writer import H5MDWriter


@pytest.fixture
def run(record: Callable[..., Path], random_state: Callable[..., State]) -> Path:
    """A whole file of five frames."""
    stream = np.random.default_rng(3)
    return record(
        [replace(random_state(stream, 3), time=0.5 * k, step=10 * k) for k in range(5)],
        names=list("abcd"),
    )


def assert_refused(path: Path, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        H5MDReader(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.h5md", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file") as caught:
            H5MDReader(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", bytes(range(256)) * 20, b"\x89HDF\r\n\x1a\n" + bytes(3000)]
)
def test_refuses_what_is_no_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.h5md"
    path.write_bytes(content)
    assert_refused(path, "is not an HDF5 file, or a damaged one")


def test_refuses_what_has_only_begun(tmp_path: Path) -> None:
    """A writer that was closed, or stopped, before its first frame."""
    path = tmp_path / "empty.h5md"
    H5MDWriter(path, System.create(np.zeros((2, 3)))).close()
    assert_refused(path, "holds no frames yet")


def test_refuses_other_peoples_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5md"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    assert_refused(path, "is not a trajectory written by mcegnn")


def test_refuses_other_peoples_h5md(tmp_path: Path) -> None:
    """H5MD of another program: a particle group of another name, or of ours but without our
    units."""
    for name in ("particles/all", GROUP):
        path = tmp_path / "foreign.h5md"
        with h5py.File(path, "w") as file:
            file.create_group("h5md").attrs["version"] = [1, 1]
            file[f"{name}/position/value"] = np.zeros((2, 3, 3))
        assert_refused(path, "is an H5MD file of another program, .* --topology FILE")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_refuses_the_front_part_of_a_file(run: Path, share: float) -> None:
    whole = run.read_bytes()
    run.write_bytes(whole[: int(share * len(whole))])
    assert_refused(run, "is not an HDF5 file, or a damaged one")


@pytest.mark.parametrize(
    "lost",
    [
        f"{GROUP}/{element}"
        for element in (
            "position",
            "velocity",
            "mass",
            "charge",
            "species",
            "position/step",
            "position/time",
        )
    ]
    + ["parameters/units", "parameters/provenance", "parameters"],
)
def test_refuses_a_file_that_lacks_a_part(run: Path, lost: str) -> None:
    with h5py.File(run, "r+") as file:
        del file[lost]
    assert_refused(run, "is not a trajectory written by mcegnn|of another program|damaged")


def test_refuses_unknown_units(run: Path) -> None:
    with h5py.File(run, "r+") as file:
        file["parameters/units"].attrs["name"] = "furlongs"
    assert_refused(run, "furlongs")


def opened(path: Path) -> H5MDReader | None:
    """The reader, or None where it refuses the file by name."""
    try:
        return H5MDReader(path)
    except ValueError as error:
        return (
            None
            if str(path) in str(error)
            else pytest.fail(f"the refusal does not name the file: {error}")
        )


@pytest.mark.parametrize("element", ["position", "velocity", "force"])
def test_a_torn_frame_is_never_given_out(run: Path, element: str) -> None:
    """One dataset a frame shorter than the others, as a kill in the middle of a flush may leave it:
    refused, or only whole frames."""
    with H5MDReader(run) as reader:
        last_whole = reader[3]
    with h5py.File(run, "r+") as file:
        file[f"{GROUP}/{element}/value"].resize(4, axis=0)
    torn = opened(run)
    if torn is not None:
        with torn:
            assert len(torn) == 4
            np.testing.assert_array_equal(torn[-1].system.momenta, last_whole.system.momenta)
            assert {len(torn.frames(name)) for name in ("position", "velocity", "force")} == {4}
            assert len(torn.times) == len(torn.steps) == 4
            energy = torn.observable("potential_energy")
            assert energy is not None
            assert len(energy) == 4


@pytest.mark.parametrize("flushed", [False, True])
def test_frames_with_and_without_forces_do_not_mix(
    tmp_path: Path, random_state: Callable[..., State], flushed: bool
) -> None:
    state = random_state(np.random.default_rng(0), 2)
    assert state.evaluation is not None
    writer = H5MDWriter(tmp_path / "run.h5md", state.system)
    writer.write(state)
    if flushed:
        writer.flush()
    writer.write(replace(state, evaluation=None))
    with pytest.raises(
        ValueError,
        match=(
            "differ from the file's in .*force"
            if flushed
            else "some frames have forces and others have not"
        ),
    ):
        writer.flush()
