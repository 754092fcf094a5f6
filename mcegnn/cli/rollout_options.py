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
            "The system: charged, solar, or a file of atoms that ASE can "
            "read (its last structure, or FILE@INDEX)."
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
            "Continue the run of this file to its planned end, bitwise reproducibly; "
            "with --steps or --time so much beyond that end; --max-energy-jump and "
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
            "A learned pair force, a dynamics model or a learned "
            "potential, in place of exact forces: a file, or the name of "
            "one that comes with the package; potentials separated by "
            "commas are a committee."
        )
    ),
]
Dt = Annotated[
    str | None,
    typer.Option(
        help=(
            'Time step: a bare number for charged, "0.5 day" for solar, '
            '"0.5 fs" for atoms. [default: 0.001; shortest period / 50, '
            "at most half a day, halved in close encounters (under "
            "yoshida-8 also of charges); 0.5 fs with hydrogen, else 1 fs]"
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
        help='Total simulated time, such as "10 year". [default for solar]',
        rich_help_panel=_TIME,
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        help=(
            "Write a frame every K steps; K must divide the number of "
            "steps. [default: 100 for charged, else about 500 frames]"
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
            "Number of independent systems, simulated together. [default:"
            " 100 for charged, 1 for atoms, each with its own velocities]"
        )
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Random seed; the charged benchmark uses 43. [default: 0]"),
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
    typer.Option(help="Leave a body out; repeatable.", rich_help_panel=_SOLAR),
]
Relativity = Annotated[
    bool | None,
    typer.Option(
        "--relativity",
        help=(
            "Add the first post-Newtonian correction of the star, or of "
            "all bodies if a second one is heavy."
        ),
        rich_help_panel=_SOLAR,
    ),
]
J2 = Annotated[
    bool | None,
    typer.Option(
        "--j2/--no-j2",
        help=("Include the oblateness (J2) of the bodies that have one. [default: j2]"),
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
    typer.Option("--report", help="Write a report page at the end, as mcegnn report does."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Describe the run without starting it.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Report each time frames are written.")]
