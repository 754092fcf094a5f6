"""Atoms are followed across the faces of a cell wherever that can be done, and where it cannot it
is said."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from systems.units import METAL
from trajectories.analysis import analyse
from trajectories.foreign import import_trajectory
from trajectories.foreign.unwrapping import NEAREST, Unwrapper
from trajectories.storage.h5md import H5MDReader

PERIODIC = (True, True, True)


@pytest.fixture(scope="module")
def walks() -> Iterator[ModuleType]:
    """Random walks as files, which the benchmark shares."""
    path = Path(__file__).parents[1] / "benchmarks" / "walks.py"
    spec = importlib.util.spec_from_file_location("walks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["walks"] = module  # dataclasses look for their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["walks"]


def followed(
    positions: np.ndarray, cells: np.ndarray, pbc: tuple[bool, bool, bool] = PERIODIC
) -> tuple[np.ndarray, Unwrapper]:
    """Frames as an unwrapper gives them, again as it says that it would have been better."""
    how = NEAREST
    while True:
        unwrap = Unwrapper(len(positions), how=how)
        found = np.array([unwrap(x, cell, pbc) for x, cell in zip(positions, cells, strict=True)])
        if unwrap.better == how:
            return found, unwrap
        how = unwrap.better


@pytest.mark.parametrize(
    ("name", "topology", "picoseconds", "d", "displacement", "words"),
    [
        ("late_wrap_flags.lammpstrj", None, 0.1, 4.5, 0.263, "image flags of the file"),
        (
            "one_outside.xyz",
            None,
            1.0,
            4.5,
            2.95,
            "nearest image, largest step 0.4 of the least height of the cell",
        ),
        ("thinned_nojump.xtc", "thinned.pdb", None, 1.78, None, "the file is unwrapped already"),
    ],
)
def test_files_that_were_followed_wrongly(
    cases: Path,
    tmp_path: Path,
    name: str,
    topology: str | None,
    picoseconds: float | None,
    d: float,
    displacement: float | None,
    words: str,
) -> None:
    """What was put into these walks, in 1e-9 m^2/s, comes out again."""
    spacing = None if picoseconds is None else METAL.convert(picoseconds, "ps")
    import_trajectory(
        cases / name,
        tmp_path / "run.h5md",
        None if topology is None else cases / topology,
        frame_interval=spacing,
    )
    with H5MDReader(tmp_path / "run.h5md") as run:
        assert run.assumed["unwrapping"] == words
        found = analyse(run)
    number = found.number(next(n.key for n in found.numbers if n.key.startswith("diffusion")))
    assert number.error is not None
    assert 1e9 * number.value == pytest.approx(d, rel=0.05 if d < 4 else 0.1)
    assert not any("cannot be followed" in warning for warning in found.warnings)
    if displacement is not None:
        assert next(iter(found.curve("msd").values.values()))[1] == pytest.approx(
            displacement, rel=2e-3
        )


@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd", "extxyz", "traj"])
def test_walks_in_files(walks: ModuleType, tmp_path: Path, ending: str) -> None:
    """Of every form, each written by the library of its format: all positions, each atom by the
    same whole cells off."""
    for form in walks.FORMS:
        if form == "image flags":
            continue
        walk = walks.random_walk(3, form, ending, n_frames=40)
        path = walks.imported(walk, *walks.write(walk, tmp_path), tmp_path / "run.h5md")
        with H5MDReader(path) as run:
            assert walks.stray(walk, run.frames("position")) < 0.03, form
            assert not run.cannot_follow, form


def test_diffusion_of_walks_is_within_its_interval(walks: ModuleType, tmp_path: Path) -> None:
    """95 % of 20, give or take three standard errors."""
    forms = [form for form in walks.FORMS if form != "image flags"]
    within = 0
    for seed in range(20):
        walk = walks.random_walk(seed, forms[seed % len(forms)], "traj")
        path = walks.imported(walk, *walks.write(walk, tmp_path), tmp_path / "run.h5md")
        d, half = walks.diffusion(path)
        within += abs(d - walk.diffusion) <= half
    assert within >= 20 * 0.95 - 3 * (20 * 0.95 * 0.05) ** 0.5


@pytest.mark.parametrize(
    "form", ["wrapped", "late-wrapped", "molecules", "breathing", "sheared", "shearing"]
)
def test_steps_that_are_too_long_are_told(walks: ModuleType, form: str) -> None:
    """Positions stay what the file has, and there is no word where steps are short enough."""
    for seed in range(4):
        walk = walks.random_walk(seed, form, "traj", width=(0.17, 0.25, 0.4, 0.8)[seed])
        found, unwrap = followed(walk.told, walk.cells)
        assert "cannot be followed" in unwrap.warning, walk.width
        np.testing.assert_array_equal(found, walk.told)
        short = walks.random_walk(seed, form, "traj", width=0.1)
        assert not followed(short.told, short.cells)[1].warning


@pytest.mark.parametrize("n_frames", [10, 25, 100])
def test_what_is_unwrapped_stays_however_few_frames_there_are(
    walks: ModuleType, n_frames: int
) -> None:
    for seed in range(8):
        walk = walks.random_walk(seed, "thinned", "traj", width=(0.15, 0.3, 0.6, 1.5)[seed % 4])
        found, unwrap = followed(walk.told[:n_frames], walk.cells[:n_frames])
        assert not unwrap.warning
        np.testing.assert_array_equal(found, walk.told[:n_frames])


def test_a_warning_stands_with_the_run_and_no_diffusion(walks: ModuleType, tmp_path: Path) -> None:
    walk = walks.random_walk(0, "wrapped", "extxyz", width=0.3)
    path = walks.imported(walk, *walks.write(walk, tmp_path), tmp_path / "run.h5md")
    with H5MDReader(path) as run:
        assert run.assumed["unwrapping"] == "none: atoms cannot be followed"
        found = analyse(run)
    (warning,) = [text for text in found.warnings if "cannot be followed" in text]
    least = (1.0 / np.linalg.norm(np.linalg.inv(walk.cells), axis=-2)).min()
    assert f"least height of the cell {least:.3g} A" in warning
    assert not any(number.key.startswith("diffusion") for number in found.numbers)
    assert not any(curves.key == "msd" for curves in found.curves)
    assert any("no diffusion coefficient: atoms cannot be followed" in note for note in found.notes)


def test_a_cell_that_is_sheared_on_and_on_and_flipped_back() -> None:
    """Flow: each time that the cell leans by half of itself, LAMMPS takes an equivalent one."""
    stream = np.random.default_rng(0)
    box, n_frames = np.diag([11.0, 9.0, 13.0]), 80
    lean = 0.07 * np.arange(n_frames)
    cells, drawn = np.tile(box, (n_frames, 1, 1)), np.tile(box, (n_frames, 1, 1))
    drawn[:, 1, 0] = 11.0 * lean
    cells[:, 1, 0] = 11.0 * (lean - np.rint(lean))
    steps = 0.7 * stream.normal(size=(n_frames, 20, 3)) @ np.linalg.inv(drawn)
    true = (stream.uniform(0, 1, (20, 3)) + steps.cumsum(0)) @ drawn
    told = np.array(
        [x - np.floor(x @ np.linalg.inv(c)) @ c for x, c in zip(true, cells, strict=True)]
    )
    found, unwrap = followed(told, cells)
    assert not unwrap.warning
    off = (found - true) @ np.linalg.inv(drawn)
    np.testing.assert_allclose(off, np.broadcast_to(np.rint(off[:1]), off.shape), atol=1e-9)


def test_atoms_that_come_far_in_a_cell_that_breathes() -> None:
    """Ten cells away, a breath of the cell moves them by most of a cell."""
    stream, n_frames = np.random.default_rng(4), 100
    cells = np.diag([11.0, 9.0, 13.0]) * (1.0 + 0.06 * np.sin(np.arange(n_frames)))[:, None, None]
    fractions = stream.uniform(0, 1, (20, 3)) + (
        0.1 + 0.05 * stream.normal(size=(n_frames, 20, 3))
    ).cumsum(0)
    found, unwrap = followed((fractions % 1.0) @ cells, cells)
    off = found @ np.linalg.inv(cells) - fractions
    np.testing.assert_allclose(off, np.broadcast_to(np.rint(off[:1]), off.shape), atol=1e-9)
    assert not unwrap.warning


def test_a_cell_that_leans_far_over() -> None:
    """Its heights are small, and rounding fractions of it is wrong long before a step is half as
    long as a lattice vector."""
    stream = np.random.default_rng(1)
    cell = np.array([[10.0, 0, 0], [27.0, 10, 0], [-19.0, 23, 10]])
    true = stream.uniform(0, 10, (30, 3)) + 0.9 * stream.normal(size=(100, 30, 3)).cumsum(0)
    fractions = true @ np.linalg.inv(cell)
    found, unwrap = followed((fractions - np.floor(fractions)) @ cell, np.tile(cell, (100, 1, 1)))
    off = (found - true) @ np.linalg.inv(cell)
    np.testing.assert_allclose(off, np.broadcast_to(np.rint(off[:1]), off.shape), atol=1e-9)
    assert not unwrap.warning
    assert np.abs(np.diff(fractions, axis=0)).max() > 0.5


def test_directions_that_are_not_periodic() -> None:
    """Nothing is followed along them, whether there is a lattice vector or none, and however far
    atoms go."""
    stream = np.random.default_rng(2)
    slab = np.array([[8.0, 0, 0], [3.0, 9, 0], [4.0, 1, 15]])
    true = stream.uniform(0, 8, (12, 3)) + stream.normal(0, (0.6, 0.6, 20.0), (50, 12, 3)).cumsum(0)
    for cell in (slab, np.where(np.arange(3)[:, None] < 2, slab, 0.0)):
        flat = np.array([*slab[:2], [0.0, 0, 1]])
        fractions = true @ np.linalg.inv(flat)
        told = (fractions - np.floor(fractions) * [1, 1, 0]) @ flat
        found, unwrap = followed(told, np.tile(cell, (50, 1, 1)), (True, True, False))
        off = (found - true) @ np.linalg.inv(flat)
        np.testing.assert_allclose(off, np.broadcast_to(np.rint(off[:1]), off.shape), atol=1e-9)
        assert not unwrap.warning
    found, unwrap = followed(true, np.tile(slab, (50, 1, 1)), (False, False, False))
    np.testing.assert_array_equal(found, true)
    assert unwrap.words == "none: the frames have no periodic cell"


def test_an_atom_that_vibrates_about_a_face_is_followed() -> None:
    """It jumps all the time and gets nowhere, which is no sign of an unwrapped file."""
    stream = np.random.default_rng(3)
    sites = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), -1).reshape(-1, 3)
    fractions = sites + 0.02 * stream.normal(size=(60, 64, 3))
    cells = np.tile(12.0 * np.eye(3), (60, 1, 1))
    found, unwrap = followed((fractions % 1.0) @ cells, cells)
    off = found / 12.0 - fractions
    np.testing.assert_allclose(off, np.broadcast_to(np.rint(off[:1]), off.shape), atol=1e-9)
    assert unwrap.words.startswith("nearest image")


def dump(path: Path, walk: object, columns: str, values: np.ndarray) -> Path:
    """A LAMMPS dump with these columns of numbers behind "id element"."""
    lines = []
    for k, (cell, rows) in enumerate(zip(walk.cells, values, strict=True)):  # type: ignore[attr-defined]
        xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
        bounds = [
            (min(0, xy, xz, xy + xz), cell[0, 0] + max(0, xy, xz, xy + xz), xy),
            (min(0, yz), cell[1, 1] + max(0, yz), xz),
            (0.0, cell[2, 2], yz),
        ]
        lines += [
            "ITEM: TIMESTEP",
            str(k),
            "ITEM: NUMBER OF ATOMS",
            str(len(rows)),
            "ITEM: BOX BOUNDS xy xz yz pp pp pp",
        ]
        lines += [" ".join(f"{v:.12g}" for v in row) for row in bounds]
        lines += [f"ITEM: ATOMS id element {columns}"]
        lines += [f"{i} Ar " + " ".join(f"{v:.9g}" for v in row) for i, row in enumerate(rows, 1)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_of_lammps_dumps(walks: ModuleType, tmp_path: Path) -> None:
    """Scaled or not, unwrapped or with image flags: all give the same positions, with steps that
    nearest images cannot follow too."""
    for width in (0.08, 0.4):
        walk = walks.random_walk(5, "image flags", "lammpstrj", width=width, n_frames=30)
        inverse = np.linalg.inv(walk.cells)
        x, u, images = walk.told, walk.true, walk.images
        files = {
            "x y z ix iy iz": (x, images),
            "xs ys zs ix iy iz": (x @ inverse, images),
            "xu yu zu": (u,),
            "xsu ysu zsu": (u @ inverse,),
            "x y z xu yu zu": (x, u),
            "x y z xu yu zu ix iy iz": (x, u, images),
        }
        for columns, parts in files.items():
            path = dump(tmp_path / "walk.dump", walk, columns, np.concatenate(parts, axis=-1))
            import_trajectory(path, tmp_path / "run.h5md", overwrite=True)
            with H5MDReader(tmp_path / "run.h5md") as run:
                np.testing.assert_allclose(run.frames("position"), u, atol=1e-5, err_msg=columns)
                assert not run.cannot_follow, columns


def test_images_of_other_files(walks: ModuleType, tmp_path: Path) -> None:
    """H5MD has an element for them, extended XYZ of GPUMD unwrapped positions."""
    import ase.io
    import h5py
    from ase import Atoms

    walk = walks.random_walk(7, "image flags", "lammpstrj", width=0.4, n_frames=20)
    path, topology = walks.write(replace(walk, ending="h5md"), tmp_path)
    with h5py.File(path, "a") as file:
        (group,) = file["particles"].values()
        group["image/value"] = walk.images
    frames = []
    for x, u, cell in zip(walk.told, walk.true, walk.cells, strict=True):
        frames.append(Atoms("Ar" * len(x), x, cell=cell, pbc=True))
        frames[-1].new_array("unwrapped_position", u)
    ase.io.write(tmp_path / "walk.xyz", frames)
    for file, beside, words in (
        (path, topology, "image flags"),
        (tmp_path / "walk.xyz", None, "unwrapped coordinates"),
    ):
        import_trajectory(file, tmp_path / "run.h5md", beside, overwrite=True)
        with H5MDReader(tmp_path / "run.h5md") as run:
            np.testing.assert_allclose(run.frames("position"), walk.true, atol=1e-4)
            assert run.assumed["unwrapping"] == f"{words} of the file"


def test_image_flags_beside_a_topology(cases: Path, tmp_path: Path) -> None:
    """Then MDAnalysis reads the dump, which rounds to single precision."""
    file = cases / "late_wrap_flags.lammpstrj"
    atom = "ATOM  {:5d}  AR  AR  X   1       0.000   0.000   0.000  1.00  0.00          AR\n"
    (tmp_path / "argon.pdb").write_text("".join(atom.format(k) for k in range(1, 65)) + "END\n")
    found = []
    for topology in (None, tmp_path / "argon.pdb"):
        import_trajectory(file, tmp_path / "run.h5md", topology, overwrite=True)
        with H5MDReader(tmp_path / "run.h5md") as run:
            found.append(run.frames("position"))
            assert run.assumed["unwrapping"] == "image flags of the file"
    np.testing.assert_allclose(*found, atol=1e-5)


def test_image_flags_that_contradict_positions(walks: ModuleType, tmp_path: Path) -> None:
    walk = walks.random_walk(6, "image flags", "lammpstrj", width=0.05, n_frames=30)
    stuck, other = (
        np.zeros_like(walk.images),
        walk.images + (np.arange(walk.true.shape[1]) == 7)[:, None],
    )
    for columns, parts, words in (
        (
            "x y z ix iy iz",
            (walk.told, stuck),
            "image flags of the file contradict its positions: atom",
        ),
        (
            "x y z xu yu zu ix iy iz",
            (walk.told, walk.true, other),
            "unwrapped coordinates contradict the image flags of atom 7",
        ),
        (
            "x y z xu yu zu",
            (walk.told, walk.true + 0.5 * (walk.images == 1)),
            "unwrapped coordinates contradict the positions of atom",
        ),
    ):
        path = dump(tmp_path / "walk.dump", walk, columns, np.concatenate(parts, axis=-1))
        with pytest.raises(ValueError, match=words):
            import_trajectory(path, tmp_path / "run.h5md")
        assert not (tmp_path / "run.h5md").exists()


def test_a_cell_without_volume() -> None:
    unwrap = Unwrapper(2)
    unwrap(np.ones((2, 3)), np.eye(3), PERIODIC)
    for cell in (np.zeros((3, 3)), np.ones((3, 3)), np.diag([1.0, 1.0, 0.0])):
        with pytest.raises(ValueError, match="has no volume"):
            unwrap(np.ones((2, 3)), cell, PERIODIC)
