"""Files that are cut, or have a byte of another value: their frames as they were, or a refusal in
words; never a crash, never garbage."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from integrators.state import State
from trajectories.mdanalysis import universe
from trajectories.storage import checkpoint
from trajectories.storage.checkpoint import Checkpoint
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.layout import series
from trajectories.storage.writer import H5MDWriter

CHILD = Path(__file__).with_name("read_damaged.py")


@pytest.fixture
def run(record: Callable[..., Path], random_state: Callable[..., State]) -> Path:
    """Of 40 frames in several chunks, with names and a text."""
    stream = np.random.default_rng(3)
    states = [replace(random_state(stream, 3, 60), time=0.5 * k, step=10 * k) for k in range(40)]
    states = [
        replace(state, system=replace(states[0].system, positions=state.system.positions))
        for state in states
    ]
    return record(
        states,
        names=[f"body {k}" for k in range(60)],
        provenance={"command": "mcegnn rollout", "ü": "x\ny"},
    )


def outcomes(run: Path, copies: list[Path]) -> list[str]:
    """What a child made of each copy; one that dies is a failure, and names the copy."""
    done = subprocess.run(
        [sys.executable, CHILD, run, *copies],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    said = [line.split(" ", 1)[1] for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.returncode, len(said), done.stderr)
    assert len(said) == len(copies)
    return said


def damaged(
    run: Path, n: int, harm: Callable[[bytearray, np.random.Generator], bytes]
) -> list[Path]:
    whole, stream = run.read_bytes(), np.random.default_rng(n)
    copies = [run.with_name(f"{k}.h5md") for k in range(n)]
    for copy in copies:
        copy.write_bytes(harm(bytearray(whole), stream))
    return copies


def flipped(content: bytearray, stream: np.random.Generator) -> bytes:
    content[stream.integers(len(content))] ^= stream.integers(1, 256)
    return bytes(content)


def test_two_hundred_files_with_a_flipped_byte(run: Path) -> None:
    said = outcomes(run, damaged(run, 200, flipped))
    assert set(said) == {"same", "refused"}
    assert said.count("refused") > 150


def test_two_hundred_files_cut_short(run: Path) -> None:
    said = outcomes(
        run,
        damaged(run, 200, lambda content, stream: bytes(content[: stream.integers(len(content))])),
    )
    assert set(said) == {"refused"}


def hollow(content: bytearray, stream: np.random.Generator) -> bytes:
    """A hole, as file systems leave them: zeros from one page on."""
    first = 4096 * int(stream.integers(1, len(content) // 4096))
    last = first + 4096 * int(stream.integers(1, 20))
    content[first:last] = bytes(len(content[first:last]))
    return bytes(content)


def test_files_with_holes(run: Path) -> None:
    said = outcomes(run, damaged(run, 50, hollow))
    assert set(said) <= {
        "same",
        "refused",
    }  # the same where the hole is in what is read of one frame only, masses for one
    assert said.count("refused") > 40


def test_chunks_that_are_holes(run: Path) -> None:
    """Each chunk of each series in turn, all of it: zeros do not pass for a frame."""
    places = []
    with h5py.File(run) as file:
        for data in series(file):
            infos = [data.id.get_chunk_info(k) for k in range(data.id.get_num_chunks())]
            assert all(info.filter_mask == 0 for info in infos), (
                data.name
            )  # HDF5 leaves out a filter that fails
            read = (
                infos[:1]
                if data.name.split("/")[3] in ("species", "mass", "charge", "box")
                else infos
            )
            places += [(info.byte_offset, info.size) for info in read]
    copies = []
    for k, (first, size) in enumerate(places):
        content = bytearray(run.read_bytes())
        content[first : first + size] = bytes(size)
        copies.append(run.with_name(f"{k}.h5md"))
        copies[-1].write_bytes(content)
    assert set(outcomes(run, copies)) == {"refused"}


def test_the_test_sees_garbage(run: Path, tmp_path: Path) -> None:
    """A number changed through HDF5, checksum and all, is not what the child knows."""
    other = tmp_path / "other.h5md"
    other.write_bytes(run.read_bytes())
    with h5py.File(other, "r+") as file:
        file["particles/trajectory/position/value"][3, 4, 1] += 1e-9
    assert outcomes(run, [other]) == ["garbage"]


def test_damaged_frames_are_named_and_the_others_read(run: Path) -> None:
    with h5py.File(run) as file:
        data = file["particles/trajectory/velocity/value"]
        place, chunk = data.id.get_chunk_info(1).byte_offset, data.chunks[0]
    assert 1 < chunk < 20
    content = bytearray(run.read_bytes())
    content[place + 100] ^= 4
    with H5MDReader(run) as reader:
        last = reader[39]
    run.write_bytes(content)
    with H5MDReader(run) as reader:
        words = (
            f"{run} is damaged: velocity of frames {chunk} to {2 * chunk - 1} is not what was"
            " written"
        )
        for read in (lambda: reader[chunk], lambda: reader.frames("velocity")):
            with pytest.raises(ValueError, match="velocity of frames") as caught:
                read()
            assert str(caught.value).startswith(words)
        np.testing.assert_array_equal(reader[39].system.momenta, last.system.momenta)
        assert len(reader.frames("position")) == 40
    # other programs are told by HDF5 itself
    with pytest.raises(OSError, match="filter returned failure"):
        universe(run).trajectory[chunk]


def test_files_of_before_there_were_checksums(run: Path) -> None:
    with h5py.File(run, "r+") as file:
        del file["parameters"].attrs["checksum"]
        text = file["parameters/provenance/command"]
        text[()] = "another"
    with H5MDReader(run) as reader:
        assert reader.provenance["command"] == "another"
    with H5MDWriter.append(run, 40) as writer:
        writer.record({"more": "text"})
    with h5py.File(run, "r+") as file:
        file["parameters/provenance/more"][()] = "other"
    with pytest.raises(ValueError, match="its texts and tables are not those that were written"):
        H5MDReader(run)


def test_an_attribute_that_another_program_has_changed(run: Path) -> None:
    with h5py.File(run, "r+") as file:
        file["parameters/units"].attrs["length"] = "furlong"
    with pytest.raises(ValueError, match="its texts and tables are not those that were written"):
        H5MDReader(run)


def test_a_checkpoint_with_a_flipped_byte(
    tmp_path: Path, random_state: Callable[..., State]
) -> None:
    """Every single byte of it: refused, or of no consequence."""
    state, run = random_state(np.random.default_rng(0), 2, 3), tmp_path / "run.h5md"
    checkpoint.save(run, Checkpoint(state, 3, {"a": [1, 2]}, {1: 40}))
    whole, path = checkpoint.path_of(run).read_bytes(), checkpoint.path_of(run)
    refused = 0
    for k in range(len(whole)):
        content = bytearray(whole)
        content[k] ^= 1 << k % 8
        path.write_bytes(content)
        found = None
        with suppress(ValueError):
            found = checkpoint.load(run)
        if found is None:
            refused += 1
            continue
        assert (found.n_frames, found.configuration, dict(found.lost)) == (
            3,
            {"a": [1, 2]},
            {1: 40},
        ), k
        np.testing.assert_array_equal(found.state.system.positions, state.system.positions)
    assert refused > 0.9 * len(whole)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_checkpoint_cut_short(
    tmp_path: Path, random_state: Callable[..., State], share: float
) -> None:
    run = tmp_path / "run.h5md"
    checkpoint.save(run, Checkpoint(random_state(np.random.default_rng(0)), 1, {}))
    path = checkpoint.path_of(run)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match="is not a checkpoint of ours, or a damaged one"):
        checkpoint.load(run)
