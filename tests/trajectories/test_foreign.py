"""Trajectories of other programs: a run holds what their files hold, in our units, and atoms go on
where they leave a box."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from systems.cell import wrap
from systems.units import METAL
from trajectories.foreign import import_trajectory
from trajectories.storage.h5md import H5MDReader


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_atom_that_leaves_through_a_face_goes_on(tmp_path: Path) -> None:
    """Written wrapped by MDAnalysis, with Angstrom and picoseconds; what names are elements is
    found whatever their case."""
    import MDAnalysis

    box, names = np.array([10.0, 12.0, 14.0]), ["CL", "NA", "O"]
    v = np.array([[3.1, 0.0, 0.0], [0.0, -4.2, 1.0], [-2.0, 3.0, -5.0]])
    x = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]) + 0.5 * np.arange(9)[:, None, None] * v
    lines = [
        f"{k:5d}ION  {name:>5s}{k:5d}{0:8.3f}{0:8.3f}{0:8.3f}" for k, name in enumerate(names, 1)
    ]
    (tmp_path / "ions.gro").write_text(
        "\n".join(["ions", "    3", *lines, "   1.00000   1.20000   1.40000"]) + "\n"
    )
    u = MDAnalysis.Universe.empty(3, trajectory=True, velocities=True)
    with MDAnalysis.Writer(str(tmp_path / "ions.trr"), n_atoms=3) as writer:
        for k, frame in enumerate(x):
            u.atoms.positions, u.atoms.velocities = wrap(frame, np.diag(box)), v
            u.dimensions = [*box, 90.0, 90.0, 90.0]
            u.trajectory.ts.time = 0.5 * k
            writer.write(u.atoms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_trajectory(tmp_path / "ions.trr", tmp_path / "run.h5md", tmp_path / "ions.gro")
    picosecond = METAL.convert(1.0, "ps")
    with H5MDReader(tmp_path / "run.h5md") as run:
        np.testing.assert_allclose(run.frames("position"), x, atol=1e-4)
        np.testing.assert_allclose(
            run.frames("velocity") * picosecond, np.broadcast_to(v, x.shape), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(run.times / picosecond, 0.5 * np.arange(9), rtol=1e-6)
        np.testing.assert_allclose(run.cells[-1], np.diag(box), rtol=1e-5)
        assert run.species.tolist() == [17, 11, 8]
        assert run.names == names
        np.testing.assert_allclose(run.masses, [35.45, 22.99, 15.999], atol=0.01)
