"""Files of other programs, as MDAnalysis and ASE ship them for their own tests: read as those
libraries read them, or refused in words.

``docs/formats.md`` holds the table of them; where MCEGNN_WRITE_TABLE=1 is set, the last test writes
it anew.
"""

import gc
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ase.geometry import cell_to_cellpar

from systems.units import METAL
from trajectories.foreign import import_trajectory
from trajectories.storage.h5md import H5MDReader

PS = METAL.convert(1.0, "ps")
DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


class Entry(NamedTuple):
    """A file, after its topology where it takes one, by MDAnalysisTests' names or as a path in
    ASE's test data; what is said of it.

    ``more`` goes to the library that is asked; ``refused`` are the words where the file is not
    read. ``interval`` is right where the library's times are not (ps).
    """

    program: str
    format: str
    files: str
    said: dict[str, Any] = {}  # noqa: RUF012
    more: dict[str, Any] = {}  # noqa: RUF012
    refused: str = ""
    interval: float | None = None


_NO_NAMES = "holds no names of atoms.*--topology FILE"
_DUMP = {"format": "LAMMPSDUMP", "topology_format": "LAMMPSDUMP"}
_DLP_HISTORY = {"format": "HISTORY", "topology_format": "HISTORY"}
_CU = 108  # of the file, whose species MDAnalysis does not take for a topology
_DLP_CONFIG = {"format": "CONFIG", "topology_format": "CONFIG"}
ENTRIES = [
    Entry("GROMACS", "GRO", "GRO_velocity"),
    Entry("GROMACS", "GRO", "two_water_gro"),
    Entry("GROMACS", "GRO, several frames", "two_water_gro_multiframe"),
    Entry("GROMACS", "GRO, triclinic", "two_water_gro_widebox"),
    Entry("GROMACS", "GRO, velocities of some atoms", "GRO_incomplete_vels"),
    Entry("GROMACS", "GRO, compressed", "COORDINATES_GRO_BZ2"),
    Entry(
        "GROMACS",
        "GRO, no name of an atom",
        "GRO_missing_atomname",
        refused="MDAnalysis cannot read",
    ),
    Entry("GROMACS", "XTC", "COORDINATES_TOPOLOGY+COORDINATES_XTC"),
    Entry("GROMACS", "XTC without topology", "XTC_multi_frame", refused=_NO_NAMES),
    Entry("GROMACS", "TRR", "COORDINATES_TOPOLOGY+COORDINATES_TRR"),
    Entry("GROMACS", "TRR, one frame", "SURFACE_PDB+SURFACE_TRR"),
    Entry("GROMACS", "TRR with TPR, TIP4P water", "TPR_xvf+TRR_xvf"),
    Entry("GROMACS", "TNG", "COORDINATES_TOPOLOGY+COORDINATES_TNG", refused="please install pytng"),
    Entry("GROMACS", "EDR (energies only)", "AUX_EDR", refused="MDAnalysis cannot read"),
    Entry("GROMOS", "TRC", "TRC_PDB_VAC+TRC_TRAJ1_VAC"),
    Entry("GROMOS", "TRC, no frames", "TRC_PDB_VAC+TRC_EMPTY", refused="MDAnalysis cannot read"),
    Entry("CHARMM", "CRD", "CRD"),
    Entry("CHARMM", "PSF, DCD", "waterPSF+waterDCD"),
    Entry("CHARMM", "PSF, DCD, triclinic", "PSF_TRICLINIC+DCD_TRICLINIC"),
    Entry("CHARMM", "DCD, no frames", "PSF+DCD_empty", refused="the file is empty"),
    Entry("NAMD", "PSF, DCD, triclinic", "PSF_NAMD_TRICLINIC+DCD_NAMD_TRICLINIC"),
    Entry("NAMD", "PSF, COOR", "PSF+NAMDBIN"),
    Entry("Amber", "PRMTOP, MDCRD", "PRM+TRJ"),
    Entry("Amber", "PRMTOP, MDCRD, compressed", "PRM+TRJ_bz2"),
    Entry("Amber", "PRMTOP, NetCDF", "CPPTRAJ_TRAJ_TOP+CPPTRAJ_TRAJ"),
    Entry("Amber", "PRMTOP, NetCDF, velocities", "PRM_NCBOX+TRJ_NCBOX"),
    Entry("Amber", "PRMTOP, NetCDF, forces", "PFncdf_Top+PFncdf_Trj"),
    Entry("Amber", "INPCRD without topology", "INPCRD", refused=_NO_NAMES),
    Entry(
        "Amber",
        "restart that says nothing of its format",
        "PRM7_ala2+RST7_ala2",
        refused="MDAnalysis cannot read",
    ),
    Entry("LAMMPS", "data, full", "LAMMPShyd", {"units": "real"}),
    Entry("LAMMPS", "data, reduced masses, velocities", "LAMMPS_chain", {"units": "real"}),
    Entry("LAMMPS", "data, atoms deleted", "LAMMPSdata_deletedatoms", {"units": "real"}),
    Entry(
        "LAMMPS",
        "data, no atom style told",
        "LAMMPSdata_mini",
        refused="--format lammps-data:atom_style=full",
    ),
    Entry(
        "LAMMPS",
        "data, atom style said",
        "LAMMPSdata_mini",
        {"format": "lammps-data:atom_style=full", "units": "real"},
    ),
    Entry("LAMMPS", "data, DCD", "LAMMPSdata2+LAMMPSdcd2", interval=0.5),
    Entry("LAMMPS", "dump, scaled", "LAMMPSDUMP", more=_DUMP),
    Entry("LAMMPS", "dump, triclinic", "LAMMPSDUMP_triclinic", more=_DUMP),
    Entry("LAMMPS", "dump, elements, masses, charges", "LAMMPSDUMP_allinfo", more=_DUMP),
    Entry(
        "LAMMPS", "dump, neither types nor elements", "LAMMPSDUMP_additional_columns", more=_DUMP
    ),
    Entry("LAMMPS", "dump, image flags, velocities", "LAMMPSDUMP_image_vf", more=_DUMP),
    Entry("LAMMPS", "dump, Windows line ends", "WIN_LAMMPSDUMP", more=_DUMP),
    Entry(
        "LAMMPS",
        "dump, no positions",
        "LAMMPSDUMP_nocoords",
        refused="cannot be read as a trajectory",
    ),
    Entry("DL_POLY", "CONFIG", "DLP_CONFIG", more=_DLP_CONFIG),
    Entry(
        "DL_POLY",
        "CONFIG, names that are no elements",
        "DLP_CONFIG_order",
        refused="Symbol 'A' not found",
    ),
    Entry("DL_POLY", "CONFIG, format said", "DLP_CONFIG_order", {"format": "CONFIG"}, _DLP_CONFIG),
    Entry("DL_POLY", "HISTORY", "DLP_HISTORY", more=_DLP_HISTORY),
    Entry(
        "DL_POLY", "HISTORY, format said", "DLP_HISTORY_order", {"format": "HISTORY"}, _DLP_HISTORY
    ),
    Entry("Tinker", "ARC", "ARC"),
    Entry("Tinker", "ARC, periodic", "ARC_PBC"),
    Entry("Tinker", "TXYZ", "TXYZ"),
    Entry("GAMESS", "GMS", "GMS_ASYMSURF"),
    Entry("GAMESS", "GMS, elements spelled out", "GMS_SYMOPT"),
    Entry("Desmond", "DMS", "DMS"),
    Entry("FHI-aims", "geometry.in", "FHIAIMS"),
    Entry("HOOMD-blue", "GSD", "GSD_bonds", refused="MDAnalysis cannot read"),
    Entry("pyh5md", "H5MD with PDB", "COORDINATES_TOPOLOGY+COORDINATES_H5MD"),
    Entry("ZnH5MD", "H5MD without topology", "H5MD_energy", more={"n_atoms": _CU}),
    Entry("PDB", "PDB, several models", "PDB_multiframe"),
    Entry("PDB", "PDB, elements in the last columns", "PDB_elements"),
    Entry("PDB", "PDB, compressed", "PDB_cm_bz2"),
    Entry("PDB", "PDB, ions and carbon called CA", "ALIGN"),
    Entry("PDB", "MMTF", "MMTF"),
    Entry("AutoDock", "PDBQT", "PDBQT_tyrosol"),
    Entry("APBS", "PQR", "PQR"),
    Entry("SYBYL", "MOL2", "mol2_molecule"),
    Entry("SYBYL", "MOL2, broken", "mol2_broken_molecule", refused="MDAnalysis cannot read"),
    Entry("VMD", "XYZ", "COORDINATES_XYZ_BZ2"),
    Entry("VMD", "XYZ with PSF", "XYZ_psf+XYZ"),
    Entry("Martini", "GRO of beads", "Martini_membrane_gro"),
    Entry("IBIsCO", "PSF, TRZ", "TRZ_psf+TRZ"),
    Entry(
        "VASP",
        "OUTCAR",
        "ase:vasp/OUTCAR_example_1",
        {"format": "vasp-out"},
        {"format": "vasp-out"},
    ),
    Entry(
        "VASP",
        "POSCAR without elements",
        "ase:vasp/POSCAR_example_1",
        refused="Could not determine chemical symbols",
    ),
    Entry("VASP", "vasprun.xml", "ase:vasp/vasprun_pstress.xml"),
    Entry(
        "VASP",
        "OUTCAR, only its end",
        "ase:vasp/convergence_OUTCAR_y_y",
        refused="cannot be read as a trajectory",
    ),
    Entry("CASTEP", "castep, dynamics", "ase:castep/md.castep"),
    Entry(
        "FHI-aims",
        "output, dynamics",
        "ase:aims/md.out",
        {"format": "aims-output"},
        {"format": "aims-output"},
    ),
    Entry(
        "Qbox", "XML", "ase:qbox_04_md_ntc.reference.xml", {"format": "qbox"}, {"format": "qbox"}
    ),
    Entry("EON", "CON", "ase:io/eon/multi.con", {"format": "eon"}, {"format": "eon"}),
    Entry(
        "LAMMPS", "data of ASE's tests", "ase:lammpsdata_input.data", more={"format": "lammps-data"}
    ),
    Entry("COD", "CIF, whole sites", "ase:minerals/cod_9004112.cif"),
    Entry("COD", "CIF that tells occupancies", "ase:minerals/cod_1010930.cif"),
    Entry("ASE", "extended XYZ of OPLS types", "ase:opls_structure_ext.xyz"),
]


def paths(entry: Entry) -> list[Path]:
    """Where the files are."""
    if entry.files.startswith("ase:"):
        ase_test = pytest.importorskip("ase.test")
        return [Path(ase_test.__file__).parent / "testdata" / entry.files.removeprefix("ase:")]
    datafiles = pytest.importorskip("MDAnalysisTests.datafiles")
    return [Path(getattr(datafiles, name)) for name in entry.files.split("+")]


class Truth(NamedTuple):
    """What a library says: times in ps, lengths and angles of the cell, positions and velocities in
    Angstrom and ps of the first frame."""

    n_frames: int
    n_atoms: int
    times: np.ndarray | None
    cell: np.ndarray | None
    positions: np.ndarray
    velocities: np.ndarray | None


def asked(entry: Entry, files: list[Path]) -> Truth:
    """The library itself."""
    if entry.files.startswith("ase:"):
        from ase.io import read

        frames = read(files[-1], ":", **entry.more)
        first = frames[0]
        v = first.get_velocities() * PS if first.has("momenta") else None
        return Truth(
            len(frames),
            len(first),
            None,
            first.cell.cellpar() if first.cell.rank == 3 else None,
            first.positions,
            v,
        )
    import MDAnalysis

    if "n_atoms" in entry.more:
        u = MDAnalysis.Universe.empty(entry.more["n_atoms"], trajectory=True)
        u.load_new(str(files[-1]))
    else:
        u = MDAnalysis.Universe(*map(str, files), **entry.more)
    times = np.array([ts.time for ts in u.trajectory])
    ts = u.trajectory[0]
    boxed = ts.dimensions is not None and ts.dimensions[:3].all()
    v = ts.velocities.copy() if ts.has_velocities else None
    return Truth(
        len(u.trajectory),
        len(u.atoms),
        times,
        ts.dimensions.copy() if boxed else None,
        ts.positions.copy(),
        v,
    )


@pytest.fixture(autouse=True, scope="module")
def dropped() -> Iterator[None]:
    """What the libraries leave open is dropped before other tests hear of it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The libraries warn of much."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(
    "entry", ENTRIES, ids=lambda entry: f"{entry.files}-{'-'.join(entry.said)}"
)
def test_as_the_library_reads_it(entry: Entry, tmp_path: Path) -> None:
    files = paths(entry)
    if entry.refused:
        with pytest.raises(ValueError, match=entry.refused) as refused:
            import_trajectory(
                files[-1], tmp_path / "run.h5md", files[0] if files[1:] else None, **entry.said
            )
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "run.h5md").exists()
        return
    truth = asked(entry, files)
    import_trajectory(
        files[-1], tmp_path / "run.h5md", files[0] if files[1:] else None, **entry.said
    )
    with H5MDReader(tmp_path / "run.h5md") as run:
        assert (len(run), run.n_particles) == (truth.n_frames, truth.n_atoms)
        if entry.interval is not None:
            np.testing.assert_allclose(
                run.times / PS, entry.interval * np.arange(len(run)), rtol=1e-5
            )
        elif truth.times is not None and "times" not in run.missing and len(run) > 1:
            np.testing.assert_allclose(run.times / PS, truth.times, rtol=1e-5, atol=1e-5)
        cell = run.cells[0] if run.cells[0].any() else None
        assert (cell is None) is (truth.cell is None)
        x = run.frames("position", 0)
        apart = (x - x[0]) - (truth.positions - truth.positions[0])
        if cell is not None and truth.cell is not None:
            np.testing.assert_allclose(cell_to_cellpar(cell), truth.cell, rtol=1e-4)
            fractions = apart @ np.linalg.inv(cell)
            apart = (fractions - np.rint(fractions)) @ cell
        assert abs(apart).max() < 2e-3
        incomplete = "left out, since not all atoms have them: velocities" in run.notes
        assert run.has_velocities is (truth.velocities is not None and not incomplete)
        if run.has_velocities and truth.velocities is not None:
            assert (
                abs(run.frames("velocity", 0) * PS - truth.velocities).max()
                <= 1e-4 * abs(truth.velocities).max()
            )


def test_enough_of_them() -> None:
    assert len(ENTRIES) >= 60
    assert len({entry.files for entry in ENTRIES}) >= 60
    assert len({entry.program for entry in ENTRIES}) >= 20


def table() -> str:
    """The files in Markdown; of those that are refused the words."""
    lines = ["| program | format | file | how | result |", "| --- | --- | --- | --- | --- |"]
    for entry in ENTRIES:
        files = [path.name for path in paths(entry)]
        said = " ".join(f"`--{name} {value}`" for name, value in entry.said.items())
        how = " ".join(filter(None, (f"`--topology {files[0]}`" if files[1:] else "", said)))
        words = re.sub(r"\.\*|\\", " ", entry.refused).replace("|", " or ")
        result = f"refused: {words}" if words else "read"
        lines.append(f"| {entry.program} | {entry.format} | {files[-1]} | {how} | {result} |")
    return "\n".join(lines) + "\n"


def test_the_documented_table() -> None:
    begin, end = "<!-- files -->\n", "<!-- end of files -->\n"
    text = DOCS.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    written, _, tail = rest.partition(end)
    if os.environ.get("MCEGNN_WRITE_TABLE") == "1":
        DOCS.write_text(head + begin + table() + end + tail, encoding="utf-8")
        return
    assert written == table()
