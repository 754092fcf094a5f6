"""The options of the commands that look at trajectories."""

from pathlib import Path
from typing import Annotated

import typer

Topology = Annotated[
    Path | None,
    typer.Option(help="Names and elements of another program's trajectory: PDB, GRO, PSF, ..."),
]
Trajectory = Annotated[
    Path,
    typer.Argument(
        help="A trajectory written by mcegnn rollout, or any that ASE or MDAnalysis opens."
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        help=(
            'Atoms whose distances and motions count, as MDAnalysis names them: "element O",'
            ' "index 0:9".'
        )
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help=(
            "Distance from the reference that counts as agreement, in the"
            " run's unit of length. [default: 0.1]"
        )
    ),
]
AllFrames = Annotated[
    bool,
    typer.Option(
        "--all-frames",
        help=(
            "Include frames with atoms nearer to each other than any in the model's training data."
        ),
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(help="Another run of the same systems to compare with, such as the exact one."),
]
Csv = Annotated[
    Path | None,
    typer.Option(help="Write numbers and curves into this folder, a CSV file for each figure."),
]
Netcdf = Annotated[
    Path | None, typer.Option(help="Write numbers and curves into this NetCDF file.")
]
Figures = Annotated[
    Path | None, typer.Option(help="Plot each figure into this folder, as PDF and PNG.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Figure = Annotated[
    Path | None, typer.Option(help="Plot this run's trajectory into this PNG, SVG or PDF file.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
