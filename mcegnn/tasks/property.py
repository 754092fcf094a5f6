"""A property of whole molecules: one number of each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from mcegnn.tasks.energies_forces import in_thousandths
from mcegnn.tasks.objective import Objective
from mcegnn.tasks.task import Asked, OnProgress, Scores, Task, check_recorded, label
from mcegnn.training.options import Count, DataOptions, TaskOptions, TrainingOptions

if TYPE_CHECKING:
    from mcegnn.data.dataset import Dataset
    from mcegnn.data.split import Split
    from mcegnn.data.target import Per
    from mcegnn.models.store import Stored
    from mcegnn.training.checkpoint import TrainingCheckpoint
    from systems.units import Units
    from trajectories.analysis.results import Analysis


class MoleculeOptions(DataOptions):
    """How many molecules make the test, too."""

    n_test: Count | None = None


class PropertyOptions(TaskOptions):
    """A model of whole molecules is trained on the absolute error of the ``property``."""

    kind: Literal["property"] = "property"
    property: str

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("property"):
            raise ValueError("a task that is property names its property, such as U0")
        return values


class Property(Task):
    """A model of molecules is trained on a property such as U0."""

    Options: ClassVar[type[TaskOptions]] = PropertyOptions
    Data: ClassVar[type[DataOptions]] = MoleculeOptions
    trains = ("PropertyModel", "UnconstrainedProperty")
    noun = "molecules"
    datasets = ("qm9",)
    unit = "eV"

    def check_data(self, options: DataOptions) -> None:
        """Raise ValueError if the data are not QM9."""
        if options.name != "qm9":
            raise ValueError(
                f"properties of molecules are learned from qm9, not from {options.name!r}; leave"
                " out --data"
            )

    def split(
        self, options: TrainingOptions, start: "Stored | None", saved: "TrainingCheckpoint | None"
    ) -> "Split":
        """Molecules of QM9."""
        from mcegnn.tasks.property_model import check_property

        task: Any = options.task
        check_property(task.property)
        return super().split(options, start, saved)

    def targets(self, options: TrainingOptions, units: "Units") -> "Mapping[str, tuple[str, Per]]":
        """The property."""
        task: Any = options.task
        return {task.property: ("eV", "system")}

    def model(self, options: TrainingOptions, split: "Split", start: "Stored | None") -> "Stored":
        """As `mcegnn.tasks.property_model.model`."""
        from mcegnn.tasks.property_model import model

        return model(options, split.train, start)

    def objective(self, options: TrainingOptions, split: "Split", model: Any) -> Objective:
        """`mcegnn.training.properties.Properties`."""
        from mcegnn.training.objective import check_species
        from mcegnn.training.properties import Properties

        check_species(split, model)
        return Properties(options, split, model)

    def in_words(self, error: float, best: float, parts: Mapping[str, float]) -> str:
        """The validation error in words, in thousandths of its unit."""
        return in_thousandths(parts)

    def score(self, stored: "Stored", options: TrainingOptions | None, asked: Asked) -> Scores:
        """Errors of the property on the test of the data the model was trained with."""
        from mcegnn.data.qm9 import load
        from mcegnn.tasks.reports.properties import numbers
        from mcegnn.training.properties import measures_of, residuals

        model: Any = stored.model
        data: Any = check_recorded(options, asked.model).data
        if asked.data != data.name:
            raise ValueError(
                f"the model predicts properties of molecules of {data.name}; evaluate it on that,"
                f" not on {asked.data}"
            )
        part = load(data).part(asked.part)
        model.kinds(part.samples.species)
        asked.on_progress(0, len(part.samples))
        off = residuals(model, part.samples, asked.on_progress)
        values = {**measures_of(off, model, part.samples), "property": model.property}
        return Scores(part, values, numbers(off, model, part.samples, label(part)))

    def report(
        self,
        model: Any,
        dataset: "Dataset",
        options: TrainingOptions,
        part: str,
        found: "Analysis",
        on_progress: OnProgress,
    ) -> list[dict[str, Any]]:
        """As `mcegnn.tasks.reports.properties.look`."""
        from mcegnn.tasks.reports.properties import look

        return look(model, dataset, part, found, on_progress)
