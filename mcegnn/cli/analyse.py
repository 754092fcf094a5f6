"""`mcegnn analyse`: what a run conserved, how fast it was, and how far planets are from JPL's."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli import file_options as files
from mcegnn.cli.messages import (
    mistakes,
    refuse_ending,
    refuse_folder,
    spelled,
    table,
    told,
)
from mcegnn.cli.progress import progress
from mcegnn.cli.tables import (
    against_rows,
    assumed_rows,
    conserved,
    conserved_rows,
    error_rows,
    jpl_rows,
    lost_rows,
    number_rows,
    timing_rows,
)
from mcegnn.runs import reading
from mcegnn.runs.outputs import check_figure, check_output, check_writable
from mcegnn.runs.provenance import estimated_errors_of, lost_of, timings
from mcegnn.runs.reading import known_of, leave_out_marked, shown_times
from systems.sources.file_options import FileOptions

if TYPE_CHECKING:
    from systems.sources.file_options import FileOptions
    from trajectories.analysis import Analysis
    from trajectories.forecast import ForecastError
    from trajectories.storage.h5md import H5MDReader

Topology = Annotated[
    Path | None,
    typer.Option(help="Names and elements of another program's trajectory: PDB, GRO, PSF, ..."),
]


@told
def analyse(
    run: Annotated[
        Path,
        typer.Argument(
            help="A trajectory written by mcegnn rollout, or any that ASE or MDAnalysis opens."
        ),
    ],
    topology: Topology = None,
    frame_interval: files.FrameInterval = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    select: Annotated[
        str | None,
        typer.Option(
            help=(
                'Atoms whose distances and motions count, as MDAnalysis names them: "element O",'
                ' "index 0:9".'
            )
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Reference: another run of the same systems, such as the exact one."),
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
    csv: Annotated[
        Path | None,
        typer.Option(help="Write numbers and curves into this folder, a CSV file for each figure."),
    ] = None,
    netcdf: Annotated[
        Path | None, typer.Option(help="Write numbers and curves into this NetCDF file.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Plot each figure into this folder, as PDF and PNG.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(help="Plot this run's trajectory into this PNG, SVG or PDF file.")
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
        bool, typer.Option("--force", help="Overwrite files where they exist.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Analyse a run: conserved quantities, temperature, pressure and diffusion with errors, orbits
    and their distance to JPL DE440.

    Curves (radial distribution, mean squared displacement, velocity autocorrelation, vibrational
    spectrum, orbital elements, ...) go into files with --csv, --netcdf and --figures.

    Examples:

    - `mcegnn analyse planets.h5md --figure planets.png`

    - `mcegnn analyse liquid.h5md --csv numbers --figures figures`

    - `mcegnn analyse learned.h5md --against exact.h5md --tolerance 0.1`

    - `mcegnn analyse protein.xtc --topology protein.gro --select "name CA"`

    - `mcegnn analyse md.traj`, `mcegnn analyse XDATCAR --frame-interval "2 fs"`, `mcegnn analyse
      md.dump --units real`
    """
    from trajectories.analysis import analyse as analyse_run
    from trajectories.analysis.draw import save_figures
    from trajectories.analysis.export import write_csv, write_netcdf
    from trajectories.figures import draw_trajectory, why_undrawable

    with mistakes():
        folders = [
            (folder, ending)
            for folder, ending in ((csv, "*.csv"), (figures, "*.p[dn][fg]"))
            if folder is not None
        ]
        for folder, ending in folders:
            refuse_folder(folder, ending, force)
        if netcdf is not None:
            check_output(netcdf, force, run)
            refuse_ending(netcdf, ".nc", ".cdf")
            check_writable(netcdf)
        if figure is not None:
            check_figure(figure, force)
        limit = limit_of(tolerance, against)
        said = FileOptions.parse(frame_interval, units, format, masses)
    silent = quiet or as_json
    with ExitStack() as open_files:
        reader = open_files.enter_context(opened(run, silent, topology, said, beside=against))
        reference = (
            None
            if against is None
            else open_files.enter_context(opened(against, silent, topology, said, beside=run))
        )
        with mistakes():
            n_frames, marked = len(reader), leave_out_marked(reader, every)
        with mistakes(), progress(100, "per cent", quiet=silent) as report:
            found = analyse_run(
                reader,
                known_of(reader),
                against=reference,
                tolerance=limit,
                select=select,
                told=lambda what, share: report(round(100 * share), what),
            )
        found.warnings += marked
        if figure is not None and (why := why_undrawable(reader)):
            found.warnings.append(
                f"no picture {figure}: {why}"
                + ("; --figures FOLDER draws what there is" * bool(found.curves and not figures))
            )
            figure = None
        compared = {} if found.forecast is None else _compared(found.forecast, limit, reader)
        if as_json:
            typer.echo(
                spelled(
                    _summary(reader, found) | {"frames_left_out": n_frames - len(reader)} | compared
                )
            )
        else:
            _print(run, reader, found, compared, against)
        with mistakes():
            before = {path for folder, ending in folders for path in folder.glob(ending)}
            written = [] if csv is None else write_csv(found, csv)
            written += [] if figures is None else save_figures(found, figures)
            if netcdf is not None:
                write_netcdf(found, netcdf)
                written.append(netcdf)
            if figure is not None:
                draw_trajectory(reader, figure, known_of(reader))
                written.append(figure)
        if written and not as_json:
            typer.echo(
                f"wrote {written[0]}"
                if len(written) == 1
                else f"wrote {len(written)} files: {', '.join(map(str, written))}"
            )
        if stale := sorted(map(str, before - set(written))):
            typer.echo(
                f"warning: from before, and not of this run, are still there: {', '.join(stale)}",
                err=True,
            )


def limit_of(tolerance: float | None, against: Path | None) -> float:
    """How far from another run is still right; ValueError for a tolerance without one."""
    if tolerance is not None and against is None:
        raise ValueError("--tolerance goes with --against RUN")
    return 0.1 if tolerance is None else tolerance


@contextmanager
def opened(
    run: Path,
    quiet: bool,
    topology: Path | None = None,
    said: FileOptions | None = None,
    beside: Path | None = None,
) -> "Iterator[H5MDReader]":
    """As `mcegnn.runs.reading.opened`, with a bar while another program's trajectory is read."""
    with ExitStack() as stack:
        with mistakes(), reading_bar(quiet) as on_progress:
            reader = stack.enter_context(reading.opened(run, topology, said, beside, on_progress))
        yield reader


@contextmanager
def reading_bar(quiet: bool) -> "Iterator[reading.OnProgress]":
    """A bar for a trajectory that is read."""
    with progress(100, "per cent", quiet=quiet) as report:
        yield lambda done, n: report(round(100 * done / n), f"reading {n:,} frames")


def _print(
    run: Path,
    reader: "H5MDReader",
    found: "Analysis",
    compared: dict[str, Any],
    against: Path | None,
) -> None:
    """Tables, then warnings and notes."""
    factor, unit = shown_times(reader)
    span = (
        ""
        if unit == "frames"
        else (
            f", time {factor * reader.times[0]:.6g} to {factor * reader.times[-1]:.6g} "
            f"{unit}".rstrip()
        )
    )
    rows = [
        ("frames", f"{len(reader):,}{span}"),
        (
            "particles",
            f"{reader.n_particles:,}"
            + (f" x {reader.n_systems:,} systems" if reader.n_systems else ""),
        ),
        *lost_rows(reader),
        *timing_rows(reader),
        *(conserved_rows(found.conservation, reader) if found.conservation else []),
        *error_rows(estimated_errors_of(reader)),
        *number_rows(found),
    ]
    table(str(run), rows)
    if compared:
        table(f"Against {against}", against_rows(compared["against"], reader))
    if found.jpl is not None and found.jpl.names:
        table(
            "Distance to JPL DE440, km",
            jpl_rows(found.jpl),
            header=("body", "at the start", "mean", "largest", "at the end"),
        )
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for what, words in assumed_rows(reader):
        typer.echo(f"{what}: {words}")
    for note in found.notes:
        typer.echo(f"note: {note}")


def _compared(
    error: "ForecastError", limit: float, reader: "H5MDReader"
) -> dict[str, dict[str, float]]:
    """How far the run is from another; times as they are shown."""
    import numpy as np

    factor, _ = shown_times(reader)
    valid = factor * error.valid_time(limit)
    last = error.errors[-1]
    return {
        "against": {
            "frames_compared": len(error.times),
            "last_time": factor * float(error.times[-1]),
            "tolerance": limit,
            "median_error_at_the_end": float(np.median(last)),
            "mean_error_at_the_end": float(last.mean()),
            "largest_error_at_the_end": float(last.max()),
            "median_valid_time": float(np.median(valid)),
            "shortest_valid_time": float(valid.min()),
        }
    }


def _summary(reader: "H5MDReader", found: "Analysis") -> dict[str, Any]:
    import numpy as np

    factor, unit = shown_times(reader)
    drifts = {} if found.conservation is None else conserved(found.conservation, reader)
    largest = {name: np.abs(values).max(0) for name, values in drifts.items()}
    summary: dict[str, Any] = {
        "frames": len(reader),
        "n_systems": reader.n_systems,
        "n_particles": reader.n_particles,
        "time": factor * float(reader.times[-1]),
        "time_unit": unit,
        "timing": timings(reader),
        "lost_systems": lost_of(reader),
        **{
            f"{name}_drift": {"median": float(np.median(v)), "largest": float(v.max())}
            for name, v in largest.items()
        },
    }
    if found.jpl is not None:
        summary["km_from_jpl"] = dict(
            zip(found.jpl.names, map(float, found.jpl.kilometers[-1]), strict=True)
        )
    if (errors := estimated_errors_of(reader)) is not None:
        summary["estimated_error_km"] = errors["km"]
    numbers = {
        n.key: {"value": n.value, "error": n.error, "unit": n.unit, "what": n.label, "note": n.note}
        for n in found.numbers
    }
    return summary | {
        "numbers": numbers,
        "assumed": reader.assumed,
        "warnings": found.warnings,
        "notes": found.notes,
    }
