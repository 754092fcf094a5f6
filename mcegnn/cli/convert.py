"""`mcegnn convert`: a run as a file of another format, and other programs' trajectories as runs."""

from pathlib import Path
from typing import Annotated

import typer

from mcegnn.cli import analysis_options as options
from mcegnn.cli import file_options as files
from mcegnn.cli.messages import mistakes, told
from mcegnn.cli.reading import opened, reading_bar
from mcegnn.cli.tables import assumed_rows
from mcegnn.runs.outputs import check_output, check_writable
from mcegnn.runs.reading import imported
from systems.sources.file_options import FileOptions


@told
def convert(
    run: options.Trajectory,
    output: Annotated[
        Path,
        typer.Argument(
            help=(
                "The file to write: .xyz (extended), .traj (ASE) or .dcd; of another program's"
                " trajectory .h5md."
            )
        ),
    ],
    system: Annotated[
        int | None,
        typer.Option(help="One of the systems of an ensemble, from 0. [default: all side by side]"),
    ] = None,
    topology: options.Topology = None,
    frame_interval: files.FrameInterval = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file where it exists.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run as extended XYZ, ASE trajectory or DCD; numbers keep the run's units, which for
    atoms are ASE's own.

    A trajectory of another program becomes a run, which later analyses read directly.

    Examples: `mcegnn convert planets.h5md planets.xyz`, `mcegnn convert md.traj md.h5md`
    """
    from trajectories.foreign import OURS, is_ours
    from trajectories.storage.h5md import H5MDReader

    with mistakes():
        said = FileOptions.parse(frame_interval, units, format, masses)
    if is_ours(run, topology):
        n_frames = _exported(run, output, system, said, force)
    else:
        with mistakes():
            if output.suffix not in OURS:
                raise ValueError(
                    f"{run} is taken for another program's trajectory, which becomes a run: name a"
                    " file that ends in .h5md"
                )
            if system is not None:
                raise ValueError(
                    "--system goes with a run of ours; another program's trajectory holds one"
                    " system"
                )
            check_output(output, force, run)
            check_writable(output)
            with reading_bar(quiet) as bar:
                imported(run, output, topology, said, overwrite=force, on_progress=bar)
            with H5MDReader(output) as reader:
                n_frames = len(reader)
                for what, words in assumed_rows(reader) if not quiet else ():
                    typer.echo(f"{what}: {words}")
    if not quiet:
        typer.echo(f"wrote {n_frames:,} frames to {output}")


def _exported(run: Path, output: Path, system: int | None, said: FileOptions, force: bool) -> int:
    """Write a run of ours in another format; returns how many frames. Exit code 1 where the disk
    does not take them."""
    from trajectories.convert import FORMATS, check_separable, convert_run

    failure, left_out = "", list[str]()
    with mistakes():
        if output.suffix not in FORMATS:
            raise ValueError(f"cannot write {output}: its name must end in {', '.join(FORMATS)}")
        check_output(output, force)
        with opened(run, quiet=True, said=said) as reader:
            n_frames = len(reader)
            check_separable(reader, system)
            check_writable(output)
            try:
                left_out = convert_run(reader, output, system)
            except OSError as error:
                failure = error.strerror or str(error)
    if failure:
        typer.echo(f"mcegnn: writing {output} failed ({failure}); nothing of it is left", err=True)
        raise typer.Exit(1)
    if left_out:
        typer.echo(f"left out, since {output.suffix} has no place for it: {', '.join(left_out)}")
    return n_frames
