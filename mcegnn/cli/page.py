"""A run as a page."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcegnn.cli.progress import progress
from mcegnn.cli.tables import assumed_rows, error_numbers, lost_rows, timing_rows
from mcegnn.runs.provenance import estimated_errors_of
from mcegnn.runs.reading import known_of, leave_out_marked, run_of

if TYPE_CHECKING:
    from trajectories.storage.h5md import H5MDReader


@dataclass(frozen=True)
class Look:
    """Options of an analysis: the atoms that ``select`` names (None: all), and another run, if
    there is one, as reference with a ``tolerance``."""

    against: "H5MDReader | None" = None
    tolerance: float = 0.1
    select: str | None = None


ALL = Look()  #: all atoms, and no other run


def write_page(
    reader: "H5MDReader",
    path: Path,
    run: Path,
    look: Look = ALL,
    *,
    quiet: bool = False,
    all_frames: bool = False,
) -> int:
    """Analyse an open run, beside another one where ``look`` names one, and write its page; returns
    the page's size in bytes."""
    from trajectories.analysis import analyse
    from trajectories.report import write_report

    marked = leave_out_marked(reader, all_frames)
    with progress(100, "per cent", quiet=quiet) as tell:

        def told(what: str, share: float) -> None:
            tell(round(100 * share), what)

        found = analyse(
            reader,
            known_of(reader),
            against=look.against,
            tolerance=look.tolerance,
            select=look.select,
            told=told,
        )
        found.warnings += marked
        found.numbers += error_numbers(estimated_errors_of(reader))
        return write_report(
            path,
            reader,
            found,
            title=str(run),
            rows=rows_of(reader),
            against=look.against,
            told=told,
        )


def rows_of(reader: "H5MDReader") -> list[tuple[str, ...]]:
    """Rows that describe the run: command, physics, seed, versions, processor, time."""
    said, configured = reader.provenance, run_of(reader)
    rows: list[tuple[str, ...]] = [
        (key, said[key]) for key in ("command", "imported", "created", "seed") if said.get(key)
    ]
    rows += [(key, text) for key, text in said.items() if key.startswith("resumed at step")]
    rows += [*configured.rows(), *configured.time_rows()] if configured is not None else []
    rows += lost_rows(reader) + timing_rows(reader)
    rows += assumed_rows(reader)
    rows += (
        [("dynamics", reader.configuration["dynamics"])]
        if "dynamics" in reader.configuration
        else []
    )
    versions = json.loads(said.get("versions", "{}"))
    rows += (
        [("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
        if versions
        else []
    )
    return rows + ([("processor", said["processor"])] if said.get("processor") else [])
