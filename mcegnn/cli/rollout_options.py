"""The options of `mcegnn rollout` that no other command has."""

from pathlib import Path
from typing import Annotated

import typer

_CHARGED, _SOLAR, _TIME, _FILE = "Charged particles", "Solar system", "Time", "Output"
_SAFETY = "When to stop"

System = Annotated[
    str | None,
    typer.Argument(
        help=(
            "What moves: charged, solar, or a file of atoms that ASE can read (its last"
            " structure, or FILE@INDEX)."
        )
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help=("The H5MD file to write. [default: SYSTEM.h5md, or FILE with .h5md for its ending]"),
        rich_help_panel=_FILE,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Overwrite the file where it exists.", rich_help_panel=_FILE),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Go on with the run of this file, to the same bits; with --steps or --time, for so"
            " much more; --max-energy-jump and "
            "--min-distance may be others."
        ),
        rich_help_panel=_FILE,
    ),
]
Integrator = Annotated[
    str | None,
    typer.Option(
        help=(
            "symplectic-euler, velocity-verlet, yoshida-4, -6, -8 or wisdom-holman; for atoms"
            " also langevin-baoab, nose-hoover "
            "or npt. [default: symplectic-euler for charged, yoshida-8 for solar,"
            " velocity-verlet for atoms]"
        )
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help=(
            "A learned force, a dynamics model, or a potential of atoms, in place of exact"
            " physics: a file, or the name of one that "
            "comes with the package; potentials separated by commas are a committee."
        )
    ),
]
Dt = Annotated[
    str | None,
    typer.Option(
        help=(
            'Time step: a bare number for charged, "0.5 day" for solar, "0.5 fs" for atoms.'
            " [default: 0.001; shortest period / 50, "
            "at most half a day, halved where bodies meet (and charges under yoshida-8); 0.5 fs"
            " with hydrogen, else 1 fs]"
        ),
        rich_help_panel=_TIME,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Number of steps. [default: 5000 for charged, 1000 for atoms]",
        rich_help_panel=_TIME,
    ),
]
Span = Annotated[
    str | None,
    typer.Option(
        "--time",
        help='Time to cover, such as "10 year". [default for solar]',
        rich_help_panel=_TIME,
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        help=(
            "Keep a frame every K steps, which must divide the run. [default: 100 for charged,"
            " else about 500 frames]"
        ),
        rich_help_panel=_TIME,
    ),
]
Particles = Annotated[
    int | None,
    typer.Option(
        "-n",
        "--particles",
        help="Particles in each system. [default: 5]",
        rich_help_panel=_CHARGED,
    ),
]
Systems = Annotated[
    int | None,
    typer.Option(
        help=(
            "Independent systems, rolled out together. [default: 100 for charged, 1 for atoms,"
            " each with its own velocities]"
        )
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of what is drawn: the charged benchmark's is 43. [default: 0]"),
]
Epoch = Annotated[
    str | None,
    typer.Option(
        help=(
            "Start (TDB); any but the default needs the extra 'ephemeris'. [default:"
            " 2000-01-01T12:00]"
        ),
        rich_help_panel=_SOLAR,
    ),
]
Bodies = Annotated[
    Path | None,
    typer.Option(
        help="Bodies from a CSV file instead of the Sun, planets and Moon.",
        rich_help_panel=_SOLAR,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(help="Leave a body out; may be given again.", rich_help_panel=_SOLAR),
]
Relativity = Annotated[
    bool | None,
    typer.Option(
        "--relativity",
        help=("Add the star's first post-Newtonian term, or all bodies' where a second is heavy."),
        rich_help_panel=_SOLAR,
    ),
]
J2 = Annotated[
    bool | None,
    typer.Option(
        "--j2/--no-j2",
        help="Oblateness of the bodies that have one. [default: j2]",
        rich_help_panel=_SOLAR,
    ),
]
MaxEnergyJump = Annotated[
    str | None,
    typer.Option(
        help=(
            "Stop where the total energy differs by more from the frame before: so much an atom"
            ' ("10 eV"), a bare number for a '
            "charged system, for solar a part of the energy at the start (0.1), which it may"
            " not differ from by more either; off for "
            "never. [default: off for charged]"
        ),
        rich_help_panel=_SAFETY,
    ),
]
MinDistance = Annotated[
    str | None,
    typer.Option(
        help=(
            'Stop where two particles come nearer, "0.3 A" for atoms; off for never, then not'
            " at 0.8 of the nearest distance or half "
            "of the fewest neighbours that a potential was trained on either. [default: off but"
            " for atoms]"
        ),
        rich_help_panel=_SAFETY,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads, for many systems or a large one. [default: all cores]"),
]
Report = Annotated[
    bool,
    typer.Option("--report", help="Write the run's page, as mcegnn report does, at the end."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say each time that frames have been written.")
]
