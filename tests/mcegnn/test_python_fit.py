"""`mcegnn.fit`, `label` and `predict`: what the command line does, from a call."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import mcegnn
from mcegnn import fit, label, load, predict, simulate
from mcegnn.runs.events import Finished, Saved, Started
from mcegnn.training.options import read
from mcegnn.training.settings import places_of
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.tensor_file import read_tensors

SMALL: dict[str, Any] = {
    "n_features": 8,
    "n_channels": [3, 2],
    "n_layers": 2,
    "n_radial": 5,
    "cutoff": 4.0,
    "n_couplings": 0,
    "batch": 4,
    "warmup": 1,
    "validate_every": 4,
    "compile": False,
}
KEYS = {name: f"model.hyperparameters.{name}" for name in list(SMALL)[:6]}


def clusters(n: int = 20) -> list[Atoms]:
    atoms = bulk("Cu", cubic=True)
    found = []
    for k in range(n):
        one = atoms.copy()
        one.rattle(0.1, seed=k)
        found.append(one)
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with structures, bare and labelled."""
    folder = tmp_path_factory.mktemp("labels")
    ase.io.write(folder / "bare.xyz", clusters())
    output = folder / "train.xyz"
    result = label(folder / "bare.xyz", calculator="emt", output=output, progress=False)
    assert (result.n_structures, result.path) == (20, output)
    return folder


@pytest.fixture
def data(labels: Path) -> str:
    """A file of labelled structures in the test's folder, beside the bare ones."""
    for name in ("bare.xyz", "train.xyz"):
        Path(name).write_bytes((labels / name).read_bytes())
    return "train.xyz"


def learned(folder: str) -> tuple[dict[str, np.ndarray], list[dict[str, str]]]:
    """Weights and metrics of a training, but for the time that it took."""
    _, arrays = read_tensors(Path(folder) / "best.safetensors")
    with open(Path(folder) / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return arrays, [{k: row[k] for k in row.keys() - {"seconds", "starting"}} for row in rows]


def check_same(one: str, other: str) -> None:
    (arrays, rows), (others, other_rows) = learned(one), learned(other)
    assert rows == other_rows
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        assert array.tobytes() == others[name].tobytes(), name


def test_a_call_makes_the_training_of_the_command_line(data: str, cli: Callable[..., Any]) -> None:
    told: list[Any] = []
    result = fit(data, preset="extxyz", output="mine", n_updates=8, progress=told.append, **SMALL)
    settings = {**SMALL, "n_updates": 8, "compile": "false"}
    sets = [
        word for key, one in settings.items() for word in ("--set", f"{KEYS.get(key, key)}={one}")
    ]
    done = cli("train", "extxyz", "--data", data, "-o", "theirs", *sets)
    assert done.code == 0, done.err
    check_same("mine", "theirs")
    assert {type(event) for event in told} >= {Started, Saved, Finished}
    assert (result.folder, result.n_updates, result.data) == (Path("mine"), 8, data)
    assert result.report_file.is_file()
    assert result.numbers[0].value > 0
    assert f"  {result.numbers[0].label}: {result.numbers[0]}" in repr(result).splitlines()
    np.testing.assert_array_equal(result.metrics["update"], [4, 8])
    assert result.metrics["error"][-1] == read_tensors(result.model_file)[0]["record"]["validation"]
    record = read_tensors(result.model_file)[0]["record"]
    assert record["command"].startswith("mcegnn.fit('train.xyz', 'extxyz', output='mine', ")


def test_what_was_fitted_moves_atoms_predicts_and_is_a_calculator(data: str) -> None:
    model = fit(data, preset="extxyz", output="mine", n_updates=4, **SMALL).model
    atoms = clusters(1)[0]
    run = simulate(atoms, model=model, temperature="50 K", steps=4, every=2, output="run.h5md")
    with H5MDReader("run.h5md") as reader:
        assert reader.configuration["model"] == str(Path("mine/best.safetensors").absolute())
    ase.io.write("atoms.traj", atoms)
    predicted = predict(model, [atoms, "atoms.traj"])
    assert predicted["energy"].unit == "eV"
    np.testing.assert_array_equal(*predicted["energy"].values)
    assert predicted["energy"].values[0] == run.energy["potential"][0]
    atoms.calc = model.calculator()
    assert atoms.get_potential_energy() == predicted["energy"].values[0]
    forces = np.linalg.norm(atoms.get_forces(), axis=1)
    assert forces.max() == predicted["largest force"].values[0]
    again = fit(data, "extxyz", output="more", start=model, n_updates=4, batch=4, compile=False)
    assert again.model.file == Path("more/best.safetensors").absolute()


def test_ctrl_c_says_how_to_go_on_and_that_call_gives_the_same_bits(data: str) -> None:
    def interrupt(event: Any) -> None:
        if isinstance(event, Saved) and event.step == 4:
            signal.raise_signal(signal.SIGINT)

    fit(data, preset="extxyz", output="whole", n_updates=8, **SMALL)
    with pytest.raises(KeyboardInterrupt, match="stopped; go on from the last") as stopped:
        fit(data, preset="extxyz", output="cut", n_updates=8, progress=interrupt, **SMALL)
    call = str(stopped.value).partition("with: ")[2]
    assert call == "mcegnn.fit(resume='cut')"
    assert eval(call).n_updates == 8
    check_same("whole", "cut")


@pytest.mark.parametrize(
    ("preset", "given", "placed"),
    [
        ("extxyz", {"n_updates": 5, "lr": 1e-3}, {"n_updates": 5, "lr": 1e-3}),
        ("extxyz", {"n_features": 9}, {"model.hyperparameters.n_features": 9}),
        ("extxyz", {"n_train": 9}, {"data.n_train": 9}),
        ("extxyz", {"seed": 9}, {"seed": 9}),
        ("extxyz", {"data.seed": 9}, {"data.seed": 9}),
        ("charged-force", {"lag": 0.1}, {"task.lag": 0.1}),
        ("qm9", {"n_channels": 1}, {"model.hyperparameters.n_channels": 1}),
    ],
)
def test_a_bare_name_is_put_where_the_option_stands(
    preset: str, given: dict[str, Any], placed: dict[str, Any]
) -> None:
    options = read(preset)
    assert places_of(given, options.task.kind, options.model.kind) == placed
    read(preset, settings=placed)


def test_a_name_that_stands_in_several_tables_has_to_be_said_in_full() -> None:
    options = read("qm9")
    with pytest.raises(ValueError, match=r"property may be task.property or model.hyperparameters"):
        places_of({"property": "gap"}, options.task.kind, options.model.kind)


def write(path: str, text: str) -> str:
    Path(path).write_text(text)
    return path


MISTAKES: dict[str, tuple[type[Exception], str, Callable[[str], Any]]] = {
    "an option that is not there": (
        TypeError,
        "fit() has no keyword or option 'n_update'; did you mean n_updates?",
        lambda data: fit(data, preset="extxyz", n_update=3, output="x"),
    ),
    "an option that resembles no other": (
        TypeError,
        "fit() has no keyword or option 'learning_rate'; known are name, ",
        lambda data: fit(data, preset="extxyz", learning_rate=1, output="x"),
    ),
    "a keyword that is not there": (
        TypeError,
        "fit() has no keyword or option 'overwrit'; did you mean overwrite?",
        lambda data: fit(data, preset="extxyz", overwrit=True, output="x"),
    ),
    "a whole key that is not there": (
        ValueError,
        "there is no key 'task.forces_weigt'; did you mean ",
        lambda data: fit(data, "extxyz", settings={"task.forces_weigt": 3}, output="x"),
    ),
    "a preset that is not there": (
        FileNotFoundError,
        "there is no preset 'extxzy'; did you mean extxyz?",
        lambda data: fit(data, preset="extxzy", output="x"),
    ),
    "data without a preset": (
        ValueError,
        "train.xyz is data; name the preset of the training too, such as extxyz",
        lambda data: fit(data, output="x"),
    ),
    "nothing": (ValueError, "name data and a preset (", lambda data: fit()),
    "no output": (
        ValueError,
        'name the folder of the training: output="mine"',
        lambda data: fit(data, "extxyz"),
    ),
    "data that are not there": (
        FileNotFoundError,
        "there is no file no.xyz",
        lambda data: fit("no.xyz", "extxyz", output="x"),
    ),
    "a folder that holds a run": (
        FileExistsError,
        "full/best.safetensors exists already; choose another name or overwrite it with"
        " overwrite=True",
        lambda data: fit(data, "extxyz", output="full"),
    ),
    "a value of the wrong kind": (
        ValueError,
        "n_updates: Input should be a valid integer",
        lambda data: fit(data, "extxyz", n_updates="many", output="x"),
    ),
    "a start of another task": (
        ValueError,
        "a potential cannot start from a LearnedForce",
        lambda data: fit(data, "extxyz", start="charged-force", output="x"),
    ),
    "a start that is not there": (
        FileNotFoundError,
        "there is no model ethanl; did you mean ethanol",
        lambda data: fit(data, "extxyz", start="ethanl", output="x"),
    ),
    "a resumed training with settings": (
        ValueError,
        "resume takes everything from the run's folder",
        lambda data: fit(resume="full", lr=1e-3),
    ),
    "a resumed training that is not there": (
        FileNotFoundError,
        "there is no checkpoint no/last.checkpoint",
        lambda data: fit(resume="no"),
    ),
    "labels without a calculator": (
        ValueError,
        "give one of calculator=NAME",
        lambda data: label(data, output="x.xyz"),
    ),
    "labels over a file": (
        FileExistsError,
        "train.xyz exists already; choose another name or overwrite it with overwrite=True",
        lambda data: label("bare.xyz", calculator="emt", output="train.xyz"),
    ),
    "labels with a keyword that is not there": (
        TypeError,
        "label() has no keyword 'stepz'; did you mean steps?",
        lambda data: label("bare.xyz", calculator="emt", stepz=3, output="x.xyz"),  # type: ignore[call-arg]
    ),
    "labels of dynamics that are none": (
        ValueError,
        "temperature is of dynamics: add steps=N, or leave it out",
        lambda data: label("bare.xyz", calculator="emt", temperature="3 K", output="x.xyz"),
    ),
    "predictions of a model that moves particles": (
        ValueError,
        "charged-mcegnn is a DirectDynamics, which mcegnn predict cannot use",
        lambda data: predict("charged-mcegnn", data),
    ),
    "predictions of strange elements": (
        ValueError,
        "structure 1: the model was not trained on Cu",
        lambda data: predict("ethanol", [molecule("H2O"), clusters(1)[0]]),
    ),
    "predictions of a missing file": (
        FileNotFoundError,
        "there is no file no.xyz",
        lambda data: predict("ethanol", "no.xyz"),
    ),
    "predictions of nothing": (
        ValueError,
        "there are no structures",
        lambda data: predict("ethanol", []),
    ),
    "a calculator of particles": (
        ValueError,
        "this model is in reduced units, and ASE's calculators are for atoms",
        lambda data: load("charged-force").calculator(),
    ),
    "a calculator of a flow": (
        ValueError,
        "a DirectDynamics gives no potential; it is for mcegnn rollout and mcegnn evaluate",
        lambda data: load("charged-mcegnn").calculator(),
    ),
    "a model that is not there": (
        FileNotFoundError,
        "there is no model ethanl; did you mean ethanol",
        lambda data: load("ethanl"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_an_exception_in_one_sentence_and_nothing_is_left(
    name: str, data: str, folder: Path
) -> None:
    Path("full").mkdir()
    Path("full/best.safetensors").write_text("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kind, words, call = MISTAKES[name]
    with pytest.raises(kind) as raised:
        call(data)
    assert words in str(raised.value)
    assert "--" not in str(raised.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not Path("x").exists()


def test_labels_along_dynamics_are_those_of_the_command_line(cli: Callable[..., Any]) -> None:
    atoms = bulk("Cu", cubic=True)
    options: dict[str, Any] = {"calculator": "emt", "temperature": "300 K", "steps": 40, "seed": 2}
    label(atoms, output="mine.xyz", **options)
    words = [word for name, one in options.items() for word in (f"--{name}", one)]
    assert cli("label", "mine.start.xyz", "-o", "theirs.xyz", *words).code == 0
    assert Path("mine.xyz").read_bytes() == Path("theirs.xyz").read_bytes()
    assert len(ase.io.read("mine.xyz", ":")) == 5


def test_predictions_are_those_of_the_command_line(cli: Callable[..., Any]) -> None:
    several = [molecule("CH3CH2OH"), molecule("H2O"), molecule("CH4")]
    ase.io.write("several.xyz", several)
    assert cli("predict", "ethanol", "several.xyz", "-o", "table.csv").code == 0
    with open("table.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = predict("ethanol", "several.xyz")
    assert list(found) == ["energy", "largest force"]
    for name, (values, unit) in found.items():
        assert [row[f"{name} ({unit})"] for row in rows] == [f"{value:.10g}" for value in values]
    mixed = predict(load("ethanol"), [several[0], mcegnn.from_atoms(several[1]), "several.xyz@2"])
    np.testing.assert_allclose(mixed["energy"].values, found["energy"].values, rtol=1e-12)


def test_the_command_line_is_not_loaded_by_a_training(data: str) -> None:
    code = (
        "import sys, mcegnn\n"
        f"mcegnn.fit('train.xyz', 'extxyz', output='x', n_updates=4, **{SMALL!r})\n"
        "assert not {'typer', 'click'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=300, check=False)
    assert done.returncode == 0
