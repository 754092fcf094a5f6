"""Trajectories that ASE reads: a run holds what its dynamics had, at the times it had it, and is
told what moved it."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, Hookean
from ase.io.trajectory import Trajectory
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from integrators.ensembles import velocity_verlet
from integrators.state import State
from systems.potentials.coulomb import Coulomb
from systems.system import System
from systems.units import METAL
from trajectories.analysis import Known, analyse
from trajectories.convert import convert_run
from trajectories.figures import draw_trajectory
from trajectories.foreign import import_trajectory
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.locks import FileInUseError
from trajectories.storage.writer import H5MDWriter

CELL = np.array([[6.0, 0, 0], [2.0, 7, 0], [1.0, -1, 8]])


def copper() -> Atoms:
    """Eight unit cells that move at 300 K, once half of the energy is that of their bonds."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = EMT()
    momenta = np.random.default_rng(0).normal(0.0, (63.546 * units.kB * 600) ** 0.5, (32, 3))
    atoms.set_momenta(momenta - momenta.mean(0))
    return atoms


Opened = Callable[..., H5MDReader]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """A file as a run."""

    def run(path: str | Path, **options: Any) -> H5MDReader:
        import_trajectory(tmp_path / path, tmp_path / "imported.h5md", overwrite=True, **options)
        return H5MDReader(tmp_path / "imported.h5md")

    return run


def test_dynamics_of_ase(tmp_path: Path, opened: Opened) -> None:
    """Everything that a .traj holds, and the time of each frame; energy is known to be
    conserved."""
    atoms = copper()
    with VelocityVerlet(
        atoms, 5 * units.fs, trajectory=str(tmp_path / "md.traj"), loginterval=4
    ) as dynamics:
        dynamics.run(40)
    frames = ase.io.read(tmp_path / "md.traj", ":")
    with opened("md.traj") as run:
        assert run.missing == ()
        np.testing.assert_allclose(
            run.times / METAL.convert(1.0, "fs"), 20.0 * np.arange(11), rtol=1e-6
        )
        np.testing.assert_array_equal(run.frames("position"), [f.positions for f in frames])
        np.testing.assert_allclose(
            run.frames("velocity"), [f.get_velocities() for f in frames], rtol=1e-12
        )
        np.testing.assert_allclose(
            run.frames("force"), [f.get_forces() for f in frames], rtol=1e-12, atol=1e-14
        )
        np.testing.assert_allclose(
            run.observable("potential_energy"),
            [f.get_potential_energy() for f in frames],
            rtol=1e-14,
        )
        ideal = [-f.get_stress(include_ideal_gas=True)[:3].mean() for f in frames]
        np.testing.assert_allclose(run.observable("pressure"), ideal, rtol=1e-9, atol=1e-12)
        found = run.provenance
    assert '"dynamics": "VelocityVerlet of ASE"' in found["configuration"]
    assert '"conserves_energy": true' in found["configuration"]


def test_a_thermostat_of_ase(tmp_path: Path, opened: Opened) -> None:
    """Frozen atoms, degrees of freedom, and the temperature that was asked."""
    atoms = copper()
    atoms.set_constraint(FixAtoms([0, 5]))
    with Langevin(
        atoms,
        5 * units.fs,
        temperature_K=321,
        friction=0.01,
        fixcm=False,
        trajectory=str(tmp_path / "md.traj"),
    ) as dynamics:
        dynamics.run(5)
    with opened("md.traj") as run:
        assert run.frozen == [0, 5]
        configuration = run.provenance["configuration"]
    for words in ('"n_degrees": 90', '"temperature": [321.0]', '"conserves_energy": false'):
        assert words in configuration


def test_an_optimisation(tmp_path: Path, opened: Opened) -> None:
    atoms = molecule("H2O")
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    with BFGS(atoms, trajectory=str(tmp_path / "relax.traj"), logfile=None) as optimizer:
        optimizer.run(fmax=0.01)
    with opened("relax.traj") as run:
        assert run.missing == ("velocities", "times")
        found = analyse(run)
        assert "BFGS of ASE, an optimisation" in run.provenance["configuration"]
    force = next(number.value for number in found.numbers if number.key == "largest_force")
    assert force == pytest.approx(np.linalg.norm(atoms.get_forces(), axis=1).max())
    curve = next(curves for curves in found.curves if curves.key == "potential")
    energies = np.array(
        [frame.get_potential_energy() for frame in ase.io.read(tmp_path / "relax.traj", ":")]
    )
    np.testing.assert_allclose(curve.values[""], 1000 * (energies - energies[-1]) / 3, atol=1e-9)


def test_drift_is_judged_only_where_nothing_held_the_temperature(
    tmp_path: Path, opened: Opened
) -> None:
    """A .xyz does not tell; a step that is far too long is noticed all the same."""
    atoms, stream = copper(), np.random.default_rng(2)
    frames = []
    for _ in range(30):
        atoms.set_momenta(atoms.get_momenta() * 1.02 + stream.normal(0, 0.01, (32, 3)))
        atoms.get_forces()
        frames.append(atoms.copy())
        frames[-1].calc = atoms.calc
        atoms.calc = EMT()
    ase.io.write(tmp_path / "hot.xyz", frames)
    with opened("hot.xyz", frame_interval=METAL.convert(10.0, "fs")) as run:
        assert run.missing == ()
        unsure, sure = analyse(run, Known(sure=False)), analyse(run)
    assert any("halve the time step" in warning for warning in sure.warnings)
    assert not unsure.warnings
    assert any("too much if nothing held the temperature" in note for note in unsure.notes)
    with opened("hot.xyz") as run:
        assert run.missing == ("times",)
        assert not any(number.key == "energy_slope" for number in analyse(run).numbers)


@pytest.mark.parametrize("low", [0.0, -0.5])
def test_wrapped_atoms_go_on_where_they_leave(tmp_path: Path, opened: Opened, low: float) -> None:
    """In a leaning cell that breathes; some programs wrap into a cell about the origin."""
    stream = np.random.default_rng(4)
    inside = stream.uniform(0, 1, (5, 3)) + 0.3 * stream.normal(size=(20, 5, 3)).clip(
        -1.5, 1.5
    ).cumsum(0)
    cells = CELL * stream.uniform(0.95, 1.05, (20, 1, 1))
    wrapped = (inside - low) % 1.0 + low
    ase.io.write(
        tmp_path / "gas.extxyz",
        [
            Atoms("H5", x @ cell, cell=cell, pbc=True)
            for x, cell in zip(wrapped, cells, strict=True)
        ],
    )
    with opened("gas.extxyz") as run:
        np.testing.assert_allclose(run.cells, cells, atol=1e-7)
        offsets = run.frames("position") @ np.linalg.inv(cells) - inside
    # the first frame may have been wrapped too: by whole cells, the same for all frames
    np.testing.assert_allclose(
        offsets, np.broadcast_to(np.rint(offsets[0]), offsets.shape), atol=1e-6
    )


def test_what_was_not_wrapped_stays(tmp_path: Path, opened: Opened) -> None:
    """Jumps of more than half a cell too, out of it and back."""
    inside = (
        np.random.default_rng(4).uniform(0.1, 0.9, (5, 3))
        + np.array([0.0, 0.0, 3.7, 0.0, 0.05])[:, None, None]
    )
    frames = [Atoms("H5", x @ CELL, cell=CELL, pbc=True) for x in inside]
    ase.io.write(tmp_path / "gas.extxyz", frames)
    with opened("gas.extxyz") as run:
        np.testing.assert_allclose(
            run.frames("position"), [frame.positions for frame in frames], atol=1e-7
        )


@pytest.mark.parametrize("ending", ["xyz", "traj"])
def test_a_run_of_ours_comes_back(tmp_path: Path, opened: Opened, ending: str) -> None:
    """Units, times and steps too: .xyz has every digit."""
    stream = np.random.default_rng(5)
    system = System.create(
        stream.normal(size=(4, 3)),
        velocities=stream.normal(size=(4, 3)),
        masses=[1.0, 2, 3, 4],
        charges=[1.0, -1, 1, -1],
    )
    with H5MDWriter(tmp_path / "run.h5md", system, names=["a", "b", "c", "d"]) as writer:
        for state in rollout(velocity_verlet(Coulomb()), State(system), 1e-3, 20, 10):
            writer.write(state)
    with H5MDReader(tmp_path / "run.h5md") as run:
        convert_run(run, tmp_path / f"run.{ending}")
        with opened(f"run.{ending}") as back:
            assert back.units is run.units
            assert back.missing == ()
            assert back.names == (run.names if ending == "xyz" else [])  # a .traj holds numbers
            for name in ("times", "steps", "masses", "charges"):
                np.testing.assert_array_equal(getattr(back, name), getattr(run, name))
            np.testing.assert_array_equal(back.frames("position"), run.frames("position"))
            np.testing.assert_allclose(back.frames("velocity"), run.frames("velocity"), rtol=1e-15)


def test_several_runs_in_one_file(tmp_path: Path, opened: Opened) -> None:
    """The header is the first run's, and each begins with its start again: it tells neither the
    second's times nor its dynamics."""
    atoms = copper()
    with VelocityVerlet(
        atoms, 5 * units.fs, trajectory=str(tmp_path / "md.traj"), loginterval=2
    ) as dynamics:
        dynamics.run(10)
    with Langevin(
        atoms,
        units.fs,
        temperature_K=300,
        friction=0.01,
        fixcm=False,
        trajectory=str(tmp_path / "md.traj"),
        append_trajectory=True,
    ) as dynamics:
        dynamics.run(3)
    with opened("md.traj") as run:
        assert run.missing == ("times",)
        assert "dynamics" not in run.provenance["configuration"]
        assert run.notes == [
            "the file holds several runs, the second from frame 6 on: what moved the atoms, and"
            " when, is not told"
        ]
        assert run.notes[0] in analyse(run).notes


def test_constraints_act(tmp_path: Path, opened: Opened) -> None:
    """The energy that is conserved has a spring's, and frozen atoms feel no force: as ASE says of
    the same frames."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = EMT()
    atoms.set_constraint([Hookean(0, 1, 5.0, 1.0), FixAtoms([2, 3])])
    with BFGS(atoms, trajectory=str(tmp_path / "relax.traj"), logfile=None) as optimizer:
        optimizer.run(steps=4)
    frames = ase.io.read(tmp_path / "relax.traj", ":")
    with opened("relax.traj") as run:
        np.testing.assert_allclose(
            run.observable("potential_energy"),
            [f.get_potential_energy() for f in frames],
            rtol=1e-14,
        )
        np.testing.assert_allclose(
            run.frames("force"), [f.get_forces() for f in frames], rtol=1e-12, atol=1e-14
        )
        assert not run.frames("force")[:, 2:4].any()
    assert abs(frames[0].get_potential_energy() - frames[0].calc.results["energy"]) > 0.1


def test_a_picture_of_an_optimisation(tmp_path: Path, opened: Opened) -> None:
    """Energies are drawn where there are some; positions alone are refused."""
    atoms = molecule("H2O")
    atoms.calc = EMT()
    with BFGS(atoms, trajectory=str(tmp_path / "relax.traj"), logfile=None) as optimizer:
        optimizer.run(steps=3)
    with opened("relax.traj") as run:
        draw_trajectory(run, tmp_path / "relax.svg")
    drawn = (tmp_path / "relax.svg").read_text()
    assert "energy change" in drawn
    assert "temperature" not in drawn
    assert "time, ps" not in drawn
    ase.io.write(tmp_path / "bare.xyz", [molecule("H2O")] * 2)
    with (
        opened("bare.xyz") as run,
        pytest.raises(ValueError, match=r"bare\.xyz holds neither velocities nor energies"),
    ):
        draw_trajectory(run, tmp_path / "bare.svg")
    assert not (tmp_path / "bare.svg").exists()


def test_an_optimisation_of_what_moved_before(tmp_path: Path, opened: Opened) -> None:
    """ASE's optimizers leave momenta as they were, which are no temperature."""
    atoms = copper()
    with BFGS(atoms, trajectory=str(tmp_path / "relax.traj"), logfile=None) as optimizer:
        optimizer.run(steps=2)
    with opened("relax.traj") as run:
        assert "velocities" in run.missing
        assert run.observable("pressure") is None


@pytest.mark.parametrize("what", ["velocities", "energy", "forces", "stress"])
@pytest.mark.parametrize("first", [True, False])
def test_what_not_all_frames_have_is_left_out(
    tmp_path: Path, opened: Opened, what: str, first: bool
) -> None:
    """And the rest is kept."""
    frames = []
    for k in range(4):
        frame = copper()
        found = {
            "energy": frame.get_potential_energy(),
            "forces": frame.get_forces(),
            "stress": frame.get_stress(),
        }
        if k == (0 if first else 2):
            found.pop(what, None)
            if what == "velocities":
                del frame.arrays["momenta"]
        frame.calc = SinglePointCalculator(frame, **found)
        frames.append(frame)
    with Trajectory(tmp_path / "some.traj", "w") as file:
        for frame in frames:
            file.write(frame)
    with opened("some.traj") as run:
        k = 0 if first else 2
        if what == "velocities":
            noted = (
                f"1 of 4 frames hold no velocities, the first of them {k}: what takes them is of"
                " the others"
            )
        else:
            noted = (
                f"left out, since the first frame has none: {what}"
                if first
                else f"left out, since frame 2 has none: {what}"
            )
        assert noted in run.notes
        there = {
            "velocities": run.has_velocities,
            "energy": run.observable("potential_energy") is not None,
            "forces": run[0].evaluation is not None,
            "stress": run.observable("pressure") is not None,
        }
        # frames that have velocities keep them, and a stress is a pressure there
        assert {name for name, is_so in there.items() if not is_so} == {what} - {"velocities"}
        moving = [what != "velocities" or frame != k for frame in range(4)]
        assert run.moving.tolist() == moving
        assert [bool(np.isfinite(run[frame].system.momenta).all()) for frame in range(4)] == moving
        assert len(run) == 4


@pytest.mark.parametrize("name", ["md.traj.gz", "md.xyz.gz", "MD.XYZ", "md.extxyz.xz"])
def test_compressed_and_in_capitals(tmp_path: Path, opened: Opened, name: str) -> None:
    atoms = copper()
    with VelocityVerlet(atoms, 5 * units.fs, trajectory=str(tmp_path / "plain.traj")) as dynamics:
        dynamics.run(3)
    if ".traj" in name:
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / "plain.traj").read_bytes()))
    else:
        ase.io.write(tmp_path / name, ase.io.read(tmp_path / "plain.traj", ":"), format="extxyz")
    with opened(name) as run:
        assert len(run) == 4
        assert run.missing == (() if ".traj" in name else ("times",))
        assert run[3].evaluation is not None
        np.testing.assert_allclose(run.frames("position", 3), atoms.positions, atol=1e-7)


def test_frames_before_a_file_ends(tmp_path: Path, opened: Opened) -> None:
    """A run that was killed leaves a part of a frame."""
    ase.io.write(tmp_path / "md.xyz", [copper() for _ in range(3)])
    text = (tmp_path / "md.xyz").read_text()
    (tmp_path / "md.xyz").write_text("".join(text.splitlines(keepends=True)[:-10]))
    told: list[tuple[int, int]] = []
    with opened("md.xyz", told=lambda done, n: told.append((done, n))) as run:
        assert len(run) == 2
        assert run.notes == [
            "frame 2 and what may follow cannot be read: the file ends within it, after 24 of 34"
            " lines"
        ]
    assert told == [(1, 2), (2, 2)]
    (tmp_path / "md.xyz").write_text(text[:-3])
    with opened("md.xyz") as run:
        assert run.notes == [
            "the last line of the file has no end: its last number may have lost digits"
        ]


DUMP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
-3.0 7.0
-3.0 7.0
-3.0 7.0
ITEM: ATOMS id type {more}x y z vx vy vz
1 1 {first}{x} 0.0 0.0 10.0 0.0 0.0
2 2 {second}1.0 1.0 1.0 0.0 -5.0 0.0
"""


@pytest.mark.parametrize("elements", [True, False])
@pytest.mark.parametrize("name", ["dump.lammpstrj", "md.lammpsdump", "dump.txt"])
def test_dumps_of_lammps(tmp_path: Path, opened: Opened, name: str, elements: bool) -> None:
    """Types are no elements; a box whose corner is not at the origin; velocities in Angstrom/ps."""
    names = (
        {"more": "element ", "first": "Na ", "second": "Cl "}
        if elements
        else dict.fromkeys(("more", "first", "second"), "")
    )
    text = "".join(DUMP.format(step=100 * k, x=x, **names) for k, x in enumerate((6.0, 6.9, -2.2)))
    (tmp_path / name).write_text(text)
    with opened(name) as run:
        np.testing.assert_allclose(run.frames("position")[:, 0, 0], [6.0, 6.9, 7.8])
        np.testing.assert_allclose(
            run.frames("velocity", 0) * METAL.convert(1.0, "ps"),
            [[10, 0, 0], [0, -5, 0]],
            rtol=1e-6,
        )
        assert run.species.tolist() == ([11, 17] if elements else [0, 0])
        assert run.missing == (("times",) if elements else ("masses", "times"))
        np.testing.assert_allclose(
            run.masses, [22.99, 35.45] if elements else [1.0, 1.0], rtol=1e-3
        )
        assert "velocities are taken to be in LAMMPS' metal units" in run.assumed["units"]
        assert run.notes == []
        found = analyse(run)
    assert any(number.key == "temperature" for number in found.numbers) == elements


@pytest.mark.parametrize(
    "info",
    [
        {"time": 0.5, "units": "metal", "step": 3},
        {"time": 0.5, "time_fs": 0.5, "units": "metal", "step": 3},
        {"time": [1, 2], "units": [1, 2]},
        {"step": None},
        {"step": "n0", "time": "x"},
        {"step": 2.5},
    ],
)
@pytest.mark.parametrize(
    "told",
    [{"timestep": None, "interval": "2"}, {"timestep": -1.0, "interval": 2}, {"timestep": 1.0}],
)
def test_what_others_write_into_frames(
    tmp_path: Path, opened: Opened, info: dict[str, Any], told: dict[str, Any]
) -> None:
    """Picoseconds of LAMMPS, or anything: nobody knows what it stands for."""
    with Trajectory(tmp_path / "odd.traj", "w") as file:
        file.set_description({"type": "molecular-dynamics", "temperature_K": [300], **told})
        for k in range(2):
            frame = copper()
            frame.rattle(0.1, seed=k)
            frame.info.update(info)
            file.write(frame)
    with opened("odd.traj") as run:
        assert run.missing == ("times",)


def test_the_interval_that_is_said_counts(tmp_path: Path, opened: Opened) -> None:
    """Whatever a file tells of its times; it is not refused."""
    with VelocityVerlet(copper(), 5 * units.fs, trajectory=str(tmp_path / "md.traj")) as dynamics:
        dynamics.run(3)
    with opened("md.traj") as run:
        np.testing.assert_allclose(run.times, 5 * units.fs * np.arange(4), rtol=1e-12)
    with opened("md.traj", frame_interval=1.0) as run:
        np.testing.assert_allclose(run.times, np.arange(4.0), rtol=1e-12)
        assert run.missing == ()
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be positive and finite"):
            opened("md.traj", frame_interval=wrong)


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "md.xyz", [molecule("H2O")])
    with H5MDWriter(tmp_path / "run.h5md", System.create(np.eye(3))) as writer:
        writer.write(State(System.create(np.eye(3))))
        writer.flush()
        with pytest.raises(FileInUseError):
            import_trajectory(tmp_path / "md.xyz", tmp_path / "run.h5md", overwrite=True)


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half, and nothing beside it."""
    (tmp_path / "run.h5md").write_bytes(b"what was there")
    ase.io.write(tmp_path / "set.xyz", [molecule("H2O"), molecule("CH4")])
    with pytest.raises(ValueError, match="a set of structures"):
        import_trajectory(tmp_path / "set.xyz", tmp_path / "run.h5md", overwrite=True)
    with pytest.raises(FileExistsError):
        import_trajectory(tmp_path / "set.xyz", tmp_path / "run.h5md")
    ase.io.write(tmp_path / "set.xyz", [*[molecule("H2O")] * 5, molecule("CH4")])
    monkeypatch.setattr(
        "trajectories.storage.writer._SECONDS", 0.0
    )  # some frames are on the disk by then
    with pytest.raises(ValueError, match="a set of structures"):
        import_trajectory(tmp_path / "set.xyz", tmp_path / "run.h5md", overwrite=True)
    assert (tmp_path / "run.h5md").read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.h5md", "set.xyz"]


def test_what_is_no_trajectory(tmp_path: Path) -> None:
    heavy, open_ = molecule("H2O"), bulk("Cu", cubic=True)
    heavy.set_masses([18.0, 1.0, 1.0])
    open_.pbc = False
    files = {
        "set.xyz": [molecule("H2O"), molecule("CH4")],
        "heavy.traj": [molecule("H2O"), heavy],
        "none.xyz": [],
        "open.traj": [bulk("Cu", cubic=True), open_],
        "bare.traj": [bulk("Cu", cubic=True), Atoms("Cu4", pbc=True)],
    }
    for name, frames in files.items():
        ase.io.write(tmp_path / name, frames)
    (tmp_path / "empty.traj").write_bytes(b"")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    (tmp_path / "run.checkpoint").write_bytes(b"x")
    (tmp_path / "text.csv").write_text("a,b\n")
    with Trajectory(tmp_path / "torn.traj", "w") as torn:
        for _ in range(5):
            torn.write(molecule("H2O"))
    (tmp_path / "torn.traj").write_bytes((tmp_path / "torn.traj").read_bytes()[:300])
    said = {
        "set.xyz": "frame 1 has 5 atoms and the first 3: this is a set of structures",
        "heavy.traj": "frame 1 has other masses",
        "open.traj": "frame 1 has other periodic",
        "bare.traj": "the cell of frame 1 has no volume",
        "none.xyz": "is empty",
        "empty.traj": "is empty",
        "model.safetensors": "is a model",
        "run.checkpoint": "is a checkpoint",
        "text.csv": "cannot read",
        "torn.traj": "cannot be read",
    }
    for name, words in said.items():
        with pytest.raises(ValueError, match=words):
            import_trajectory(tmp_path / name, tmp_path / "out.h5md", overwrite=True)
    with pytest.raises(ValueError, match="must be positive"):
        import_trajectory(
            tmp_path / "set.xyz", tmp_path / "out.h5md", frame_interval=0.0, overwrite=True
        )


def test_who_reads_what(tmp_path: Path, opened: Opened) -> None:
    """Names that are no elements are for MDAnalysis; what it does not know, and ASE does, is for
    ASE."""
    (tmp_path / "beads.xyz").write_text("2\nbeads\nQq 0 0 0\nQz 1 0 0\n")
    with opened("beads.xyz") as run:
        assert run.names == ["Qq", "Qz"]
    frames = [copper() for _ in range(3)]
    ase.io.write(tmp_path / "XDATCAR", frames, format="vasp-xdatcar")
    with opened("XDATCAR") as run:
        assert len(run) == 3
        assert run.missing == ("velocities", "times")
        np.testing.assert_allclose(
            run.frames("position"), [f.get_positions() for f in frames], atol=1e-5
        )
    ase.io.write(tmp_path / "copper.cif", frames[0])
    with opened("copper.cif") as run:
        assert run.n_particles == 32
