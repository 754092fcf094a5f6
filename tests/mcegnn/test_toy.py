"""A learning problem of one's own: data, model and task in one file, and nothing else edited."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule

from mcegnn import fit, load, predict
from mcegnn.data.dataset import Dataset
from mcegnn.data.registry import DATASETS
from mcegnn.data.split import Split, random_split
from mcegnn.data.target import Target
from mcegnn.models.model import Model, Role
from mcegnn.models.registry import MODELS
from mcegnn.runs.evaluate import EvaluateRun
from mcegnn.runs.events import Finished
from mcegnn.tasks.registry import TASKS
from mcegnn.tasks.task import Task
from mcegnn.training.options import DataOptions, TaskOptions
from systems.sources.atoms import from_atoms
from systems.units import METAL

NAMES = ("H2O", "CH4", "NH3", "C2H6", "CH3OH", "C2H4", "HCN", "CO2", "N2", "H2CO") * 4


def heavy(options: DataOptions) -> Split:
    """Molecules and how many heavy atoms they have."""
    systems = [from_atoms(molecule(name)) for name in NAMES]
    counts = np.array([float((system.species > 1).sum()) for system in systems])
    targets = {"heavy atoms": Target(counts, "atoms")}
    return random_split(Dataset.of_systems(systems, targets, "molecules"), 24, 8, options.seed)


class Composition(Model):
    """A number that atoms add up to, by their element."""

    role, units = Role.PROPERTY, METAL

    def __init__(self, target: str = "heavy atoms") -> None:
        super().__init__()
        self.target, self.of_element = target, torch.nn.Embedding(10, 1)

    def forward(self, dataset: Dataset) -> torch.Tensor:
        each = self.of_element(torch.from_numpy(dataset.species)).squeeze(-1)
        owner = torch.from_numpy(np.repeat(np.arange(len(dataset)), dataset.sizes))
        return each.new_zeros(len(dataset)).index_add(0, owner, each)

    def predict_targets(self, systems: Any) -> dict[str, tuple[np.ndarray, str]]:
        found = self(Dataset.of_systems(systems)).detach().numpy()
        return {self.target: (found, "atoms")}


class Counting(Task):
    """Fit one target of molecules."""

    trains, noun, unit = ("Composition",), "molecules", "atoms"

    def loss(self, model: Any, batch: Dataset, options: Any) -> torch.Tensor:
        return (model(batch) - torch.from_numpy(batch[model.target])).square().mean()

    def errors(self, model: Any, dataset: Dataset, options: Any) -> tuple[np.ndarray, dict]:
        off = abs(model(dataset).detach().double().numpy() - dataset[model.target])
        return off, {}


@pytest.fixture
def toy(succeed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for registry, name, thing in (
        (DATASETS, "heavy", heavy),
        (MODELS, "Composition", Composition),
        (TASKS, "counting", Counting),
    ):
        monkeypatch.setattr(registry, "_places", dict(registry._places))
        registry.register(name, thing)
    config = (
        "n_updates = 60\nbatch = 8\nlr = 0.3\nema = 0.0\nvalidate_every = 20\nwarmup = 0\n"
        '[data]\nname = "heavy"\n[model]\nkind = "Composition"\n[task]\nkind = "counting"\n'
    )
    Path("toy.toml").write_text(config)


def test_from_the_command_line(toy: None, succeed: Callable[..., Any]) -> None:
    succeed("train", "toy.toml", "-o", "whole")
    assert "heavy" in succeed("info", "whole/best.safetensors").out
    told = json.loads(succeed("evaluate", "whole/best.safetensors", "heavy", "--json").out)
    assert told["molecules"] == 8
    assert told["mean"] < 0.2
    page = Path("whole/report.html").read_text(encoding="utf-8")
    assert "counting" in page
    ase.io.write("two.xyz", [molecule("C2H6"), molecule("H2O")])
    ase.io.write("one.xyz", molecule("CO2"))
    succeed("predict", "whole/best.safetensors", "two.xyz", "one.xyz", "-o", "table.csv")
    rows = [line.split(",") for line in Path("table.csv").read_text().splitlines()]
    assert rows[0] == ["file", "heavy atoms (atoms)"]
    assert [row[0] for row in rows[1:]] == ["two.xyz@0", "two.xyz@1", "one.xyz"]
    np.testing.assert_allclose([float(row[1]) for row in rows[1:]], [2.0, 1.0, 3.0], atol=0.3)
    succeed("report", "whole", "--force")


def test_from_python(toy: None) -> None:
    trained = fit(preset="toy.toml", output="whole")
    assert any(number.key.endswith("mean") and number.value < 0.2 for number in trained.numbers)
    assert "counting" in trained.report_file.read_text(encoding="utf-8")
    *_, last = EvaluateRun("whole/best.safetensors", "heavy")
    assert isinstance(last, Finished)
    assert (last.result.noun, last.result.scored) == ("molecules", 8)
    assert last.result.values["mean"] < 0.2
    for model in (trained.model, load("whole/best.safetensors"), "whole/best.safetensors"):
        found = predict(model, [molecule("C2H6"), molecule("H2O")])["heavy atoms"]
        assert found.unit == "atoms"
        np.testing.assert_allclose(found.values, [2.0, 1.0], atol=0.3)
    changed = fit(preset="toy.toml", output="parts", lr=0.1, n_updates=20)
    again = fit(resume="parts")
    assert changed.n_updates == again.n_updates == 20


def test_a_resumed_training_has_the_same_bits(toy: None, succeed: Callable[..., Any]) -> None:
    succeed("train", "toy.toml", "-o", "whole")
    succeed("train", "toy.toml", "--set", "n_updates=60", "-o", "parts")
    from mcegnn.training.build import build_trainer
    from mcegnn.training.checkpoint import checkpoint
    from mcegnn.training.options import read

    trainer, record = build_trainer(read("toy.toml"))
    steps = trainer.run()
    next(steps)
    trainer.save(Path("parts/last.checkpoint"), record)
    saved = checkpoint(Path("parts/last.checkpoint"))
    assert saved.header["update"] == 20
    succeed("train", "--resume", "parts")
    one, other = (Path(f"{name}/best.safetensors").read_bytes() for name in ("whole", "parts"))
    assert one[-40:] == other[-40:]  # its weights


def test_a_name_that_is_taken(toy: None) -> None:
    with pytest.raises(ValueError, match="there is a task 'counting' already; choose another name"):
        TASKS.register("counting", Counting)
    with pytest.raises(ValueError, match="no model 'Compositon'; did you mean Composition"):
        MODELS["Compositon"]


def test_a_key_that_every_training_has(toy: None, refuse: Callable[..., Any]) -> None:
    """A task's own keys have names of their own."""

    class Options(TaskOptions):
        lr: float = 1.0

    TASKS.register("clashing", type("Clashing", (Counting,), {"Options": Options}))
    refuse(
        "the task 'clashing' has a key 'lr', which every training has already; give the task's"
        " another name",
        *("train", "toy.toml", "--set", "task.kind=clashing", "-o", "run"),
    )


def test_data_without_the_targets_of_a_task(
    toy: None, refuse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another name, another unit, or one of each atom: said before anything is trained."""
    for targets, words in (
        ({"bonds": ("atoms", "system")}, "the molecules have no target 'bonds'; there are: heavy"),
        ({"heavy atoms": ("eV", "system")}, "the target 'heavy atoms' is in atoms, not in eV"),
        ({"heavy atoms": ("atoms", "atom")}, "'heavy atoms' is one per system, not per atom"),
    ):
        monkeypatch.setattr(Counting, "targets", lambda *_, targets=targets: targets)
        refuse(words, "train", "toy.toml", "-o", "run")


def test_targets_of_the_wrong_length_or_unit() -> None:
    systems = [from_atoms(molecule("H2O"))]
    with pytest.raises(ValueError, match="the target 'gap' has 2 values for 1 systems"):
        Dataset.of_systems(systems, {"gap": Target(np.zeros(2), "eV")})
    dataset = Dataset.of_systems(systems, {"gap": Target(np.zeros(1), "Hartree")})
    with pytest.raises(ValueError, match="the target 'gap' is in Hartree, not in eV"):
        dataset.check_target("gap", "eV")
