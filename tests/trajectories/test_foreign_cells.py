"""Cells of other programs' files that lie in any way: lattice vectors come from the file, and what
does not tell is said."""

import itertools
from pathlib import Path
from typing import Any

import h5py
import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

from systems.cell import minimum_image
from systems.orientation import standard_orientation
from trajectories.foreign import import_trajectory
from trajectories.storage.h5md import H5MDReader

pytestmark = pytest.mark.filterwarnings("ignore")  # of MDAnalysis, of what its files do not hold


def frames(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three cells [3, 3, 3], turned and of either hand, and twelve atoms inside of each, [3, 12,
    3], that hardly move; in Angstrom."""
    stream = np.random.default_rng(seed)
    cell = 12.0 * np.eye(3) + stream.uniform(-3.0, 3.0, (3, 3))
    cell = cell[stream.permutation(3)] @ np.linalg.qr(stream.normal(size=(3, 3)))[0]
    cells = cell + 0.05 * stream.normal(size=(3, 3, 3))
    fractions = stream.uniform(0.1, 0.9, (12, 3)) + 0.003 * stream.normal(size=(3, 12, 3))
    return cells, fractions @ cells


def topology(tmp_path: Path) -> Path:
    """Twelve argon atoms without a cell."""
    lines = [
        f"ATOM  {k + 1:5d}  Ar  AR  A{k + 1:4d}       0.000   0.000   0.000  1.00  0.00          AR"
        for k in range(12)
    ]
    path = tmp_path / "argon.pdb"
    path.write_text("\n".join([*lines, "END\n"]))
    return path


def write_xdr(path: Path, cells: np.ndarray, x: np.ndarray) -> None:
    kind: Any = XTCFile if path.suffix == ".xtc" else TRRFile
    with kind(str(path), "w") as file:
        for k, (cell, one) in enumerate(zip(cells, x, strict=True)):
            box, places = (np.asarray(a / 10, dtype=np.float32) for a in (cell, one))
            if kind is XTCFile:
                file.write(places, box, k, float(k), 10_000)
            else:
                file.write(places, None, None, box, k, float(k), 0.0, 12)


def write_gro(path: Path, cell: np.ndarray, x: np.ndarray) -> None:
    nm = cell / 10
    order = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    atoms = [
        f"{k + 1:5d}AR      AR{k + 1:5d}{p[0] / 10:8.3f}{p[1] / 10:8.3f}{p[2] / 10:8.3f}"
        for k, p in enumerate(x)
    ]
    path.write_text(
        "\n".join(["argon", "   12", *atoms, " ".join(f"{nm[at]:.6f}" for at in order), ""])
    )


def write_aims(path: Path, cell: np.ndarray, x: np.ndarray) -> None:
    rows = [("lattice_vector", row, "") for row in cell] + [("atom", row, "Ar") for row in x]
    path.write_text(
        "\n".join(
            f"{word} {row[0]:.8f} {row[1]:.8f} {row[2]:.8f} {name}" for word, row, name in rows
        )
    )


def write_h5md(path: Path, cells: np.ndarray, x: np.ndarray) -> None:
    """As another program would, in nanometres."""
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        for name, values in (("position", x), ("box/edges", cells)):
            group = file.create_group(f"particles/all/{name}")
            group["step"], group["time"], group["value"] = np.arange(3), np.arange(3.0), values / 10
            for what, unit in (("time", "ps"), ("value", "nm")):
                group[what].attrs["unit"] = unit
        file["particles/all/box"].attrs["dimension"] = 3
        file["particles/all/box"].attrs["boundary"] = ["periodic"] * 3


@pytest.mark.parametrize(
    ("suffix", "seed"), list(itertools.product((".xtc", ".trr", ".gro", ".in", ".h5md"), range(3)))
)
def test_lattice_vectors_of_the_file(tmp_path: Path, suffix: str, seed: int) -> None:
    """Cells are the file's, and so are all distances, as near as its format has them."""
    (cells, x), path = frames(seed), tmp_path / f"turned{suffix}"
    single = {".gro": write_gro, ".in": write_aims}
    if suffix in single:
        cells, x = cells[:1], x[:1]
        single[suffix](path, cells[0], x[0])
    else:
        (write_h5md if suffix == ".h5md" else write_xdr)(path, cells, x)
    import_trajectory(path, tmp_path / "run.h5md", None if suffix in single else topology(tmp_path))
    with H5MDReader(tmp_path / "run.h5md") as run:
        assert run.assumed.get("orientation") is None
        np.testing.assert_allclose(run.cells, cells, atol=2e-5)
        for k in range(len(run)):
            found = run.frames("position", k)
            offsets = [minimum_image(p[1:] - p[:-1], cells[k]) for p in (found, x[k])]
            np.testing.assert_allclose(*(np.linalg.norm(d, axis=-1) for d in offsets), atol=0.02)


@pytest.mark.filterwarnings("ignore")
def test_orientation_that_files_do_not_tell(tmp_path: Path) -> None:
    """DCD has lengths and angles: that is said, unless all are right."""
    cells, x = frames(0)
    for name, cell in (
        ("tilted", standard_orientation(cells[0]).cell),
        ("right", 12.0 * np.eye(3)),
    ):
        u = MDAnalysis.Universe.empty(12, trajectory=True)
        u.dimensions, u.atoms.positions = MDAnalysis.lib.mdamath.triclinic_box(*cell), x[0]
        with MDAnalysis.Writer(str(tmp_path / f"{name}.dcd"), 12) as writer:
            writer.write(u.atoms)
        import_trajectory(tmp_path / f"{name}.dcd", tmp_path / f"{name}.h5md", topology(tmp_path))
        with H5MDReader(tmp_path / f"{name}.h5md") as run:
            assert ("orientation" in run.assumed) == (name == "tilted")
            np.testing.assert_allclose(run.cells[0], cell, atol=1e-4)
            assert "neither the file nor its atoms tell" in run.assumed.get(
                "orientation", "neither the file nor its atoms tell"
            )
