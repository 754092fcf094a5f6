"""The page of a training: its course, and errors of its best weights on samples never seen."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.models.describe import model_rows

if TYPE_CHECKING:
    from mcegnn.tasks.reports import TrainingReport
    from mcegnn.training.trainer import Trainer


def write_page(
    trainer: "Trainer",
    record: Mapping[str, Any],
    metrics: Sequence[Mapping[str, str]],
    path: Path,
    title: str,
    on_progress: Callable[[int, str], None],
) -> "TrainingReport":
    """Evaluate the best weights and write the page; returns what was found. ``on_progress`` is
    called with the per cents done and what is being done. Raises OSError if the page cannot be
    written."""
    from mcegnn.models.store import Stored
    from mcegnn.tasks.reports import training_report
    from trajectories.report import Scenes, page
    from trajectories.storage.atomic_write import write_atomically

    def looking(done: int, of: int) -> None:
        on_progress(round(100 * done / of), "looking at predictions")

    found = training_report(trainer, metrics, looking)
    options, analysis = trainer.options, found.analysis
    stored = Stored(
        trainer.best, options.model.kind, dict(options.model.hyperparameters), dict(record)
    )
    text = page(
        title,
        f"{options.model.kind} on {options.data.name}, {trainer.update:,} updates",
        _rows(trainer, stored),
        analysis,
        Scenes(found.worst, f"The worst of the {found.part}", last=True),
        analysis.notes,
        told=lambda what, share: on_progress(round(100 * share), what),
    )
    write_atomically(path, text.encode())
    return found


def _rows(trainer: "Trainer", stored: Any) -> list[tuple[str, ...]]:
    """Rows that describe the training: command, model, data, options, versions, processor."""
    import torch

    from mcegnn import machine

    split, options = (
        trainer.split,
        trainer.options.model_dump(exclude={"model", "data", "task"}, exclude_none=True),
    )
    sizes = ", ".join(
        f"{name} {len(getattr(split, name)):,}" for name in ("train", "validation", "test")
    )
    chosen = trainer.options.task.model_dump(exclude_none=True, exclude_defaults=True)
    task = {"kind": trainer.options.task.kind, **chosen}
    rows: list[tuple[str, ...]] = [
        *model_rows(stored),
        ("samples", sizes),
        *getattr(split, "notes", ()),
    ]
    rows += [(name.replace("_", " "), str(value)) for name, value in {**task, **options}.items()]
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions().items())
    return [
        *rows,
        ("versions", versions),
        ("processor", f"{machine.processor()}, {torch.get_num_threads()} threads"),
    ]
