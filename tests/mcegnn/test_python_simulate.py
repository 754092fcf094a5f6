"""`mcegnn.simulate`: the same run as on the command line, from a call, with the same sentences."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.constraints import FixAtoms

import mcegnn
from mcegnn import RunDiverged, RunWarning, System, Trajectory, load, simulate
from mcegnn.runs.events import Finished, Progress, Saved, Started
from systems.units import METAL
from trajectories.storage.h5md import H5MDReader

Equal = Callable[[Path, Path], bool]
ARGON = "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4"


@pytest.fixture(autouse=True)
def folder(structures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder, with structures."""
    monkeypatch.chdir(structures)
    return structures


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below, with its bytes."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "charged": (
        "charged",
        {"systems": np.int64(3), "steps": 40, "every": 10, "integrator": "yoshida-8"},
    ),
    "solar": (
        "solar",
        {"time": "20 day", "every": 5, "without": ["Moon", "Pluto"], "relativity": True},
    ),
    "potential": (
        "argon.xyz",
        {"potential": ARGON, "ensemble": "nvt", "temperature": "40 K", "steps": 20, "seed": 3},
    ),
    "calculator": (
        "copper.traj",
        {"calculator": "emt", "steps": 10, "every": 2, "masses": {"Cu": 65.0}},
    ),
    "model": ("charged", {"model": "charged-mcegnn", "time": 2, "systems": 4}),
}


def spelled(options: dict[str, Any]) -> list[str]:
    """The same on the command line."""
    words: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, dict):
            value = ",".join(f"{key}={one}" for key, one in value.items())
        for one in value if isinstance(value, list) else [value]:
            words += [flag] if one is True else [flag, str(one)]
    return words


@pytest.mark.parametrize("name", CALLS)
def test_a_call_makes_the_run_of_the_command_line(
    name: str, cli: Callable[..., Any], equal: Equal
) -> None:
    system, options = CALLS[name]
    run = simulate(system, output="mine.h5md", progress=False, **options)
    done = cli("rollout", system, *spelled(options), "-o", "theirs.h5md")
    assert done.code == 0, done.err
    assert equal(Path("mine.h5md"), Path("theirs.h5md"))
    with H5MDReader("mine.h5md") as reader:
        assert len(run) == len(reader) > 1
        assert reader.provenance["command"].startswith(f"mcegnn.simulate('{system}', ")


def held() -> Atoms:
    """Argon with all that a run takes from a file: velocities, isotopes, frozen atoms, info."""
    atoms = ase.io.read("argon.xyz")
    atoms.set_momenta(np.random.default_rng(0).normal(0.0, 0.3, (len(atoms), 3)))
    atoms.set_masses([36.0, *atoms.get_masses()[1:]])
    atoms.set_constraint(FixAtoms([1, 5]))
    atoms.info["origin"] = "a test of ours"
    atoms.positions += 1e-11  # beyond the decimals of usual files
    return atoms


@pytest.mark.parametrize("kind", ["atoms", "system"])
def test_a_structure_in_memory_starts_the_run_of_its_file(kind: str, equal: Equal) -> None:
    atoms = held()
    if kind == "system":
        atoms.set_constraint()
        atoms.info.clear()
    ase.io.write("held.traj", atoms)
    options: dict[str, Any] = {"potential": ARGON, "ensemble": "nvt", "temperature": "30 K"}
    options |= {"steps": 10, "every": 5}
    given = atoms if kind == "atoms" else mcegnn.from_atoms(atoms)
    run = simulate(given, output="memory.h5md", **options)
    np.testing.assert_array_equal(run.positions[0], atoms.positions)
    simulate("memory.start.xyz", output="start.h5md", **options)
    simulate("held.traj", output="file.h5md", **options)
    with H5MDReader("memory.h5md") as reader:
        assert reader.frozen == ([1, 5] if kind == "atoms" else [])
        assert reader.configuration["file"] == "memory.start.xyz"
    for other in ("start.h5md", "file.h5md"):
        np.testing.assert_array_equal(run.positions, Trajectory(other).positions)
        np.testing.assert_array_equal(run.velocities, Trajectory(other).velocities)


def test_a_slab_without_a_third_vector_is_kept_in_a_file_that_has_a_place_for_it() -> None:
    slab = fcc111("Cu", (2, 2, 2))
    assert slab.cell.rank == 2
    run = simulate(slab, calculator="emt", temperature="3 K", steps=2, output="slab.h5md")
    np.testing.assert_array_equal(run[0].cell, slab.cell[:])
    assert Path("slab.start.traj").is_file()


def test_a_model_in_memory_is_its_file_and_the_command_line_goes_on_with_the_run(
    cli: Callable[..., Any], equal: Equal
) -> None:
    options: dict[str, Any] = {"temperature": "300 K", "relax": True, "every": 2}
    simulate("ethanol.xyz", model=load("ethanol"), steps=8, output="whole.h5md", **options)
    simulate("ethanol.xyz", model="ethanol", steps=4, output="half.h5md", **options)
    assert cli("rollout", "--resume", "half.h5md", "--steps", "4").code == 0
    np.testing.assert_array_equal(
        Trajectory("whole.h5md").positions, Trajectory("half.h5md").positions
    )
    with H5MDReader("whole.h5md") as reader:
        assert reader.configuration["model"] == "ethanol"


def test_a_changed_model_has_to_be_saved_before_it_moves_anything() -> None:
    model: Any = load("charged-force")
    weights: Any = next(model.parameters())
    weights += 0.01
    with pytest.raises(ValueError, match=r"other weights than .*mcegnn\.save\(model, "):
        simulate("charged", model=model, steps=2, output="run.h5md")
    mcegnn.save(model, "changed.safetensors")
    simulate("charged", model=model, steps=2, systems=2, output="run.h5md")
    with H5MDReader("run.h5md") as reader:
        assert reader.configuration["model"] == str(Path("changed.safetensors").absolute())
    with pytest.raises(FileExistsError, match="overwrite=True"):
        mcegnn.save(model, "changed.safetensors")
    made = type(model)(4, 2)
    with pytest.raises(ValueError, match="was made in memory"):
        simulate("charged", model=made, steps=2, output="other.h5md")


def test_several_models_are_a_committee() -> None:
    model: Any = load("ethanol")
    next(model.parameters()).mul_(1.001)
    mcegnn.save(model, "other.safetensors")
    given = ["ethanol", model]
    run = simulate("ethanol.xyz", model=given, temperature="50 K", steps=2, output="both.h5md")
    assert run.analyse().number("uncertainty").value > 0


def test_ctrl_c_says_how_to_go_on_and_that_call_gives_the_same_bits(
    signalled: Callable[[int], AbstractContextManager[None]], equal: Equal
) -> None:
    options: dict[str, Any] = {"systems": 5, "steps": 200, "every": 10}
    simulate("charged", output="whole.h5md", **options)
    with signalled(70), pytest.raises(KeyboardInterrupt) as stopped:
        simulate("charged", output="cut.h5md", **options)
    sentence = str(stopped.value)
    assert sentence.startswith("stopped; ")
    with H5MDReader("cut.h5md") as reader:
        assert f"{len(reader)} frames are kept" in sentence
        assert len(reader) < 21
    run = eval(sentence.partition("go on with: ")[2])
    assert len(run) == 21
    assert equal(Path("whole.h5md"), Path("cut.h5md"))


def test_a_finished_run_goes_on_while_its_trajectory_is_there() -> None:
    run = simulate("charged", systems=2, steps=20, every=10, output="run.h5md")
    before = run.positions[-1]
    longer = simulate(resume="run.h5md", steps=20)
    assert len(run) == len(longer) == 5
    np.testing.assert_array_equal(run.positions[2], before)


def test_a_run_that_diverges_is_an_exception_with_the_frames_before() -> None:
    with pytest.raises(RunDiverged) as diverged:
        simulate(
            "argon.xyz",
            potential=ARGON,
            temperature="40 K",
            steps=20,
            every=1,
            max_energy_jump="1e-12 eV",
            output="run.h5md",
        )
    words = str(diverged.value)
    assert "--" not in words
    assert "mcegnn.simulate(resume='run.h5md', max_energy_jump=\"off\")" in words
    assert diverged.value.path is not None
    assert len(Trajectory(diverged.value.path)) >= 1
    assert len(simulate(resume="run.h5md", max_energy_jump="off")) == 21


def test_what_is_probably_wrong_is_warned_of_in_words_of_python() -> None:
    with pytest.warns(RunWarning, match=r'above 1 fs moves it wrongly; use dt="0.5 fs"') as told:
        simulate(
            "ethanol.xyz", model="ethanol", temperature="9 K", dt="2 fs", steps=1, output="run.h5md"
        )
    assert all(one.filename == __file__ for one in told)


def test_a_function_gets_every_event_and_false_shows_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: list[Any] = []
    simulate("charged", systems=2, steps=20, every=10, output="a.h5md", progress=told.append)
    simulate("charged", systems=2, steps=20, every=10, output="b.h5md", progress=False)
    assert {type(event) for event in told} >= {Started, Progress, Saved, Finished}
    assert capfd.readouterr() == ("", "")


def test_an_error_of_that_function_ends_the_run_which_can_go_on() -> None:
    def enough(event: Any) -> None:
        if isinstance(event, Progress) and event.done >= 20:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        simulate("charged", systems=2, steps=40, every=10, output="run.h5md", progress=enough)
    assert len(simulate(resume="run.h5md")) == 5


def system(**more: Any) -> System:
    return System.create([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], **more)


MISTAKES: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "an unknown keyword": (
        TypeError,
        "simulate() has no keyword 'temprature'; did you mean temperature?",
        lambda: simulate("argon.xyz", temprature="3 K", output="x.h5md"),  # type: ignore[call-arg]
    ),
    "a keyword that resembles no other": (
        TypeError,
        "simulate() has no keyword 'timestep'; known are calculator, ",
        lambda: simulate("argon.xyz", timestep="5 fs", output="x.h5md"),  # type: ignore[call-arg]
    ),
    "atoms beside a run to resume": (
        ValueError,
        "resume takes its system and physics from the run; leave out the system",
        lambda: simulate(molecule("H2O"), resume="x.h5md"),
    ),
    "an output that exists": (
        FileExistsError,
        "argon.xyz.h5md exists already; choose another name or overwrite it with overwrite=True",
        lambda: simulate("charged", output="argon.xyz.h5md"),
    ),
    "a structure in memory over a file": (
        FileExistsError,
        "y.start.xyz exists already",
        lambda: simulate(molecule("H2O"), calculator="emt", output="y.h5md"),
    ),
    "a property model": (
        ValueError,
        "property.safetensors is a PropertyModel, which mcegnn rollout cannot use",
        lambda: simulate("ethanol.xyz", model="property.safetensors", output="x.h5md"),
    ),
    "a missing file": (
        FileNotFoundError,
        "there is no file no.xyz; the system is charged, solar, or a file of atoms",
        lambda: simulate("no.xyz", calculator="emt", output="x.h5md"),
    ),
    "a missing model": (
        FileNotFoundError,
        "there is no model ethanl; did you mean ethanol, which comes with the package?",
        lambda: simulate("ethanol.xyz", model="ethanl", output="x.h5md"),
    ),
    "a missing run": (
        FileNotFoundError,
        "there is no file no.h5md",
        lambda: simulate(resume="no.h5md"),
    ),
    "no output": (
        ValueError,
        'name the file of the run: output="run.h5md"',
        lambda: simulate("charged"),
    ),
    "nothing": (ValueError, "name the file of the run", lambda: simulate()),
    "no system": (ValueError, "name a system", lambda: simulate(output="x.h5md")),
    "an option of another system": (
        ValueError,
        "temperature does not go with charged; it takes particles, systems, seed, model,"
        " max_energy_jump, min_distance",
        lambda: simulate("charged", temperature="3 K", output="x.h5md"),
    ),
    "no unit": (
        ValueError,
        "temperature='300' has no unit; write temperature=\"300 K\"",
        lambda: simulate("argon.xyz", potential=ARGON, temperature=300, output="x.h5md"),
    ),
    "no temperature": (
        ValueError,
        'langevin-baoab holds a temperature: give temperature="300 K"',
        lambda: simulate("argon.xyz", potential=ARGON, ensemble="nvt", output="x.h5md"),
    ),
    "no forces": (
        ValueError,
        'give one of calculator=NAME (such as "tblite"), model=MODEL and potential=MODULE:FACTORY',
        lambda: simulate(molecule("H2O"), output="x.h5md"),
    ),
    "frames that do not divide": (
        ValueError,
        "7 steps are not a whole multiple of every=3; use steps=6 or another every",
        lambda: simulate("charged", steps=7, every=3, output="x.h5md"),
    ),
    "a number in words": (
        TypeError,
        "steps is a whole number, not '7'",
        lambda: simulate("charged", steps="7", output="x.h5md"),  # type: ignore[typeddict-item]
    ),
    "a flag in words": (
        TypeError,
        "relax is True or False, not 'yes'",
        lambda: simulate("argon.xyz", relax="yes", output="x.h5md"),  # type: ignore[typeddict-item]
    ),
    "an object for a calculator": (
        TypeError,
        "moves atoms by mcegnn.rollout",
        lambda: simulate("argon.xyz", calculator=molecule, output="x.h5md"),  # type: ignore[typeddict-item]
    ),
    "something else for a model": (
        TypeError,
        "model is a name, a path or a model, not a int",
        lambda: simulate("argon.xyz", model=3, output="x.h5md"),
    ),
    "something else for a system": (
        TypeError,
        "a structure is a file's name, an ase.Atoms or a System, not a int",
        lambda: simulate(3, calculator="emt", output="x.h5md"),
    ),
    "particles that are no atoms": (
        ValueError,
        "a system in reduced units is not a structure of atoms; move it by mcegnn.rollout",
        lambda: simulate(system(), calculator="emt", output="x.h5md"),
    ),
    "an ensemble": (
        ValueError,
        "an ensemble is not a structure of atoms",
        lambda: simulate(System.create(np.eye(3)[None].repeat(2, 0), units=METAL), output="x.h5md"),
    ),
    "a folder that is not there": (
        ValueError,
        "there is no folder no; make it first or name another file as output",
        lambda: simulate("charged", steps=1, output="no/x.h5md"),
    ),
    "a folder that is not there, for atoms": (
        ValueError,
        "there is no folder no; make it first or name another file as output",
        lambda: simulate(molecule("H2O"), calculator="emt", output="no/x.h5md"),
    ),
    "atoms too near": (
        ValueError,
        'relax them first (relax=True), or say min_distance="off"',
        lambda: simulate(
            Atoms("Cu2", [[0, 0, 0], [0, 0, 0.1]]),
            calculator="emt",
            temperature="3 K",
            output="x.h5md",
        ),
    ),
    "a resumed run with a system": (
        ValueError,
        "resume takes its system and physics from the run; leave out charged",
        lambda: simulate("charged", resume="run.h5md"),
    ),
    "a resumed run with options": (
        ValueError,
        "leave out temperature, dt",
        lambda: simulate(resume="run.h5md", dt=0.1, temperature="3 K", steps=3),
    ),
    "no threads": (
        ValueError,
        "threads must be at least 1, not 0",
        lambda: simulate("charged", threads=0, output="x.h5md"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_an_exception_in_one_sentence_and_nothing_is_left(
    name: str, folder: Path
) -> None:
    from mcegnn.models.store import Stored, save

    Path("argon.xyz.h5md").write_text("mine")
    Path("y.start.xyz").write_text("mine")
    if name == "a property model":
        save(Stored.make("PropertyModel", {"n_features": 4}), "property.safetensors")
    kind, words, call = MISTAKES[name]
    before = snapshot(folder)
    with warnings.catch_warnings(action="ignore"), pytest.raises(kind) as raised:
        call()
    assert words in str(raised.value)
    assert "--" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert snapshot(folder) == before


def test_a_start_that_was_there_is_there_again_where_the_new_run_cannot_begin() -> None:
    options: dict[str, Any] = {"calculator": "emt", "temperature": "3 K", "steps": 2}
    copper = ase.io.read("copper.traj")
    simulate(copper, output="run.h5md", **options)
    before = Path("run.start.xyz").read_bytes(), Path("run.h5md").read_bytes()
    near = Atoms("Cu2", [[0, 0, 0], [0, 0, 0.1]])
    with pytest.raises(ValueError, match="relax=True"):
        simulate(near, output="run.h5md", overwrite=True, **options)
    assert (Path("run.start.xyz").read_bytes(), Path("run.h5md").read_bytes()) == before
    copper.rattle(0.01)
    simulate(copper, output="run.h5md", overwrite=True, **options)
    assert Path("run.start.xyz").read_bytes() != before[0]


def test_neither_the_command_line_nor_torch_is_loaded_by_a_run_that_needs_neither() -> None:
    code = (
        "import sys, mcegnn\n"
        "run = mcegnn.simulate('charged', systems=2, steps=2, output='run.h5md')\n"
        "run.energy, run.analyse(), repr(run)\n"
        "assert not {'typer', 'click', 'torch', 'IPython'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=300, check=False)
    assert done.returncode == 0
