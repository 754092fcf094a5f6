"""PDB files of several models, as different programs write their cells."""

import warnings
from pathlib import Path

import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from MDAnalysis.lib.mdamath import triclinic_vectors

from trajectories.foreign import import_trajectory
from trajectories.storage.h5md import H5MDReader

N, FRAMES = 20, 4


@pytest.fixture
def frames() -> list[Atoms]:
    """In cells in standard orientation, each a little larger than the one before."""
    stream = np.random.default_rng(5)
    found = []
    for k in range(FRAMES):
        cell = triclinic_vectors([12.0 + 0.1 * k, 13.0, 14.0 + 0.2 * k, 80.0, 75.0, 65.0]).astype(
            float
        )
        found.append(Atoms("Ar" * N, positions=stream.random((N, 3)) @ cell, cell=cell, pbc=True))
    return found


def record(cell: np.ndarray) -> str:
    a, b, c, alpha, beta, gamma = Atoms(cell=cell).cell.cellpar()
    return f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}{alpha:7.2f}{beta:7.2f}{gamma:7.2f} P 1           1\n"


def models(frames: list[Atoms], where: str) -> str:
    """PDB's text with a CRYST1 "first" in the file only, "before" each MODEL, or "inside" each."""
    text = record(frames[0].cell[:]) if where == "first" else ""
    for k, atoms in enumerate(frames):
        text += (record(atoms.cell[:]) if where == "before" else "") + f"MODEL     {k + 1:4d}\n"
        text += record(atoms.cell[:]) if where == "inside" else ""
        for i, (x, y, z) in enumerate(atoms.positions):
            text += (
                f"ATOM  {i + 1:5d} AR    AR A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00         "
                " AR\n"
            )
        text += "ENDMDL\n"
    return text + "END\n"


def cells(path: Path, out: Path) -> np.ndarray:
    with warnings.catch_warnings(action="ignore"):
        import_trajectory(path, out)
    with H5MDReader(out) as run:
        assert run.pbc == (True, True, True)
        return np.asarray(run.cells)


@pytest.mark.parametrize("where", ["first", "before", "inside"])
def test_each_model_has_its_own_cell(frames: list[Atoms], where: str, tmp_path: Path) -> None:
    (tmp_path / "a.pdb").write_text(models(frames, where))
    told = [frames[0 if where == "first" else k].cell[:] for k in range(FRAMES)]
    np.testing.assert_allclose(cells(tmp_path / "a.pdb", tmp_path / "a.h5md"), told, atol=2e-3)


def test_hetero_atoms_are_atoms(frames: list[Atoms], tmp_path: Path) -> None:
    """Models of solvents and noble gases may have no others."""
    (tmp_path / "a.pdb").write_text(models(frames, "before").replace("ATOM  ", "HETATM"))
    np.testing.assert_allclose(
        cells(tmp_path / "a.pdb", tmp_path / "a.h5md"), [a.cell[:] for a in frames], atol=2e-3
    )


def test_files_of_libraries(frames: list[Atoms], tmp_path: Path) -> None:
    """ASE writes a cell for each model, MDAnalysis the first one alone."""
    write(tmp_path / "ase.pdb", frames)
    np.testing.assert_allclose(
        cells(tmp_path / "ase.pdb", tmp_path / "ase.h5md"), [a.cell[:] for a in frames], atol=2e-3
    )
    u = MDAnalysis.Universe.empty(N, trajectory=True)
    u.add_TopologyAttr("names", ["AR"] * N)
    u.add_TopologyAttr("elements", ["Ar"] * N)
    with (
        warnings.catch_warnings(action="ignore"),
        MDAnalysis.Writer(str(tmp_path / "mda.pdb"), N, multiframe=True) as writer,
    ):
        for atoms in frames:
            u.atoms.positions = atoms.positions
            u.dimensions = frames[0].cell.cellpar()
            writer.write(u.atoms)
    np.testing.assert_allclose(
        cells(tmp_path / "mda.pdb", tmp_path / "mda.h5md"), [frames[0].cell[:]] * FRAMES, atol=2e-3
    )


def test_a_cell_of_one_angstrom_is_none(frames: list[Atoms], tmp_path: Path) -> None:
    text = models(frames, "none")
    (tmp_path / "a.pdb").write_text(
        "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n" + text
    )
    with warnings.catch_warnings(action="ignore"):
        import_trajectory(tmp_path / "a.pdb", tmp_path / "a.h5md")
    with H5MDReader(tmp_path / "a.h5md") as run:
        assert not any(run.pbc)
