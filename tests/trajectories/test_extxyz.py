"""Extended XYZ: whatever is written, ASE reads back to the last digit, or the writer says that it
has left it out."""

import io
import math
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLength
from ase.io.extxyz import read_xyz
from hypothesis import given, settings
from hypothesis import strategies as st

from trajectories.extxyz import ExtendedXYZ

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.booleans()
PLAIN = st.none() | NUMBERS | st.text(max_size=20)
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3)
ARRAYS = st.builds(
    lambda shape, kind, seed: (np.random.default_rng(seed).normal(0.0, 5.0, shape) ** 3).astype(
        kind
    ),
    SHAPES,
    st.sampled_from([float, int, bool]),
    st.integers(0, 99),
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True) | st.text(
    min_size=1, max_size=8
)


def written(atoms: Atoms) -> tuple[Atoms, set[str]]:
    """The atoms as ASE reads them, and what was left out."""
    file = io.StringIO()
    xyz = ExtendedXYZ(file)
    xyz.write(atoms)
    xyz.write(atoms)
    first, second = read_xyz(io.StringIO(file.getvalue()), slice(None))
    assert first == second
    return first, xyz.left_out


def same(read: Any, value: Any) -> bool:
    """Numbers, truth values, texts and None are of their kinds; whether lists are arrays is of no
    account."""
    if isinstance(value, dict):
        return (
            isinstance(read, dict)
            and read.keys() == value.keys()
            and all(same(read[key], value[key]) for key in value)
        )
    if isinstance(value, list | np.ndarray):
        return len(read) == len(value) and all(
            same(one, other) for one, other in zip(read, value, strict=True)
        )
    if isinstance(value, bool | np.bool_):
        return isinstance(read, bool | np.bool_) and bool(read) == bool(value)
    if isinstance(value, int | float | np.number):
        return (
            isinstance(read, int | float | np.number)
            and not isinstance(read, bool)
            and read == value
        )
    return type(read) is type(value) and bool(read == value)


@given(st.dictionaries(NAMES, NESTED | ARRAYS, max_size=5))
@settings(max_examples=300, deadline=None)
def test_info_comes_back(info: dict[str, Any]) -> None:
    atoms = molecule("H2O")
    atoms.info = dict(info)
    read, left_out = written(atoms)
    assert read.info.keys() == info.keys() - left_out
    for key, value in read.info.items():
        assert same(value, info[key]), (key, value, info[key])


@given(
    st.dictionaries(
        st.from_regex(r"my_[a-z]{1,6}", fullmatch=True),
        PLAIN | ARRAYS | st.lists(NUMBERS, min_size=2, max_size=4),
        max_size=4,
    )
)
@settings(max_examples=200, deadline=None)
def test_what_people_keep_is_never_left_out(info: dict[str, Any]) -> None:
    """Texts of any letters, numbers, truth values, arrays; ASE reads a list of one number as that
    number, and mixed lists as floats."""
    atoms = molecule("H2O")
    kinds = {
        key: {type(one) for one in value} if isinstance(value, list) else {int}
        for key, value in info.items()
    }
    atoms.info = {key: value for key, value in info.items() if len(kinds[key]) == 1}
    read, left_out = written(atoms)
    assert left_out == set()
    assert all(same(read.info[key], value) for key, value in atoms.info.items())


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_all_of_the_atoms_comes_back(seed: int) -> None:
    """Every bit of positions, momenta, masses, charges, moments, tags, one's own columns, cell,
    periodicity, frozen atoms, results."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    atoms = Atoms(
        rng.integers(1, 90, n),
        rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-12, 6),
        cell=rng.normal(size=(3, 3)),
    )
    atoms.pbc = rng.integers(0, 2, 3)
    chosen = {
        "momenta": rng.normal(size=(n, 3)),
        "masses": rng.uniform(0.5, 9.0, n),
        "initial_charges": rng.normal(size=n),
        "initial_magmoms": rng.normal(size=(n, 3) if seed % 2 else n),
        "tags": rng.integers(0, 9, n),
        "mine": rng.normal(size=(n, 2)),
        "flags": rng.integers(0, 2, n).astype(bool),
        "counts": rng.integers(-9, 9, (n, 4)),
        "names": np.array([f"a{k}" for k in range(n)]),
    }
    for name in rng.permutation(list(chosen))[: rng.integers(0, len(chosen) + 1)]:
        atoms.set_array(str(name), chosen[str(name)])
    atoms.info = {
        "charge": int(rng.integers(-2, 3)),
        "spin": 2,
        "note": "as it was, 'then'",
        "field": rng.normal(size=3),
    }
    if held := rng.permutation(n)[: rng.integers(0, n + 1)].tolist():
        atoms.set_constraint(FixAtoms(sorted(held)))
    results = {
        "energy": float(rng.normal()),
        "forces": rng.normal(size=(n, 3)),
        "stress": rng.normal(size=6),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    read, left_out = written(atoms)
    assert left_out == set()
    assert read.arrays.keys() == atoms.arrays.keys()
    for name, array in atoms.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(read.cell[:], atoms.cell[:])
    np.testing.assert_array_equal(read.pbc, atoms.pbc)
    assert [list(c.index) for c in read.constraints] == [list(c.index) for c in atoms.constraints]
    assert all(same(read.info[key], value) for key, value in atoms.info.items())
    for name, value in results.items():
        np.testing.assert_array_equal(read.calc.results[name], value, err_msg=name)


def test_what_has_no_place_is_told() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_array("cubes", np.zeros((4, 2, 2)))
    atoms.set_array("two words", np.zeros(4))
    atoms.set_array(
        "forces", np.zeros((4, 3))
    )  # of another calculation: would be read as this one's
    atoms.info = {"energy": 1.0, "REF_energy": 2.0, "object": object(), "pbc": 1, "sound": math.pi}
    atoms.set_constraint(FixBondLength(0, 1))
    read, left_out = written(atoms)
    assert left_out == {
        "cubes",
        "two words",
        "forces",
        "energy",
        "REF_energy",
        "object",
        "pbc",
        "the constraint FixBondLengths",
    }
    assert read.info == {"sound": math.pi}
    assert read.calc is None


@pytest.mark.parametrize("cell", [[0, 0, 0], [3, 0, 0]])
def test_cells_without_volume(cell: Any) -> None:
    read, _ = written(Atoms("H", cell=cell, pbc=(True, False, False)))
    assert list(read.pbc) == [True, False, False]
