"""The page of a training, and the table of what it says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.cli.info import model_rows
from mcegnn.cli.progress import progress

if TYPE_CHECKING:
    from mcegnn.datasets.split import Part
    from mcegnn.review import Review
    from mcegnn.training.trainer import Trainer
    from trajectories.analysis.results import Number


def write(
    trainer: "Trainer",
    record: Mapping[str, Any],
    metrics: Sequence[Mapping[str, str]],
    path: Path,
    title: str,
    quiet: bool,
) -> "Review":
    """Look at the best weights and write the page; returns what was found. OSError where it cannot
    be written."""
    from mcegnn.models.store import Stored
    from mcegnn.review import review
    from trajectories.report import page
    from trajectories.storage.atomic_write import write_atomically

    with progress(100, "per cent", quiet=quiet) as tell:

        def told(what: str, share: float) -> None:
            tell(round(100 * share), what)

        found = review(trainer, metrics, lambda done, n: told("looking at predictions", done / n))
        options, analysis = trainer.options, found.analysis
        stored = Stored(
            trainer.best, options.model.kind, dict(options.model.hyperparameters), dict(record)
        )
        about = f"{options.model.kind} on {options.data.name}, {trainer.update:,} updates"
        rows, heading = _rows(trainer, stored), f"The worst of the {found.part}"
        text = page(
            title,
            about,
            rows,
            analysis,
            found.worst,
            analysis.notes,
            heading=heading,
            last=True,
            told=told,
        )
        write_atomically(path, text.encode())
    return found


def _rows(trainer: "Trainer", stored: Any) -> list[tuple[str, ...]]:
    """What was trained: command, model, data, options, versions, processor."""
    import torch

    from mcegnn import machine

    split, options = (
        trainer.split,
        trainer.options.model_dump(exclude={"model", "data", "task"}, exclude_none=True),
    )
    sizes = ", ".join(
        f"{name} {len(getattr(split, name)):,}" for name in ("train", "validation", "test")
    )
    task = trainer.options.task.model_dump(exclude_none=True, exclude_defaults=True)
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


def scored(part: "Part", what: str, data: str) -> tuple[str, str]:
    """The row of what errors are of; ``what`` the data hold, such as structures."""
    return "scored", f"{part.name} {what}, {len(part.samples):,} of {part.whole:,} in {data}"


def left_out(part: "Part") -> list[tuple[str, str]]:
    """Rows of what was not scored and why, and of what else there is to say of the data."""
    told = ", ".join(f"{n:,} {reason}" for reason, n in part.left_out.items())
    return [*([("left out", told)] if told else []), *part.notes]


def said(numbers: Sequence["Number"]) -> list[tuple[str, str]]:
    """Rows for a table."""
    return [(number.label, str(number)) for number in numbers]
