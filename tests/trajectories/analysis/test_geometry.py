"""g(r), coordination numbers, bonds, angles and MDAnalysis' boxes on random systems in cells of
every kind; the small inputs."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import MDAnalysis  # noqa: F401  # on its first import it changes the filters of warnings
import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list

from integrators.state import State
from systems.sources.atoms import from_atoms
from systems.system import System
from systems.units import METAL
from trajectories.analysis import analyse, angles, bonds
from trajectories.analysis.bonding import bond_curves, measured
from trajectories.analysis.structure import radial_distributions
from trajectories.foreign import import_trajectory
from trajectories.storage.h5md import H5MDReader

Record = Callable[..., Path]


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The comparison with ASE and brute force, which the benchmark makes of 500 systems."""
    folder = Path(__file__).parents[2] / "benchmarks"
    names = ("record", "random_systems", "bench_geometry")
    for name in names:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    yield module
    for name in names:
        del sys.modules[name]


@pytest.mark.filterwarnings("ignore:DCDReader currently makes:DeprecationWarning")
@pytest.mark.parametrize("seed", range(30))
def test_random_systems(bench: ModuleType, tmp_path: Path, seed: int) -> None:
    """Ten kinds of cells: equal pair counts in every bin, equal coordination numbers, bonds,
    lengths, angles, MDAnalysis' distances."""
    found = bench.compared(bench.sample(1000 + seed, 40 if seed % 4 else 120), tmp_path, seed)
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("name", "neighbors", "peak"),
    [
        ("fcc_primitive_4.xyz", 18.0, 2.55),
        ("permuted_axes.xyz", 18.0, 2.55),
        ("fcc_primitive_6.xyz", 18.0, 2.55),
        ("hexagonal.pdb", 12.0, 3.19),
    ],
)
def test_cells_that_lie_in_other_ways(
    cases: Path, tmp_path: Path, name: str, neighbors: float, peak: float
) -> None:
    """Copper and magnesium up to 4.168 Angstrom, by ASE's list on the same frame."""
    import_trajectory(cases / name, tmp_path / "run.h5md")
    with H5MDReader(tmp_path / "run.h5md") as run:
        found, state = analyse(run), run[0].system
        assert not [note for note in found.notes if "radial" in note]
    rdf, running = found.curve("rdf"), found.curve("coordination")
    (g,), (n,) = rdf.values.values(), running.values.values()
    assert np.interp(4.168, running.x, n) == pytest.approx(neighbors, abs=0.03)
    assert rdf.x[np.flatnonzero(g)[0] :][g[np.flatnonzero(g)[0] :][:40].argmax()] == pytest.approx(
        peak, abs=0.06
    )
    lengths = neighbor_list("d", _atoms(state), 4.168)
    assert len(lengths) / state.n_particles == pytest.approx(neighbors, abs=0.03)
    (number,) = [number for number in found.numbers if number.key.startswith("coordination_")]
    assert number.value == pytest.approx(12.0, abs=0.01)
    assert "the first minimum of g(r)" in number.note


def _atoms(system: System) -> object:
    from systems.sources.atoms import to_atoms

    return to_atoms(system)


def test_coordination_of_a_salt(record: Record) -> None:
    """Each ion has six of the other kind, and twelve of its own behind them; half as many of A
    around B where A are half as many."""
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 3
    salt.rattle(0.08, seed=1)
    with H5MDReader(record([State(from_atoms(salt))])) as run:
        _, numbers, _ = radial_distributions(run)
    found = {number.key: number for number in numbers}
    assert set(found) == {f"coordination_{pair}" for pair in ("Na-Na", "Na-Cl", "Cl-Na", "Cl-Cl")}
    assert found["coordination_Na-Cl"].value == found["coordination_Cl-Na"].value == 6.0
    assert found["coordination_Na-Na"].value == found["coordination_Cl-Cl"].value == 12.0
    assert "within 3." in found["coordination_Na-Cl"].note
    fluorite = bulk("CaF2", "fluorite", a=5.46, cubic=True) * 3
    fluorite.rattle(0.05, seed=1)
    with H5MDReader(record([State(from_atoms(fluorite))], name="fluorite.h5md")) as run:
        found = {number.key: number for number in radial_distributions(run)[1]}
    assert (found["coordination_Ca-F"].value, found["coordination_F-Ca"].value) == (8.0, 4.0)


def test_a_gas_has_no_first_minimum(record: Record) -> None:
    """Neither noise nor an end of the distribution is one; the running number is the density times
    the volume."""
    stream = np.random.default_rng(0)
    system = System.create(np.zeros((200, 3)), species=18, masses=40.0, units=METAL)
    system = replace(system, cell=20.0 * np.eye(3), pbc=(True,) * 3)
    states = [
        State(replace(system, positions=stream.uniform(0, 20, (200, 3))), float(k), k)
        for k in range(20)
    ]
    with H5MDReader(record(states)) as run:
        (_, running), numbers, _ = radial_distributions(run)
    assert not numbers
    (n,) = running.values.values()
    np.testing.assert_allclose(
        n[50:], 199 / 8000 * 4.0 / 3.0 * np.pi * running.x[50:] ** 3, rtol=0.05
    )


@pytest.mark.parametrize(("n", "step"), [(60, 0.0), (60, 0.4), (200, 0.3), (20, 5.0)])
def test_no_gas_has_a_first_minimum_however_slow(record: Record, n: int, step: float) -> None:
    """Pairs that stay near each other for many frames are no evidence; 40 gases each."""
    for seed in range(40):
        stream = np.random.default_rng(seed)
        system = System.create(np.zeros((n, 3)), species=18, masses=40.0, units=METAL)
        system = replace(system, cell=12.0 * np.eye(3), pbc=(True,) * 3)
        x = stream.uniform(0, 12, (n, 3)) + np.cumsum(step * stream.normal(size=(20, n, 3)), 0)
        states = [State(replace(system, positions=one), float(k), k) for k, one in enumerate(x)]
        with H5MDReader(record(states, name=f"gas{seed}.h5md")) as run:
            assert not radial_distributions(run)[1], seed


def test_what_vibrates_about_a_face_is_seen_once(record: Record) -> None:
    """Atoms that are wrapped jump across the cell and have not moved: the structure of each of 20
    gases is seen once."""
    for seed in range(20):
        stream = np.random.default_rng(seed)
        system = System.create(np.zeros((60, 3)), species=18, masses=40.0, units=METAL)
        system = replace(system, cell=12.0 * np.eye(3), pbc=(True,) * 3)
        x = (stream.uniform(0, 12, (60, 3)) + 0.03 * stream.normal(size=(20, 60, 3))) % 12.0
        states = [State(replace(system, positions=one), float(k), k) for k, one in enumerate(x)]
        with H5MDReader(record(states, name=f"wrapped{seed}.h5md")) as run:
            assert not radial_distributions(run)[1], seed


def test_a_crystal_and_a_liquid_have_twelve_neighbours(record: Record) -> None:
    """A rattled fcc crystal, and a Lennard-Jones liquid at its triple point made by Metropolis'
    rule."""
    copper = bulk("Cu", "fcc", a=3.61, cubic=True) * 4
    copper.rattle(0.1, seed=3)
    with H5MDReader(record([State(from_atoms(copper))])) as run:
        (number,) = radial_distributions(run)[1]
    assert number.value == pytest.approx(12.0, abs=0.05)
    with H5MDReader(record(_liquid(), name="liquid.h5md")) as run:
        (number,) = radial_distributions(run)[1]
    assert 11.5 < number.value < 13.5
    assert float(number.note.split()[2]) == pytest.approx(1.55 * 3.4, abs=0.3)


def _liquid() -> list[State]:
    """256 argon atoms at rho* = 0.844, T* = 0.72, moved one by one; the last ten of 60 sweeps'
    states, five sweeps apart."""
    stream, n, sigma = np.random.default_rng(5), 256, 3.4
    side = (n / 0.844) ** (1 / 3)
    grid = np.stack(np.meshgrid(*3 * [np.arange(4)]), -1).reshape(-1, 1, 3)
    x = (
        (grid + np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])).reshape(-1, 3)
        / 4
        + 0.02
    ) * side

    def energy(k: int, at: np.ndarray) -> float:
        d = np.delete(x, k, 0) - at
        six = 1.0 / np.maximum(((d - side * np.rint(d / side)) ** 2).sum(1), 0.3) ** 3
        return float(4.0 * (six**2 - six)[six > 2.5**-6].sum())

    states = []
    system = replace(
        System.create(x, species=18, masses=40.0, units=METAL),
        cell=sigma * side * np.eye(3),
        pbc=(True,) * 3,
    )
    for sweep in range(180):
        hot = 3.0 if sweep < 60 else 0.72  # melt first
        for k in range(n):
            new = x[k] + stream.uniform(-0.11, 0.11, 3)
            if stream.random() < np.exp(min(0.0, (energy(k, x[k]) - energy(k, new)) / hot)):
                x[k] = new
        if sweep >= 120 and sweep % 5 == 0:
            states.append(
                State(replace(system, positions=sigma * x), float(len(states)), len(states))
            )
    return states


def test_diamond_in_its_primitive_cell(record: Record) -> None:
    """Two atoms with four bonds between them, to four images, and six angles at each of 109.47
    degrees."""
    atoms = bulk("C", "diamond", a=3.57)
    with H5MDReader(record([State(from_atoms(atoms), float(k), k) for k in range(3)])) as run:
        between = bonds(run)
        lengths, bends = measured(run, between)
        assert [curves.key for curves in bond_curves(run)] == ["bonds", "angles"]
    assert len(between) == 4
    assert angles(between).tolist() == [[1, 0, 1]] * 6 + [[0, 1, 0]] * 6
    np.testing.assert_allclose(lengths, 3.57 * 3**0.5 / 4)
    np.testing.assert_allclose(np.degrees(bends), np.degrees(np.arccos(-1 / 3)))


def flat(record: Record) -> Path:
    """Three frames, of which the second has a cell without volume."""
    stream, states = np.random.default_rng(0), []
    for k in range(3):
        cell = 9.0 * np.eye(3)
        cell[2] = cell[1] if k == 1 else cell[2]
        system = System.create(
            stream.uniform(0, 9, (8, 3)), velocities=0.01, species=18, masses=40.0, units=METAL
        )
        states.append(State(replace(system, cell=cell, pbc=(True,) * 3), float(k), k))
    return record(states, name="flat.h5md")


def test_a_cell_without_volume_is_named(record: Record) -> None:
    """What needs no cell is there all the same."""
    with H5MDReader(flat(record)) as run:
        found = analyse(run)
    assert "no radial distribution: the cell has no volume in frame 1" in found.notes
    assert "no bonds and angles: the cell has no volume in frame 1" in found.notes
    assert found.number("temperature").value == pytest.approx(0.0, abs=1e-9)


def test_a_periodic_direction_without_a_vector_is_named(record: Record) -> None:
    """It has no volume either; a direction that is not periodic needs no vector."""
    system = System.create(
        np.random.default_rng(0).uniform(0, 9, (8, 3)), species=18, masses=40.0, units=METAL
    )
    notes = {}
    for pbc in ((True, True, True), (True, True, False)):
        slab = State(replace(system, cell=np.diag([9.0, 9.0, 0.0]), pbc=pbc))
        with H5MDReader(record([slab], name=f"{sum(pbc)}.h5md")) as run:
            notes[sum(pbc)] = [
                note for note in analyse(run).notes if "has no volume in frame 0" in note
            ]
    assert (len(notes[3]), notes[2]) == (2, [])
