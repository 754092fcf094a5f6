"""MDAnalysis' reader of our files, which turns frames into the standard orientation that its boxes stand for."""

from typing import Any

import numpy as np
from MDAnalysis.coordinates.H5MD import H5MDReader
from MDAnalysis.lib.mdamath import triclinic_box

from systems.orientation import Orientation, standard_orientation, without_images


def box_of(cell: np.ndarray, pbc: tuple[bool, bool, bool], positions: np.ndarray) -> tuple[np.ndarray | None, Orientation | None]:
    """MDAnalysis' box [6] of a cell [3, 3], and how positions [n, 3] and other vectors are to be turned into it.

    In directions that are not periodic the box is twice the particles' extent or longer, so that no image is met, and no longer than
    it has to be: MDAnalysis counts distances in the box's single precision. There is none where nothing is periodic.
    """
    if not (any(pbc) and cell.any()):
        return None, None
    extent = float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0
    length = 2.0 ** np.ceil(np.log2(max(3.5 * extent, 1.0)))  # of the diagonal, 3^(1/2) times the extent; the same in most frames
    found = standard_orientation(without_images(cell, pbc, float(length)))
    return triclinic_box(*found.cell), found


class RunReader(H5MDReader):  # type: ignore[misc]
    """Frames of our runs: positions, velocities and forces are turned together with the cell, whose lengths and angles the box holds."""

    format = "MCEGNN"  # a name of its own, so that MDAnalysis goes on with its own reader of other H5MD files

    def _read_frame(self, frame: int) -> Any:
        self._orientation: Orientation | None = None
        box = None
        if 0 <= frame < self.n_frames:
            group = self._particle_group
            pbc = tuple(bool(p) for p in group["box/pbc/value"][frame])
            box, self._orientation = box_of(group["box/edges/value"][frame], pbc, group["position/value"][frame])
        ts = super()._read_frame(frame)
        ts.dimensions = box
        return ts

    def _read_dataset_into_ts(self, dataset: str, attribute: np.ndarray) -> None:
        if self._orientation is None:
            super()._read_dataset_into_ts(dataset, attribute)
        else:
            attribute[:] = self._orientation.turn(self._particle_group[f"{dataset}/value"][self._frame])
