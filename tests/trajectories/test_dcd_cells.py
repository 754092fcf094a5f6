"""How cells of DCD files lie: told by their six numbers, or by atoms that jump across them or would
overlap."""

from collections.abc import Callable
from pathlib import Path

import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.lib.formats.libdcd import DCDFile
from MDAnalysis.lib.mdamath import triclinic_box

from systems.cell import minimum_image, wrap
from systems.orientation import standard_orientation
from trajectories.foreign import import_trajectory
from trajectories.foreign.dcd_cells import second_along_y, turned_symmetric
from trajectories.storage.h5md import H5MDReader

pytestmark = pytest.mark.filterwarnings("ignore")  # of MDAnalysis, of what its files do not hold

N, FRAMES, STEP = 216, 60, 0.25  # Angstrom, rms of each component


def record_of(cell: np.ndarray, kind: str) -> np.ndarray:
    """The six numbers: of a symmetric matrix, or lengths with cosines or degrees."""
    if kind == "matrix":
        return cell[[0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]]
    a, b, c, alpha, beta, gamma = triclinic_box(*cell)
    angles = np.array([alpha, beta, gamma], dtype=float)
    if kind == "cosines":
        alpha, beta, gamma = np.cos(np.radians(angles))
    return np.array([a, gamma, b, beta, alpha, c], dtype=float)


def symmetric(cell: np.ndarray) -> np.ndarray:
    squares, axes = np.linalg.eigh(cell @ cell.T)
    return (axes * np.sqrt(squares)) @ axes.T


def random_cell(stream: np.random.Generator) -> np.ndarray:
    return standard_orientation(20.0 * np.eye(3) + stream.uniform(-6.0, 6.0, (3, 3))).cell


def grid(stream: np.random.Generator, cell: np.ndarray) -> np.ndarray:
    """Atoms that keep apart, [N, 3]."""
    points = np.stack(np.meshgrid(*3 * [np.arange(6)]), -1).reshape(-1, 3) / 6.0
    return (points + stream.uniform(0, 0.03, (N, 3))) @ cell


def apart(stream: np.random.Generator, cell: np.ndarray, least: float = 1.8) -> np.ndarray:
    """Atoms at random places inside of a cell, of which no two images are nearer than ``least``,
    [400, 3]."""
    found = np.zeros((0, 3))
    while len(found) < 400:
        point = stream.uniform(0, 1, 3) @ cell
        if not (np.linalg.norm(minimum_image(found - point, cell), axis=-1) < least).any():
            found = np.vstack([found, point])
    return found


def write(path: Path, cells: np.ndarray, x: np.ndarray, kind: str) -> Path:
    with DCDFile(str(path.with_suffix(".dcd")), "w") as file:
        file.write_header(
            remarks="a walk", natoms=x.shape[1], istart=1, nsavc=1, delta=20.0, is_periodic=1
        )
        for cell, one in zip(cells, x, strict=True):
            file.write(one.astype(np.float32), record_of(cell, kind))
    lines = [
        f"ATOM  {k + 1:5d}  Ar  AR  A{k + 1:4d}       0.000   0.000   0.000  1.00  0.00          AR"
        for k in range(x.shape[1])
    ]
    path.with_suffix(".pdb").write_text("\n".join([*lines, "END\n"]))
    return path.with_suffix(".dcd")


def imported(path: Path) -> H5MDReader:
    out = path.with_suffix(".h5md")
    import_trajectory(path, out, path.with_suffix(".pdb"), overwrite=True)
    return H5MDReader(out)


LAID: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "standard": lambda cell: cell,
    "symmetric": symmetric,
    "second along y": lambda cell: second_along_y(record_of(cell, "degrees")),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "laid"),
    [
        ("matrix", "symmetric"),
        ("cosines", "standard"),
        ("degrees", "standard"),
        ("cosines", "symmetric"),
        ("degrees", "symmetric"),
        ("cosines", "second along y"),
    ],
)
def test_a_walk_in_each_orientation(tmp_path: Path, kind: str, laid: str, seed: int) -> None:
    """Wrapped atoms are followed as they went, in the cell as it lies, which breathes."""
    stream = np.random.default_rng(seed)
    cell = LAID[laid](random_cell(stream))
    steps = STEP * stream.normal(size=(FRAMES, N, 3))
    steps[0] = grid(stream, cell)
    x, scales = steps.cumsum(0), 1.0 + 0.002 * np.sin(np.arange(FRAMES))
    x, cells = x * scales[:, None, None], cell * scales[:, None, None]
    wrapped = np.array([wrap(one, at) for one, at in zip(x, cells, strict=True)])
    with imported(write(tmp_path / "walk", cells, wrapped, kind)) as run:
        np.testing.assert_allclose(run.cells, cells, atol=2e-3)
        found, words = run.frames("position", slice(None)), run.assumed
        assert run.cannot_follow == ""
    moved, expected = found - found[0], x - x[0]
    drift = np.einsum(
        "fni,fni->fn", moved - expected, moved - expected
    )  # images breathe with the cell
    assert np.sqrt(drift.max()) < 0.2
    assert "nearest image" in words["unwrapping"]
    assert ("symmetric matrix" in words["orientation"]) == (laid == "symmetric")
    assert ("along y" in words["orientation"]) == (laid == "second along y")


@pytest.mark.parametrize("laid", LAID)
def test_contacts_tell_where_no_atom_jumps(tmp_path: Path, laid: str) -> None:
    """One frame of atoms that keep apart in the right cell alone."""
    for seed in range(5):
        stream = np.random.default_rng(seed)
        cell = LAID[laid](random_cell(stream))
        x = apart(stream, cell)
        with imported(write(tmp_path / f"single{seed}", cell[None], x[None], "cosines")) as run:
            np.testing.assert_allclose(run.cells[0], cell, atol=2e-3)
            words = run.assumed["orientation"]
        assert "no atoms overlap" in words


def test_a_matrix_that_could_be_angles(tmp_path: Path) -> None:
    """Of small numbers off the diagonal MDAnalysis makes cosines, of positive ones degrees; the
    file is one or the other."""
    for seed, low, high in ((0, 0.1, 0.9), (1, 4.0, 6.0)):
        stream = np.random.default_rng(seed)
        cell = np.diag([20.0, 21.0, 22.0]) + np.triu(stream.uniform(low, high, (3, 3)), 1)
        cell = np.triu(cell) + np.triu(cell, 1).T
        x = np.cumsum([grid(stream, cell), *(STEP * stream.normal(size=(FRAMES - 1, N, 3)))], 0)
        wrapped = np.array([wrap(one, cell) for one in x])
        with imported(
            write(tmp_path / f"small{seed}", np.array(FRAMES * [cell]), wrapped, "matrix")
        ) as run:
            np.testing.assert_allclose(run.cells[-1], cell, atol=1e-6)
            assert "symmetric matrix" in run.assumed["orientation"]


def test_what_nothing_tells(tmp_path: Path) -> None:
    """Few atoms in the middle of their cell: lengths and angles are taken to be in standard
    orientation, and it is said."""
    stream = np.random.default_rng(0)
    cell = random_cell(stream)
    x = 0.5 * cell.sum(0) + stream.uniform(-2, 2, (4, 3)) + 0.01 * stream.normal(size=(9, 4, 3))
    with imported(write(tmp_path / "few", np.array(9 * [cell]), x, "cosines")) as run:
        np.testing.assert_allclose(run.cells[0], cell, atol=1e-4)
        assert "neither the file nor its atoms tell" in run.assumed["orientation"]


def test_files_of_charmm_and_namd(tmp_path: Path) -> None:
    """Water in CHARMM's matrix and a pore in NAMD's hexagonal cell: no two oxygens are nearer than
    2.3 Angstrom, whatever the image."""
    data = pytest.importorskip("MDAnalysisTests.datafiles")
    for psf, dcd in (
        (data.PSF_TRICLINIC, data.DCD_TRICLINIC),
        (data.PSF_NAMD_TRICLINIC, data.DCD_NAMD_TRICLINIC),
    ):
        import_trajectory(dcd, tmp_path / "run.h5md", psf, overwrite=True)
        oxygen = MDAnalysis.Universe(psf).select_atoms("name OH2").indices[:600]
        with H5MDReader(tmp_path / "run.h5md") as run:
            x, cell = run.frames("position", slice(len(run) - 1, None))[0][oxygen], run.cells[-1]
            assert "orientation" in run.assumed
        i, j = np.triu_indices(len(oxygen), 1)
        assert np.linalg.norm(minimum_image(x[j] - x[i], cell), axis=-1).min() > 2.3


def test_the_symmetric_matrix_has_the_shape() -> None:
    """Same lengths and angles, positive definite."""
    for seed in range(50):
        cell = random_cell(np.random.default_rng(seed))
        found = turned_symmetric(record_of(cell, "cosines"))
        np.testing.assert_allclose(found, found.T, atol=1e-12)
        np.testing.assert_allclose(found @ found.T, cell @ cell.T, rtol=1e-5, atol=1e-3)
        assert np.linalg.eigvalsh(found).min() > 0
