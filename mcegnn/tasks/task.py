"""`Task`: the interface of all learning problems, and what they have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mcegnn.tasks.objective import Objective
from mcegnn.training.options import DataOptions, TaskOptions, TrainingOptions

if TYPE_CHECKING:
    from mcegnn.data.dataset import Dataset
    from mcegnn.data.split import Part, Split
    from mcegnn.data.target import Per
    from mcegnn.models.store import Stored
    from mcegnn.training.checkpoint import TrainingCheckpoint
    from systems.system import System
    from systems.units import Units
    from trajectories.analysis.results import Analysis, Number

OnProgress = Callable[[int, int], None]  # how many samples are done, and of how many
Rows = Sequence[tuple[str, str]]


def no_progress(done: int, of: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How well a model does on a part of a data set: ``values`` by name, as --json prints them,
    ``numbers`` the same in words, and ``left_out`` rows on what was not scored."""

    part: "Part"
    values: Mapping[str, Any]
    numbers: "Sequence[Number]"


@dataclass(frozen=True)
class Asked:
    """Request for scores: on the ``data`` of this name, their validation or test part, ``without``
    some bodies; ``model`` is what the model is called in messages. A task that ``draws`` puts what
    was learned into ``figure``. ``on_progress`` is first called, with none done, when the data are
    loaded."""

    data: str
    model: str
    validation: bool = False
    without: tuple[str, ...] = ()
    figure: Path | None = None
    on_progress: OnProgress = field(default=no_progress, compare=False)

    @property
    def part(self) -> str:
        """The part of a split that is to be scored."""
        return "validation" if self.validation else "test"


class Task:
    """One learning problem. A subclass says which models it ``trains``, with which keys of [task]
    (``Options``) and of [data] (``Data``), and gives at least `loss` and `errors`.

    Nothing here imports torch before data and options are known to be sound.
    """

    Options: ClassVar[type[TaskOptions]] = TaskOptions
    Data: ClassVar[type[DataOptions]] = DataOptions
    trains: ClassVar[tuple[str, ...]] = ()
    noun: ClassVar[str] = "samples"
    #: names of data sets that are of this problem
    datasets: ClassVar[tuple[str, ...]] = ()
    #: whether what was learned can be drawn
    draws: ClassVar[bool] = False
    #: whether a model that another begins from keeps that one's sizes, not the preset's
    keeps_sizes: ClassVar[bool] = False
    #: unit of an error, of which a thousandth is shown where it is "m" and a unit
    unit: ClassVar[str] = ""

    def check_data(self, options: DataOptions) -> None:
        """Raise ValueError or FileNotFoundError if the data are missing; fast, since torch, which
        takes seconds to load, is not needed."""
        from mcegnn.data.registry import check

        check(options.name)

    def completed(self, options: TrainingOptions, start: "Stored | None") -> TrainingOptions:
        """The options, with what the model to start from decides. Raises ValueError if it does not
        fit, and `mcegnn.tasks.nothing.NothingToDo` if there is nothing to train."""
        return options

    def learned(self, options: TrainingOptions | None) -> "Task":
        """The task that the model of these options has learned: this one, or what it goes on."""
        return self

    def split(
        self, options: TrainingOptions, start: "Stored | None", saved: "TrainingCheckpoint | None"
    ) -> "Split":
        """The data, cut; ``start`` is the model that training begins from, ``saved`` the training
        that is resumed. Raises ValueError if there is too little."""
        from mcegnn.data.registry import load

        return load(options.data)

    def targets(self, options: TrainingOptions, units: "Units") -> "Mapping[str, tuple[str, Per]]":
        """The targets that data in these units must have: the unit of each and what it is one of,
        by name."""
        return {}

    def model(self, options: TrainingOptions, split: "Split", start: "Stored | None") -> "Stored":
        """A model with fresh weights, or with those of ``start``. Raises ValueError if that is
        another kind of model."""
        from mcegnn.models.store import Stored

        stored = Stored.make(options.model.kind, options.model.hyperparameters)
        if start is not None:
            if (start.kind, start.hyperparameters) != (stored.kind, stored.hyperparameters):
                given, wanted = (f"{one.kind} {one.hyperparameters}" for one in (start, stored))
                raise ValueError(f"the model to start from is another model: {given}, not {wanted}")
            stored.model.load_state_dict(start.model.state_dict())
        return stored

    def objective(self, options: TrainingOptions, split: "Split", model: Any) -> Objective:
        """Objective of the training. Raises ValueError if the model is not made for such data."""
        from mcegnn.training.objective import MeanLoss

        return MeanLoss(self, options, split.train)

    def loss(self, model: Any, batch: "Dataset", options: TrainingOptions) -> Any:
        """The loss of a batch, a torch scalar with its graph."""
        raise NotImplementedError

    def errors(
        self, model: Any, dataset: "Dataset", options: TrainingOptions
    ) -> tuple[np.ndarray, dict[str, float]]:
        """As of `Objective.errors`."""
        raise NotImplementedError

    def record(self, split: "Split") -> dict[str, Any]:
        """Record of the data for the model's file."""
        return {"data": split.train.fingerprint()}

    def trained(
        self,
        options: TrainingOptions,
        split: "Split",
        start: "Stored | None",
        saved: "TrainingCheckpoint | None",
    ) -> dict[str, np.ndarray]:
        """Numbers that tell what is trained on, which model and checkpoint keep; nothing where data
        sets are cut once and for all."""
        return {}

    def summary(self, split: "Split", model: Any, name: str) -> Rows:
        """Rows of a table on the data; nothing where there is nothing to say."""
        return ()

    def doubts(self, split: "Split") -> Sequence[str]:
        """Warnings about the data, in sentences."""
        return split.doubts

    def began(self, model: Any, start: "Stored | None") -> str:
        """Note on what the model has and the initial one had not."""
        return ""

    def in_words(self, error: float, best: float, parts: Mapping[str, float]) -> str:
        """A validation in a few words."""
        return f"validation {error:.3g} (best {best:.3g})"

    def score(self, stored: "Stored", options: TrainingOptions | None, asked: Asked) -> Scores:
        """How well a model does on data. Raises ValueError if it is not made for them."""
        trained = check_recorded(options, asked.model)
        found = self.part(trained, asked)
        asked.on_progress(0, len(found.samples))
        errors, parts = self.errors(stored.model, found.samples, trained)
        values = {"mean": float(errors.mean()), "median": float(np.median(errors)), **parts}
        return Scores(found, values, self.numbers(values, label(found)))

    def part(self, options: TrainingOptions, asked: Asked) -> "Part":
        """The part of the data that is to be scored."""
        from mcegnn.data.registry import load

        data = options.data.model_copy(update={"name": asked.data})
        return load(data).part(asked.part)

    def numbers(self, values: Mapping[str, float], part: str) -> "list[Number]":
        """Values of a score in words."""
        from trajectories.analysis.results import Number

        return [
            Number(f"{part}_{name}", f"{part}, error", value, self.unit, note=name)
            for name, value in values.items()
        ]

    def report(
        self,
        model: Any,
        dataset: "Dataset",
        options: TrainingOptions,
        part: str,
        found: "Analysis",
        on_progress: OnProgress,
    ) -> list[dict[str, Any]]:
        """Add numbers and curves of a part of the data to ``found``; return scenes of the worst
        samples."""
        from mcegnn.tasks.reports.shares import error_distribution

        errors, parts = self.errors(model, dataset, options)
        values = {"mean": float(errors.mean()), "median": float(np.median(errors)), **parts}
        found.numbers += self.numbers(values, part)
        found.curves.append(
            error_distribution("errors", f"Errors, {part}", {"": errors}, self.unit)
        )
        return []

    def predict(self, model: Any, systems: "Sequence[System]") -> "Mapping[str, tuple[Any, str]]":
        """Predictions of systems: values [n] and unit of each target, by name."""
        found: Mapping[str, tuple[Any, str]] = model.predict_targets(systems)
        return found


def check_recorded(options: TrainingOptions | None, model: str) -> TrainingOptions:
    """The options a model was trained with. Raises ValueError if its file does not tell them."""
    if options is None:
        raise ValueError(
            f"{model} does not say what it was trained for; train it with mcegnn train"
        )
    return options


def label(part: "Part") -> str:
    """What rows of a table begin with, as those of a training's: what was never trained on is a
    test."""
    return "test" if part.name == "all" else part.name
