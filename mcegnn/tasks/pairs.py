"""What learning from pairs of states has in common: options of data and errors, and scores."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mcegnn.names import is_factory
from mcegnn.tasks.task import Asked, OnProgress, Scores, Task, check_recorded, label
from mcegnn.training.options import Count, DataOptions, Strict, TaskOptions, TrainingOptions

if TYPE_CHECKING:
    from mcegnn.data.dataset import Dataset
    from mcegnn.data.split import Split
    from mcegnn.data.target import Per
    from mcegnn.models.store import Stored
    from systems.units import Units
    from trajectories.analysis.results import Analysis


class PairsOptions(Strict):
    """Which pairs of states: the name of a data set, how many of its training samples (None: all
    that are official), and bodies to leave out of a solar system."""

    name: str
    n_train: Count | None = None
    without: tuple[str, ...] = ()


class PairsTaskOptions(TaskOptions):
    """``error`` names a function of `mcegnn.losses`."""

    error: Literal["mean-square", "displacement"] = "mean-square"


class PairsTask(Task):
    """Where particles are after the interval of the data."""

    Data: ClassVar[type[Strict]] = PairsOptions  # type: ignore[assignment]
    datasets = ("charged", "solar", "solar-de440")

    def check_data(self, options: DataOptions) -> None:
        """As `mcegnn.data.pairs.check_name`."""
        from mcegnn.data.pairs import check_name

        check_name(options.name)

    def targets(self, options: TrainingOptions, units: "Units") -> "Mapping[str, tuple[str, Per]]":
        """Where the particles are after the interval, and how fast."""
        velocity = f"{units.length}/{units.time}" if units.length else ""
        return {"positions": (units.length, "vector"), "velocities": (velocity, "vector")}

    def score(self, stored: "Stored", options: TrainingOptions | None, asked: Asked) -> Scores:
        """Errors of predicted positions, with those of two baselines: no motion, and constant
        velocity."""
        from mcegnn.training.scoring import check_fits, errors, floors, spread

        # of a network of others there is no record: it is scored as usual
        usual: Any = self.Options
        foreign = is_factory(asked.model)
        task: Any = usual() if foreign else check_recorded(options, asked.model).task
        split = self._split(asked)
        part = split.part(asked.part)
        check_fits(stored.model, part.samples)
        asked.on_progress(0, len(part.samples))
        found = errors(stored.model, part.samples, task)
        values = spread(found)
        name = "mse" if task.error == "mean-square" else "displacement"
        values = {name: values.pop("mean"), **values}
        if asked.figure is not None:
            from mcegnn.figures import draw_law

            draw_law(stored.model, split.train, asked.figure)
        from mcegnn.tasks.reports.dynamics import numbers

        return Scores(
            part,
            {"error": task.error, **values, **floors(part.samples, task)},
            numbers(found, part.samples, task, label(part)),
        )

    @staticmethod
    def _split(asked: Asked) -> "Split":
        """The data that are to be scored, without the bodies that are to be left out."""
        from mcegnn.data.pairs import split

        return split(asked.data, without=asked.without)

    def errors(
        self, model: Any, dataset: "Dataset", options: TrainingOptions
    ) -> tuple[np.ndarray, dict[str, float]]:
        """The task's own."""
        from mcegnn.training.scoring import errors

        return errors(model, dataset, options.task), {}

    def report(
        self,
        model: Any,
        dataset: "Dataset",
        options: TrainingOptions,
        part: str,
        found: "Analysis",
        on_progress: OnProgress,
    ) -> list[dict[str, Any]]:
        """As `mcegnn.tasks.reports.dynamics.look`."""
        from mcegnn.tasks.reports.dynamics import look

        return look(model, dataset, options.task, part, found)
