"""The layout of H5MD files, read with bare h5py, and what other programs make of them: MDAnalysis
and ZnH5MD."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from integrators.state import State
from systems.system import System
from systems.units import ASTRONOMICAL, METAL
from trajectories.mdanalysis import universe
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

ELEMENTS = ("position", "velocity", "force", "species", "mass", "charge")


@pytest.fixture(params=["charged ensemble", "planets"])
def run(
    request: pytest.FixtureRequest, make_case: Callable[[str], Any], record: Callable[..., Path]
) -> Path:
    """An ensemble in reduced units and a single system, with names, in astronomical ones: six
    frames, written in two goes."""
    case = make_case(request.param)
    names = [f"body {k}" for k in range(11)] if request.param == "planets" else []
    states = list(rollout(case.flow, case.state, case.dt, 50, 10))
    path = record(states[:2], names=names, n_frames=6)
    with H5MDWriter.append(path, 2) as writer:
        for state in states[2:]:
            writer.write(state)
    return path


@pytest.fixture
def file(run: Path) -> Iterator[h5py.File]:
    with h5py.File(run) as opened:
        yield opened


def every_group(file: h5py.File) -> list[h5py.Group]:
    """Every time-dependent element of the file."""
    trajectory = file["particles/trajectory"]
    groups = [group for name, group in trajectory.items() if name != "box"]
    return [
        *groups,
        trajectory["box/edges"],
        trajectory["box/pbc"],
        *file["observables/trajectory"].values(),
    ]


def test_groups(file: h5py.File) -> None:
    """ZnH5MD reads the one particle group there is, and wants every child of it to be a group with
    a value."""
    assert set(file) == {"h5md", "particles", "observables", "parameters"}
    assert list(file["h5md"].attrs["version"]) == [1, 1]
    assert file["h5md/creator"].attrs["name"] == "mcegnn"
    assert "name" in file["h5md/author"].attrs
    assert list(file["particles"]) == ["trajectory"]
    assert set(file["particles/trajectory"]) == {*ELEMENTS, "box"}
    assert set(file["observables/trajectory"]) == {"potential_energy", "kinetic_energy"}
    assert all(set(group) == {"value", "step", "time"} for group in every_group(file))


def test_shapes(run: Path, file: h5py.File) -> None:
    with H5MDReader(run) as reader:
        flat, n_systems = (reader.n_systems or 1) * reader.n_particles, reader.n_systems
    trajectory = file["particles/trajectory"]
    for name in ("position", "velocity", "force"):
        assert trajectory[f"{name}/value"].shape == (6, flat, 3)
        assert trajectory[f"{name}/value"].dtype == np.float64
    for name in ("species", "mass", "charge"):
        assert trajectory[f"{name}/value"].shape == (6, flat)
        np.testing.assert_array_equal(
            trajectory[f"{name}/value"][0], trajectory[f"{name}/value"][-1]
        )
    for group in file["observables/trajectory"].values():
        assert group["value"].shape == ((6,) if n_systems is None else (6, n_systems))


def test_kinetic_energy_is_that_of_the_velocities(run: Path, file: h5py.File) -> None:
    """Kinetic energy by its definition from the file's own masses and velocities; an ensemble's
    particle axis runs over systems first."""
    with H5MDReader(run) as reader:
        n_systems = reader.n_systems
    trajectory, observables = file["particles/trajectory"], file["observables/trajectory"]
    v, m = trajectory["velocity/value"][()], trajectory["mass/value"][()]
    each = (0.5 * m[..., None] * v**2).sum(-1).reshape(6, n_systems or 1, -1).sum(-1)
    # sums of 3 n positive terms with three roundings each
    np.testing.assert_allclose(
        observables["kinetic_energy/value"][()].reshape(each.shape),
        each,
        rtol=40 * np.finfo(float).eps,
    )


def test_step_and_time_are_one_explicit_dataset(file: h5py.File) -> None:
    for name in ("step", "time"):
        datasets = [group[name] for group in every_group(file)]
        assert all(dataset.shape == (6,) for dataset in datasets)
        # hard links to one object have one address
        assert len({h5py.h5o.get_info(dataset.id).addr for dataset in datasets}) == 1
        assert all(
            isinstance(group.get(name, getlink=True), h5py.HardLink) for group in every_group(file)
        )
    assert list(file["particles/trajectory/position/step"]) == [0, 10, 20, 30, 40, 50]


def test_box(file: h5py.File) -> None:
    box = file["particles/trajectory/box"]
    assert box.attrs["dimension"] == 3
    assert list(box.attrs["boundary"]) == ["none"] * 3
    np.testing.assert_array_equal(box["edges/value"][()], np.zeros((6, 3, 3)))
    assert box["pbc/value"].dtype == bool
    assert not box["pbc/value"][()].any()


def test_box_of_a_periodic_system(
    record: Callable[..., Path], random_state: Callable[..., State]
) -> None:
    cell = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.1, -0.7, 5.0]])
    path = record(
        [random_state(np.random.default_rng(0), units=METAL, cell=cell, pbc=(True, False, True))]
        * 2
    )
    with h5py.File(path) as file:
        box = file["particles/trajectory/box"]
        assert list(box.attrs["boundary"]) == ["periodic", "none", "periodic"]
        np.testing.assert_array_equal(box["edges/value"][()], [cell, cell])
        np.testing.assert_array_equal(box["pbc/value"][()], [[True, False, True]] * 2)


def test_units_stand_under_parameters_alone(run: Path, file: h5py.File) -> None:
    """MDAnalysis refuses a unit that it does not know, so no dataset carries one."""
    attributes: list[str] = []
    file.visititems(
        lambda name, item: attributes.extend(item.attrs) if isinstance(item, h5py.Dataset) else None
    )
    assert "unit" not in attributes
    stored = dict(file["parameters/units"].attrs)
    if stored["name"] == "astronomical":
        assert stored == {
            k: getattr(ASTRONOMICAL, k) for k in ("name", "length", "time", "mass", "energy")
        }
    else:
        assert stored == {"name": "reduced", "length": "", "time": "", "mass": "", "energy": ""}
        assert file["parameters/n_systems"][()] == 3


@pytest.mark.parametrize("n", [1, 5, 50, 80, 125, 170, 3000])
@pytest.mark.parametrize("n_frames", [1, 2, 1000])
def test_chunks_are_whole_frames_of_at_least_4_kilobytes(
    tmp_path: Path, n: int, n_frames: int
) -> None:
    system = System.create(np.random.default_rng(0).normal(size=(n, 3)))
    with H5MDWriter(tmp_path / "run.h5md", system, n_frames=n_frames) as writer:
        writer.write(State(system))
    with h5py.File(tmp_path / "run.h5md") as file:
        for name in ("position", "velocity"):
            dataset = file[f"particles/trajectory/{name}/value"]
            assert dataset.chunks[1:] == dataset.shape[1:]
            assert np.prod(dataset.chunks) * dataset.dtype.itemsize >= 4000


def test_mdanalysis_reads_the_same_numbers(run: Path) -> None:
    """All frames and times, positions, velocities and forces to float32, names, masses, charges;
    systems are residues."""
    with H5MDReader(run) as reader:
        u = universe(run)
        shape = (len(reader), -1, 3)
        assert u.trajectory.n_frames == len(reader) == 6
        assert [ts.time for ts in u.trajectory] == list(reader.times)
        assert [ts.data["step"] for ts in u.trajectory] == list(reader.steps)
        for element, name in (
            ("position", "positions"),
            ("velocity", "velocities"),
            ("force", "forces"),
        ):
            # float32 is the nearest one to the file's float64: no conversion and nothing in between
            read = [getattr(ts, name).copy() for ts in u.trajectory]
            np.testing.assert_array_equal(
                read, reader.frames(element).reshape(shape).astype(np.float32)
            )
        copies = reader.n_systems or 1
        np.testing.assert_array_equal(u.atoms.masses, np.tile(reader.masses, copies))
        np.testing.assert_array_equal(u.atoms.charges, reader[0].system.charges.ravel())
        assert list(u.atoms.names) == (reader.names or [str(k) for k in range(5)]) * copies
        assert [len(residue.atoms) for residue in u.residues] == [reader.n_particles] * copies
        assert list(u.atoms.resindices) == sorted(u.atoms.resindices)


def test_mdanalysis_opens_a_molecular_run(
    record: Callable[..., Path], random_state: Callable[..., State]
) -> None:
    """Lengths of molecular runs are Angstrom in both; times and velocities come in MDAnalysis'
    picoseconds."""
    state = random_state(np.random.default_rng(5), units=METAL)
    u = universe(record([state, replace(state, time=2.0, step=1)]))
    np.testing.assert_allclose(u.atoms.positions, state.system.positions, rtol=1e-6)
    picosecond = 1e-12 / (METAL.seconds or 1.0)
    assert u.trajectory[1].time == pytest.approx(2.0 / picosecond, rel=1e-9)
    np.testing.assert_allclose(
        u.trajectory.ts.velocities, state.system.velocities * picosecond, rtol=1e-6
    )


def test_a_file_of_any_name_opens_in_mdanalysis(
    record: Callable[..., Path], make_case: Callable[[str], Any]
) -> None:
    case = make_case("charged ensemble")
    assert universe(record([case.state], name="run.h5")).trajectory.n_frames == 1


def test_znh5md_reads_the_same_positions(run: Path) -> None:
    import znh5md

    frames = znh5md.IO(run)[:]
    with H5MDReader(run) as reader:
        np.testing.assert_array_equal(
            [atoms.positions for atoms in frames], reader.frames("position").reshape(6, -1, 3)
        )
        np.testing.assert_array_equal(
            frames[-1].get_masses(), np.tile(reader.masses, reader.n_systems or 1)
        )
        assert not any(frames[0].pbc)
