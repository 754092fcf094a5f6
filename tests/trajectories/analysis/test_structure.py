"""Radial distributions, bonds and angles against plain twins fed the same numbers, and laws."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule

from integrators.state import State
from systems.cell import minimum_image, wrap
from systems.system import System
from systems.units import METAL, REDUCED
from trajectories.analysis import angles, bonds, radial_distribution, structure
from trajectories.analysis.bonding import bond_curves
from trajectories.analysis.structure import furthest, radial_distributions
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]
TRICLINIC = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.0, 1.5, 10.0]])


def plain_rdf(
    x: np.ndarray, a: np.ndarray, b: np.ndarray, cell: np.ndarray, reach: float, n_bins: int
) -> np.ndarray:
    """Pairs in shells over the number an ideal gas has there, frame by frame; in float64."""
    volume = abs(np.linalg.det(cell))
    edges = np.linspace(0.0, reach, n_bins + 1)
    counts = np.zeros(n_bins)
    for frame in x:
        d = minimum_image(frame[b][None] - frame[a][:, None], cell)
        r = np.linalg.norm(d, axis=-1)[a[:, None] != b[None]]
        counts += np.histogram(r, edges)[0]
    pairs = len(a) * len(b) - len(np.intersect1d(a, b))
    return counts / (len(x) * pairs / volume * 4 / 3 * np.pi * np.diff(edges**3))


@pytest.mark.parametrize("cell", [9.0 * np.eye(3), TRICLINIC], ids=["cubic", "triclinic"])
def test_radial_distribution(written: Written, cell: np.ndarray) -> None:
    """Of all with themselves and of one kind with another; what lies outside of the cell counts as
    its image."""
    stream = np.random.default_rng(5)
    x = stream.uniform(-1.0, 2.0, (6, 40, 3)) @ cell
    path = written(x, species=np.repeat([18, 10], 20), masses=20.0, cell=cell)
    everything, argon, neon = np.arange(40), np.arange(20), np.arange(20, 40)
    with H5MDReader(path) as run:
        reach = furthest(run)
        assert reach <= 4.5
        for a, b in ((everything, everything), (argon, neon)):
            bins, g = radial_distribution(run, a, b, reach=reach, n_bins=50)
            np.testing.assert_allclose(bins, (np.arange(50) + 0.5) * reach / 50, rtol=1e-12)
            np.testing.assert_allclose(
                g, plain_rdf(x, a, b, cell, reach, 50), rtol=1e-10, atol=1e-12
            )
        half = radial_distribution(
            run, argon, neon, reach=reach, n_bins=50, frames=slice(None, None, 2)
        )[1]
        np.testing.assert_allclose(
            half, plain_rdf(x[::2], argon, neon, cell, reach, 50), rtol=1e-10, atol=1e-12
        )


def test_an_ensemble_is_the_mean_of_its_systems(written: Written) -> None:
    cell = 9.0 * np.eye(3)
    x = np.random.default_rng(2).uniform(0, 9, (3, 4, 15, 3))
    path = written(x, species=18, masses=40.0, cell=cell)
    group = np.arange(15)
    with H5MDReader(path) as run:
        _, g = radial_distribution(run, group, group, reach=4.0, n_bins=20)
    each = [plain_rdf(x[:, s], group, group, cell, 4.0, 20) for s in range(4)]
    np.testing.assert_allclose(g, np.mean(each, 0), rtol=1e-10, atol=1e-12)


def test_without_a_box_neighbours_are_counted(written: Written) -> None:
    """Two at a distance of 1.5: one neighbour each, whose density is all in one bin."""
    x = np.zeros((4, 2, 3))
    x[:, 1, 0] = 1.52
    path = written(x, species=[6, 8], masses=[12.0, 16.0])
    with H5MDReader(path) as run:
        (curves, coordination), _, every = radial_distributions(run)
        assert every == 1
        with pytest.raises(
            ValueError,
            match="takes a box that is periodic in all directions, which the run has not",
        ):
            furthest(run)
    g = curves.values["C-O"]
    assert coordination.values["C-O"][-1] == coordination.values["O-C"][-1] == 1.0
    assert np.count_nonzero(g) == 1
    assert g.sum() * (curves.x[1] - curves.x[0]) == pytest.approx(1.0)
    assert abs(curves.x[g.argmax()] - 1.52) < curves.x[1] - curves.x[0]


def test_single_precision_decides_no_bin(written: Written) -> None:
    """A distance that is a millionth of a millionth below or above the edge of a bin is on its side
    of it, far from the origin too."""
    edges, k = np.linspace(0.0, 4.0, 51), 17
    x = np.zeros((2, 2, 3)) + 3.0
    x[:, 1, 2] += edges[k] + np.array([-1e-12, 1e-12])
    with H5MDReader(written(x, species=[6, 8], masses=1.0, cell=9.0 * np.eye(3))) as run:
        for frame, filled in ((0, k - 1), (1, k)):
            _, g = radial_distribution(
                run, [0], [1], reach=4.0, n_bins=50, frames=slice(frame, frame + 1)
            )
            assert np.flatnonzero(g).tolist() == [filled]


def test_bonds_and_angles_of_ethanol(written: Written) -> None:
    atoms = molecule("CH3CH2OH")
    path = written(
        np.repeat(atoms.positions[None], 3, 0), species=atoms.numbers, masses=atoms.get_masses()
    )
    with H5MDReader(path) as run:
        pairs = bonds(run)
        names = sorted("-".join(sorted(atoms[int(k)].symbol for k in pair)) for pair in pairs.pairs)
        assert names == ["C-C", *["C-H"] * 5, "C-O", "H-O"]
        triples = angles(pairs)
        assert len(triples) == 6 + 6 + 1  # of four bonds at each carbon, and of two at the oxygen
        lengths, bends = bond_curves(run)
    assert lengths.x[lengths.values["C-O"].argmax()] == pytest.approx(
        atoms.get_distance(1, 2), abs=0.01
    )
    assert bends.x[bends.values["C-C-O"].argmax()] == pytest.approx(
        atoms.get_angle(0, 1, 2), abs=0.5
    )
    for curves in (lengths, bends):
        for values in curves.values.values():
            assert values.sum() * (curves.x[1] - curves.x[0]) == pytest.approx(1.0)


def test_metals_and_noble_gases_have_no_bonds(written: Written) -> None:
    for symbol in ("Ar", "Mo"):
        atoms = bulk(symbol, cubic=True) * 2
        path = written(
            atoms.positions[None],
            species=atoms.numbers,
            masses=atoms.get_masses(),
            cell=atoms.cell[:],
            name=f"{symbol}.h5md",
        )
        with H5MDReader(path) as run:
            assert len(bonds(run)) == 0
            assert bond_curves(run) == []


@pytest.mark.parametrize("files", [("PSF", "DCD"), ("GRO", "XTC"), ("TPR", "TRR")])
def test_mdanalysis_own_trajectories(tmp_path: Path, files: tuple[str, str]) -> None:
    """What is imported is what MDAnalysis shows, and g(r) is what it gives for the files
    themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import MDAnalysis
        from MDAnalysis.analysis.rdf import InterRDF
        from MDAnalysisTests import datafiles

        from trajectories.foreign import import_trajectory

        topology, trajectory = (getattr(datafiles, name) for name in files)
        u = MDAnalysis.Universe(topology, trajectory)
        import_trajectory(trajectory, tmp_path / "run.h5md", topology)
        with H5MDReader(tmp_path / "run.h5md") as run:
            assert (len(run), run.n_particles) == (len(u.trajectory), len(u.atoms))
            known = u.atoms.masses > 0  # not that of a water model's fourth place
            np.testing.assert_allclose(run.masses[known], u.atoms.masses[known])
            assert run.has_velocities == (files[1] == "TRR")
            np.testing.assert_allclose(
                run.charges, getattr(u.atoms, "charges", np.zeros(len(u.atoms)))
            )
            chosen = u.select_atoms("name CA").indices
            ca = u.atoms[chosen]
            for k in (0, len(run) - 1):
                u.trajectory[k]
                x = run.frames("position", k)[chosen]
                if u.dimensions is None:
                    np.testing.assert_array_equal(x.astype(np.float32), ca.positions)
                else:  # followed across the faces of the box: whole images apart
                    moves = (x - ca.positions) @ np.linalg.inv(u.trajectory.ts.triclinic_dimensions)
                    np.testing.assert_allclose(moves, np.round(moves), atol=2e-4)
                    np.testing.assert_allclose(
                        run.cells[k], u.trajectory.ts.triclinic_dimensions, atol=1e-4
                    )
            norm = "none" if u.dimensions is None else "rdf"
            expected = (
                InterRDF(ca, ca, nbins=75, range=(0.0, 15.0), norm=norm, exclusion_block=(1, 1))
                .run()
                .results
            )
            bins, g = radial_distribution(run, chosen, chosen, reach=15.0, n_bins=75)
        scale = 1.0 if norm == "rdf" else len(ca) * 0.2
        np.testing.assert_allclose(bins, expected.bins)
        # positions a box apart have other digits in float32, and a pair may fall into the next bin
        assert abs(g * scale - expected.rdf).sum() < 1e-3 * expected.rdf.sum()


def test_neighbours_are_those_of_one_of_the_first(written: Written) -> None:
    """An oxygen has two hydrogens beside it, a hydrogen one oxygen."""
    x = np.array([[[1.5, 0, 0], [0, 1.5, 0], [0, 0, 0]]])
    with H5MDReader(written(x, species=[1, 1, 8], masses=1.0)) as run:
        for first, second, beside in (([0, 1], [2], 1.0), ([2], [0, 1], 2.0)):
            bins, g = radial_distribution(run, first, second, reach=3.0)
            assert g.sum() * (bins[1] - bins[0]) == pytest.approx(beside)


def test_half_of_a_box_but_ten_angstrom(written: Written) -> None:
    x = np.ones((1, 2, 3)).cumsum(1)
    for units, most in ((METAL, 10.0), (REDUCED, 15.0)):
        with H5MDReader(
            written(x, cell=30.0 * np.eye(3), units=units, name=f"{units.name}.h5md")
        ) as run:
            assert furthest(run) == pytest.approx(most)


def test_molecules_across_the_faces_of_a_cell_that_changes(
    written: Written, record: Callable[..., Path]
) -> None:
    """Folded into its box, with its atoms the other way round, a molecule has the lengths and
    angles that it has in free space."""
    atoms = molecule("CH3CH2OH")
    x = atoms.positions - atoms.positions[0]
    states = []
    for k, side in enumerate((9.0, 11.0)):
        cell = side * np.eye(3)
        system = System.create(wrap(x[::-1], cell), species=atoms.numbers[::-1], units=METAL)
        states.append(State(replace(system, cell=cell, pbc=(True,) * 3), float(k), k))
    assert np.ptp(states[0].system.positions, axis=0).max() > 7.0
    with (
        H5MDReader(record(states, name="folded.h5md")) as folded,
        H5MDReader(written(x[None], species=atoms.numbers, masses=1.0)) as free,
    ):
        pairs = zip(bond_curves(folded), bond_curves(free), strict=True)
    for one, other in pairs:
        assert set(one.values) == set(other.values)
        for name, values in one.values.items():
            means = [
                (c.x * density).sum() * (c.x[1] - c.x[0])
                for c, density in ((one, values), (other, other.values[name]))
            ]
            assert means[0] == pytest.approx(means[1], abs=one.x[1] - one.x[0])


def test_how_many_frames_are_looked_at(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the second half of forty frames ten."""
    monkeypatch.setattr(structure, "_LOOKS", 10)
    x = np.random.default_rng(0).uniform(0, 9, (40, 6, 3))
    with H5MDReader(
        written(x, species=[1, 1, 1, 8, 8, 8], masses=1.0, cell=9.0 * np.eye(3))
    ) as run:
        assert radial_distributions(run)[2] == 2
