"""`mcegnn analyse`: what a run conserved, how fast it was, and how far planets are from JPL's."""

from contextlib import ExitStack
from typing import Annotated

import typer

from mcegnn.cli import analysis_options as options
from mcegnn.cli import file_options as files
from mcegnn.cli.analysis import compared_with, print_analysis, summary_of
from mcegnn.cli.analysis_files import AnalysisFiles
from mcegnn.cli.messages import mistakes, spelled, told
from mcegnn.cli.progress import progress
from mcegnn.cli.reading import limit_of, opened
from mcegnn.runs.reading import known_of, leave_out_marked
from systems.sources.file_options import FileOptions


@told
def analyse(
    run: options.Trajectory,
    topology: options.Topology = None,
    frame_interval: files.FrameInterval = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    select: options.Select = None,
    reference: options.Reference = None,
    tolerance: options.Tolerance = None,
    csv: options.Csv = None,
    netcdf: options.Netcdf = None,
    figures: options.Figures = None,
    as_json: options.AsJson = False,
    figure: options.Figure = None,
    every: options.AllFrames = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files where they exist.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Analyse a run: conserved quantities, temperature, pressure and diffusion with errors, orbits
    and their distance to JPL DE440.

    Curves (radial distribution, mean squared displacement, velocity autocorrelation, vibrational
    spectrum, orbital elements, ...) go into files with --csv, --netcdf and --figures.

    Examples:

    - `mcegnn analyse planets.h5md --figure planets.png`

    - `mcegnn analyse liquid.h5md --csv numbers --figures figures`

    - `mcegnn analyse learned.h5md --reference exact.h5md --tolerance 0.1`

    - `mcegnn analyse protein.xtc --topology protein.gro --select "name CA"`

    - `mcegnn analyse md.traj`, `mcegnn analyse XDATCAR --frame-interval "2 fs"`, `mcegnn analyse
      md.dump --units real`
    """
    from trajectories.analysis import analyse as analyse_run

    outputs = AnalysisFiles(csv, netcdf, figures, figure)
    with mistakes():
        outputs.check(run, force)
        limit = limit_of(tolerance, reference)
        said = FileOptions.parse(frame_interval, units, format, masses)
    silent = quiet or as_json
    with ExitStack() as open_files:
        reader = open_files.enter_context(opened(run, silent, topology, said, beside=reference))
        other = None
        if reference is not None:
            beside = opened(reference, silent, topology, said, beside=run)
            other = open_files.enter_context(beside)
        with mistakes():
            n_frames, marked = len(reader), leave_out_marked(reader, every)
        with mistakes(), progress(100, "per cent", quiet=silent) as report:
            found = analyse_run(
                reader,
                known_of(reader),
                against=other,
                tolerance=limit,
                select=select,
                told=lambda what, share: report(round(100 * share), what),
            )
        found.warnings += marked
        outputs.leave_out_picture(reader, found)
        compared = {} if found.forecast is None else compared_with(found.forecast, limit, reader)
        if as_json:
            left_out = {"frames_left_out": n_frames - len(reader)}
            typer.echo(spelled(summary_of(reader, found) | left_out | compared))
        else:
            print_analysis(run, reader, found, compared, reference)
        outputs.write(reader, found, quiet=as_json)
