"""Distances from the shape at the start, against a plain superposition."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from trajectories.analysis import analyse, deviations
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]


def plain(x: np.ndarray, start: np.ndarray, masses: np.ndarray) -> float:
    """The best rotation by SciPy, of positions about their centres of mass."""
    a, b = (one - masses @ one / masses.sum() for one in (x, start))
    turn, _ = Rotation.align_vectors(b, a, weights=masses)
    return float(np.sqrt((masses * ((turn.apply(a) - b) ** 2).sum(-1)).sum() / masses.sum()))


def test_against_a_plain_superposition(written: Written) -> None:
    stream = np.random.default_rng(0)
    atoms = molecule("CH3CH2OH")
    x = (
        atoms.positions
        + 0.2 * stream.normal(size=(12, 2, 9, 3)) * np.linspace(0, 1, 12)[:, None, None, None]
    )
    masses, group = atoms.get_masses(), np.array([0, 1, 2, 5])
    with H5MDReader(written(x, species=atoms.numbers, masses=masses)) as run:
        found = deviations(run, group)
    exact = [
        [plain(x[k, s, group], x[0, s, group], masses[group]) for s in range(2)] for k in range(12)
    ]
    np.testing.assert_allclose(found, exact, atol=1e-6)


def test_to_turn_and_fly_on_changes_no_shape(written: Written) -> None:
    atoms = molecule("CH3CH2OH")
    turns = Rotation.from_rotvec(np.linspace(0, 3, 10)[:, None] * [0.3, 0.5, -0.8])
    x = np.stack([turn.apply(atoms.positions) + k for k, turn in enumerate(turns)])
    x[5, 0] += 0.5
    with H5MDReader(written(x, species=atoms.numbers, masses=atoms.get_masses())) as run:
        curve = analyse(run).curve("rmsd")
        chosen = analyse(run, select="not index 0").curve("rmsd")
    values = curve.values[""]
    assert np.delete(values, 5).max() < 1e-5
    assert values[5] > 0.1
    assert chosen.values[""].max() < 1e-5
    assert curve.said.startswith(f"At most {values[5]:.3g} Angstrom")
    assert (curve.x_axis.unit, curve.y_axis.unit) == ("ps", "Angstrom")


@pytest.mark.parametrize("cell", [None, 9.0 * np.eye(3)])
def test_liquids_have_no_shape(written: Written, cell: np.ndarray | None) -> None:
    x = np.random.default_rng(1).normal(size=(4, 6, 3))
    with H5MDReader(written(x, species=18, masses=40.0, cell=cell)) as run:
        assert any(curves.key == "rmsd" for curves in analyse(run).curves) == (cell is None)
