"""Unwrapping: each atom followed from frame to frame across the faces of a periodic cell, for all
readers.

Image flags and unwrapped coordinates of a file are taken as they are. Otherwise an atom goes to its
image that is nearest to where it was, unless the file is unwrapped already or steps are too long
for that; `steps` judges which.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from systems.cell import complete
from trajectories.foreign.lattice import Lattice, flipped
from trajectories.foreign.steps import Step, Steps

_FLAGS, _UNWRAPPED = ("ix", "iy", "iz"), ("xu", "yu", "zu")  # columns of LAMMPS
_IMAGE, _POSITION = "image", "unwrapped_position"  # of H5MD, and of GPUMD's extended XYZ
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
        self._lattice: Lattice | None = None
        # of the lattice in that of the first frame: a cell that is sheared may be flipped
        self._basis = np.eye(3)

    def __call__(self, positions: np.ndarray, cell: np.ndarray | None, pbc: Any) -> np.ndarray:
        self._frame += 1
        if cell is None or not any(pbc):
            return positions
        before = self._lattice
        if before is None or not np.array_equal(cell, before.cell):
            try:
                self._lattice = Lattice(cell, np.asarray(pbc), before)
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

    def _followed(self, x: np.ndarray, before: Lattice, lattice: Lattice) -> np.ndarray:
        """Each atom at its image nearest to where it was, as the lattice carries it on."""
        carried, images, unwrapped = self._unwrapped, self._images, x
        if lattice is not before:
            flip = flipped(before.vectors, lattice.vectors)
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
        self._steps.add(Step(self._frame, step, rounded, lattice, jumped, images), fractions)
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
