"""The options of a file of another program, for each command that reads one: what users say better
than the file does."""

from typing import Annotated

import typer

PANEL = "Files of other programs"


def _option(flag: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, help=text, rich_help_panel=PANEL)
    return option


FrameInterval = Annotated[
    str | None,
    _option(
        "--frame-interval",
        'Time from one frame to the next, whatever the file says of it: "10 fs".',
    ),
]
Units = Annotated[
    str | None,
    _option(
        "--units",
        "LAMMPS unit style of the file: metal, real, electron, lj, si, cgs, micro"
        " or nano. [default: as in the file]",
    ),
]
Format = Annotated[
    str | None,
    _option(
        "--format",
        "The file's format, any of ASE's or MDAnalysis', with options:"
        " lammps-data:atom_style=charge. [default: guessed]",
    ),
]
Masses = Annotated[
    str | None,
    _option(
        "--masses",
        'Masses in u, by element or by name or type of atom: "H=2.014,O=18". [default: as the file'
        " tells]",
    ),
]
