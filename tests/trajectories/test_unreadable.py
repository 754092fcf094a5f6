"""Files that no reader can take are refused in words that say which of the usual reasons it is."""

from pathlib import Path

import numpy as np
import pytest

from systems.sources.atoms import read
from systems.sources.file_options import FileOptions
from trajectories.foreign import import_trajectory

JUNK = bytes(np.random.default_rng(0).integers(128, 256, 400, dtype=np.uint8))
MMCIF = "data_1ABC\nloop_\n_atom_site.group_PDB\n_atom_site.id\n_atom_site.Cartn_x\nATOM 1 1.0\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.xyz", b"", "a.xyz: the file is empty"),
        ("a.dcd", b"", "a.dcd: the file is empty"),
        ("a.cif", MMCIF.encode(), "a.cif: it is mmCIF, which is not read; convert it to PDB first"),
        ("a.mmcif", MMCIF.encode(), "a.mmcif: it is mmCIF"),
        (
            "a.cif",
            JUNK,
            (
                "a.cif cannot be read as a trajectory: it is damaged, or of another kind than its"
                " name says"
            ),
        ),
        ("a.xyz", JUNK, "a.xyz cannot be read as a trajectory: it is not text"),
        (
            "a.dcd",
            JUNK,
            r"a.dcd, which is no DCD file, or a damaged one \(Reading DCD header failed",
        ),
        ("a.xtc", JUNK, r"a.xtc, which is no XTC file, or a damaged one \(XDR read error"),
        ("a.pdb", JUNK, "a.pdb, which is no PDB file, or a damaged one"),
        ("a.dump", JUNK, "a.dump, whose name does not tell its kind: --format tells it"),
        ("a.mdcrd", b"title\n", "a.mdcrd; formats without atoms' names need --topology FILE"),
    ],
)
def test_a_trajectory_that_is_none(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told) as refused:
        import_trajectory(path, tmp_path / "out.h5md")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert not (tmp_path / "out.h5md").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.xyz", b"", "a.xyz: the file is empty"),
        ("a.cif", MMCIF.encode(), "a.cif: it is mmCIF"),
        ("a.xyz", JUNK, "a.xyz: it is not text, as files of this kind are"),
    ],
)
def test_a_structure_that_is_none(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        read(str(path))


def test_a_format_that_it_is_not(cases: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neon\.gro, which is no PDB file"):
        import_trajectory(cases / "neon.gro", tmp_path / "out.h5md", format="PDB")
    (tmp_path / "a.dat").write_bytes(JUNK)  # whose name tells nothing
    with pytest.raises(ValueError, match=r"a\.dat, which is no GRO file"):
        import_trajectory(tmp_path / "a.dat", tmp_path / "out.h5md", format="GRO")


def test_the_nearest_formats_are_named() -> None:
    with pytest.raises(
        ValueError, match="did you mean LAMMPSDUMP or lammps-dump-text or lammps-data"
    ):
        FileOptions(format="lammps-dmp")
    with pytest.raises(ValueError, match=r"did you mean \S+\?"):
        FileOptions(format="zzzzqqq")
