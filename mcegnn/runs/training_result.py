"""The result of a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcegnn.runs.training_files import BEST, METRICS, REPORT, metrics_of


@dataclass(frozen=True, repr=False)
class TrainingResult:
    """A training that is over, in ``folder``: its best ``model`` and the page ``report``; errors
    are of the ``part`` of the data, ``scored`` of ``whole`` ``noun`` of ``data``."""

    folder: Path
    n_updates: int
    part: str
    scored: int
    whole: int
    noun: str
    data: str
    numbers: tuple[Any, ...]

    def __repr__(self) -> str:
        lines = [f"Training in {self.folder}: {self.n_updates:,} updates"]
        lines += [f"  {number.label}: {number}" for number in self.numbers]
        return "\n".join(lines)

    @property
    def model_file(self) -> Path:
        """The best weights."""
        return self.folder / BEST

    @property
    def report_file(self) -> Path:
        """The page."""
        return self.folder / REPORT

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Metrics of each validation [n_validations], by name: "update", "loss", "error", ..."""
        return metrics_of(self.folder / METRICS)

    @property
    def model(self) -> Any:
        """The best model, ready to be used."""
        from mcegnn.models.store import load

        return load(self.model_file).model
