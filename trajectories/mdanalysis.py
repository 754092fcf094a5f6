"""Runs in MDAnalysis: a reader which turns frames into the standard orientation of its boxes, and
`universe`."""

from pathlib import Path
from typing import Any

import MDAnalysis
import numpy as np
from MDAnalysis.coordinates.H5MD import H5MDReader
from MDAnalysis.lib.mdamath import triclinic_box

from systems.orientation import Orientation, compact_basis, standard_orientation, without_images
from systems.units import METAL
from trajectories.storage import h5md as runs
from trajectories.storage.layout import file_units


class Boxes:
    """MDAnalysis' boxes of the frames of a run.

    In directions that are not periodic a box is twice the particles' extent or longer, so that no
    image is met, and no longer than it has to be: MDAnalysis counts distances in the box's single
    precision. Where the run's first cell leans so much that MDAnalysis would miss shortest images,
    boxes are of another basis of the same lattice, the same one in all frames.
    """

    def __init__(self) -> None:
        self._basis: np.ndarray | None = None

    def __call__(
        self, cell: np.ndarray | None, pbc: tuple[bool, bool, bool], positions: np.ndarray
    ) -> tuple[np.ndarray | None, Orientation | None]:
        """The box [6] of a cell [3, 3], and how positions [n, 3] and other vectors are to be
        turned; None where nothing is periodic."""
        if cell is None or not (any(pbc) and cell.any()):
            return None, None
        extent = float(np.ptp(positions, axis=0).max())
        length = 2.0 ** np.ceil(
            np.log2(max(3.5 * extent, 1.0))
        )  # of the diagonal, 3^(1/2) times the extent; the same in most frames
        closed = without_images(cell, pbc, float(length))
        if self._basis is None:
            self._basis = compact_basis(closed)
        found = standard_orientation(self._basis @ closed)
        return triclinic_box(*found.cell), found


class RunReader(H5MDReader):
    """Reader of runs' frames: positions, velocities and forces are turned together with the cell,
    whose lengths and angles the box holds."""

    # a name of its own, so that MDAnalysis goes on with its own reader of other H5MD files
    format = "MCEGNN"

    def __init__(self, filename: str, **options: Any) -> None:
        self._boxes = Boxes()  # MDAnalysis reads the first frame at once
        super().__init__(filename, **options)

    def _read_frame(self, frame: int) -> Any:
        group, box = self._particle_group, None
        self._orientation: Orientation | None = None
        if 0 <= frame < self.n_frames:
            first, second, third = (bool(p) for p in group["box/pbc/value"][frame])
            pbc = (first, second, third)
            box, self._orientation = self._boxes(
                group["box/edges/value"][frame], pbc, group["position/value"][frame]
            )
        ts = super()._read_frame(frame)
        ts.dimensions = box
        return ts

    def _read_dataset_into_ts(self, dataset: str, attribute: np.ndarray) -> None:
        if self._orientation is None:
            super()._read_dataset_into_ts(dataset, attribute)
        else:
            attribute[:] = self._orientation.turn(
                self._particle_group[f"{dataset}/value"][self._frame]
            )


def universe(path: str | Path) -> Any:
    """The run as an MDAnalysis Universe (float32): particles' names, elements, masses and charges;
    an ensemble's systems are its residues.

    Molecular runs have MDAnalysis' units; reduced and astronomical ones keep their own. MDAnalysis
    knows cells by lengths and angles, so positions, velocities and forces are turned into the
    standard orientation together with the cell, frame by frame, where it lies otherwise
    (`systems.orientation`). Where the cell is not periodic in some direction, the box is so long
    there that no image is met; where it leans so much that MDAnalysis would miss shortest images,
    the box is another one of the same lattice.
    """
    with runs.H5MDReader(path) as reader:
        n_systems, n, names = reader.n_systems or 1, reader.n_particles, reader.names
        species, convert, times = reader.species, reader.units is METAL, reader.times
        charges, masses = np.ravel(reader.charges), np.tile(reader.masses, n_systems)
        unit = file_units(reader.units).get("time", (1.0, ""))[0]
    spacing = float(times[1] - times[0]) * unit if len(times) > 1 else 1.0
    residues = np.repeat(np.arange(n_systems), n)
    u = MDAnalysis.Universe.empty(
        n_systems * n, n_systems, atom_resindex=residues, trajectory=False
    )
    u.add_TopologyAttr("masses", masses)
    u.add_TopologyAttr("charges", charges)
    if species.any():
        from ase.data import chemical_symbols

        symbols = [chemical_symbols[k] for k in species]
        for attribute in ("elements", "types"):
            u.add_TopologyAttr(attribute, symbols * n_systems)
        names = names or symbols
    u.add_TopologyAttr("names", (names or [str(k) for k in range(n)]) * n_systems)
    u.add_TopologyAttr("resids", np.arange(1, n_systems + 1))
    u.load_new(str(path), format=RunReader, convert_units=convert, dt=spacing)
    return u
