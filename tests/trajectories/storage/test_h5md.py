"""H5MD files of ours: what is written comes back, only what was flushed counts, and what is not
ours is refused in words."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import trajectories.storage.writer
from integrators.state import State
from systems.system import System
from systems.units import ASTRONOMICAL, METAL, REDUCED
from trajectories.storage.h5md import GROUP, OBSERVABLES, H5MDReader
from trajectories.storage.journaled_file import JournaledFile
from trajectories.storage.locks import FileInUseError
from trajectories.storage.plain import PlainFile
from trajectories.storage.writer import H5MDWriter

EPS = np.finfo(float).eps


def assert_same(state: State, written: State, masses: np.ndarray) -> None:
    """A frame read against the one written: exact, but for momenta, of which the file holds
    velocities."""
    for name in ("positions", "masses", "charges"):
        np.testing.assert_array_equal(
            getattr(state.system, name), getattr(written.system, name), strict=True
        )
    np.testing.assert_array_equal(state.system.species, written.system.species)
    # p / m and then v m: two roundings
    np.testing.assert_allclose(state.system.momenta, written.system.momenta, rtol=EPS, atol=0)
    assert (state.time, state.step) == (written.time, written.step)
    assert (state.evaluation is None) == (written.evaluation is None)
    if state.evaluation is not None and written.evaluation is not None:
        np.testing.assert_array_equal(
            state.evaluation.forces, written.evaluation.forces, strict=True
        )
        np.testing.assert_array_equal(state.evaluation.energy, written.evaluation.energy)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_systems=st.one_of(st.none(), st.integers(1, 4)),
    n=st.integers(1, 6),
    n_frames=st.integers(1, 7),
    flushes=st.sets(st.integers(0, 6)),
    forces=st.booleans(),
    charges=st.booleans(),
    named=st.booleans(),
    units=st.sampled_from([REDUCED, ASTRONOMICAL]),
    scale=st.sampled_from([1.0, 1e-200, 1e90]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(
    tmp_path: Path,
    random_state: Callable[..., State],
    seed: int,
    n_systems: int | None,
    n: int,
    n_frames: int,
    flushes: set[int],
    forces: bool,
    charges: bool,
    named: bool,
    units: Any,
    scale: float,
) -> None:
    stream = np.random.default_rng(seed)
    first = random_state(stream, n_systems, n, forces=forces, charges=charges, units=units)
    states = []
    for k in range(n_frames):
        other = random_state(stream, n_systems, n, forces=forces)
        system = replace(
            first.system,
            positions=scale * other.system.positions,
            momenta=scale * other.system.momenta,
        )
        states.append(State(system, float(stream.normal()), 3 * k, other.evaluation))
    names = [f"body {k}, ü" for k in range(n)] if named else []
    with H5MDWriter(
        tmp_path / "run.h5md",
        first.system,
        names=names,
        provenance={"a": "1", "ü": "x\ny"},
        overwrite=True,
    ) as writer:
        for k, state in enumerate(states):
            writer.write(state)
            if k in flushes:
                assert writer.flush() == k + 1
    with H5MDReader(tmp_path / "run.h5md") as reader:
        assert (len(reader), reader.n_systems, reader.n_particles) == (n_frames, n_systems, n)
        assert (reader.names, reader.units, reader.provenance) == (
            names,
            units,
            {"a": "1", "ü": "x\ny"},
        )
        for k, state in enumerate(states):
            assert_same(reader[k], state, first.system.masses)
            assert reader[k].system.units is units
        velocities = np.stack([s.system.velocities for s in states])
        np.testing.assert_array_equal(reader.frames("velocity"), velocities, strict=True)
        assert reader[-1].step == states[-1].step


def test_round_trip_keeps_the_cell(
    record: Callable[..., Path], random_state: Callable[..., State]
) -> None:
    cell = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.1, -0.7, 5.0]])
    state = random_state(np.random.default_rng(0), units=METAL, cell=cell, pbc=(True, True, False))
    with H5MDReader(record([state])) as reader:
        system = reader[0].system
    assert system.units is METAL
    assert system.pbc == (True, True, False)
    np.testing.assert_array_equal(system.cell, cell)


@pytest.fixture
def run(record: Callable[..., Path], random_state: Callable[..., State]) -> Path:
    """A file of seven frames, three systems of four particles."""
    stream = np.random.default_rng(7)
    return record(
        [replace(random_state(stream, 3), time=0.5 * k, step=10 * k) for k in range(7)],
        names=list("abcd"),
    )


@pytest.mark.parametrize("which", [0, -1, slice(None), slice(2, 5), slice(1, None, 2), slice(5, 5)])
def test_slices_of_frames(run: Path, which: int | slice) -> None:
    with h5py.File(run) as file, H5MDReader(run) as reader:
        for element in ("position", "velocity", "force"):
            whole = file[f"{GROUP}/{element}/value"][()].reshape(7, 3, 4, 3)
            np.testing.assert_array_equal(reader.frames(element, which), whole[which], strict=True)
        assert reader.observable("potential_energy").shape == (7, 3)
        assert reader.observable("temperature") is None


def test_frames_that_are_not_there(run: Path) -> None:
    with H5MDReader(run) as reader:
        for k in (7, -8):
            with pytest.raises(IndexError, match=f"frame {k} of 7"):
                reader[k]
        assert [state.step for state in reader] == [10 * k for k in range(7)]


def test_an_existing_file_is_refused(run: Path) -> None:
    with H5MDReader(run) as reader:
        system = reader[0].system
    before = run.read_bytes()
    with pytest.raises(FileExistsError):
        H5MDWriter(run, system)
    assert run.read_bytes() == before
    with H5MDWriter(run, system, overwrite=True) as writer:
        writer.write(State(system))
    with H5MDReader(run) as reader:
        assert len(reader) == 1


def test_a_file_that_comes_to_be_meanwhile_is_refused(
    tmp_path: Path, random_state: Callable[..., State]
) -> None:
    """Another process has made it, after this one has looked and before it has the lock."""
    path = tmp_path / "run.h5md"

    def slowly(path: str | Path, *, fresh: bool) -> JournaledFile:
        Path(path).write_bytes(b"another's")
        return JournaledFile(path, fresh=fresh)

    with pytest.raises(FileExistsError):
        H5MDWriter(path, random_state(np.random.default_rng(0)).system, storage=slowly)
    assert path.read_bytes() == b"another's"
    assert [one.name for one in tmp_path.iterdir()] == ["run.h5md"]


def test_a_plain_file_holds_the_same_run(
    tmp_path: Path, random_state: Callable[..., State]
) -> None:
    """HDF5's own storage behind the same writer: the same bits, one process at a time, and either
    goes on with what the other has written."""
    stream = np.random.default_rng(5)
    states = [replace(random_state(stream, 3), step=k, time=0.5 * k) for k in range(6)]
    paths = [tmp_path / "journaled.h5md", tmp_path / "plain.h5md"]
    for path, storages in zip(
        paths, ((JournaledFile, PlainFile), (PlainFile, JournaledFile)), strict=True
    ):
        path.write_bytes(b"what is overwritten")
        system = states[0].system
        with H5MDWriter(path, system, overwrite=True, storage=storages[0]) as writer:
            for state in states[:4]:
                writer.write(state)
            writer.flush()
            for storage in storages:
                with pytest.raises(FileInUseError, match=f"process {os.getpid()} on "):
                    H5MDWriter.append(path, 1, storage=storage)
            with pytest.raises(ValueError, match="cannot be read: it is open in another program"):
                H5MDReader(path)
        with H5MDWriter.append(path, 3, storage=storages[1]) as writer:
            for state in states[3:]:
                writer.write(state)
    with H5MDReader(paths[0]) as one, H5MDReader(paths[1]) as other:
        assert len(one) == len(other) == 6
        for name in ("position", "velocity"):
            assert one.frames(name).tobytes() == other.frames(name).tobytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["journaled.h5md", "plain.h5md"]


def test_what_is_none_of_ours_is_free_after_it_was_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5md"
    path.write_bytes(b"hello")
    with pytest.raises(OSError, match="file signature not found"):
        H5MDWriter.append(path, 1)
    assert [one.name for one in tmp_path.iterdir()] == ["run.h5md"]
    JournaledFile(path, fresh=False).close()
    assert path.read_bytes() == b"hello"


@pytest.mark.parametrize("kept", [1, 4, 7])
def test_append_cuts_later_frames(run: Path, random_state: Callable[..., State], kept: int) -> None:
    with H5MDReader(run) as reader:
        old = [reader[k] for k in range(7)]
    system = replace(old[0].system, positions=old[0].system.positions + 1.0)
    new = [State(system, 99.0 + k, 1000 + k, old[0].evaluation) for k in range(2)]
    with H5MDWriter.append(run, kept) as writer:
        assert writer.n_written == kept
        for state in new:
            writer.write(state)
    with H5MDReader(run) as reader:
        for k, state in enumerate([*old[:kept], *new]):
            assert_same(reader[k], state, system.masses)
        assert len(reader) == kept + 2
    with h5py.File(run) as file:
        lengths = []
        for group in (GROUP, f"{GROUP}/box", OBSERVABLES):
            lengths += [e["value"].shape[0] for e in file[group].values() if "value" in e]
        assert set(lengths) == {kept + 2}
        assert len(lengths) == 10


def test_what_a_file_says_of_its_run_stays(
    record: Callable[..., Path], random_state: Callable[..., State]
) -> None:
    run = record([random_state(np.random.default_rng(0))], provenance={"command": "first"})
    with H5MDWriter.append(run, 1, {"command": "second", "resumed": "third"}) as writer:
        writer.record({"command": "fourth"})
    with H5MDReader(run) as reader:
        assert reader.provenance == {"command": "first", "resumed": "third"}


def test_only_flushed_frames_count(tmp_path: Path, random_state: Callable[..., State]) -> None:
    """A copy of the file after a flush, while the writer still has it open, is what a kill would
    leave."""
    state = random_state(np.random.default_rng(1), 2)
    path, copy = tmp_path / "run.h5md", tmp_path / "killed.h5md"
    writer = H5MDWriter(path, state.system)
    for n_flushed, n_waiting in ((3, 0), (3, 2), (8, 0), (8, 1)):
        while writer.n_written + len(writer._pending) < n_flushed + n_waiting:
            writer.write(replace(state, step=writer.n_written))
        if not n_waiting:
            assert writer.flush() == n_flushed
        assert writer.n_written == n_flushed
        shutil.copy(path, copy)
        with H5MDReader(copy) as reader:
            assert len(reader) == n_flushed
            assert_same(
                reader[n_flushed - 1],
                replace(state, step=reader[n_flushed - 1].step),
                state.system.masses,
            )
    writer.close()
    with H5MDReader(path) as reader:
        assert len(reader) == 9


def test_ctrl_c_waits_for_the_end_of_closing(
    tmp_path: Path, random_state: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, write = random_state(np.random.default_rng(1), 2), JournaledFile.write

    def interrupted(self: JournaledFile, data: Any) -> int:
        monkeypatch.setattr(JournaledFile, "write", write)
        signal.raise_signal(signal.SIGINT)
        return write(self, data)

    # on a slow machine a second may pass, and the frame be flushed before it is closed
    monkeypatch.setattr(
        trajectories.storage.writer, "time", SimpleNamespace(monotonic=lambda: 100.0)
    )
    writer = H5MDWriter(tmp_path / "run.h5md", state.system)
    writer.write(state)
    monkeypatch.setattr(JournaledFile, "write", interrupted)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background process begins without
    try:
        with pytest.raises(KeyboardInterrupt):
            writer.close()
    finally:
        signal.signal(signal.SIGINT, before)
    with H5MDReader(tmp_path / "run.h5md") as reader:
        assert len(reader) == 1


def test_flushes_after_a_second_or_a_full_buffer(
    tmp_path: Path, random_state: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns the loop need not think of it."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(
        trajectories.storage.writer, "time", SimpleNamespace(monotonic=lambda: clock.now)
    )
    state = random_state(np.random.default_rng(1), 2)
    with H5MDWriter(tmp_path / "run.h5md", state.system) as writer:
        written = []
        for now in (100.0, 100.99, 101.01, 101.02):
            clock.now = now
            writer.write(state)
            written.append(writer.n_written)
        assert written == [0, 0, 3, 3]
        # positions, velocities and forces of one frame
        monkeypatch.setattr(
            trajectories.storage.writer, "_BUFFER_BYTES", 2 * 3 * state.system.positions.nbytes
        )
        for expected in (3, 6, 6):
            writer.write(state)
            assert writer.n_written == expected


@pytest.mark.parametrize("copies", [None, 2, 5])
def test_a_cell_that_moves(tmp_path: Path, copies: int | None) -> None:
    """Every frame has its own, however frames are flushed; systems of an ensemble have theirs."""
    stream = np.random.default_rng(0)
    shape = (3, 3) if copies is None else (copies, 3, 3)
    x = np.zeros((4, 3)) if copies is None else np.zeros((copies, 4, 3))
    system = replace(System.create(x), pbc=(True, True, True))
    states = [
        State(replace(system, cell=np.eye(3) * 4 + stream.random(shape)), step=k) for k in range(5)
    ]
    with H5MDWriter(tmp_path / "run.h5md", states[0].system) as writer:
        for k, state in enumerate(states):
            writer.write(state)
            if k == 1:
                writer.flush()
    with H5MDReader(tmp_path / "run.h5md") as reader:
        for k, state in enumerate(states):
            np.testing.assert_array_equal(reader[k].system.cell, state.system.cell)
