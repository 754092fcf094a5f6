"""Runs as iterators of events: without a command line, stopped, pickled and gone on with."""

import pickle
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

import integrators.compiled.driver
import integrators.compiled.list_driver
import mcegnn.prediction
import mcegnn.runs.label
import mcegnn.runs.run_file
from mcegnn import load
from mcegnn.names import locate
from mcegnn.runs.atoms_options import atoms_run
from mcegnn.runs.errors import RunDiverged, WritingFailed
from mcegnn.runs.evaluate import EvaluateRun
from mcegnn.runs.events import (
    Diverged,
    Event,
    Finished,
    FrameWritten,
    Noted,
    Progress,
    Run,
    Saved,
    Started,
    Stopped,
)
from mcegnn.runs.label import LabelRun
from mcegnn.runs.label_sources import AlongDynamics, OfFile
from mcegnn.runs.predict import PredictRun
from mcegnn.runs.resume import saved_rollout
from mcegnn.runs.rollout import RolloutResult, RolloutRun
from mcegnn.runs.rollout_options import configuration
from mcegnn.runs.times import Times
from mcegnn.runs.training import TrainingRun
from mcegnn.simulation import Configuration
from mcegnn.training.options import parse
from systems.sources.atoms import read_all
from trajectories.storage import checkpoint
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.journaled_file import JournaledFile
from trajectories.storage.tensor_file import read_tensors

Equal = Callable[[Path, Path], bool]
WARM = {"temperature": "300 K", "ensemble": "nvt"}
ARGON = {"potential": "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4", "temperature": "40 K"}
RUNS = {
    "charged": ("charged", "yoshida-8", 400, {"systems": 100}),
    "solar": ("solar", None, 1600, {"relativity": True}),
    "model": ("ethanol.xyz", None, 40, {"model": "ethanol", "relax": True, **WARM}),
    "calculator": ("cluster.xyz", None, 40, {"calculator": "emt", "systems": 2, **WARM}),
    "npt": (
        "argon.xyz",
        None,
        40,
        {**ARGON, "ensemble": "npt", "pressure": "1 bar", "flexible": True},
    ),
}


@pytest.fixture(autouse=True)
def folder(structures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder, with structures; compiled drivers tell of every step, so that runs can be
    stopped between frames."""
    monkeypatch.chdir(structures)
    # so small that EMT's list of neighbours, which it keeps while atoms move little, holds all
    # pairs: of larger systems a calculator that is new would sum them in another order
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    ase.io.write("cluster.xyz", Atoms("Cu8", 2.5 * corners))
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(integrators.compiled.list_driver, "SLICE_SECONDS", 1e-9)
    return structures


def described(name: str) -> Configuration:
    system, integrator, n_steps, options = RUNS[name]
    dt = "0.5 day" if system == "solar" else None
    return configuration(system, integrator, Times(dt, None, n_steps, n_steps // 4), options)[0]


def label_run(output: str, steps: int = 40) -> LabelRun:
    config, _ = atoms_run(
        "cluster.xyz",
        None,
        Times(None, None, steps, 10),
        {**WARM, "calculator": "emt", "systems": 3},
    )
    return LabelRun(AlongDynamics(config), output)


def until(run: Run, n: int) -> list[Event]:
    """The events of a run until ``n`` steps or structures are done; then its iterator is closed."""
    told: list[Event] = []
    events = iter(run)
    for event in events:
        told.append(event)
        counts = isinstance(event, Progress) and event.what in ("rolling out", "labelling")
        if counts and event.done >= n:
            break
    events.close()  # type: ignore[attr-defined]
    assert not isinstance(told[-1], Finished | Stopped)
    return told


def result(run: Run) -> Any:
    *_, last = run
    assert isinstance(last, Finished)
    return last.result


_ELSEWHERE = """
import pickle, sys
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        *_, last = pickle.load(file)
    assert type(last).__name__ == "Finished", last
    with open(path + ".result", "wb") as file:
        pickle.dump(last.result, file)
assert "typer" not in sys.modules
"""


def finish_elsewhere(folder: Path, *runs: Run) -> list[Any]:
    """Pickle runs and iterate them to their end in a process of its own; their results."""
    paths = [folder / f"{k}.pickle" for k in range(len(runs))]
    for path, run in zip(paths, runs, strict=True):
        path.write_bytes(pickle.dumps(run))
    command = [sys.executable, "-W", "error", "-c", _ELSEWHERE, *map(str, paths)]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "")
    return [pickle.loads(Path(f"{path}.result").read_bytes()) for path in paths]


@pytest.mark.parametrize("at_frame", [True, False])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_pickled_halfway_goes_on_elsewhere(
    name: str, at_frame: bool, folder: Path, equal: Equal
) -> None:
    """To the bits of one that never stopped, which was pickled before it began; neither needs the
    command line."""
    config = described(name)
    run, whole = (RolloutRun(config, output) for output in ("run.h5md", "whole.h5md"))
    n = config.n_steps // 2 + (0 if at_frame else 3)
    told = until(run, n)
    assert all(isinstance(event, Event) for event in told)
    pickle.dumps(told)
    state = checkpoint.load("run.h5md").state
    assert state.step == n + (not at_frame)  # between frames one more, looked at in full
    finish_elsewhere(folder, run, whole)
    assert equal(Path("run.h5md"), Path("whole.h5md"))
    assert checkpoint.load("run.h5md").state.step == config.n_steps
    assert list(run) == [Finished(RolloutResult(Path("run.h5md"), 5, 0, config.n_systems))]


def test_labels_pickled_halfway_go_on_elsewhere(folder: Path) -> None:
    """In the middle of the replicas of a frame, to the bytes of labels that never stopped."""
    run, whole = label_run("run.xyz"), label_run("whole.xyz")
    assert isinstance(run, Run)
    told = until(run, 6)
    assert [event.n_frames for event in told if isinstance(event, FrameWritten)] == [*range(1, 7)]
    assert [atoms.info["replica"] for atoms in ase.io.read("run.xyz", ":")] == [0, 0, 1, 2, 0, 1]
    with open("run.xyz", "a", encoding="utf-8") as file:
        file.write("4\nhalf of a fr")  # as a kill may leave it
    finish_elsewhere(folder, run, whole)
    assert Path("run.xyz").read_bytes() == Path("whole.xyz").read_bytes()
    assert len(ase.io.read("run.xyz", ":")) == 13


def test_labels_of_a_file_go_on(folder: Path) -> None:
    ase.io.write("all.xyz", [ase.io.read("copper.traj")] * 5)
    run, whole = (LabelRun(OfFile("all.xyz", "emt"), name) for name in ("run.xyz", "whole.xyz"))
    until(run, 2)
    assert len(ase.io.read("run.xyz", ":")) == 2
    assert result(pickle.loads(pickle.dumps(run))).n_structures == 5
    assert result(whole).other_results == ()
    assert Path("run.xyz").read_bytes() == Path("whole.xyz").read_bytes()


MOST_BODIES = ["Mercury", "Venus", "Earth", "Moon", "Mars", "Saturn", "Uranus", "Neptune", "Pluto"]
NETWORK = {"n_features": 4, "n_channels": 2, "n_layers": 2}
TRAININGS: dict[str, dict[str, Any]] = {
    "direct": {
        "data": {"name": "solar", "n_train": 20, "without": MOST_BODIES},
        "model": {
            "kind": "DirectDynamics",
            "hyperparameters": {
                **NETWORK,
                "interval": 1000 / 48,
                "inputs": "masses",
                "units": "astronomical",
            },
        },
        "task": {"kind": "direct"},
    },
    "energy-forces": {
        "data": {"name": "train.xyz", "n_train": 8, "n_validation": 2},
        "model": {
            "kind": "ConservativePotential",
            "hyperparameters": {**NETWORK, "n_radial": 4, "cutoff": 3.0},
        },
        "task": {"kind": "energy-forces"},
    },
    "unrolled": {
        "data": {"name": "charged", "n_train": 8},
        "model": {
            "kind": "LearnedForce",
            "hyperparameters": {"n_features": 4, "n_layers": 2, "limit": 100.0},
        },
        "task": {
            "kind": "unrolled",
            "n_steps": 20,
            "lag": 0.0005,
            "stages": [
                {"n_updates": 2, "batch": 4, "lr": rate, "substeps": [5]}
                | {"tolerance": 1e-2, "saturation": 1.0}
                for rate in (1e-2, 1e-3)
            ],
        },
    },
}
if find_spec("qm9pack"):
    TRAININGS["property"] = {
        "data": {"name": "qm9", "n_train": 8, "n_validation": 4, "n_test": 4},
        "model": {"kind": "PropertyModel", "hyperparameters": NETWORK},
        "task": {"kind": "property", "property": "gap"},
    }


def training(name: str, folder: str) -> TrainingRun:
    """Four updates, and validations after each two."""
    ase.io.write("train.xyz", [labelled_water(k) for k in range(12)])
    counts = {"n_updates": 4, "batch": 4, "validate_every": 2, "warmup": 1, "ema": 0.5}
    if name == "unrolled":  # its stages say how many, and of what size
        del counts["n_updates"], counts["batch"]
    return TrainingRun(parse({**TRAININGS[name], **counts}), folder, threads=1)


def labelled_water(k: int) -> Atoms:
    """Shaken water with labels that are any numbers."""
    stream, atoms = np.random.default_rng(k), molecule("H2O")
    atoms.rattle(0.05, seed=k)
    results = {"energy": stream.normal(), "forces": stream.normal(size=(3, 3))}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def closed_after(run: Run, kind: type) -> None:
    """Iterate a run to its first event of a kind, and leave it there."""
    events = iter(run)
    assert any(isinstance(event, kind) for event in events)
    events.close()  # type: ignore[attr-defined]


def test_trainings_pickled_halfway_go_on_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, averages and moments to the bits of trainings that never stopped."""
    # the data are long rollouts, of which nobody needs to hear every step
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1.0)
    runs = [training(name, name) for name in TRAININGS]
    for name in TRAININGS:
        assert result(training(name, f"{name}-whole")).n_updates == 4
    for run in runs:
        assert isinstance(run, Run)
        closed_after(run, Saved)
        header, _ = read_tensors(run.folder / "last.checkpoint")
        assert header["update"] == 2
    for name, trained in zip(TRAININGS, finish_elsewhere(folder, *runs), strict=True):
        assert (trained.n_updates, trained.folder) == (4, folder / name)
        assert trained.report_file.is_file()
        for file in ("best.safetensors", "last.checkpoint"):
            (_, one), (_, other) = (
                read_tensors(Path(where) / file) for where in (name, f"{name}-whole")
            )
            assert one.keys() == other.keys()
            for key, values in one.items():
                np.testing.assert_array_equal(values, other[key], strict=True, err_msg=key)


def test_scores_and_predictions_pickled_halfway_are_made_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin anew, with the same numbers; a table that is not whole is never there."""
    ase.io.write("train.xyz", [labelled_water(k) for k in range(7)])
    evaluation, prediction = (
        EvaluateRun("ethanol", "train.xyz"),
        PredictRun("ethanol", ["train.xyz@2", "train.xyz"], "table.csv"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(mcegnn.prediction, "_TOGETHER", 3)
        for run in (evaluation, prediction):
            assert isinstance(run, Run)
            closed_after(run, Progress)
    assert not Path("table.csv").exists()
    scores, said, again, in_memory = finish_elsewhere(
        folder,
        evaluation,
        prediction,
        EvaluateRun("ethanol", "train.xyz"),
        PredictRun("ethanol", ["train.xyz@2", "train.xyz"]),
    )
    assert scores.values == again.values
    assert (scores.part, scores.scored, scores.noun) == ("all", 7, "structures")
    assert said.names == ("train.xyz@2", *(f"train.xyz@{k}" for k in range(7)))
    assert Path("table.csv").read_text() == said.table == in_memory.table
    energies, unit = said.targets["energy"]
    assert unit == "eV"
    assert energies[0] == energies[3]
    model: Any = load("ethanol")
    assert energies[0] == model(read_all("train.xyz@2")[0][0]).energy


def test_scores_and_predictions_that_are_stopped() -> None:
    """From the loop or before it began: nothing is written, and both can be iterated again."""
    ase.io.write("train.xyz", [labelled_water(k) for k in range(7)])
    runs: list[Any] = [
        EvaluateRun("ethanol", "train.xyz"),
        PredictRun("ethanol", ["train.xyz"], "table.csv"),
    ]
    for run in runs:
        run.stop()
        *_, last = run
        assert isinstance(last, Stopped)
        assert "anew" in last.message
        for event in run:
            last = event
            if isinstance(event, Started):
                run.stop()
        assert isinstance(last, Stopped)
        assert not Path("table.csv").exists()
        assert isinstance(list(run)[-1], Finished)
    with pytest.raises(FileExistsError):
        list(runs[1])


def test_runs_whose_inputs_are_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are those of where the run was pickled; what is missing is named in one sentence."""
    ase.io.write("train.xyz", [labelled_water(k) for k in range(12)])
    shutil.copy(locate("ethanol"), "mine.safetensors")
    run = training("energy-forces", "run")
    closed_after(run, Saved)
    pickled = [
        pickle.dumps(one)
        for one in (
            PredictRun("mine.safetensors", ["train.xyz"]),
            EvaluateRun("mine.safetensors", "train.xyz"),
            run,
        )
    ]
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    for one in pickled[:2]:
        assert isinstance(list(pickle.loads(one))[-1], Finished)
    with pytest.raises(FileNotFoundError, match=r"there is no file train\.xyz"):
        list(pickle.loads(pickled[2]))
    monkeypatch.chdir(folder)
    shutil.move("run", "kept")
    with pytest.raises(FileNotFoundError, match=r"no folder .*run, in which the training began; p"):
        list(pickle.loads(pickled[2]))
    Path("train.xyz").unlink()
    for one in pickled[:2]:
        with pytest.raises(FileNotFoundError, match=r"there is no .*train\.xyz"):
            list(pickle.loads(one))
    Path("mine.safetensors").unlink()
    for one in pickled[:2]:
        with pytest.raises(FileNotFoundError, match=r"there is no model .*mine\.safetensors"):
            list(pickle.loads(one))


def test_stop_saves_as_a_signal_does(equal: Equal) -> None:
    """From the loop, from another thread, and before the run has begun; then it goes on."""
    config = described("charged")
    whole, run = (RolloutRun(config, output) for output in ("whole.h5md", "run.h5md"))
    assert result(whole).n_frames == 5
    steps = []
    for stop_at in (13, 57, 203):
        for event in run:
            last = event
            if isinstance(event, Progress) and event.done == stop_at:
                thread = threading.Thread(target=run.stop)
                thread.start()
                thread.join()
        assert isinstance(last, Stopped)
        assert last.signal is None
        assert last.message.startswith("stopped; ")
        assert last.message.endswith("go on with: mcegnn rollout --resume run.h5md")
        steps.append(checkpoint.load("run.h5md").state.step)
    assert steps == [13, 70, 273]
    run.stop()
    assert isinstance(list(run)[-1], Stopped)
    assert checkpoint.load("run.h5md").state.step == 286
    assert result(run).n_steps == 400 - 286
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_a_signal_stops_all_runs_of_the_main_thread(equal: Equal) -> None:
    """Two that are iterated in turns, and handlers are as before after the last."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    filters = list(warnings.filters)
    config = described("charged")
    assert result(RolloutRun(config, "whole.h5md")).diverged == {}
    runs = [RolloutRun(config, f"{k}.h5md") for k in range(2)]
    iterators = [iter(run) for run in runs]
    for events in iterators:
        assert any(isinstance(event, Progress) for event in events)  # up to the first
    with np.errstate(over="raise"):
        state = np.geterr()
        next(iterators[0])
        assert np.geterr() == state  # of whoever iterates
    signal.raise_signal(signal.SIGTERM)
    for events in iterators:
        *_, last = events
        assert isinstance(last, Stopped)
        assert last.signal == signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert warnings.filters == filters
    for run in runs:
        result(run)
        assert equal(run.output, Path("whole.h5md"))


def test_a_second_signal_does_not_wait(equal: Equal) -> None:
    config = described("charged")
    result(RolloutRun(config, "whole.h5md"))
    run = RolloutRun(config, "run.h5md")
    events = iter(run)
    assert any(isinstance(event, Progress) for event in events)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    events.close()  # type: ignore[attr-defined]
    result(run)
    assert equal(run.output, Path("whole.h5md"))


_LEFT = """
import pickle, sys
with open("run.pickle", "rb") as file:
    events = iter(pickle.load(file))
for event in events:
    if type(event).__name__ == "Progress":
        break
if len(sys.argv) > 1:
    raise SystemExit(7)
"""


@pytest.mark.parametrize("arguments", [[], ["leave"]])
def test_an_iterator_that_is_left_when_python_ends(
    arguments: list[str], folder: Path, equal: Equal
) -> None:
    """Is closed while there is still something to save with."""
    config = described("charged")
    run = RolloutRun(config, "run.h5md")
    Path("run.pickle").write_bytes(pickle.dumps(run))
    command = [sys.executable, "-c", _LEFT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr == ""
    assert done.returncode == 7 * len(arguments)
    assert checkpoint.load("run.h5md").state.step > 0
    result(RolloutRun(config, "run.h5md", resume=True))
    result(RolloutRun(config, "whole.h5md"))
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_runs_of_two_threads(equal: Equal) -> None:
    """At the same time, and after each other: the bits of a run alone."""
    names = ("charged", "calculator", "solar")
    for name in names:
        result(RolloutRun(described(name), f"{name}.h5md"))
    failures: list[BaseException] = []

    def work(name: str, output: str) -> None:
        try:
            assert result(RolloutRun(described(name), output)).path == Path(output)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(name, f"{name}-{k}.h5md"))
        for k in range(2)
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for name in names:
        for k in range(2):
            assert equal(Path(f"{name}-{k}.h5md"), Path(f"{name}.h5md"))


def test_a_run_whose_files_are_not_there() -> None:
    """As on another machine: a sentence that names the file, and nothing is made anew."""
    run = RolloutRun(described("charged"), "run.h5md")
    until(run, 203)
    copy = pickle.loads(pickle.dumps(run))
    assert copy.output == Path("run.h5md").absolute()
    saved = shutil.move("run.h5md.checkpoint", "kept.checkpoint")
    with pytest.raises(FileNotFoundError, match=r"run\.h5md has no checkpoint \(.* is missing\)"):
        list(copy)
    shutil.move(saved, "run.h5md.checkpoint")
    shutil.move("run.h5md", "kept.h5md")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*run\.h5md, .* put it back"):
        list(copy)
    Path("run.h5md.checkpoint").unlink()
    with pytest.raises(FileNotFoundError, match=r"run\.h5md"):
        list(copy)
    assert not list(Path().glob("run.*"))
    # and where those of another run have their names
    until(RolloutRun(replace(described("charged"), seed=5), "run.h5md"), 203)
    with pytest.raises(ValueError, match=r"the checkpoint of .*run\.h5md is another run's"):
        list(copy)


def test_labels_whose_file_is_not_there() -> None:
    run = label_run("run.xyz")
    until(run, 3)
    whole = Path("run.xyz").read_bytes()
    Path("run.xyz").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"run\.xyz is shorter than when 3 structures were"):
        list(run)
    Path("run.xyz").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*run\.xyz, in which 3"):
        list(pickle.loads(pickle.dumps(run)))


def test_an_output_that_exists() -> None:
    """Is refused before anything is done, but where it is to be overwritten."""
    for name in ("run.h5md", "run.xyz"):
        Path(name).write_text("precious")
    runs: list[Run] = [RolloutRun(described("charged"), "run.h5md"), label_run("run.xyz")]
    for run in runs:
        with pytest.raises(FileExistsError) as caught:
            next(iter(run))
        assert Path(caught.value.filename).read_text() == "precious"
    assert not Path("run.h5md.checkpoint").exists()
    assert result(RolloutRun(described("charged"), "run.h5md", overwrite=True)).n_steps == 400
    with pytest.raises(ValueError, match=r"a run is written as an H5MD file, not as x\.traj"):
        RolloutRun(described("charged"), "x.traj").check()


def test_two_iterations_of_one_run() -> None:
    """The second finds its file in use, and the first does not notice."""
    run = RolloutRun(described("charged"), "run.h5md")
    events = iter(run)
    assert any(isinstance(event, Saved) for event in events)
    with pytest.raises(OSError, match="it is open in another program"):
        list(run)
    *_, last = events
    assert isinstance(last, Finished)


def test_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts, frames on disk, checkpoints and notes, in an order that makes sense."""
    monkeypatch.setattr(mcegnn.runs.run_file, "CHECKPOINT_SECONDS", 0.0)
    options = {"calculator": "emt", "relax": True, **WARM}
    config, _ = configuration("copper.traj", None, Times(None, None, 40, 10), options)
    told = list(RolloutRun(config, "run.h5md"))
    assert [event.what for event in told if isinstance(event, Started)] == [
        "relaxing",
        "rolling out",
    ]
    assert any(isinstance(event, Noted) and "relaxed in" in event.message for event in told)
    frames = [event.n_frames for event in told if isinstance(event, FrameWritten)]
    assert frames == [1, 2, 3, 4, 5]
    steps = [event.step for event in told if isinstance(event, Saved)]
    assert sorted(set(steps)) == steps[:41] == [*range(41)]
    done = [event.done for event in told if isinstance(event, Progress) and event.unit == "steps"]
    assert done[-1] == 40
    assert saved_rollout(Path("run.h5md")).warnings == ()


def test_runs_that_diverge(equal: Equal) -> None:
    """A single system ends in an exception that can be pickled, and the last valid state is kept;
    of an ensemble each is told of, and the others go on, through a pickle too."""
    config = replace(described("solar"), max_energy_jump=1e-20)
    with pytest.raises(RunDiverged, match="the energy has gone from") as caught:
        list(RolloutRun(config, "run.h5md"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.hints[0].endswith("mcegnn rollout --resume run.h5md --max-energy-jump off")
    with H5MDReader("run.h5md") as reader:
        assert list(reader.steps) == [0]
    rough, _ = configuration("charged", None, Times(None, None, 200, 10), {"systems": 3})
    strict = replace(rough, max_energy_jump=1e-12)
    before: list[Event] = []
    with pytest.raises(RunDiverged, match="before it, other systems diverged: "):
        before.extend(RolloutRun(strict, "all.h5md"))
    assert sum(isinstance(event, Diverged) for event in before) == 2
    several, _ = configuration(
        "charged",
        None,
        Times(None, None, 4000, 50),
        {"systems": 30, "max-energy-jump": "1"},
    )
    whole, run = (RolloutRun(several, output) for output in ("whole.h5md", "parts.h5md"))
    told = list(whole)
    diverged = {event.system: event.step for event in told if isinstance(event, Diverged)}
    assert isinstance(told[-1], Finished)
    assert diverged
    assert told[-1].result.diverged == diverged
    until(run, 3003)
    assert result(pickle.loads(pickle.dumps(run))).diverged == diverged
    assert equal(Path("parts.h5md"), Path("whole.h5md"))


def test_a_disk_that_takes_no_more(monkeypatch: pytest.MonkeyPatch, equal: Equal) -> None:
    """Also where the iterator is being closed; the run goes on once there is room."""
    config = described("charged")
    result(RolloutRun(config, "whole.h5md"))
    run = RolloutRun(config, "run.h5md")
    events = iter(run)
    assert any(isinstance(event, Progress) and event.done == 250 for event in events)

    def full(self: JournaledFile) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(JournaledFile, "commit", full)
        with pytest.raises(WritingFailed, match=r"writing run\.h5md failed \(No space left on d"):
            events.close()  # type: ignore[attr-defined]
    result(pickle.loads(pickle.dumps(run)))
    assert equal(Path("run.h5md"), Path("whole.h5md"))


def test_forces_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that were written stay; where there are none, nothing is written."""
    labelled, n = mcegnn.runs.label.labelled, 0

    def failing(*arguments: Any) -> Any:
        nonlocal n
        n += 1
        if n > 2:
            raise KeyError("no parameters")
        return labelled(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(mcegnn.runs.label, "labelled", failing)
        with pytest.raises(RunDiverged, match=r"failed after 2 structures \(KeyError: 'no param"):
            list(label_run("run.xyz"))
        with pytest.raises(ValueError, match="emt gives no forces for these structures: KeyError"):
            list(label_run("none.xyz"))
    assert len(ase.io.read("run.xyz", ":")) == 2
    assert not Path("none.xyz").exists()


def test_labels_along_dynamics_that_nothing_makes_move() -> None:
    config, _ = atoms_run(
        "argon.xyz", None, Times(None, None, 20, 10), {"potential": ARGON["potential"]}
    )
    with pytest.raises(ValueError, match=r"argon\.xyz has no velocities; give --temperature"):
        list(LabelRun(AlongDynamics(config), "run.xyz"))
