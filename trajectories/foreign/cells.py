"""Orientation of cells in files that MDAnalysis reads: it gives lengths and angles alone, while
positions stay in the file's frame."""

from collections.abc import Callable
from typing import Any

import numpy as np

from trajectories.foreign.dcd_cells import Matrix, dcd_cells

_STANDARD = (
    "DATA",
    "LAMMPSDUMP",
    "GSD",
)  # formats that hold no cells but those in standard orientation
_DCD = ("DCD", "LAMMPS")  # whose cells are not always what MDAnalysis takes them for
_PDB = "PDB"
# Angstrom, between a cell's matrix and the one of its lengths and angles in single precision
_AGREE = 1e-3


class Cells:
    """The cell [3, 3] of each frame of a universe, in MDAnalysis' unit of length, as it lies in the
    file.

    Where the file holds lattice vectors, they are taken from there. Where it holds lengths and
    angles the cell is taken to be in standard orientation, which ``assumed`` says in words; it is
    "" where nothing had to be assumed.
    """

    def __init__(self, trajectory: Any) -> None:
        first = trajectory.ts
        self.assumed: str = ""
        self._matrix: Matrix | None = None
        names = trajectory.format  # one, or the list of those that the reader goes by
        name = names if isinstance(names, str) else _PDB if _PDB in names else names[-1]
        if (
            name == _PDB
        ):  # MDAnalysis gives a model the cell that stands before the next one, or none
            self._matrix = _pdb(trajectory)
            first = trajectory.ts.copy()
            first.dimensions = _dimensions(self._matrix(0))
        if first.dimensions is None:
            return
        if name in _DCD:
            self._matrix, self.assumed = dcd_cells(trajectory)
            return
        told, standard = _READERS.get(name), np.asarray(first.triclinic_dimensions, dtype=float)
        if told is None:
            if name not in _STANDARD and (np.asarray(first.dimensions)[3:] != 90.0).any():
                self.assumed = (
                    f"{name} files hold a cell's lengths and angles and not how it lies: its first"
                    " vector was taken to lie along x, and its second in the xy plane"
                )
            return
        matrix = told(trajectory)
        # of the many files in standard orientation no frame is read twice
        if not np.allclose(
            matrix(0), standard, rtol=0, atol=max(_AGREE, 1e-5 * abs(standard).max())
        ):
            self._matrix = matrix

    def periodic(self, ts: Any) -> bool:
        """Whether the current frame has a cell."""
        if self._matrix is not None:
            return bool(self._matrix(ts.frame).any())
        return ts.dimensions is not None and bool(np.all(ts.dimensions[:3] > 0))

    def __call__(self, ts: Any) -> np.ndarray:
        """Cell of the current frame."""
        return (
            np.asarray(ts.triclinic_dimensions, dtype=float)
            if self._matrix is None
            else self._matrix(ts.frame)
        )


def _gromacs(trajectory: Any) -> Matrix:
    """XTC and TRR: nanometres."""
    from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

    file = {"XTC": XTCFile, "TRR": TRRFile}[trajectory.format](str(trajectory.filename))

    def matrix(k: int) -> np.ndarray:
        if k != file.tell():  # else offsets need not be looked for
            file.seek(k)
        return 10.0 * np.asarray(file.read().box, dtype=float)

    return matrix


def _lines(trajectory: Any) -> list[str]:
    from MDAnalysis.lib.util import openany

    with openany(str(trajectory.filename)) as file:
        return list(file.read().splitlines())


def _gro(trajectory: Any) -> Matrix:
    """The last line holds the diagonal, then xy, xz, yx, yz, zx, zy, in nanometres."""
    lines = _lines(trajectory)
    numbers = [float(word) for word in lines[2 + int(lines[1])].split()]
    x, y, z, xy, xz, yx, yz, zx, zy = numbers if len(numbers) == 9 else numbers + 6 * [0.0]
    cell = 10.0 * np.array([[x, xy, xz], [yx, y, yz], [zx, zy, z]])
    return lambda k: cell


def _h5md(trajectory: Any) -> Matrix:
    """A matrix, or the lengths of a cuboid, in the unit that the reader converts."""
    group = trajectory._particle_group["box/edges"]

    def matrix(k: int) -> np.ndarray:
        data = group["value"] if hasattr(group, "keys") else group
        edges = np.asarray(
            data[k] if data.shape[0] == trajectory.n_frames and data.ndim > 1 else data, dtype=float
        )
        cell = np.diag(edges) if edges.ndim == 1 else edges
        return np.asarray(
            trajectory.convert_pos_from_native(cell, inplace=False)
            if trajectory.convert_units
            else cell
        )

    return matrix


def _dimensions(cell: np.ndarray) -> np.ndarray | None:
    from MDAnalysis.lib.mdamath import triclinic_box

    return triclinic_box(*cell) if cell.any() else None


def _pdb(trajectory: Any) -> Matrix:
    """Of each model the last CRYST1 before its first atom; lengths of 1 Angstrom stand for no
    cell."""
    from MDAnalysis.lib.mdamath import triclinic_vectors

    cells, now, inside = [], np.zeros((3, 3)), False
    for line in _lines(trajectory):
        record = line[:6].strip()
        if record == "CRYST1":
            sizes = [float(line[k : k + 9]) for k in (6, 15, 24)] + [
                float(line[k : k + 7]) for k in (33, 40, 47)
            ]
            now = (
                np.zeros((3, 3))
                if sizes[:3] == [1.0, 1.0, 1.0]
                else triclinic_vectors(sizes).astype(float)
            )
        elif record in ("ATOM", "HETATM") and not inside:
            cells.append(now)
            inside = True
        elif record in ("MODEL", "ENDMDL", "END"):
            inside = False
    return lambda k: cells[min(k, len(cells) - 1)]


def _aims(trajectory: Any) -> Matrix:
    """Lines "lattice_vector x y z", in Angstrom."""
    lines = _lines(trajectory)
    rows = [line.split()[1:4] for line in lines if line.split()[:1] == ["lattice_vector"]]
    cell = np.array(rows, dtype=float)
    return lambda k: cell


_READERS: dict[str, Callable[[Any], Matrix]] = {
    "XTC": _gromacs,
    "TRR": _gromacs,
    "GRO": _gro,
    "H5MD": _h5md,
    "FHIAIMS": _aims,
}
