"""Unwrapping: each atom followed from frame to frame across the faces of a periodic cell, for all
readers.

Image flags and unwrapped coordinates of a file are taken as they are. Otherwise an atom goes to its
image that is nearest to where it was, unless the file is unwrapped already or steps are too long
for that; `steps` judges which.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from systems.cell import complete
from trajectories.foreign.steps import Steps

_FLAGS, _UNWRAPPED = ("ix", "iy", "iz"), ("xu", "yu", "zu")  # columns of LAMMPS
_IMAGE, _POSITION = "image", "unwrapped_position"  # of H5MD, and of GPUMD's extended XYZ
_STRAIN = 0.05  # after which the shortest basis is looked for again
_WHOLE = 0.02  # of a cell, by which columns of a file may differ from a whole number of cells
NEAREST, FRACTIONS, AS_IS = "nearest image", "nearest image in fractions of the cell", "as it is"
IMAGE_FLAGS, UNWRAPPED = "image flags of the file", "unwrapped coordinates of the file"
_ADVICE = "delete those columns, and atoms are followed by the nearest image"


class Unwrapper:
    """Positions of one frame after the other with atoms followed; called with positions [n, 3],
    cell [3, 3] or None, pbc.

    ``recorded`` says in words what the positions were unwrapped with already (`IMAGE_FLAGS`,
    `UNWRAPPED`); "" if with nothing. ``how`` is `NEAREST`, or `FRACTIONS`, which rounds fractions
    of the cell, or `AS_IS`, which leaves positions as they are and looks at them all the same;
    ``better`` says at the end how it should have been. Raises ValueError if a cell has no volume,
    and from `check_recorded`.
    """

    def __init__(self, n_frames: int, recorded: str = "", how: str = NEAREST) -> None:
        self._recorded, self._how, self._frame = recorded, how, -1
        self._steps = Steps(n_frames)
        self._unwrapped = self._images = np.zeros((0, 3))  # of the last frame
        self._lattice: _Lattice | None = None
        self._basis = np.eye(
            3
        )  # of the lattice in that of the first frame: a cell that is sheared may be flipped

    def __call__(self, positions: np.ndarray, cell: np.ndarray | None, pbc: Any) -> np.ndarray:
        self._frame += 1
        if cell is None or not any(pbc):
            return positions
        before = self._lattice
        if before is None or not np.array_equal(cell, before.cell):
            try:
                self._lattice = _Lattice(cell, np.asarray(pbc), before)
            except np.linalg.LinAlgError:
                raise ValueError(f"the cell of frame {self._frame} has no volume") from None
        lattice = self._lattice
        assert lattice is not None
        if before is None:
            self._unwrapped, self._images = positions, np.zeros_like(positions)
            self._steps.start(positions @ lattice.inverse, lattice.pbc)
            return positions
        unwrapped = self._followed(positions, before, lattice)
        return positions if self._how == AS_IS else unwrapped

    def _followed(self, x: np.ndarray, before: "_Lattice", lattice: "_Lattice") -> np.ndarray:
        """Each atom at its image nearest to where it was, as the lattice carries it on."""
        carried, images, unwrapped = self._unwrapped, self._images, x
        if lattice is not before:
            flip = _flip(before.vectors, lattice.vectors)
            carried = carried @ (before.inverse @ np.linalg.inv(flip) @ lattice.vectors)
            self._basis = flip @ self._basis
        step = x - carried
        turns = np.rint(step @ lattice.reduced_inverse)
        turns *= lattice.pbc
        rounded = step[self._steps.some] @ lattice.reduced_inverse - turns[self._steps.some]
        jumped = np.zeros(0, dtype=int)
        if self._how != FRACTIONS:
            lattice.to_nearest(step, turns)
        if turns.any() or images.any():
            turns = turns @ lattice.shortest
            unwrapped = x - turns @ lattice.vectors
            step = unwrapped - carried
            turns = turns @ self._basis
            jumped = np.flatnonzero((turns != images).any(1))
            images = turns
        self._unwrapped, self._images = unwrapped, images
        fractions = (x @ lattice.inverse) @ self._basis if self._steps.looks(self._frame) else None
        self._steps.add(
            self._frame,
            step,
            rounded,
            lattice.offsets,
            lattice.least_height,
            jumped,
            fractions,
            images,
        )
        return unwrapped

    @property
    def better(self) -> str:
        """How positions should have been followed, as the whole of them tells."""
        if not self._steps.jumps:
            return self._how
        if self._steps.unwrapped or self._trusts or self.warning:
            return AS_IS
        return FRACTIONS if self._steps.only_by_fractions else NEAREST

    @property
    def _trusts(self) -> bool:
        """Whether the file's own flags or columns tell where atoms are."""
        return bool(self._recorded) and not self._steps.returns and not self._steps.bounded

    @property
    def warning(self) -> str:
        """Why atoms cannot be followed; "" if they can."""
        steps = self._steps
        if (
            self._lattice is None
            or not steps.jumps
            or self._trusts
            or steps.can_be_followed
            or steps.unwrapped
        ):
            return ""
        return (
            f"atoms cannot be followed: the largest step between frames is {steps.largest:.3g} A"
            f" (rms {steps.rms:.3g} A) and the least height of the cell {steps.least_height:.3g} A;"
            " write frames more often, or unwrapped coordinates"
        )

    @property
    def words(self) -> str:
        """What was found, for `Source.assumed`; "" for a single frame."""
        steps = self._steps
        if not self._frame:
            return ""
        if self._lattice is None:
            return "none: the frames have no periodic cell"
        if self._recorded and self._trusts:
            return self._recorded
        if self.warning:
            return "none: atoms cannot be followed"
        if steps.unwrapped:
            return "the file is unwrapped already"
        size = f"largest step {steps.largest_share:.2g} of the least height of the cell"
        return (
            f"{self._how}, {size}"
            if steps.jumps
            else f"none needed: no atom jumps across the cell, {size}"
        )

    def check_recorded(self) -> None:
        """Raise ValueError if an atom jumps by a lattice vector that the file's own flags or
        columns do not explain."""
        if self._recorded and self._steps.returns:
            frame, atom = self._steps.first_jump
            raise ValueError(
                f"the {self._recorded} contradict its positions: atom {atom} jumps across the cell"
                f" between frames {frame - 1} and {frame}, which they do not tell; {_ADVICE}"
            )


class _Lattice:
    """A cell with its shortest basis, and the lattice vectors about the origin, to which a nearest
    image may be off by rounding.

    In a cell that leans far over rounding would be wrong by more than one. Raises LinAlgError if
    there is no volume.
    """

    shortest: np.ndarray
    reduced_as: np.ndarray  # the inverse of the lattice whose shortest basis was looked for

    def __init__(self, cell: np.ndarray, pbc: np.ndarray, before: "_Lattice | None") -> None:
        self.cell, self.pbc = np.array(cell), pbc
        vectors = complete(np.where(pbc[:, None], cell, 0.0))
        if not np.any(cell, axis=1)[pbc].all() or abs(np.linalg.det(vectors)) < 1e-9:
            raise np.linalg.LinAlgError
        self.vectors, self.inverse = vectors, np.linalg.inv(vectors)
        if before is not None and abs(before.reduced_as @ vectors - np.eye(3)).max() < _STRAIN:
            self.shortest, self.reduced_as = before.shortest, before.reduced_as
        else:
            from ase.geometry import minkowski_reduce

            self.shortest = np.asarray(minkowski_reduce(vectors, pbc)[1], dtype=float)
            self.reduced_as = self.inverse
        self.reduced_inverse = np.linalg.inv(self.shortest @ vectors)
        around = np.array(
            list(product(*([0, 1, -1] if periodic else [0] for periodic in pbc))), dtype=float
        )
        self._around = around[1:]
        self.offsets = self._around @ (self.shortest @ vectors)
        self._squares = (self.offsets**2).sum(1)
        self.least_height = float((1.0 / np.linalg.norm(self.reduced_inverse, axis=0))[pbc].min())

    def to_nearest(self, step: np.ndarray, turns: np.ndarray) -> None:
        """Change turns [n, 3], of the shortest basis, so that steps less these are the shortest of
        all images."""
        left = step - turns @ (self.shortest @ self.vectors)
        squares = np.einsum("ni,ni->n", left, left)
        far = np.flatnonzero(
            squares > 0.25 * self._squares.min()
        )  # no shorter image is possible for others
        if len(far):
            gained = 2.0 * left[far] @ self.offsets.T - self._squares
            best = gained.argmax(1)
            better = gained[np.arange(len(far)), best] > 1e-9
            turns[far[better]] += self._around[best[better]]


def _flip(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The basis of the lattice before that is nearest to the one after; LAMMPS flips cells that it
    shears."""
    flip = np.rint(np.linalg.solve(before.T, after.T).T)
    return flip if abs(abs(np.linalg.det(flip)) - 1.0) < 1e-6 else np.eye(3)


def recorded_positions(
    positions: np.ndarray, cell: np.ndarray, columns: Mapping[str, Any]
) -> tuple[np.ndarray, str]:
    """Positions as a file's image flags or unwrapped columns tell them, and which of the two;
    positions and "" if there are none.

    Raises ValueError if the two differ, or differ from the positions by other than whole cells.
    """
    lattice = complete(cell)
    flags, unwrapped = _columns(columns, _FLAGS, _IMAGE), _columns(columns, _UNWRAPPED, _POSITION)
    if unwrapped is not None:
        apart = (unwrapped - positions) @ np.linalg.inv(lattice)
        turns = np.rint(apart - apart[:1]) if flags is None else flags - flags[:1]
        wrong = np.flatnonzero((abs(apart - apart[:1] - turns) > _WHOLE).any(1))
        if len(wrong):
            what = "positions" if flags is None else "image flags"
            raise ValueError(
                f"the unwrapped coordinates contradict the {what} of atom {wrong[0]}; {_ADVICE}"
            )
        return unwrapped, UNWRAPPED
    return (positions, "") if flags is None else (positions + flags @ lattice, IMAGE_FLAGS)


def _columns(
    columns: Mapping[str, Any], names: tuple[str, ...], together: str
) -> np.ndarray | None:
    """Three columns [n, 3], by their names, those that ASE gives them, or one for all three; None
    if one is not there."""
    whole = np.asarray(columns.get(together, ()))
    if whole.ndim == 2 and whole.shape[1] == 3 and whole.dtype.kind in "if":
        return whole.astype(float)
    found = [
        next((columns[p + name] for p in ("", "i_", "f_") if p + name in columns), None)
        for name in names
    ]
    return (
        None
        if any(one is None for one in found)
        else np.column_stack([np.asarray(one, dtype=float) for one in found])
    )
