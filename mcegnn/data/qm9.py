"""QM9 (Ramakrishnan, Dral, Rupp and von Lilienfeld 2014, doi 10.1038/sdata.2014.22), read from the
package qm9pack.

Dataset of up to nine atoms C, N, O, F with their hydrogens, relaxed by B3LYP/6-31G(2df,p). The
package holds 130,831: of the 133,885 of the original data the 3,054 are left out whose geometries
failed the consistency check ("uncharacterized"). The usual split of 100,000 training, 18,000
validation and 13,000 test molecules is of the same 130,831, so one of its parts has 169 fewer.
Reading takes some four seconds, so nothing is stored. The package's own module is not imported: it
needs pkg_resources, which setuptools no longer has.
"""

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.split import Split
from mcegnn.data.target import Target

if TYPE_CHECKING:
    from mcegnn.tasks.property import MoleculeOptions

FILES = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
N_TRAIN, N_VALIDATION, N_TEST = 10_000, 2_000, 5_000
PROPERTIES = {
    "U0": "InternalEnergy_0K_au",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "gap": "HOMO_LUMO_gap_au",
}  #: columns, in Hartree
EXTENSIVE = ("U0",)  #: these grow with the molecule
#: U0 of free atoms, Hartree, published with the data (doi 10.6084/m9.figshare.1057643)
FREE_ATOMS = {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730}
_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}


def load(options: "MoleculeOptions") -> Split:
    """As `qm9`, with its numbers where the options have none."""
    return qm9(
        options.n_train or N_TRAIN,
        options.n_validation or N_VALIDATION,
        options.n_test or N_TEST,
        options.seed,
    )


def qm9(
    n_train: int = N_TRAIN, n_validation: int = N_VALIDATION, n_test: int = N_TEST, seed: int = 0
) -> Split:
    """Dataset of QM9 with their ``PROPERTIES`` in eV, cut at random as `places` says.

    Raises RuntimeError if the package is missing or its files are not the expected ones, and
    ValueError if there are too few molecules.
    """
    rows = [row for name in FILES for row in _rows(folder() / name)]
    cut = places(len(rows), n_train, n_validation, n_test, seed)
    train, validation, test = (_molecules([rows[k] for k in part]) for part in cut)
    return Split(train, validation, test, len(rows))


def places(
    n: int, n_train: int, n_validation: int, n_test: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of n molecules train, validate and test: by one permutation (Philox of ``seed``), its
    first, those before its last, its last.

    With one seed, more training molecules are those of fewer and others, and so it is with those of
    the test, which do not depend on the other numbers. Raises ValueError if a number is below one
    or there are too few molecules.
    """
    if min(n_train, n_validation, n_test) < 1:
        raise ValueError(
            f"give at least one molecule to train on, to validate on and to test on, not {n_train},"
            f" {n_validation}, {n_test}"
        )
    if n_train + n_validation + n_test > n:
        wanted = (
            f"{n_train:,} molecules to train on, {n_validation:,} to validate on and {n_test:,} to"
            " test on"
        )
        raise ValueError(f"{wanted} are more than the {n:,} there are; ask for fewer")
    if seed < 0:
        raise ValueError(f"the seed must not be negative, not {seed}")
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    return order[:n_train], order[n - n_test - n_validation : n - n_test], order[n - n_test :]


def folder() -> Path:
    """Folder of the package's files. Raises RuntimeError, with how to install it, if it is
    missing."""
    found = find_spec("qm9pack")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(
            "the extra 'qm9' is not installed; install it with: pip install 'mcegnn[qm9]'"
        )
    return Path(found.submodule_search_locations[0]) / "data"


def _rows(path: Path) -> list[list[str]]:
    """Elements, positions and properties of each molecule, as texts."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = csv.reader(file)
            head = next(lines)
            columns = [head.index(name) for name in ("Elements", "XYZ_Ang", *PROPERTIES.values())]
            return [[line[column] for column in columns] for line in lines]
    except (OSError, StopIteration, ValueError, IndexError, csv.Error) as error:
        raise RuntimeError(
            f"{path} is not as qm9pack 1.0.3 has it ({error}); install it anew: pip install"
            " qm9pack==1.0.3"
        ) from None


def _molecules(rows: Sequence[Sequence[str]]) -> Dataset:
    """From "['C','H', ...]", "[[x,y,z],[x,y,z], ...]" and numbers in Hartree."""
    from ase.units import Hartree

    elements = [[_NUMBERS[symbol] for symbol in row[0].translate(_BARE).split(",")] for row in rows]
    starts = np.cumsum([0, *map(len, elements)])
    positions = np.fromstring(",".join(row[1].translate(_BARE) for row in rows), sep=",")
    values = np.array([row[2:] for row in rows], dtype=float) * Hartree
    species = np.array([number for molecule in elements for number in molecule])
    columns = zip(PROPERTIES, values.T.copy(), strict=True)
    targets = {name: Target(column, "eV") for name, column in columns}
    return Dataset(starts, species, positions.reshape(-1, 3), targets, noun="molecules")


_BARE = str.maketrans("", "", "[]' ")


def references(train: Dataset, name: str, species: Sequence[int]) -> np.ndarray:
    """What each atom of these species adds to a property, eV [n_species]; zeros where it does not
    grow with the molecule.

    U0 of free atoms, corrected so that their sums come nearest to the molecules' U0 (least
    squares): what is left is an eV or so. Species that the molecules lack are left as free atoms.
    """
    from ase.units import Hartree

    if name not in EXTENSIVE:
        return np.zeros(len(species))
    free = np.array([FREE_ATOMS.get(int(z), 0.0) for z in species]) * Hartree
    counts = train.composition(species).astype(float)
    return free + np.linalg.lstsq(counts, train[name] - counts @ free, rcond=None)[0]
