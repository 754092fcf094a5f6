"""Batches of systems of any sizes by torch: the numbers of each by itself, however edges are
found."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from mcegnn.models import batches
from mcegnn.models.potential import ConservativePotential
from systems.sources.atoms import from_atoms
from systems.system import System

pytestmark = pytest.mark.filterwarnings("ignore::systems.neighbors.nearest.NearPairWarning")
MOLECULES = ("H2O", "CH3CH2OH", "CH4", "H", "C6H6")


def model(**options: Any) -> ConservativePotential:
    torch.manual_seed(0)
    return ConservativePotential(
        [1, 6, 8], 12, [3, 2], 2, cutoff=4.0, periodic=True, nearest=np.full((3, 3), 1.0), **options
    ).double()


def molecules(seed: int = 0) -> list[System]:
    rng = np.random.default_rng(seed)
    found = []
    for name in MOLECULES:
        atoms = molecule(name)
        atoms.rattle(0.05, rng=rng)
        found.append(from_atoms(atoms))
    return found


def crystals() -> list[System]:
    """Of carbon: cells that lean, atoms that are their own neighbours, slabs, and atoms that lie
    outside of their cell."""
    diamond, rng = bulk("C", "diamond", 3.57), np.random.default_rng(1)
    cubic = bulk("C", "diamond", 3.57, cubic=True)
    cubic.rattle(0.05, rng=rng)
    slab = cubic.copy()
    slab.pbc = (True, True, False)
    far = replace(from_atoms(cubic), positions=cubic.positions + 2 * np.array(cubic.cell)[0])
    return [from_atoms(diamond), from_atoms(cubic), from_atoms(slab), far]


def assert_same(found: Any, wanted: Any) -> None:
    for name in ("energy", "forces", "stress", "energies", "closest"):
        a, b = getattr(found, name), getattr(wanted, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("method", [None, "dense", "numba"])
def test_molecules_together_are_each_by_itself(method: Any) -> None:
    """The compiled potential is the other."""
    potential, systems = model(), molecules()
    together = potential.evaluate_batch(systems, method=method)
    assert len(together) == len(systems)
    for found, system in zip(together, systems, strict=True):
        assert_same(found, potential(system))


def test_crystals_and_molecules_together() -> None:
    potential, systems = model(), [*crystals(), *molecules()]
    for found, system in zip(potential.evaluate_batch(systems), systems, strict=True):
        assert_same(found, potential(system))


def test_graphs_have_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    potential, systems = model(), [*molecules(0), *molecules(1)]
    whole = potential.evaluate_batch(systems)
    monkeypatch.setattr(batches, "_TOGETHER", 10)
    for found, wanted in zip(potential.evaluate_batch(systems), whole, strict=True):
        assert_same(found, wanted)
    assert potential.evaluate_batch([]) == []


def test_an_ensemble_is_a_batch() -> None:
    system = molecules()[1]
    shifts = np.random.default_rng(2).normal(0, 0.05, (4, *system.positions.shape))
    copies = replace(
        system,
        positions=system.positions + shifts,
        momenta=np.zeros_like(shifts),
        charges=np.zeros(shifts.shape[:-1]),
    )
    potential = model()
    assert_same(potential.differentiated(copies), potential(copies))


def test_what_a_method_cannot_do_is_said() -> None:
    with pytest.raises(ValueError, match="dense knows no periodic images"):
        model().evaluate_batch(crystals(), method="dense")
