"""The folder of a training: its files, and whether it may be made."""

import csv
import io
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcegnn.runs.outputs import check_writable
from trajectories.storage.atomic_write import write_atomically

if TYPE_CHECKING:
    from mcegnn.training.checkpoint import TrainingCheckpoint
    from mcegnn.training.trainer import Trainer

_COLUMNS = {"update", "loss", "error", "median", "lr", "seconds"}
BEST, LAST, METRICS, REPORT = "best.safetensors", "last.checkpoint", "metrics.csv", "report.html"


def complete(folder: Path, saved: "TrainingCheckpoint") -> str:
    """Message that a training is complete, and what can be done instead."""
    update, total = saved.header["update"], saved.options.total
    done = (
        f"all {total:,} updates are done"
        if update >= total
        else f"after {update:,} of {total:,} updates more brought nothing better"
    )
    again = shlex.join(["mcegnn", "report", str(folder), "--force"])
    on = f"train on from its best weights with --from {folder / BEST} and another folder"
    return f"{folder} is complete: {done}; {on}, or make its page anew with: {again}"


def resumed(folder: Path) -> "TrainingCheckpoint":
    """Read the checkpoint of a folder's training. Raises FileNotFoundError or ValueError if there
    is none."""
    from mcegnn.training.checkpoint import checkpoint

    return checkpoint(folder / LAST)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise ValueError if the folder cannot be made, FileExistsError if it holds a run already."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder with -o")
    if not folder.parent.is_dir():
        raise ValueError(
            f"there is no folder {folder.parent}; make it first or name another with -o"
        )
    for name in (BEST, LAST, METRICS, REPORT):
        if (folder / name).exists() and not overwrite:
            raise FileExistsError(17, "File exists", str(folder / name))


def prepare_folder(folder: Path) -> None:
    """Make the folder, without an earlier run's files."""
    folder.mkdir(exist_ok=True)
    for name in (BEST, LAST, METRICS, REPORT):
        (folder / name).unlink(missing_ok=True)
        check_writable(folder / name)


def tensorboard(folder: Path) -> Any:
    """Open a writer of TensorBoard's event files. Raises RuntimeError, with how to install it, if
    the extra is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RuntimeError(
            "the extra 'tensorboard' is not installed; install it with: pip install"
            " 'mcegnn[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder / "tensorboard"))


def write_metrics(metrics: list[dict[str, str]], path: Path) -> None:
    """Write all rows to a CSV file, atomically."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(metrics[0]))
    writer.writeheader()
    writer.writerows(metrics)
    write_atomically(path, text.getvalue().encode())


def metrics_of(path: Path) -> dict[str, np.ndarray]:
    """The metrics of all validations [n_validations] by name, NaN where there is none."""
    rows = rows_of(path, sys.maxsize)
    return {
        name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows or [{}])[0]
    }


def rows_of(path: Path, update: int) -> list[dict[str, str]]:
    """The metrics up to an update; none if there is no file. Raises ValueError if it is no table of
    metrics."""
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [
                {**row, "starting": row.get("starting", "")} for row in csv.DictReader(file)
            ]  # which older ones do not have
        numbers = [{name: float(value or "nan") for name, value in row.items()} for row in rows]
        if not all(columns.keys() >= _COLUMNS for columns in numbers):
            raise KeyError(*sorted(_COLUMNS - numbers[0].keys()))
        return [
            row for row, columns in zip(rows, numbers, strict=True) if columns["update"] <= update
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the metrics of a training ({type(error).__name__}: {error})"
        ) from None


def keep(trainer: "Trainer", record: dict[str, Any], folder: Path) -> None:
    """Write the best model and the checkpoint."""
    from mcegnn.data.trained import without_labels
    from mcegnn.models.store import Stored, save

    model = trainer.options.model
    best = Stored(
        trainer.best,
        model.kind,
        dict(model.hyperparameters),
        {**record, "validation": trainer.best_error},
        without_labels(trainer.trained),
    )
    save(best, folder / BEST)
    # last: what it says is done is not done again
    trainer.save(folder / LAST, record)
