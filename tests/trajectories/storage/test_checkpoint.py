"""Checkpoints: everything comes back exactly, there is always a whole one, and what is none is
refused in one sentence."""

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from integrators.kepler import DemocraticHeliocentric
from integrators.random import Random
from integrators.state import Coordinates, State
from systems.system import System
from systems.units import ASTRONOMICAL, METAL, REDUCED
from trajectories.storage import checkpoint
from trajectories.storage.checkpoint import Checkpoint
from trajectories.storage.tensor_file import read_tensors, write_tensors

ARRAYS = ("positions", "momenta", "masses", "species", "charges", "cell")


def assert_same_system(a: System, b: System) -> None:
    """Equal to the bit, in shape and in kind of number."""
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_array_equal(x, y, strict=True)
    assert (a.pbc, a.units) == (b.pbc, b.units)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_systems=st.one_of(st.none(), st.integers(1, 3)),
    n=st.integers(1, 5),
    time=st.floats(allow_nan=False, allow_infinity=False),
    step=st.integers(0, 2**60),
    n_frames=st.integers(0, 2**40),
    units=st.sampled_from([REDUCED, METAL, ASTRONOMICAL]),
    pbc=st.tuples(*[st.booleans()] * 3),
    inside=st.booleans(),
    configuration=st.dictionaries(
        st.text(),
        st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.booleans())),
    ),
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(
    tmp_path: Path,
    random_state: Callable[..., State],
    seed: int,
    n_systems: int | None,
    n: int,
    time: float,
    step: int,
    n_frames: int,
    units: Any,
    pbc: Any,
    inside: bool,
    configuration: dict[str, Any],
) -> None:
    stream = np.random.default_rng(seed)
    cell = stream.normal(size=(3, 3)) if any(pbc) else None
    state = random_state(
        stream, n_systems, n, time=time, step=step, units=units, pbc=pbc, cell=cell
    )
    if inside:
        other = replace(
            state.system, positions=state.system.positions * 3, momenta=state.system.momenta - 1
        )
        state = replace(
            state,
            coordinates=Coordinates(DemocraticHeliocentric(seed % n), other, state.system),
            origin=time / 3,
        )
    if seed % 2:
        state = replace(
            state,
            random=Random(2**64 - 1 - seed, step),
            thermostat=stream.normal(size=(2, 3)),
            barostat=stream.normal(size=9),
        )
    checkpoint.save(tmp_path / "run.h5md", Checkpoint(state, n_frames, configuration))
    back = checkpoint.load(tmp_path / "run.h5md")
    assert_same_system(back.state.system, state.system)
    assert back.state.random == state.random
    for name in ("thermostat", "barostat"):
        np.testing.assert_array_equal(getattr(back.state, name), getattr(state, name))
    assert back.state.origin == state.origin
    assert (back.state.coordinates is None) == (state.coordinates is None)
    if back.state.coordinates is not None and state.coordinates is not None:
        assert_same_system(back.state.coordinates.system, state.coordinates.system)
        assert back.state.coordinates.chart == state.coordinates.chart
    assert (back.state.time, back.state.step, back.n_frames, back.configuration) == (
        time,
        step,
        n_frames,
        configuration,
    )


@pytest.mark.parametrize("value", [-0.0, 5e-324, 1.7976931348623157e308, np.nextafter(1.0, 2.0)])
def test_numbers_at_the_edge_of_float64(
    tmp_path: Path, random_state: Callable[..., State], value: float
) -> None:
    state = random_state(np.random.default_rng(0), time=value)
    state.system.positions[1, 2] = value
    checkpoint.save(tmp_path / "run", Checkpoint(state, 1, {}))
    back = checkpoint.load(tmp_path / "run").state
    assert back.system.positions.tobytes() == state.system.positions.tobytes()
    assert np.float64(back.time).tobytes() == np.float64(value).tobytes()


@pytest.fixture
def saved(tmp_path: Path, random_state: Callable[..., State]) -> Path:
    """A run's path with a checkpoint beside it."""
    run = tmp_path / "run.h5md"
    checkpoint.save(
        run,
        Checkpoint(
            random_state(np.random.default_rng(0), step=40, time=0.04), 5, {"system": "charged"}
        ),
    )
    return run


def rewrite(run: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """The checkpoint with its tensors and header changed in place by ``change``; its checksum is
    that of what it holds."""
    path = checkpoint.path_of(run)
    header, tensors = read_tensors(path)
    change(tensors, header)
    write_tensors(path, header, tensors)


def assert_refused(run: Path) -> None:
    """One sentence with the checkpoint's name, whatever is wrong inside."""
    with pytest.raises(ValueError, match="is not a checkpoint of ours, or a damaged one") as caught:
        checkpoint.load(run)
    assert str(checkpoint.path_of(run)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lies_beside_the_run(saved: Path) -> None:
    assert checkpoint.path_of(saved) == saved.with_name("run.h5md.checkpoint")
    assert sorted(path.name for path in saved.parent.iterdir()) == ["run.h5md.checkpoint"]


def test_refuses_a_run_without_checkpoint(saved: Path) -> None:
    other = saved.with_name("other.h5md")
    with pytest.raises(FileNotFoundError, match="has no checkpoint") as caught:
        checkpoint.load(other)
    assert str(other) in str(caught.value)


class Trap:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))

    def __init__(self, path: Path) -> None:
        self.path = path


def test_refuses_a_pickle_and_never_runs_it(saved: Path) -> None:
    sprung = saved.with_name("sprung")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        checkpoint.path_of(saved).write_bytes(pickle.dumps(Trap(sprung), protocol))
        assert_refused(saved)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"hello\n", bytes(range(256)) * 8, b"\xff" * 8 + b"{}", b"\2" + bytes(7) + b"{}"],
)
def test_refuses_what_is_no_checkpoint(saved: Path, content: bytes) -> None:
    checkpoint.path_of(saved).write_bytes(content)
    assert_refused(saved)


@given(share=st.floats(0.0, 1.0, exclude_max=True))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_refuses_the_front_part_of_one(saved: Path, share: float) -> None:
    path = checkpoint.path_of(saved)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert_refused(saved)
    path.write_bytes(whole)
    checkpoint.load(saved)


def test_refuses_foreign_tensors(saved: Path) -> None:
    for metadata in (
        None,
        {"format": "pt"},
        {"mcegnn": "not json"},
        {"mcegnn": "[]"},
        {"mcegnn": "{}"},
    ):
        save_file({"weight": np.ones((2, 2))}, checkpoint.path_of(saved), metadata)
        assert_refused(saved)


@pytest.mark.parametrize("name", ["positions", "momenta", "masses", "species", "charges"])
def test_refuses_a_lost_array(saved: Path, name: str) -> None:
    rewrite(saved, lambda tensors, header: tensors.pop(f"system.{name}"))
    assert_refused(saved)


@pytest.mark.parametrize("name", ["positions", "momenta", "masses", "species", "charges"])
def test_refuses_arrays_that_do_not_fit(saved: Path, name: str) -> None:
    rewrite(saved, lambda tensors, header: tensors.update({f"system.{name}": np.ones((3, 2, 5))}))
    assert_refused(saved)


@pytest.mark.parametrize("name", ["positions", "momenta", "masses", "charges"])
def test_refuses_arrays_of_less_precision(saved: Path, name: str) -> None:
    rewrite(
        saved,
        lambda tensors, header: tensors.update(
            {f"system.{name}": tensors[f"system.{name}"].astype(np.float32)}
        ),
    )
    assert_refused(saved)


@pytest.mark.parametrize(
    "key", ["time", "step", "units", "pbc", "n_frames", "configuration", "format", "origin", "star"]
)
def test_refuses_a_lost_entry(saved: Path, key: str) -> None:
    rewrite(saved, lambda tensors, header: header.pop(key))
    assert_refused(saved)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", "x"),
        ("time", None),
        ("step", "x"),
        ("step", -1),
        ("step", 1.5),
        ("units", "furlongs"),
        ("units", []),
        ("pbc", 3),
        ("pbc", [True]),
        ("n_frames", "x"),
        ("n_frames", -1),
        ("n_frames", None),
        ("configuration", 3),
        ("format", 3),
        ("origin", "x"),
        ("star", "x"),
        ("star", 0),
    ],
)
def test_refuses_an_entry_of_the_wrong_kind(saved: Path, key: str, value: Any) -> None:
    rewrite(saved, lambda tensors, header: header.update({key: value}))
    assert_refused(saved)


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_crash_while_writing_leaves_the_old_one(
    saved: Path, random_state: Callable[..., State], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def crash(*_: Any) -> None:
        raise SystemExit("killed")

    before = checkpoint.path_of(saved).read_bytes()
    new = Checkpoint(random_state(np.random.default_rng(1), step=80), 9, {})
    with monkeypatch.context() as patch:
        patch.setattr(os, broken, crash)
        with pytest.raises(SystemExit):
            checkpoint.save(saved, new)
    assert checkpoint.path_of(saved).read_bytes() == before
    # what the crash left behind is in nobody's way
    checkpoint.save(saved, new)
    assert checkpoint.load(saved).state.step == 80
    assert sorted(path.name for path in saved.parent.iterdir()) == ["run.h5md.checkpoint"]


def test_is_on_disk_before_it_gets_its_name(
    saved: Path, random_state: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    sizes: list[int] = []

    def fsync(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        done.append("fsync")
        real["fsync"](descriptor)

    def rename(*paths: Any) -> None:
        done.append("replace")
        real["replace"](*paths)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    checkpoint.save(saved, Checkpoint(random_state(np.random.default_rng(1)), 9, {}))
    assert done[:2] == ["fsync", "replace"]
    # synced once everything was written, not before
    assert sizes[0] == checkpoint.path_of(saved).stat().st_size
