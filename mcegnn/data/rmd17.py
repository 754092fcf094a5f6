"""Revised MD17 (Christensen and von Lilienfeld 2020): 100,000 frames of each of ten molecules.

They are in kcal/mol and Angstrom. Its authors ask to train on 1,000 of them at most: they come from
one trajectory, so more of them are like those of the test.
"""

import os
from pathlib import Path

import numpy as np

from mcegnn.data.dataset import Dataset
from mcegnn.data.label_targets import Labelled, with_labels

SOURCE = "https://figshare.com/articles/dataset/Revised_MD17_dataset_rMD17_/12672038"
_OWN = ("nuclear_charges", "coords", "energies", "forces")


def molecule_file(name: str) -> Path:
    """Return the file of a molecule in the folders of $MCEGNN_DATA, the archive's own among them.

    Raises FileNotFoundError, with the nearest name, if there is none.
    """
    from mcegnn.names import nearest

    given = os.environ.get("MCEGNN_DATA")
    folders = (
        [Path(given) / part for part in ("rmd17", "rmd17/npz_data", "npz_data", "")]
        if given
        else []
    )
    found = {
        path.stem.removeprefix("rmd17_"): path
        for folder in reversed(folders)
        for path in sorted(folder.glob("*.npz"))
    }
    if name in found:
        return found[name]
    if found:
        raise FileNotFoundError(
            f"there is no molecule {name!r} in {given}; did you mean rmd17:{nearest(name, found)}?"
        )
    where = f"in {given}" if given else "here"
    raise FileNotFoundError(
        f"there is no revised MD17 {where}; fetch it from {SOURCE} and set MCEGNN_DATA to the"
        " folder it is in"
    )


def rmd17(path: str | Path) -> Labelled:
    """A molecule of revised MD17, in eV and Angstrom: its own npz (nuclear_charges [n_atoms],
    coords and forces [n, n_atoms, 3], energies [n], in kcal/mol), or one of its first split
    (species, and ``positions_``, ``energies_`` and ``forces_`` of train and of test).

    If index_train_01.csv and index_test_01.csv lie beside the former, or in a folder ``splits``
    there or one up, they give training and test structures. Raises FileNotFoundError if there is no
    file, and ValueError if it is damaged or its arrays are others.
    """
    path = Path(path)
    arrays = _arrays(path)
    if "species" in arrays and "positions_train" in arrays:
        keys = [
            ("species", f"positions_{part}", f"energies_{part}", f"forces_{part}")
            for part in ("train", "test")
        ]
        return Labelled(_frames(path, arrays, keys[0]), _frames(path, arrays, keys[1]))
    every = _frames(path, arrays, _OWN)
    for folder in (path.parent, path.parent / "splits", path.parent.parent / "splits"):
        indices = [folder / f"index_{part}_01.csv" for part in ("train", "test")]
        if all(index.is_file() for index in indices):
            train, test = (_indices(index, len(every)) for index in indices)
            if np.isin(train, test).any():
                raise ValueError(
                    f"{indices[0]} and {indices[1].name} share frames; fetch both files anew"
                )
            return Labelled(every.take(train), every.take(test))
    return Labelled(every)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The numbers of an npz file by name; objects, which could run code, are not loaded."""
    check_readable(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: array for key, array in file.items() if array.dtype.kind in "iuf"}
    except (
        Exception
    ) as error:  # those of zip, zlib and NumPy, and a plain array, which is no context
        raise ValueError(
            f"{path} is damaged, or no npz file of numbers ({type(error).__name__}); fetch it anew"
            f" from {SOURCE}"
        ) from None


def _frames(path: Path, arrays: dict[str, np.ndarray], keys: tuple[str, ...]) -> Dataset:
    """Structures of the arrays with these keys: species [n_atoms], positions [n, n_atoms, 3],
    energies [n], forces as positions."""
    from ase.units import kcal, mol

    missing = [key for key in keys if key not in arrays]
    if missing:
        there = ", ".join(sorted(arrays)) or "none"
        raise ValueError(
            f"{path} has no numbers {missing[0]}; revised MD17 has {', '.join(keys)}, and the keys"
            f" of this file are {there}"
        )
    species, positions, energies, forces = (arrays[key] for key in keys)
    shape = (*energies.shape[:1], *species.shape[:1], 3)
    for key, expected in zip(keys, (shape[1:2], shape, shape[:1], shape), strict=True):
        if arrays[key].shape != expected or 0 in expected:
            raise ValueError(
                f"{path}: {key} has shape {arrays[key].shape}, not {expected}; fetch the file anew"
                f" from {SOURCE}"
            )
        if not np.isfinite(arrays[key]).all():
            k = int(np.argwhere(~np.isfinite(arrays[key]))[0, 0])
            raise ValueError(f"{path}: {key} are not finite at index {k}; take out what is there")
    if not (np.isin(species, range(1, 119))).all():
        raise ValueError(
            f"{path}: {keys[0]} are atomic numbers, from 1 to 118, not {species.min()} to"
            f" {species.max()}"
        )
    x, e, f = (part.astype(float) for part in (positions, energies, forces))
    n, n_atoms = x.shape[:2]
    return with_labels(
        Dataset(np.arange(n + 1) * n_atoms, np.tile(species.astype(np.int64), n), x.reshape(-1, 3)),
        energy=e * (kcal / mol),
        forces=(f * (kcal / mol)).reshape(-1, 3),
    )


def _indices(path: Path, n: int) -> np.ndarray:
    """Frame numbers in a csv file, int64. Raises ValueError if one is not among n frames or occurs
    twice."""
    try:
        found = np.array(path.read_text().replace(",", " ").split(), dtype=float)
    except ValueError:
        raise ValueError(
            f"{path} is no list of frames' numbers; fetch it anew from {SOURCE}"
        ) from None
    if not np.isin(found, range(n)).all() or len(np.unique(found)) != len(found) or not len(found):
        raise ValueError(
            f"{path} must name some of the frames 0 to {n - 1}, each once; fetch it anew, or take"
            " it away"
        )
    return found.astype(np.int64)


def check_readable(path: Path) -> None:
    """Raise FileNotFoundError, ValueError or OSError if the file cannot be read."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file of structures in it")
    open(path, "rb").close()  # a file that may not be read says so itself
