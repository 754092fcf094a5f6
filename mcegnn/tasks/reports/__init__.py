"""Reports of trainings: learning curves, errors of the best weights on samples never seen, and the
worst samples as scenes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcegnn.tasks.registry import task
from mcegnn.tasks.reports.learning import learning
from mcegnn.training.trainer import Trainer
from trajectories.analysis.results import Analysis

__all__ = ["TrainingReport", "training_report"]


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """Analysis of a training, and scenes of the worst samples, for a page of `trajectories.report`;
    ``part`` is the part of the data that was predicted."""

    analysis: Analysis
    part: str
    worst: list[dict[str, Any]] = field(default_factory=list)


def training_report(
    trainer: Trainer,
    metrics: Sequence[Mapping[str, str]],
    told: Callable[[int, int], None] = lambda done, n: None,
) -> TrainingReport:
    """Report on a training with these rows of metrics: curves, timing, and errors of its best
    weights on the test samples.

    If a data set leaves none for a test, the validation samples are predicted, and a note says so.
    ``told`` is called with the number of samples done.
    """
    found, split, part = Analysis(), trainer.split, "test"
    learning(metrics, found)
    if not len(split.test):
        part = "validation"
        found.notes.append(
            "the data leave no samples for a test, so the figures are of the validation samples,"
            " which chose the weights"
        )
    samples = split.test if part == "test" else split.validation
    problem = task(trainer.options.task.kind)
    worst = problem.report(trainer.best, samples, trainer.options, part, found, told)
    return TrainingReport(found, part, worst)
