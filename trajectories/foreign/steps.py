"""Statistics of steps from one frame to the next: whether the nearest image follows the atoms, or
the file is unwrapped.

In a file whose atoms, or molecules, are put back into the cell, positions stay in a window one cell
wide, whatever was put back whole, and a jump across the cell leaves a step like all others once a
lattice vector is taken off. In one that is unwrapped, atoms spread without bound, and what looks
like a jump is a step of more than half a cell.
"""

from dataclasses import dataclass

import numpy as np

from trajectories.foreign.lattice import Lattice

# of a cell, rms of a component with which one normal step in 10,000 is longer than half a cell
_WIDTH = 0.1285
# of a cell; steps of more, up to half, look the same as those of half to 0.54 in the other
# direction
_NEAR = 0.46
_FEW = 5  # such steps tell nothing yet
_LONG = 0.3  # of a cell: what is left of a jump in the median, where jumps are really long steps
_ATOMS, _LOOKS = 2000, 64  # atoms and frames that are looked at
# squared cells of displacement that tell spreading from a window, and the part not put back
_SPREAD, _GROWS = 0.4, 0.65
_OUTSIDE = 0.05  # of coordinates, more than at the start, that are outside of a window


class _Parts:
    """How many parts of steps, in terms of half the way to an image, are so near to it that they
    might belong to the other side."""

    def __init__(self) -> None:
        self._n = self._n_near = 0
        self._sums = np.zeros(0)

    def add(self, parts: np.ndarray) -> None:
        """Take parts [n, directions], each up to half."""
        self._sums = np.einsum("ni,ni->i", parts, parts) + (self._sums if self._n else 0.0)
        self._n += len(parts)
        self._n_near += int(np.count_nonzero(abs(parts) > _NEAR))

    @property
    def are_short(self) -> bool:
        """Whether they are like normal ones of which one in 10,000 at most is beyond half."""
        if not self._n:
            return True
        widths = np.sqrt(self._sums / self._n)
        allowed = self._n * float(_near(widths * (_WIDTH / max(widths.max(), 1e-9))).sum())
        return bool(
            self._n_near <= _FEW + 2.0 * allowed
            and widths.max() <= _WIDTH * (1.0 + np.sqrt(2.0 / self._n))
        )

    @property
    def end(self) -> bool:
        """Whether none are near half, of which many would be if they were normal: then none are
        beyond it."""
        if not self._n:
            return False
        expected = self._n * float(_near(np.sqrt(self._sums / self._n)).sum())
        return expected > _FEW and self._n_near < 0.02 * expected


@dataclass(frozen=True, eq=False)
class Step:
    """A frame's steps as they are followed [n, 3], and the numbers of the atoms that jumped across
    the cell.

    ``rounded`` are fractions of `Steps.some` steps, which rounding leaves, ``images`` [n, 3] the
    cells that atoms are away from where the file has them, in the basis of the first frame.
    """

    frame: int
    followed: np.ndarray
    rounded: np.ndarray
    lattice: Lattice
    jumped: np.ndarray
    images: np.ndarray


class Steps:
    """Statistics of steps, gathered frame by frame in fractions of a reduced cell."""

    def __init__(self, n_frames: int) -> None:
        self._every = max(1, n_frames // _LOOKS)
        self._to_images, self._fractions = _Parts(), _Parts()
        self._square, self._count = 0.0, 0
        self._residuals: list[float] = []
        # mean squared, of positions as they are and of followed ones
        self._displacements: list[tuple[float, float]] = []
        self._outside: list[float] = []
        self.largest = self.largest_share = 0.0
        self.least_height = np.inf
        self.jumps = 0  #: across the cell, as positions are in the file
        self.first_jump = (0, 0)  #: frame and atom

    def start(self, fractions: np.ndarray, pbc: np.ndarray) -> None:
        """Take the first frame, in parts of its cell."""
        self.some = slice(None, None, max(1, len(fractions) // _ATOMS))
        self._pbc = np.flatnonzero(pbc)
        self._first = fractions[self.some][:, self._pbc]
        self._outside.append(_outside(self._first))

    def looks(self, frame: int) -> bool:
        """Whether `add` needs the fractions of this frame."""
        return frame % self._every == 0

    def add(self, step: Step, fractions: np.ndarray | None) -> None:
        """Take a frame, with its positions in fractions of the lattice [n, 3] in the basis of the
        first frame where `looks` asks for them."""
        ways = (step.lattice.offsets / (step.lattice.offsets**2).sum(1)[:, None]).T
        self._to_images.add(step.followed[self.some] @ ways)
        self._fractions.add(step.rounded[:, self._pbc])
        squares = np.einsum("ni,ni->n", step.followed, step.followed)
        self._square += float(squares.sum())
        self._count += len(squares)
        longest, least = float(squares.max()) ** 0.5, step.lattice.least_height
        self.largest = max(self.largest, longest)
        self.largest_share = max(self.largest_share, longest / least)
        self.least_height = min(self.least_height, least)
        if len(step.jumped):
            left = (step.followed[step.jumped] @ ways).max(1)
            if not self.jumps:
                self.first_jump = (step.frame, int(step.jumped[left.argmin()]))
            self.jumps += len(step.jumped)
            self._residuals += left[: _ATOMS // 10].tolist()
        if fractions is not None:
            raw = fractions[self.some][:, self._pbc]
            gone = raw - self._first
            followed = gone - step.images[self.some][:, self._pbc]
            self._displacements.append((float((gone**2).mean()), float((followed**2).mean())))
            self._outside.append(_outside(raw))

    @property
    def rms(self) -> float:
        """Root mean square step, Angstrom."""
        return float(np.sqrt(self._square / max(1, self._count)))

    @property
    def can_be_followed(self) -> bool:
        """Whether fewer than one step in 10,000 is likely to be nearer to a wrong image than to the
        right one."""
        return self._to_images.are_short or self._fractions.end

    @property
    def only_by_fractions(self) -> bool:
        """Whether fractions of a cell stay below half where its images come too near."""
        return self._fractions.end and not self._to_images.are_short

    @property
    def unwrapped(self) -> bool:
        """Whether what looks like jumps across the cell are steps of atoms that nothing puts
        back."""
        if not self.jumps or self.returns or self.bounded:
            return False
        if self._spread[1] > _SPREAD:
            return True
        later = float(np.mean(self._outside[len(self._outside) // 2 :]))
        noise = 3.0 * np.sqrt(later * (1.0 - later) / self._first.size)
        return later > self._outside[0] + _OUTSIDE + noise

    @property
    def returns(self) -> bool:
        """Whether atoms are put back: steps are short, and jumps leave steps that are short too."""
        return (
            bool(self.jumps) and self.can_be_followed and bool(np.median(self._residuals) < _LONG)
        )

    @property
    def bounded(self) -> bool:
        """Whether atoms stay in a window while they would have left it if the nearest image were
        right."""
        raw, followed = self._spread
        return followed > _SPREAD and raw <= _GROWS * followed

    @property
    def _spread(self) -> tuple[float, float]:
        """Mean squared displacements in the later half, of positions as they are and of followed
        ones."""
        later = self._displacements[len(self._displacements) // 2 :]
        raw, followed = np.mean(later, axis=0) if later else (0.0, 0.0)
        return float(raw), float(followed)


def _near(widths: np.ndarray) -> np.ndarray:
    """Share of normal steps of these widths that are within 0.04 of half a cell."""
    from scipy.special import ndtr

    widths = np.maximum(widths, 1e-3)
    return 2.0 * np.asarray(ndtr(-_NEAR / widths) - ndtr((_NEAR - 1.0) / widths))


def _outside(fractions: np.ndarray) -> float:
    """Share of coordinates outside of the window one cell wide, in each direction, that holds
    most."""
    found = 0
    for column in np.sort(fractions, axis=0).T:
        found += len(column) - int(
            (np.searchsorted(column, column + 1.0 + 1e-6, "right") - np.arange(len(column))).max()
        )
    return found / fractions.size
