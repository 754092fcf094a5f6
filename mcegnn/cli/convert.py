"""`mcegnn convert`: a run as a file of another format."""

from pathlib import Path
from typing import Annotated

import typer

from mcegnn.cli.messages import mistakes, refuse_unwritable, told


@told
def convert(
    run: Annotated[Path, typer.Argument(help="A trajectory written by mcegnn rollout.")],
    output: Annotated[Path, typer.Argument(help="The file to write: .xyz (extended), .traj (ASE) or .dcd.")],
    system: Annotated[int | None, typer.Option(help="One of the systems of an ensemble, from 0. [default: all side by side]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file where it exists.")] = False,
) -> None:
    """Write a run as extended XYZ, ASE trajectory or DCD; numbers keep the run's units, which for atoms are ASE's own.

    Example: `mcegnn convert planets.h5md planets.xyz`
    """
    from trajectories.convert import FORMATS, convert_run, refuse_together
    from trajectories.h5md import H5MDReader

    failure = ""
    with mistakes():
        if output.suffix not in FORMATS:
            raise ValueError(f"cannot write {output}: its name must end in {', '.join(FORMATS)}")
        if output.is_dir():
            raise ValueError(f"{output} is a folder; name a file to write")
        if output.exists() and not force:
            raise FileExistsError(17, "File exists", str(output))
        if not output.parent.is_dir():
            raise ValueError(f"there is no folder {output.parent}")
        with H5MDReader(run) as reader:
            if not len(reader):
                raise ValueError(f"{run} holds no frames yet")
            n_frames = len(reader)
            refuse_together(reader, system)
            refuse_unwritable(output)
            try:
                convert_run(reader, output, system)
            except OSError as error:
                failure = error.strerror or str(error)
    if failure:
        typer.echo(f"mcegnn: writing {output} failed ({failure}); nothing of it is left", err=True)
        raise typer.Exit(1)
    typer.echo(f"wrote {n_frames:,} frames to {output}")
