"""Inputs on which the toolkit, or another package, once gave a wrong number: what a user types, and
what comes out.

Each stands for a kind that is tested at random members elsewhere. How the right value is known
stands beside it.
"""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest

Cli = Callable[..., Any]
LJ = ("--potential", "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4")


@pytest.fixture
def copies(cases: Path, tmp_path: Path) -> Path:
    """The test's folder, with all inputs in it."""
    shutil.copytree(cases, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def analysed(cli: Cli, copies: Path) -> Callable[..., dict[str, Any]]:
    """What ``mcegnn analyse ARGUMENTS --json`` prints; it must succeed."""

    def run(*arguments: Any) -> dict[str, Any]:
        done = cli("analyse", *arguments, "--json")
        assert done.code == 0, done.err
        return dict(json.loads(done.out))

    return run


def value(analysis: dict[str, Any], key: str) -> float:
    return float(analysis["numbers"][key]["value"])


def curve(folder: Path, name: str) -> np.ndarray:
    """A CSV file's numbers, [rows, columns]."""
    with open(folder / f"{name}.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return np.array([[float(cell) for cell in row] for row in rows if row and _is_number(row[0])])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["fcc_primitive_4.xyz", "permuted_axes.xyz"])
def test_neighbours_in_cells_of_any_orientation(name: str, cli: Cli, copies: Path) -> None:
    """12 and 6 neighbours of an fcc crystal up to 4.168 Angstrom: ASE's neighbor_list on the same
    frames."""
    assert cli("analyse", name, "--csv", "numbers").code == 0
    r, g = curve(copies / "numbers", "rdf").T[:2]
    atoms = ase.io.read(name)
    density = (len(atoms) - 1) / atoms.get_volume()  # of the others, as g(r) has it
    near = (r < 4.168).nonzero()[0]
    edges = np.append(r - 0.5 * (r[1] - r[0]), r[-1] + 0.5 * (r[1] - r[0]))
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    assert (g * density * shells)[near].sum() == pytest.approx(18.0, abs=0.1)
    assert r[near][g[near].argmax()] == pytest.approx(2.55, abs=0.05)


@pytest.mark.parametrize("name", ["fcc_primitive_6.xyz", "hexagonal.pdb"])
def test_distances_up_to_half_the_height_of_a_tilted_cell(
    name: str, cli: Cli, copies: Path
) -> None:
    assert cli("analyse", name, "--csv", "numbers").code == 0
    assert curve(copies / "numbers", "rdf")[:, 1].any()


@pytest.mark.slow
def test_a_flexible_run_of_ours_is_analysed(cli: Cli, copies: Path) -> None:
    options = (
        "--ensemble",
        "npt",
        "--flexible",
        "--temperature",
        "60 K",
        "--pressure",
        "1 kbar",
        "--dt",
        "5 fs",
    )
    done = cli(
        "rollout",
        "argon_cubic.xyz",
        *LJ,
        *options,
        "--steps",
        500,
        "--every",
        20,
        "--seed",
        2,
        "-o",
        "run.h5md",
    )
    assert done.code == 0, done.err
    assert cli("analyse", "run.h5md", "--csv", "numbers").code == 0
    assert curve(copies / "numbers", "rdf")[:, 1].any()


@pytest.mark.parametrize(
    ("arguments", "coefficient", "tolerance"),
    [
        (("late_wrap_flags.lammpstrj", "--frame-interval", "0.1 ps"), 4.5e-9, 0.15),
        (("thinned_nojump.xtc", "--topology", "thinned.pdb"), 1.78e-9, 0.15),
        (
            ("lammps_real.dcd", "--topology", "lammps_real.pdb", "--frame-interval", "0.1 ps"),
            4.5e-9,
            0.15,
        ),
        (("types.xyz", "--frame-interval", "10 fs"), 1.8e-8, 0.3),
        (("forces_first.xyz", "--frame-interval", "10 fs"), 1.8e-8, 0.3),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_diffusion_is_that_of_the_walk_that_was_put_in(
    arguments: tuple[Any, ...],
    coefficient: float,
    tolerance: float,
    analysed: Callable[..., dict[str, Any]],
) -> None:
    numbers = analysed(*arguments)["numbers"]
    key = (
        "diffusion_all"
        if "diffusion_all" in numbers
        else next(k for k in numbers if k.startswith("diffusion"))
    )
    assert numbers[key]["value"] == pytest.approx(coefficient, rel=tolerance)


@pytest.mark.parametrize(
    ("name", "interval", "displacement"),
    [("late_wrap_flags.lammpstrj", "0.1 ps", 0.263), ("one_outside.xyz", "1 ps", 2.95)],
)
def test_atoms_are_followed_the_shortest_way(
    name: str, interval: str, displacement: float, cli: Cli, copies: Path
) -> None:
    """Mean squared displacement after one frame, each atom followed by its nearest image."""
    assert cli("analyse", name, "--frame-interval", interval, "--csv", "numbers").code == 0
    # about the centre of mass of n atoms it is smaller by 1/n
    assert curve(copies / "numbers", "msd")[1, 1] == pytest.approx(displacement, rel=0.03)


def test_times_that_a_user_knows_better(analysed: Callable[..., dict[str, Any]]) -> None:
    found = analysed(
        "lammps_real.dcd", "--topology", "lammps_real.pdb", "--frame-interval", "0.1 ps"
    )
    assert found["time"] == pytest.approx(39.9, rel=1e-6)
    untold = analysed("lammps_real.dcd", "--topology", "lammps_real.pdb")
    assert "times" in untold["assumed"]  # a DCD's are in its writer's unit


def test_frames_without_velocities_do_not_cool(analysed: Callable[..., dict[str, Any]]) -> None:
    found = analysed("half_velocities.trr", "--topology", "half_velocities.pdb")
    # 98.5 K over all frames that have velocities; the mean here is over the second half of the run
    assert value(found, "temperature") == pytest.approx(98.5, abs=5.0)


def test_no_energy_is_invented(
    cli: Cli, copies: Path, analysed: Callable[..., dict[str, Any]]
) -> None:
    """A dump of forces holds no energy."""
    assert "energy_change" not in analysed("nve_forces.dump", "--frame-interval", "2 fs")["numbers"]
    assert cli("convert", "nve_forces.dump", "run.h5md").code == 0
    assert cli("convert", "run.h5md", "out.xyz").code == 0
    atoms = ase.io.read("out.xyz")
    assert "energy" not in getattr(atoms.calc, "results", {})
    assert np.abs(atoms.get_forces()).max() > 0


def test_a_dump_that_tells_units_and_times(
    cli: Cli, copies: Path, analysed: Callable[..., dict[str, Any]]
) -> None:
    found = analysed("real_units.dump")
    assert value(found, "temperature") == pytest.approx(100.0, abs=3.0)
    assert (found["time"], found["time_unit"]) == (pytest.approx(0.2), "ps")
    assert cli("convert", "real_units.dump", "run.h5md").code == 0
    assert cli("convert", "run.h5md", "out.xyz").code == 0
    np.testing.assert_allclose(ase.io.read("out.xyz").get_forces()[0], [1.0, 2.0, 3.0], rtol=1e-4)


def test_all_of_a_structure_reaches_a_calculator(cli: Cli, copies: Path) -> None:
    """Charge, spin and tags: 111.69 eV through ASE."""
    done = cli("label", "cation.xyz", "--calculator", "mycalc.Info", "-o", "labelled.xyz")
    assert done.code == 0, done.err
    atoms = ase.io.read("labelled.xyz")
    assert atoms.get_potential_energy() == pytest.approx(111.69, abs=0.01)
    assert (atoms.info["charge"], atoms.info["spin"]) == (1, 2)
    assert atoms.get_tags().tolist() == [1, 0, 0]


def test_partial_occupancies_are_refused_by_name(cli: Cli, copies: Path) -> None:
    for arguments in (
        ("rollout", "disordered.cif", "--calculator", "emt", "--temperature", "300 K"),
        ("analyse", "disordered.cif"),
    ):
        done = cli(*arguments)
        assert done.code == 2
        assert "Cu" in done.err
        assert "Au" in done.err
        assert "0.5" in done.err


@pytest.mark.parametrize("name", ["types.xyz", "forces_first.xyz"])
def test_extended_xyz_is_read_by_its_properties(name: str, cli: Cli, copies: Path) -> None:
    assert cli("convert", name, "run.h5md", "--frame-interval", "10 fs").code == 0
    assert cli("convert", "run.h5md", "out.traj").code == 0
    atoms = ase.io.read("out.traj", 0)
    np.testing.assert_allclose(atoms.positions[0], [11.451080, 6.221551, 0.003106])
    np.testing.assert_allclose(atoms.cell[:], 12.0 * np.eye(3))
    if name == "forces_first.xyz":
        np.testing.assert_allclose(atoms.get_forces()[0], [0.1, 0.2, 0.3])
        assert set(atoms.get_chemical_symbols()) == {"O", "H"}
        assert atoms.get_masses()[1] == pytest.approx(2.014, abs=1e-3)


def test_a_column_of_masses_is_honoured(cli: Cli, copies: Path) -> None:
    done = cli(
        "rollout", "mass_column.xyz", *LJ, "--temperature", "10 K", "--steps", 2, "-o", "run.h5md"
    )
    assert done.code == 0, done.err
    assert cli("convert", "run.h5md", "out.traj").code == 0
    assert ase.io.read("out.traj", 0).get_masses()[0] == pytest.approx(80.0)


def test_neon_is_no_nitrogen(analysed: Callable[..., dict[str, Any]]) -> None:
    found = analysed("neon.gro")
    assert value(found, "temperature") == pytest.approx(100.0, rel=0.001)
    assert "elements" in found["assumed"]


def test_a_column_of_velocities_is_read(cli: Cli, copies: Path) -> None:
    done = cli("rollout", "vel_column.xyz", *LJ, "--steps", 2, "--units", "metal", "-o", "run.h5md")
    assert done.code == 0, done.err
    plain = cli("rollout", "vel_column.xyz", *LJ, "--steps", 2, "-o", "plain.h5md")
    assert "has no velocities" not in plain.err


def test_an_h5md_of_mdanalysis_needs_its_topology(
    analysed: Callable[..., dict[str, Any]], cli: Cli
) -> None:
    assert analysed("mda_written.h5md", "--topology", "mda_written.pdb")["frames"] == 400
    done = cli("analyse", "mda_written.h5md")
    assert done.code == 2
    assert "--topology" in done.err


def test_sites_without_mass_do_not_count(analysed: Callable[..., dict[str, Any]]) -> None:
    found = analysed("tip4p.gro")
    # 27 molecules of three atoms with mass
    lines = Path("tip4p.gro").read_text().splitlines()[2:-1]
    masses = np.array(
        [{"O": 15.999, "H": 1.008, "M": 0.0}[line[10:15].strip()[0]] for line in lines]
    )
    v = 1e3 * np.array(
        [[float(line[44 + 8 * k : 52 + 8 * k]) for k in range(3)] for line in lines]
    )  # m/s
    kelvin = 1.66053907e-27 * (masses[:, None] * v**2).sum() / (243 * 1.380649e-23)
    assert value(found, "temperature") == pytest.approx(kelvin, rel=1e-4)
    assert "243 degrees" in found["numbers"]["temperature"]["note"]
    assert not [
        name for name in found["numbers"] if name.startswith("coordination") and "X" in name
    ]


def test_a_format_that_ase_cannot_guess(cli: Cli, copies: Path) -> None:
    options = (*LJ, "--temperature", "10 K", "--steps", 2, "-o", "run.h5md")
    told = cli("rollout", "lammps_atomic.data", *options, "--format", "lammps-data", "--force")
    assert told.code == 0, told.err
    untold = cli("rollout", "lammps_atomic.data", *options, "--force")
    assert untold.code == 0 or "--format lammps-data" in untold.err


def test_the_motion_of_the_centre_is_no_heat(
    cli: Cli, copies: Path, analysed: Callable[..., dict[str, Any]]
) -> None:
    done = cli("rollout", "drift_only.traj", *LJ, "--dt", "5 fs", "--steps", 400, "-o", "run.h5md")
    assert done.code == 0, done.err
    assert value(analysed("run.h5md"), "temperature") == pytest.approx(0.0, abs=1e-3)
    assert value(analysed("drift_only.traj"), "temperature") == pytest.approx(0.0, abs=1e-3)


def test_a_comet_that_grazes_the_sun(cli: Cli, copies: Path) -> None:
    """Against the same run at a step so short that a shorter one changes 1e-4 km."""
    for name, more in (("default", ()), ("fine", ("--dt", "0.002 day"))):
        done = cli(
            "rollout",
            "solar",
            "--bodies",
            "comet_with_planets.csv",
            "--time",
            "120 day",
            *more,
            "-o",
            f"{name}.h5md",
        )
        assert done.code == 0, done.err
    last = [last_positions(copies / f"{name}.h5md") for name in ("default", "fine")]
    assert np.linalg.norm(last[0] - last[1], axis=-1).max() * 149597870.7 < 100.0


def last_positions(path: Path) -> np.ndarray:
    """The last frame, in astronomical units."""
    from trajectories.storage.h5md import H5MDReader

    with H5MDReader(path) as reader:
        return np.asarray(reader[-1].system.positions)


def test_bodies_without_mass_are_test_particles(cli: Cli, copies: Path) -> None:
    done = cli(
        "rollout", "solar", "--bodies", "zero_mass.csv", "--time", "1 year", "-o", "run.h5md"
    )
    assert done.code == 0, done.err
    assert cli("analyse", "run.h5md").code == 0


@pytest.mark.parametrize("arguments", [(), ("--relativity",)])
def test_a_binary_of_ones_own_is_analysed(
    arguments: tuple[str, ...], cli: Cli, copies: Path
) -> None:
    done = cli(
        "rollout",
        "solar",
        "--bodies",
        "binary_equal.csv",
        *arguments,
        "--time",
        "10 year",
        "-o",
        "run.h5md",
    )
    assert done.code == 0 or (arguments and done.code == 2)
    if done.code == 0:
        for verb in ("analyse", "report"):
            assert cli(verb, "run.h5md").code == 0
        assert "from JPL" not in cli("analyse", "run.h5md").out


def test_the_step_looks_at_the_tightest_pair(cli: Cli, copies: Path) -> None:
    """Io goes around Jupiter, which no parent column says: right by default, and with a step that
    is too long right or told of."""
    told = {}
    for name, more in (
        ("default", ()),
        ("fine", ("--dt", "0.01 day")),
        ("long", ("--dt", "0.5 day")),
    ):
        done = cli(
            "rollout",
            "solar",
            "--bodies",
            "moons_blank.csv",
            "--time",
            "100 day",
            *more,
            "-o",
            f"{name}.h5md",
        )
        assert done.code == 0, done.err
        told[name] = done.err
    last = {name: last_positions(copies / f"{name}.h5md") for name in told}
    away = {
        name: np.linalg.norm(x - last["fine"], axis=-1).max() * 149597870.7
        for name, x in last.items()
    }
    assert away["default"] < 10.0
    assert away["long"] < 10.0 or "Io" in told["long"]


def test_made_up_bodies_are_not_compared_with_jpl(cli: Cli, copies: Path) -> None:
    done = cli(
        "rollout", "solar", "--bodies", "star_last.csv", "--time", "1 year", "-o", "run.h5md"
    )
    assert done.code == 0, done.err
    assert "from JPL" not in done.out
    assert "km_from_jpl" not in json.loads(cli("analyse", "run.h5md", "--json").out)


_SMALL = {
    "n_updates": 20,
    "batch": 4,
    "data.n_train": 30,
    "data.n_validation": 5,
    "validate_every": 10,
    "model.hyperparameters.n_features": 8,
    "model.hyperparameters.n_channels": "[2,2]",
    "model.hyperparameters.n_couplings": 2,
    "model.hyperparameters.n_layers": 1,
    "model.hyperparameters.cutoff": 4.0,
}
SMALL = [word for key, setting in _SMALL.items() for word in ("--set", f"{key}={setting}")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stress_kbar.xyz", "stress"),
        ("free_energy.xyz", "free_energy"),
        ("virial.xyz", "virial"),
        ("slab_stress.xyz", "periodic"),
        ("frozen_forces.xyz", "frozen|fixed"),
        ("mixed_ref.xyz", "REF_"),
    ],
)
def test_what_labels_are_is_said_before_training(
    name: str, words: str, cli: Cli, copies: Path
) -> None:
    """Units and sign of stresses, free energies, virials, stresses of slabs, forces of frozen
    atoms, mixed sources."""
    done = cli("train", "extxyz", "--data", name, *SMALL, "-o", "mine")
    assert done.code in (0, 2)
    assert any(word in done.out + done.err for word in words.split("|")), done.out + done.err
