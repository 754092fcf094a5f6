"""The options of a file's atoms, for each command that moves them."""

from typing import Annotated

import typer

PANEL = "Atoms of a file"


def _option(flag: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, help=text, rich_help_panel=PANEL)
    return option


Calculator = Annotated[
    str | None,
    _option(
        "--calculator",
        "An ASE calculator, with options: emt, tblite:method=GFN2-xTB (accuracy 0.001),"
        " mace.calculators.mace_mp:model=small.",
    ),
]
Potential = Annotated[
    str | None,
    _option(
        "--potential",
        "A potential of mcegnn or your own: "
        "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4, or module:factory.",
    ),
]
Ensemble = Annotated[
    str | None,
    _option(
        "--ensemble",
        "nve, nvt (Langevin, which moves the centre of mass too) or npt. [default: nve]",
    ),
]
Temperature = Annotated[
    str | None,
    _option(
        "--temperature",
        '"300 K", or "10 K to 300 K" over the whole run. Initial velocities are '
        "drawn from it in nve, and if the file has none.",
    ),
]
Pressure = Annotated[
    str | None,
    _option(
        "--pressure", 'Target pressure of npt: "1 bar", or "1 bar to 2 GPa" over the whole run.'
    ),
]
Friction = Annotated[
    str | None,
    _option("--friction", 'Friction coefficient of nvt and npt: "1 /ps". [default: 1 /ps]'),
]
Period = Annotated[
    str | None,
    _option(
        "--period",
        'Time constant of a Nose-Hoover chain or of the barostat of npt: "500 '
        'fs". For the barostat it sets the mass of the cell, (n + 1) kB T '
        "period^2, and its friction, 1 / period; the volume of a solid oscillates"
        " several times faster, that of copper at 300 K five times. [default: 100"
        " fs of a chain, 1 ps of a barostat]",
    ),
]
Flexible = Annotated[
    bool | None,
    _option(
        "--flexible",
        "npt varies all of the cell, angles too, not only its volume. For solids "
        "only: in a liquid the cell loses its shape.",
    ),
]
Relax = Annotated[
    bool | None,
    _option("--relax", "Relax positions before the run, until no force is above 0.05 eV/Angstrom."),
]
WarnAbove = Annotated[
    str | None,
    _option(
        "--warn-above",
        "For a committee (--model A,B,C): warn if its models disagree on a force "
        'by more than "0.2 eV/A".',
    ),
]
StopAbove = Annotated[
    str | None,
    _option(
        "--stop-above", "For a committee: stop at such a disagreement; earlier frames are kept."
    ),
]
