"""`mcegnn rollout FILE` and `mcegnn label`: atoms of a file under calculators and potentials, as a
user would run them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.md.verlet import VelocityVerlet

from integrators.ensembles import velocity_verlet
from integrators.state import State
from mcegnn.simulation import configuration_from
from systems.observables import kinetic_energy, momentum, pressure, temperature
from systems.potentials.lennard_jones import LennardJones
from systems.units import METAL
from trajectories.analysis.averages import block_error
from trajectories.mdanalysis import universe
from trajectories.rollout import rollout
from trajectories.storage import checkpoint
from trajectories.storage.h5md import H5MDReader

Run = Callable[..., Any]
ARGON = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")
WARM = ("--temperature", "40 K")
NPT = ("--ensemble", "npt", "--pressure", "1 bar")


def test_the_files_velocities_move_it_as_ase_does(structures: Path, succeed: Run) -> None:
    succeed(
        "rollout",
        "copper.traj",
        "--calculator",
        "emt",
        "--dt",
        "2 fs",
        "--steps",
        50,
        "--every",
        10,
    )
    atoms = ase.io.read(structures / "copper.traj")
    atoms.calc = EMT()
    VelocityVerlet(atoms, 2 * ase.units.fs).run(50)
    with H5MDReader(structures / "copper.h5md") as reader:
        assert len(reader) == 6
        np.testing.assert_allclose(reader[-1].system.positions, atoms.positions, atol=1e-12)
        np.testing.assert_allclose(reader[-1].system.velocities, atoms.get_velocities(), atol=1e-12)
        assert reader.observable("potential_energy", -1) == pytest.approx(
            atoms.get_potential_energy(), rel=1e-12
        )


def test_python_gives_the_same_run(structures: Path, succeed: Run) -> None:
    outcome = succeed(
        "rollout", "argon.xyz", *ARGON, *WARM, "--dt", "4 fs", "--steps", 40, "--every", 20
    )
    with H5MDReader(structures / "argon.h5md") as reader:
        start, end = reader[0], reader[-1]
    *_, again = rollout(
        velocity_verlet(LennardJones(0.0104, 3.4)), State(start.system), 4 * ase.units.fs, 40
    )
    # the file keeps velocities, so the start's momenta are rounded
    np.testing.assert_allclose(again.system.positions, end.system.positions, atol=1e-12)
    assert "largest change of energy" in outcome.out
    assert "angular" not in outcome.out  # a periodic cell does not conserve it


@pytest.mark.parametrize(
    "options",
    [
        ("--ensemble", "nve"),
        ("--ensemble", "nvt"),
        ("--integrator", "nose-hoover"),
        NPT,
        (*NPT, "--flexible"),
        ("--ensemble", "nvt", "--temperature", "10 K to 80 K"),
        ("--ensemble", "nvt", "--systems", 3),
        (*NPT, "--systems", 2),
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_two_halves_are_the_whole(
    succeed: Run, equal: Run, structures: Path, options: tuple[Any, ...]
) -> None:
    warm = () if "--temperature" in options else WARM
    run = ("rollout", "argon.xyz", *ARGON, *warm, *options, "--dt", "5 fs", "--every", 10)
    succeed(*run, "--steps", 60, "-o", "whole.h5md")
    succeed(*run, "--steps", 60, "-o", "run.h5md", "--quiet")
    # as if it had been stopped at the checkpoint of step 30 after writing further frames
    succeed(*run, "--steps", 30, "-o", "half.h5md")
    if warm:
        half = checkpoint.load("half.h5md")
        config = {**half.configuration, "n_steps": 60}
        checkpoint.save("half.h5md", checkpoint.Checkpoint(half.state, half.n_frames, config))
        succeed("rollout", "--resume", "half.h5md")
        assert equal(Path("half.h5md"), Path("whole.h5md"))
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_a_ramp_goes_on_where_it_was(succeed: Run, structures: Path, equal: Run) -> None:
    run = (
        "rollout",
        "argon.xyz",
        *ARGON,
        "--ensemble",
        "nvt",
        "--temperature",
        "10 K to 80 K",
        "--dt",
        "5 fs",
        "--every",
        10,
    )
    succeed(*run, "--steps", 40, "-o", "whole.h5md")
    succeed("rollout", "--resume", "whole.h5md", "--steps", 20)
    held = checkpoint.load("whole.h5md").configuration
    assert held["ramp"] == pytest.approx(
        40 * 5 * ase.units.fs
    )  # it has ended: what comes later is at 80 K
    assert held["n_steps"] == 60


def test_an_interrupted_langevin_run_goes_on(
    succeed: Run, cli: Run, structures: Path, equal: Run, signalled: Run
) -> None:
    run = (
        "rollout",
        "argon.xyz",
        *ARGON,
        "--ensemble",
        "nvt",
        *WARM,
        "--dt",
        "5 fs",
        "--every",
        10,
        "--steps",
        60,
    )
    succeed(*run, "-o", "whole.h5md")
    with signalled(34):
        assert cli(*run, "-o", "run.h5md").code == 130
    assert checkpoint.load("run.h5md").state.step == 34
    succeed("rollout", "--resume", "run.h5md")
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_npt_through_the_command_line(structures: Path, succeed: Run) -> None:
    outcome = succeed(
        "rollout", "argon.xyz", *ARGON, *WARM, *NPT, "--dt", "5 fs", "--steps", 100, "--every", 10
    )
    assert "relative drift" not in outcome.out  # a thermostat conserves nothing
    for words in ("temperature", ", target 40;", "pressure", ", target 1", "volume"):
        assert words in outcome.out
    with H5MDReader(structures / "argon.h5md") as reader:
        volumes = np.linalg.det(reader.cells)
        assert np.ptp(volumes) > 0
        lengths = np.linalg.norm(reader.cells, axis=-1)
        np.testing.assert_allclose(lengths, lengths[:, :1] * np.ones(3), rtol=1e-12)  # isotropic
        last = reader[-1].system
        stress = LennardJones(0.0104, 3.4)(last).stress
        assert stress is not None
        assert reader.observable("pressure", -1) == pytest.approx(pressure(last, stress), rel=1e-9)
    summary = json.loads(succeed("analyse", "argon.h5md", "--json").out)
    assert "energy_drift" not in summary
    assert "resume" not in succeed("analyse", "argon.h5md").out
    u = universe(structures / "argon.h5md")
    assert set(u.atoms.elements) == {"Ar"}
    assert u.dimensions[0] == pytest.approx(np.linalg.norm(lengths[0, 0]), rel=1e-3)


def test_replicas_have_their_own_velocities(structures: Path, succeed: Run) -> None:
    succeed("rollout", "argon.xyz", *ARGON, *WARM, "--systems", 3, "--steps", 10, "--seed", 7)
    succeed(
        "rollout",
        "argon.xyz",
        *ARGON,
        *WARM,
        "--systems",
        3,
        "--steps",
        10,
        "--seed",
        7,
        "-o",
        "again.h5md",
    )
    with (
        H5MDReader(structures / "argon.h5md") as reader,
        H5MDReader(structures / "again.h5md") as again,
    ):
        assert reader.n_systems == 3
        v = reader.frames("velocity", 0)
        assert not np.allclose(v[0], v[1])
        np.testing.assert_array_equal(reader.frames("position"), again.frames("position"))
        np.testing.assert_array_equal(
            reader.frames("position", 0)[0], reader.frames("position", 0)[2]
        )
        np.testing.assert_allclose(
            (reader.masses[:, None] * v).sum(1), 0.0, atol=1e-12
        )  # centre of mass at rest


@pytest.mark.parametrize(
    "options",
    [("--ensemble", "nve"), ("--ensemble", "nvt"), ("--integrator", "nose-hoover")],
    ids=" ".join,
)
def test_frozen_atoms_stay(structures: Path, succeed: Run, options: tuple[str, ...]) -> None:
    succeed(
        "rollout",
        "held.traj",
        "--calculator",
        "emt",
        "--temperature",
        "300 K",
        *options,
        "--steps",
        20,
        "-o",
        "held.h5md",
    )
    start = ase.io.read(structures / "held.traj")
    with H5MDReader(structures / "held.h5md") as reader:
        low = start.positions[:, 2] < 1.0
        assert low.any()
        for frame in (0, -1):
            assert not reader.frames("velocity", frame)[low].any()
            np.testing.assert_array_equal(
                reader.frames("position", frame)[low], start.positions[low]
            )
        assert (reader.frames("position", -1)[~low] != start.positions[~low]).all()


@pytest.mark.parametrize(
    ("options", "n_degrees"),
    [((), 321), (("--integrator", "nose-hoover"), 321), (("--ensemble", "nvt"), 324), (NPT, 324)],
)
def test_velocities_are_drawn_for_the_degrees_that_are_counted(
    structures: Path, succeed: Run, options: tuple[str, ...], n_degrees: int
) -> None:
    """Of many starts, 2 K / kT is a chi squared of as many degrees, and the centre of mass moves
    where a thermostat will move it."""
    succeed(
        "rollout",
        "argon.xyz",
        *ARGON,
        *WARM,
        *options,
        "--systems",
        40,
        "--steps",
        1,
        "-o",
        "run.h5md",
    )
    with H5MDReader("run.h5md") as reader:
        start, config = reader[0].system, configuration_from(reader.configuration)
    assert (config.n_degrees, config.about_center) == (n_degrees, n_degrees == 321)
    found = temperature(start, n_degrees)
    assert abs(found.mean() / 40.0 - 1) < 5 * np.sqrt(2 / n_degrees / 40)
    center = (momentum(start) ** 2).sum(-1) / (
        start.masses.sum() * METAL.boltzmann * 40.0
    )  # a chi squared of three
    if n_degrees == 321:
        np.testing.assert_allclose(center, 0.0, atol=1e-20)
    else:
        assert abs(center.mean() - 3) < 5 * np.sqrt(6 / 40)


def test_a_file_that_moves_as_a_whole(cases: Path, cli: Run) -> None:
    """Its temperature is nought, and what becomes of its velocities is said."""
    beam = str(cases / "drift_only.traj")
    nve = cli("rollout", beam, *ARGON, "--dt", "5 fs", "--steps", 10, "-o", "nve.h5md")
    moves = f"the centre of mass of {beam} moves at "
    assert (nve.code, nve.err.count("\n")) == (0, 1)
    assert moves in nve.err
    assert nve.err.endswith("Angstrom/fs, which does not count in the temperature\n")
    with H5MDReader("nve.h5md") as reader:
        config = configuration_from(reader.configuration)
        first, last = reader[0].system, reader[-1].system
        assert temperature(first) > 10
        assert temperature(first, config.n_degrees) == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose(momentum(last), momentum(first), rtol=1e-10, atol=1e-10)
    held = cli(
        "rollout",
        beam,
        *ARGON,
        *WARM,
        "--ensemble",
        "nvt",
        "--dt",
        "5 fs",
        "--steps",
        10,
        "-o",
        "nvt.h5md",
    )
    assert held.err.endswith(
        "Angstrom/fs, which counts in the temperature until friction has taken it\n"
    )
    replicas = cli(
        "rollout",
        beam,
        *ARGON,
        *WARM,
        "--integrator",
        "nose-hoover",
        "--systems",
        3,
        "--steps",
        10,
        "-o",
        "three.h5md",
    )
    assert replicas.code == 0
    assert (
        f"the velocities of {beam} are not used: each of the 3 systems gets its own, drawn from the"
        " seed" in replicas.err
    )


def test_nose_hoover_leaves_the_centre_of_mass_as_it_is(cases: Path, cli: Run) -> None:
    """The velocities are the file's to the bit, and the chain holds the temperature of the motion
    about the centre."""
    atoms = ase.io.read(cases / "drift_only.traj")
    heat = np.random.default_rng(0).normal(
        0.0, np.sqrt(ase.units.kB * 40 * atoms.get_masses())[:, None], (len(atoms), 3)
    )
    atoms.set_momenta(atoms.get_momenta() + heat)
    ase.io.write("beam.traj", atoms)
    outcome = cli(
        "rollout",
        "beam.traj",
        *ARGON,
        *WARM,
        "--integrator",
        "nose-hoover",
        "--dt",
        "5 fs",
        "--steps",
        4000,
        "--every",
        20,
    )
    assert outcome.code == 0
    with H5MDReader("beam.h5md") as reader:
        start, end = reader[0].system, reader[-1].system
        np.testing.assert_allclose(start.velocities, atoms.get_velocities(), rtol=1e-15, atol=0)
        np.testing.assert_allclose(momentum(end), momentum(start), rtol=1e-9, atol=1e-9)
        kelvin = np.array(
            [temperature(reader[k].system, 321) for k in range(len(reader) // 4, len(reader))]
        )
    assert abs(kelvin.mean() / 40.0 - 1) < 5 * block_error(kelvin) / 40.0


def test_relax_before_the_run(structures: Path, cli: Run) -> None:
    outcome = cli(
        "rollout",
        "ethanol.xyz",
        "--calculator",
        "tblite",
        "--temperature",
        "0 K",
        "--relax",
        "--steps",
        1,
    )
    assert outcome.code == 0
    assert "relaxed in" in outcome.err
    with H5MDReader(structures / "ethanol.h5md") as reader:
        assert np.linalg.norm(reader.frames("force", 0), axis=-1).max() < 0.05
    held = cli(
        "rollout",
        "held.traj",
        "--calculator",
        "emt",
        "--temperature",
        "0 K",
        "--relax",
        "--steps",
        1,
        "-o",
        "held.h5md",
    )
    assert held.code == 0
    start = ase.io.read(structures / "held.traj")
    with H5MDReader(structures / "held.h5md") as reader:
        low = start.positions[:, 2] < 1.0
        np.testing.assert_array_equal(reader.frames("position", 0)[low], start.positions[low])


def test_temperature_of_a_start_is_what_was_asked(structures: Path, succeed: Run) -> None:
    ase.io.write(structures / "large.xyz", ase.io.read(structures / "argon.xyz").repeat(2))
    succeed("rollout", "large.xyz", *ARGON, "--temperature", "77 K", "--steps", 1)
    with H5MDReader(structures / "large.h5md") as reader:
        system = reader[0].system
    degrees = 3 * system.n_particles - 3
    kelvin = 2 * kinetic_energy(system) / degrees / system.units.boltzmann
    assert abs(kelvin / 77 - 1) < 4 * (2 / degrees) ** 0.5


def test_dry_run_says_what_would_be(structures: Path, succeed: Run) -> None:
    out = succeed("rollout", "argon.xyz", *ARGON, *WARM, *NPT, "--time", "1 ps", "--dry-run").out
    for words in (
        "argon.xyz, 108 particles, seed 0",
        "mcegnn:LennardJones",
        "40 K",
        "1 bar",
        "1 fs",
        "1,000, to time 1 ps",
        "argon.h5md",
    ):
        assert words in out
    assert not (structures / "argon.h5md").exists()


def test_a_frame_of_several(structures: Path, succeed: Run) -> None:
    frames = [ase.io.read(structures / "argon.xyz") for _ in range(2)]
    frames[0].positions[0, 0] += 0.3
    ase.io.write(structures / "two.xyz", frames)
    for which, index in (("two.xyz", -1), ("two.xyz@0", 0)):
        succeed("rollout", which, *ARGON, *WARM, "--steps", 1, "-o", "two.h5md", "--force")
        with H5MDReader(structures / "two.h5md") as reader:
            np.testing.assert_allclose(
                reader.frames("position", 0), frames[index].positions, atol=1e-8
            )


def test_a_calculator_that_fails_on_the_way(structures: Path, cli: Run) -> None:
    Path("breaking.py").write_text(
        "from mcegnn import LennardJones\n\n\nclass Breaking:\n    def __init__(self, after):\n    "
        "    self.inner, self.left = LennardJones(0.0104, 3.4), after\n\n    def __call__(self,"
        " system):\n        self.left -= 1\n        if not self.left:\n            raise"
        " KeyError('no such atom')\n        return self.inner(system)\n"
    )
    run = ("rollout", "argon.xyz", *WARM, "--steps", 20, "--every", 5)
    outcome = cli(*run, "--potential", "breaking:Breaking:after=13")
    assert outcome.code == 3
    assert "at step 12 (time 12 fs): the forces failed (KeyError: 'no such atom')" in outcome.err
    assert outcome.err.count("\n") == 2
    with H5MDReader("argon.h5md") as reader:
        np.testing.assert_array_equal(reader.steps, [0, 5, 10])
    assert checkpoint.load("argon.h5md").state.step == 11
    at_once = cli(*run, "--potential", "breaking:Breaking:after=1", "-o", "other.h5md")
    assert (at_once.code, at_once.out) == (2, "")
    assert not Path("other.h5md").exists()


def test_convert_replicas_one_by_one(structures: Path, succeed: Run, refuse: Run) -> None:
    """With energies, forces and frozen atoms."""
    succeed(
        "rollout",
        "held.traj",
        "--calculator",
        "emt",
        "--temperature",
        "300 K",
        "--systems",
        2,
        "--steps",
        4,
        "-o",
        "two.h5md",
    )
    refuse(
        "holds 2 systems, each a structure of its own; name one with --system K (0 to 1)",
        "convert",
        "two.h5md",
        "two.xyz",
    )
    refuse("there is no system 2", "convert", "two.h5md", "two.xyz", "--system", 2)
    with H5MDReader("two.h5md") as reader:
        state = reader[-1]
    for name in ("one.xyz", "one.traj"):
        succeed("convert", "two.h5md", name, "--system", 1)
        last = ase.io.read(name, -1)
        np.testing.assert_allclose(last.positions, state.system.positions[1], atol=1e-14)
        np.testing.assert_allclose(
            last.get_forces(apply_constraint=False), state.evaluation.forces[1], atol=1e-12
        )
        assert last.get_potential_energy() == pytest.approx(state.evaluation.energy[1])
        assert last.info["time_fs"] == pytest.approx(4.0)
        np.testing.assert_array_equal(
            last.constraints[0].index, ase.io.read("held.traj").constraints[0].index
        )
    succeed("convert", "two.h5md", "one.dcd", "--system", 1)


def test_what_is_said_of_atoms(structures: Path, succeed: Run) -> None:
    succeed("rollout", "argon.xyz", *ARGON, *WARM, *NPT, "--dt", "5 fs", "--steps", 100)
    summary = json.loads(succeed("analyse", "argon.h5md", "--json").out)
    numbers = summary["numbers"]
    assert (
        numbers["temperature"]["unit"],
        numbers["pressure"]["unit"],
        numbers["volume"]["unit"],
    ) == ("K", "bar", "Angstrom^3")
    assert (
        numbers["temperature"]["note"]
        == "mean of the second half, target 40; 324 degrees of freedom"
    )
    assert numbers["pressure"]["note"] == "mean of the second half, target 1"
    said = succeed("info", "argon.h5md").out
    for words in ("40 K", "1 bar", "5 fs", "drawn from the seed at 40 K", "mcegnn:LennardJones"):
        assert words in said
    succeed("analyse", "argon.h5md", "--figure", "argon.png")
    assert (structures / "argon.png").stat().st_size > 10_000


def test_a_potential_of_ones_own_that_changes(
    structures: Path, succeed: Run, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source is remembered: a resumed run would not be the same run."""
    import sys

    monkeypatch.setattr("sys.dont_write_bytecode", True)
    source = (
        "from mcegnn import Evaluation\nimport numpy as np\n\n\nclass Trap:\n    def __call__(self,"
        " system):\n        x = system.positions\n        return Evaluation(0.5 * (x**2).sum((-1,"
        " -2)), -x, np.zeros((3, 3)))\n"
    )
    Path("traps.py").write_text(source)
    # it says a stress where there is no volume, which is left alone
    succeed(
        "rollout",
        "ethanol.xyz",
        "--potential",
        "traps:Trap",
        *WARM,
        "--steps",
        10,
        "-o",
        "trap.h5md",
    )
    succeed("rollout", "--resume", "trap.h5md", "--steps", 10)
    Path("traps.py").write_text(source.replace("-x", "-x * 1.0"))
    del sys.modules["traps"]
    outcome = cli("rollout", "--resume", "trap.h5md", "--steps", 10)
    assert outcome.code == 2
    assert "the source of the potential traps:Trap has changed" in outcome.err
    del sys.modules["traps"]


def test_what_is_warned_of(structures: Path, cli: Run) -> None:
    """A step too long for hydrogen, and a potential that reaches no neighbour; not magnetic
    moments, which the calculator gets."""
    ase.io.write(structures / "oxygen.traj", Atoms("O2", [[0, 0, 0], [0, 0, 1.2]], magmoms=[1, 1]))
    run = ("--calculator", "emt", "--temperature", "300 K", "--steps", 1)
    assert cli("rollout", "oxygen.traj", *run).err == ""
    assert (
        "warning: hydrogen vibrates in 9 fs"
        in cli("rollout", "ethanol.xyz", *run, "--dt", "2 fs", "-o", "long.h5md").err
    )
    assert cli("rollout", "ethanol.xyz", *run).err == ""
    argon = ("rollout", "argon.xyz", *WARM, "--steps", 1, "--potential")
    assert "warning: the forces on all particles are zero" in cli(*argon, "mcegnn:LennardJones").err
    assert cli(*argon, ARGON[1], "-o", "liquid.h5md").err == ""


def test_a_resumed_run_of_a_calculator_that_remembers(structures: Path, succeed: Run) -> None:
    """tblite begins from its last solution: the same run to 1e-8 Angstrom."""
    run = (
        "rollout",
        "ethanol.xyz",
        "--calculator",
        "tblite",
        "--ensemble",
        "nvt",
        "--temperature",
        "300 K",
        "--every",
        10,
    )
    succeed(*run, "--steps", 160, "-o", "whole.h5md")
    succeed(*run, "--steps", 80, "-o", "run.h5md")
    succeed("rollout", "--resume", "run.h5md", "--steps", 80)
    with H5MDReader("whole.h5md") as whole, H5MDReader("run.h5md") as parts:
        assert len(whole) == len(parts) == 17
        np.testing.assert_allclose(
            parts.frames("position"), whole.frames("position"), rtol=0, atol=1e-8
        )
