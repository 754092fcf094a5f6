"""`mcegnn report`: a run as one HTML page."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from mcegnn.cli import analysis_options as options
from mcegnn.cli import file_options as files
from mcegnn.cli.messages import check_ending, mistakes, told
from mcegnn.cli.page import Look, write_page
from mcegnn.cli.reading import limit_of, opened
from mcegnn.cli.training_page import write_training_page
from mcegnn.runs.outputs import check_output, check_writable, size
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
    topology: options.Topology = None,
    frame_interval: files.FrameInterval = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Another run of the same systems, shown and compared with this one."),
    ] = None,
    tolerance: options.Tolerance = None,
    select: options.Select = None,
    every: options.AllFrames = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the page where it exists.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one HTML page that opens without a network: how the run was made, an animated
    scene, conserved quantities and figures.

    Of a training's folder it shows learning curves, and predictions of its best weights on the test
    samples.

    Examples:

    - `mcegnn report planets.h5md`

    - `mcegnn report learned.h5md --reference exact.h5md -o compared.html`

    - `mcegnn report rmd17 -o training.html`
    """
    with mistakes():  # a name may be too long to ask
        training = run.is_dir()
    if training:
        of_runs = (reference, topology, frame_interval, units, format, masses, select, tolerance)
        with mistakes():
            if any(option is not None for option in of_runs):
                raise ValueError(
                    f"{run} is a training's folder; --reference, --tolerance, --topology, --select"
                    " and what is said of files (--frame-interval, --units, --format, --masses) go"
                    " with runs"
                )
            path = write_training_page(run, output, force, quiet)
        typer.echo(f"wrote {path}, {size(path.stat().st_size)}")
        return
    path = run.with_suffix(".html") if output is None else output
    with mistakes():
        check_output(path, force, run)
        check_ending(path, ".html", ".htm")
        check_writable(path)
        limit = limit_of(tolerance, reference)
        said = FileOptions.parse(frame_interval, units, format, masses)
    with ExitStack() as open_files:
        reader = open_files.enter_context(opened(run, quiet, topology, said, beside=reference))
        other = None
        if reference is not None:
            beside = opened(reference, quiet, topology, said, beside=run)
            other = open_files.enter_context(beside)
        with mistakes():
            look = Look(other, limit, select)
            written = write_page(reader, path, run, look, quiet=quiet, all_frames=every)
    typer.echo(f"wrote {path}, {size(written)}")
