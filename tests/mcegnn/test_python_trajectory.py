"""`mcegnn.Trajectory`: any run or foreign file, read lazily, with `mcegnn analyse`'s numbers."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase.build import molecule

import mcegnn
from mcegnn import System, Trajectory, simulate
from mcegnn.runs.provenance import MARKED
from systems.units import METAL
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

ARGON = "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4"
_NAMES = ("argon.h5md", "charged.h5md", "solar.h5md")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of each kind, and a trajectory of ASE's."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(1)
    atoms = ase.build.bulk("Ar", "fcc", 5.4, cubic=True).repeat(3)
    atoms.positions += rng.normal(0.0, 0.1, (len(atoms), 3))
    simulate(
        atoms,
        potential=ARGON,
        ensemble="nvt",
        temperature="90 K",
        steps=1200,
        every=10,
        dt="5 fs",
        output=folder / "argon.h5md",
    )
    simulate("charged", systems=3, steps=200, every=20, output=folder / "charged.h5md")
    simulate("solar", time="40 day", every=5, output=folder / "solar.h5md")
    frames = []
    for k in range(40):
        water = molecule("H2O", vacuum=5.0)
        water.positions += 0.01 * k + rng.normal(0.0, 0.01, (3, 3))
        water.info["time"] = float(k)
        frames.append(water)
    ase.io.write(folder / "water.traj", frames)
    return folder


@pytest.fixture
def run(runs: Path) -> Trajectory:
    return Trajectory(runs / "argon.h5md")


Analysed = Callable[..., tuple[dict[str, Any], Path]]


@pytest.fixture
def analysed(cli: Callable[..., Any], tmp_path: Path) -> Analysed:
    """What `mcegnn analyse` says, and the folder with its curves, every digit of them."""

    def analyse(path: Path, *more: str) -> tuple[dict[str, Any], Path]:
        done = cli("analyse", path, "--csv", "numbers", "--json", *more)
        assert done.code == 0, done.err
        return json.loads(done.out), tmp_path / "numbers"

    return analyse


def columns(path: Path) -> tuple[list[str], np.ndarray]:
    with open(path, encoding="utf-8") as file:
        head = next(csv.reader(file))
    return head, np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)


def check_same(result: Any, said: dict[str, Any], folder: Path) -> None:
    """The curves and numbers of a result are, to the last digit, those that were written."""
    head, table = columns(folder / f"{result.key}.csv")
    assert len(head) == 1 + len(result.curves)
    np.testing.assert_array_equal(result.x, table[:, 0])
    for name, written in zip(result.curves, table[:, 1:].T, strict=True):
        np.testing.assert_array_equal(result[name], written)
    assert result.x_unit in head[0]
    for key, number in result.numbers.items():
        assert (number.value, number.error) == (
            said["numbers"][key]["value"],
            said["numbers"][key]["error"],
        )


@pytest.mark.parametrize("what", ["rdf", "msd", "vacf", "spectrum"])
@pytest.mark.parametrize("select", [None, "index 0:40"])
def test_an_analysis_has_the_numbers_of_the_command_line(
    what: str, select: str | None, run: Trajectory, analysed: Analysed
) -> None:
    more = () if select is None else ("--select", select)
    result = getattr(run, what)(select)
    check_same(result, *analysed(run.path, *more))
    assert result.numbers or what != "rdf"


def test_temperature_and_energy_are_those_of_the_command_line(
    run: Trajectory, analysed: Analysed
) -> None:
    said, folder = analysed(run.path)
    check_same(run.temperature, said, folder)
    assert run.temperature.numbers
    energy = run.energy
    np.testing.assert_array_equal(
        energy["potential"] / run[0].n_particles, columns(folder / "potential_energy.csv")[1][:, 1]
    )
    np.testing.assert_array_equal(energy["total"], energy["kinetic"] + energy["potential"])
    assert energy.numbers["potential_energy"].value == said["numbers"]["potential_energy"]["value"]
    assert (energy.y_unit, energy.x_unit, run.time_unit) == ("eV", "ps", "ps")
    np.testing.assert_array_equal(energy.x, run.times)


def test_all_at_once_is_the_command_line_too(runs: Path, analysed: Analysed) -> None:
    for name in _NAMES:
        said, _ = analysed(runs / name, "--force")
        found = Trajectory(runs / name).analyse()
        assert {number.key: number.value for number in found.numbers} == {
            key: number["value"] for key, number in said["numbers"].items()
        }


def test_a_run_beside_another(runs: Path) -> None:
    found = Trajectory(runs / "charged.h5md").analyse(reference=runs / "charged.h5md")
    assert found.number("forecast_error").value == 0.0


@pytest.mark.parametrize("name", _NAMES)
def test_frames_are_those_of_the_file_in_float64(name: str, runs: Path) -> None:
    run = Trajectory(runs / name)
    with H5MDReader(runs / name) as reader:
        x, v = reader.frames("position"), reader.frames("velocity")
        last = reader[len(reader) - 1].system
    assert run.positions.shape == x.shape == np.asarray(run.positions).shape
    assert run.positions[0].dtype == np.float64
    for which in (0, -1, slice(1, None, 3), (slice(None), 0), (2, ..., 1), np.array([0, 2])):
        np.testing.assert_array_equal(run.positions[which], x[which])
    np.testing.assert_array_equal(np.stack(list(run.velocities)), v)
    np.testing.assert_array_equal(run[-1].positions, last.positions)
    np.testing.assert_array_equal(run[-1].momenta, last.momenta)
    systems = list(run)
    assert len(systems) == len(run) == len(x)
    assert all(isinstance(system, System) for system in systems)
    np.testing.assert_array_equal(systems[3].positions, run[2:5][1].positions)
    with pytest.raises(IndexError):
        run[len(run)]


def test_frames_are_read_one_by_one(run: Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    plain = H5MDReader.frames

    def frames(self: H5MDReader, element: str, which: Any = slice(None)) -> np.ndarray:
        read.append(which)
        return plain(self, element, which)

    monkeypatch.setattr(H5MDReader, "frames", frames)
    positions = run.positions
    assert positions.shape[0] == len(run)
    assert read == []
    positions[7]
    assert read == [7]


def test_a_with_block_keeps_the_file_open_and_closes_it(run: Trajectory) -> None:
    with run:
        kept = run._source._kept
        run[0], run.times, run.temperature
        assert run._source._kept is kept is not None
    assert run._source._kept is None
    assert len(run) == 121


def test_a_foreign_file_is_read_as_the_command_line_reads_it(
    runs: Path, analysed: Analysed
) -> None:
    path = runs / "water.traj"
    said, folder = analysed(path, "--frame-interval", "2 fs", "--masses", "H=2.014")
    with Trajectory(path, frame_interval="2 fs", masses={"H": 2.014}) as run:
        check_same(run.rdf(), said, folder)
        assert run[0].masses.tolist() == [15.999, 2.014, 2.014]
        np.testing.assert_allclose(np.diff(run.times), 0.002, rtol=1e-12)
        inside = run._source.file
        assert inside.is_file()
    assert not inside.exists()
    with pytest.raises(ValueError, match="is closed; open it anew"):
        len(run)


def test_ase_and_mdanalysis_get_the_frames(runs: Path, run: Trajectory) -> None:
    atoms = run.to_ase(-1)
    assert str(atoms.symbols) == "Ar108"
    np.testing.assert_array_equal(atoms.positions, run.positions[-1])
    assert atoms.get_potential_energy() == run.energy["potential"][-1]
    assert len(run.to_ase()) == len(run)
    assert len(run.to_ase(slice(0, 3))) == 3
    u = run.universe()
    assert len(u.trajectory) == len(run)
    u.trajectory.close()
    ensemble = Trajectory(runs / "charged.h5md").to_ase(0)
    assert len(ensemble) == 15


def test_figures(run: Trajectory, runs: Path, tmp_path: Path) -> None:
    rdf = run.plot("rdf", tmp_path / "rdf.png")
    assert (tmp_path / "rdf.png").read_bytes().startswith(b"\x89PNG")
    (line,) = rdf.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), run.rdf().y)
    assert run.plot("energy").axes[0].get_ylabel() == "potential energy (eV/atom)"
    assert run.plot("temperature").axes[0].get_ylabel() == "temperature (K)"
    assert run.plot("trajectory")._repr_png_().startswith(b"\x89PNG")
    energies = Trajectory(runs / "charged.h5md").energy
    assert len(energies.plot(tmp_path / "e.svg").axes[0].lines) == 9
    assert (tmp_path / "e.svg").is_file()
    for name in ("charged.h5md", "solar.h5md"):
        assert Trajectory(runs / name).plot("conserved").axes
    with pytest.raises(ValueError, match="this run has no conserved quantities"):
        run.plot("conserved")  # under a thermostat


def test_it_says_what_it_is(runs: Path, run: Trajectory) -> None:
    said = {name: repr(Trajectory(runs / name)) for name in _NAMES}
    assert said["argon.h5md"].endswith(
        "121 frames, 108 atoms (Ar108), time 0 to 6 ps, metal units)"
    )
    assert "11 frames, 3 systems of 5 particles, time 0 to 0.2, reduced" in said["charged.h5md"]
    assert "11 bodies, time 0 to 0.109514 years, astronomical" in said["solar.h5md"]
    assert "<td" in run._repr_html_()
    assert "108 atoms (Ar108)" in run._repr_html_()
    temperature = run.temperature
    assert repr(temperature).startswith("Temperature: 121 points over time (ps)\n  temperature: ")
    assert "<svg" in temperature._repr_html_()
    with pytest.raises(KeyError, match="'rdf' is none of 'time', ''"):
        temperature["rdf"]


def test_frames_beyond_what_a_model_was_trained_on_are_left_out_with_a_warning(
    runs: Path, tmp_path: Path
) -> None:
    with H5MDReader(runs / "argon.h5md") as reader:
        states = [reader[k] for k in range(len(reader))]
    path = tmp_path / "marked.h5md"
    with H5MDWriter(path, states[0].system) as writer:
        for state in states:
            writer.write(state)
        writer.record({f"{MARKED} from step 0, 1": json.dumps({"0": 600})})
    with pytest.warns(mcegnn.RunWarning, match=r"61 of 121 frames .*with all_frames=True") as told:
        shorter = Trajectory(path).temperature
    assert told[0].filename == __file__
    assert len(shorter.x) == 60
    with pytest.warns(mcegnn.RunWarning, match="are extrapolated"):
        assert len(Trajectory(path, all_frames=True).temperature.x) == 121
    assert len(Trajectory(path)) == 121


MISTAKES: dict[str, tuple[type[Exception], str, Callable[[Path], Any]]] = {
    "a missing file": (
        FileNotFoundError,
        "there is no file ",
        lambda runs: Trajectory(runs / "no.h5md"),
    ),
    "a folder": (ValueError, "is a folder; name a run in it", lambda runs: Trajectory(runs)),
    "what a run of ours tells itself": (
        ValueError,
        "units goes with files of other programs; ",
        lambda runs: Trajectory(runs / "argon.h5md", units="real"),
    ),
    "units that are none": (
        ValueError,
        "'reall' are no units of LAMMPS; did you mean real?",
        lambda runs: Trajectory(runs / "water.traj", units="reall"),
    ),
    "an interval without unit": (
        ValueError,
        "frame_interval='2' has no unit; write frame_interval=\"0.5 fs\"",
        lambda runs: Trajectory(runs / "water.traj", frame_interval="2"),
    ),
    "no temperature": (
        ValueError,
        "this run has no temperature: it is in reduced units",
        lambda runs: Trajectory(runs / "charged.h5md").temperature,
    ),
    "no velocities": (
        ValueError,
        "no temperature: the frames hold no velocities",
        lambda runs: Trajectory(runs / "water.traj", frame_interval="1 fs").temperature,
    ),
    "no atoms": (
        ValueError,
        "this run has no radial distribution",
        lambda runs: Trajectory(runs / "solar.h5md").rdf(),
    ),
    "no box": (
        ValueError,
        "no mean squared displacement",
        lambda runs: Trajectory(runs / "water.traj", frame_interval="1 fs").msd(),
    ),
    "a selection of nothing": (
        ValueError,
        "the selection 'element Xe' matches no particle",
        lambda runs: Trajectory(runs / "argon.h5md").rdf("element Xe"),
    ),
    "an unknown curve": (
        ValueError,
        "this run has no 'rdff'; did you mean rdf? (it has trajectory, ",
        lambda runs: Trajectory(runs / "argon.h5md").plot("rdff"),
    ),
    "a frame that is not there": (
        IndexError,
        "frame 500 of ",
        lambda runs: Trajectory(runs / "argon.h5md").to_ase(500),
    ),
    "a figure into a folder that is not there": (
        FileNotFoundError,
        "rdf.png: No such file or directory",
        lambda runs: Trajectory(runs / "argon.h5md").plot("rdf", runs / "none" / "rdf.png"),
    ),
    "a system that is not there": (
        ValueError,
        "there is no system 9: ",
        lambda runs: Trajectory(runs / "charged.h5md").to_ase(0, system=9),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_sentence(name: str, runs: Path) -> None:
    kind, words, call = MISTAKES[name]
    with pytest.raises(kind) as raised:
        call(runs)
    assert words in str(raised.value)
    assert "--" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_several_replicas_are_named_one_by_one(tmp_path: Path) -> None:
    system = System.create(np.zeros((2, 1, 3)), masses=1.0, species=18, units=METAL)
    with H5MDWriter(tmp_path / "two.h5md", system) as writer:
        writer.write(mcegnn.State(system))
    run = Trajectory(tmp_path / "two.h5md")
    with pytest.raises(ValueError, match=r"each a structure of its own; name one with system=K"):
        run.to_ase()
    assert str(run.to_ase(0, system=1).symbols) == "Ar"
