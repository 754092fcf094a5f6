"""Adaptation: a model that was trained without symmetry becomes equivariant by a canonicalizer,
which is learned, and keeps what it knows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mcegnn.models.registry import WRAPPERS
from mcegnn.tasks.energies_forces import StructureOptions
from mcegnn.tasks.nothing import NothingToDo
from mcegnn.tasks.objective import Objective
from mcegnn.tasks.task import Asked, OnProgress, Rows, Scores, Task
from mcegnn.training.options import (
    Count,
    DataOptions,
    NotNegative,
    TaskOptions,
    TrainingOptions,
    parse,
)

if TYPE_CHECKING:
    import numpy as np

    from mcegnn.data.dataset import Dataset
    from mcegnn.data.split import Split
    from mcegnn.data.target import Per
    from mcegnn.models.store import Stored
    from mcegnn.training.checkpoint import TrainingCheckpoint
    from systems.units import Units
    from trajectories.analysis.results import Analysis


class AdaptData(StructureOptions):
    """The data of whatever was learned: those keys that its own task has."""

    without: tuple[str, ...] = ()
    n_test: Count | None = None


class AdaptOptions(TaskOptions):
    """``beta`` is the weight of the prior over poses beside the loss of what was learned: how much
    poses are to be those of the training data. With ``freeze`` the model stays as it is, and the
    canonicalizer alone learns. ``of`` is the task that was learned, as the model's file tells."""

    kind: Literal["adapt"] = "adapt"
    freeze: bool = False
    beta: NotNegative = 1.0
    of: dict[str, Any] = Field(default_factory=dict)


class Adapt(Task):
    """The task that the model was trained for goes on, in poses that are learned (Mondal et al.
    2023, arXiv 2310.01647)."""

    Options: ClassVar[type[TaskOptions]] = AdaptOptions
    Data: ClassVar[type[DataOptions]] = AdaptData
    trains = ("Canonicalized",)

    def completed(self, options: TrainingOptions, start: "Stored | None") -> TrainingOptions:
        """With the task and the sizes of the model to start from."""
        task: Any = options.task
        if start is None:
            if task.of:
                return options  # it is resumed
            raise ValueError("name the trained model that is to be adapted: --from MODEL")
        if start.model.equivariant:
            raise NothingToDo(
                f"the model to adapt, a {start.kind}, is equivariant already: there is nothing to"
                " do"
            )
        if start.kind in WRAPPERS:
            raise ValueError(
                f"the model to adapt is a {start.kind} already; adapt the model that it wraps"
            )
        of = start.record.get("options", {}).get("task") or _task_of(start).model_dump()
        given = options.model.hyperparameters
        for name in ("model", "hyperparameters"):
            if name in given:
                raise ValueError(
                    f"model.hyperparameters.{name} is that of the model to adapt; leave it out"
                )
        whole = {**given, "model": start.kind, "hyperparameters": start.hyperparameters}
        model = options.model.model_copy(update={"hyperparameters": whole})
        changed = task.model_copy(update={"of": of})
        return options.model_copy(update={"model": model, "task": changed})

    def learned(self, options: TrainingOptions | None) -> Task:
        """The task that the adapted model was trained for."""
        return self if options is None else _learned(options)[0]

    def check_data(self, options: DataOptions) -> None:
        """Nothing: which data there can be is the learned task's to say."""

    def split(
        self, options: TrainingOptions, start: "Stored | None", saved: "TrainingCheckpoint | None"
    ) -> "Split":
        """Those of the learned task."""
        task, own = _learned(options)
        task.check_data(own.data)
        return task.split(own, start, saved)

    def targets(self, options: TrainingOptions, units: "Units") -> "Mapping[str, tuple[str, Per]]":
        """Those of the learned task."""
        task, own = _learned(options)
        return task.targets(own, units)

    def model(self, options: TrainingOptions, split: "Split", start: "Stored | None") -> "Stored":
        """The model to adapt in a canonicalizer with fresh weights."""
        from mcegnn.models.store import Stored

        made = Stored.make(options.model.kind, options.model.hyperparameters)
        model: Any = made.model
        frozen: Any = options.task
        if start is not None:
            dtype = next(start.model.parameters()).dtype
            model.to(dtype)  # or its weights would be rounded
            model.adopt(start.model)
            kept = str(dtype).removeprefix("torch.")
            if frozen.freeze and kept != options.precision:
                raise ValueError(
                    f"the model to adapt is in {kept}, and would change if it were trained in"
                    f" {options.precision}; set precision={kept}, or freeze=false"
                )
        learned = sum(p.numel() for p in model.canonicalization.parameters())
        if frozen.freeze and not learned:
            raise ValueError(
                "nothing would learn: the model is frozen, and its canonicalizer has no weights;"
                " set freeze=false or another canonicalizer"
            )
        return made

    def objective(self, options: TrainingOptions, split: "Split", model: Any) -> Objective:
        """That of the learned task, with the prior, and without gradients of what is frozen."""
        from mcegnn.training.frozen import Frozen

        task, own = _learned(options)
        ours: Any = options.task
        model.canonicalization.beta = ours.beta
        made = task.objective(own, split, model)
        return Frozen(made) if ours.freeze else made

    def record(self, split: "Split") -> dict[str, Any]:
        """As any task's, with notes on labels where there are some."""
        notes = {"labels": dict(split.notes)} if split.notes else {}
        return {**super().record(split), **notes}

    def trained(
        self,
        options: TrainingOptions,
        split: "Split",
        start: "Stored | None",
        saved: "TrainingCheckpoint | None",
    ) -> "dict[str, np.ndarray]":
        """Those of the learned task."""
        task, own = _learned(options)
        return task.trained(own, split, start, saved)

    def began(self, model: Any, start: "Stored | None") -> str:
        """How large the canonicalizer is beside the model."""
        if start is None:
            return ""
        inner = sum(p.numel() for p in model.inner_network.parameters())
        more = sum(p.numel() for p in model.parameters()) - inner
        return f"the canonicalizer adds {more:,} parameters to {inner:,}, {more / inner:.1%}"

    def score(self, stored: "Stored", options: TrainingOptions | None, asked: Asked) -> Scores:
        """Scores of the learned task."""
        task, own = _recorded(stored, options)
        return task.score(stored, own, asked)

    def errors(
        self, model: Any, dataset: "Dataset", options: TrainingOptions
    ) -> "tuple[np.ndarray, dict[str, float]]":
        """Errors of the learned task."""
        task, own = _learned(options)
        return task.errors(model, dataset, own)

    def report(
        self,
        model: Any,
        dataset: "Dataset",
        options: TrainingOptions,
        part: str,
        found: "Analysis",
        on_progress: OnProgress,
    ) -> list[dict[str, Any]]:
        """The report of the learned task."""
        task, own = _learned(options)
        return task.report(model, dataset, own, part, found, on_progress)

    def summary(self, split: "Split", model: Any, name: str) -> Rows:
        """What is known of any data."""
        parts = (("training", split.train), ("validation", split.validation), ("test", split.test))
        return [(f"{part} {own.noun}", f"{len(own):,}") for part, own in parts]


def _task_of(stored: "Stored") -> TaskOptions:
    """Options of the first task that trains such models."""
    from mcegnn.tasks.registry import task_of_model

    made = task_of_model(stored.kind, stored.hyperparameters).Options
    required = [name for name, field in made.model_fields.items() if field.is_required()]
    return made(**{name: getattr(stored.model, name) for name in required})


def _learned(options: TrainingOptions) -> tuple[Task, TrainingOptions]:
    """The task that was learned, and its options in this training."""
    from mcegnn.tasks.registry import task

    ours: Any = options.task
    kind = ours.of["kind"]
    fields = task(kind).Data.model_fields
    for name, field in type(options.data).model_fields.items():
        if name not in fields and getattr(options.data, name) != field.default:
            raise ValueError(
                f"the model to adapt was trained for the task {kind}, whose data have no key"
                f" {name!r}; leave it out"
            )
    data = {k: v for k, v in options.data.model_dump().items() if k in fields}
    values = {**options.model_dump(), "data": data, "task": ours.of, "compile": False}
    return task(kind), parse(values)


def _recorded(
    stored: "Stored", options: TrainingOptions | None
) -> tuple[Task, TrainingOptions | None]:
    """The same of a model's file, which may not tell the options."""
    from mcegnn.tasks.registry import task_of_model

    if options is None:
        return task_of_model(stored.kind, stored.hyperparameters), None
    return _learned(options)
