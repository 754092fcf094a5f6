"""`mcegnn report`: a run as one HTML page."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from mcegnn.cli import file_options as files
from mcegnn.cli.analyse import Topology, limit_of, opened
from mcegnn.cli.messages import (
    mistakes,
    refuse_ending,
    told,
)
from mcegnn.cli.progress import progress, waiting
from mcegnn.cli.tables import (
    assumed_rows,
    error_numbers,
    lost_rows,
    timing_rows,
)
from mcegnn.runs.outputs import check_output, check_writable, size
from mcegnn.runs.provenance import estimated_errors_of
from mcegnn.runs.reading import known_of, leave_out_marked, run_of
from systems.sources.file_options import FileOptions


@told
def report(
    run: Annotated[
        Path,
        typer.Argument(
            help=(
                "A trajectory written by mcegnn rollout, any that ASE or MDAnalysis opens, or a"
                " training's folder."
            )
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The page to write. [default: RUN with .html, or report.html in the folder]",
        ),
    ] = None,
    topology: Topology = None,
    frame_interval: files.FrameInterval = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help=("Reference: another run of the same systems, shown and compared with this one.")
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help=(
                "Distance from the reference that counts as agreement, in the run's unit "
                "of length. [default: 0.1]"
            )
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help=(
                'Atoms whose distances and motions count, as MDAnalysis names them: "element O",'
                ' "index 0:9".'
            )
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all-frames",
            help=(
                "Include frames with atoms nearer to each other than any in the model's "
                "training data."
            ),
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the page where it exists.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Write one HTML page that opens without a network: how the run was made, an animated
    scene, conserved quantities and figures.

    Of a training's folder it shows learning curves, and predictions of its best weights on the test
    samples.

    Examples:

    - `mcegnn report planets.h5md`

    - `mcegnn report learned.h5md --against exact.h5md -o compared.html`

    - `mcegnn report rmd17 -o training.html`
    """
    with mistakes():  # a name may be too long to ask
        training = run.is_dir()
    if training:
        with mistakes():
            if any(
                option is not None
                for option in (
                    against,
                    topology,
                    frame_interval,
                    units,
                    format,
                    masses,
                    select,
                    tolerance,
                )
            ):
                raise ValueError(
                    f"{run} is a training's folder; --against, --tolerance, --topology, --select"
                    " and what is said of files (--frame-interval, --units, --format, --masses) go"
                    " with runs"
                )
            path = _of_training(run, output, force, quiet)
        typer.echo(f"wrote {path}, {size(path.stat().st_size)}")
        return
    path = run.with_suffix(".html") if output is None else output
    with mistakes():
        check_output(path, force, run)
        refuse_ending(path, ".html", ".htm")
        check_writable(path)
        limit = limit_of(tolerance, against)
        said = FileOptions.parse(frame_interval, units, format, masses)
    with ExitStack() as open_files:
        reader = open_files.enter_context(opened(run, quiet, topology, said, beside=against))
        other = (
            None
            if against is None
            else open_files.enter_context(opened(against, quiet, topology, said, beside=run))
        )
        with mistakes():
            written = write(reader, path, run, other, limit, select, quiet, every)
    typer.echo(f"wrote {path}, {size(written)}")


def _of_training(folder: Path, output: Path | None, force: bool, quiet: bool) -> Path:
    """The page of a training, finished or not, as it was at its last validation."""
    from mcegnn.runs.training_files import LAST, METRICS, REPORT, resumed, rows_of
    from mcegnn.runs.training_page import write_page
    from mcegnn.tasks.registry import task

    if not (folder / LAST).is_file():
        raise FileNotFoundError(
            f"{folder} is a folder without a training's {LAST}; name a run's file, or the folder of"
            " mcegnn train"
        )
    path = folder / REPORT if output is None else output
    check_output(path, force)
    refuse_ending(path, ".html", ".htm")
    check_writable(path)
    saved = resumed(folder)
    metrics = rows_of(folder / METRICS, saved.header["update"])
    options = saved.options
    problem = task(options.task.kind)
    problem.check_data(options.data)
    with waiting("loading torch and the data", quiet=quiet):
        from mcegnn.training.build import build_trainer

        trainer, record = build_trainer(options, saved=saved)
    for warning in problem.doubts(trainer.split):
        typer.echo(f"warning: {warning}", err=True)
    record |= saved.header["record"] | {"validation": trainer.best_error}
    with progress(100, "per cent", quiet=quiet) as tell:
        write_page(trainer, record, metrics, path, str(folder), tell)
    return path


def write(
    reader: Any,
    path: Path,
    run: Path,
    against: Any = None,
    tolerance: float = 0.1,
    select: str | None = None,
    quiet: bool = False,
    every: bool = False,
) -> int:
    """Analyse an open run, beside another one that is open where there is one, and write its page;
    returns the page's size in bytes."""
    from trajectories.analysis import analyse
    from trajectories.report import write_report

    marked = leave_out_marked(reader, every)
    with progress(100, "per cent", quiet=quiet) as tell:

        def told(what: str, share: float) -> None:
            tell(round(100 * share), what)

        found = analyse(
            reader, known_of(reader), against=against, tolerance=tolerance, select=select, told=told
        )
        found.warnings += marked
        found.numbers += error_numbers(estimated_errors_of(reader))
        return write_report(
            path, reader, found, title=str(run), rows=rows_of(reader), against=against, told=told
        )


def rows_of(reader: Any) -> list[tuple[str, ...]]:
    """What was run: command, physics, seed, versions, processor, time."""
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
