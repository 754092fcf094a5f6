"""`mcegnn rollout`: move a system and keep its frames."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli import atoms_options as atoms
from mcegnn.cli import file_options as files
from mcegnn.cli.compiling import compiling_told
from mcegnn.cli.events import command_line, follow
from mcegnn.cli.messages import Mistake, mistakes, told
from mcegnn.runs.outputs import check_output
from mcegnn.runs.times import Times

if TYPE_CHECKING:
    from mcegnn.runs.rollout import RolloutResult, RolloutRun

_CHARGED, _SOLAR, _TIME, _FILE = "Charged particles", "Solar system", "Time", "Output"
_SAFETY = "When to stop"
# of the system and its physics, and of where it is stopped
_OPTIONS = (
    *("particles", "systems", "seed", "epoch", "bodies", "without", "relativity", "j2", "model"),
    *("calculator", "potential", "ensemble", "temperature", "pressure", "friction", "period"),
    *("flexible", "relax", "warn-above", "stop-above", "units", "format", "masses"),
    *("max-energy-jump", "min-distance"),
)


@told
def rollout(
    system: Annotated[
        str | None,
        typer.Argument(
            help=(
                "The system: charged, solar, or a file of atoms that ASE can read (its "
                "last structure, or FILE@INDEX)."
            )
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help=(
                "The H5MD file to write. [default: SYSTEM.h5md, or FILE with .h5md for its ending]"
            ),
            rich_help_panel=_FILE,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite the file where it exists.", rich_help_panel=_FILE),
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Continue the run of this file, bitwise reproducibly; with --steps or --time for so"
                " much more; --max-energy-jump and "
                "--min-distance may be others."
            ),
            rich_help_panel=_FILE,
        ),
    ] = None,
    integrator: Annotated[
        str | None,
        typer.Option(
            help=(
                "symplectic-euler, velocity-verlet, yoshida-4, -6, -8 or wisdom-holman; for atoms"
                " also langevin-baoab, nose-hoover "
                "or npt. [default: symplectic-euler for charged, yoshida-8 for solar,"
                " velocity-verlet for atoms]"
            )
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=(
                "A learned pair force, a dynamics model or a learned potential, in place "
                "of exact forces: a file, or the name of one that comes with the package;"
                " potentials separated by commas are a committee."
            )
        ),
    ] = None,
    dt: Annotated[
        str | None,
        typer.Option(
            help=(
                'Time step: a bare number for charged, "0.5 day" for solar, "0.5 fs" for '
                "atoms. [default: 0.001; shortest period / 50, at most half a day, halved"
                " in close encounters (under yoshida-8 also of charges); 0.5 fs with "
                "hydrogen, else 1 fs]"
            ),
            rich_help_panel=_TIME,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Number of steps. [default: 5000 for charged, 1000 for atoms]",
            rich_help_panel=_TIME,
        ),
    ] = None,
    span: Annotated[
        str | None,
        typer.Option(
            "--time",
            help='Total simulated time, such as "10 year". [default for solar]',
            rich_help_panel=_TIME,
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            help=(
                "Write a frame every K steps; K must divide the number of steps. "
                "[default: 100 for charged, else about 500 frames]"
            ),
            rich_help_panel=_TIME,
        ),
    ] = None,
    particles: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--particles",
            help="Particles in each system. [default: 5]",
            rich_help_panel=_CHARGED,
        ),
    ] = None,
    systems: Annotated[
        int | None,
        typer.Option(
            help=(
                "Number of independent systems, simulated together. [default: 100 for "
                "charged, 1 for atoms, each with its own velocities]"
            )
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed; the charged benchmark uses 43. [default: 0]"),
    ] = None,
    epoch: Annotated[
        str | None,
        typer.Option(
            help=(
                "Start (TDB); any but the default needs the extra 'ephemeris'. [default:"
                " 2000-01-01T12:00]"
            ),
            rich_help_panel=_SOLAR,
        ),
    ] = None,
    bodies: Annotated[
        Path | None,
        typer.Option(
            help="Bodies from a CSV file instead of the Sun, planets and Moon.",
            rich_help_panel=_SOLAR,
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a body out; repeatable.", rich_help_panel=_SOLAR),
    ] = None,
    relativity: Annotated[
        bool | None,
        typer.Option(
            "--relativity",
            help=(
                "Add the first post-Newtonian correction of the star, or of all bodies if"
                " a second one is heavy."
            ),
            rich_help_panel=_SOLAR,
        ),
    ] = None,
    j2: Annotated[
        bool | None,
        typer.Option(
            "--j2/--no-j2",
            help="Include the oblateness (J2) of the bodies that have one. [default: j2]",
            rich_help_panel=_SOLAR,
        ),
    ] = None,
    calculator: atoms.Calculator = None,
    potential: atoms.Potential = None,
    ensemble: atoms.Ensemble = None,
    temperature: atoms.Temperature = None,
    pressure: atoms.Pressure = None,
    friction: atoms.Friction = None,
    period: atoms.Period = None,
    flexible: atoms.Flexible = None,
    relax: atoms.Relax = None,
    warn_above: atoms.WarnAbove = None,
    stop_above: atoms.StopAbove = None,
    units: files.Units = None,
    format: files.Format = None,
    masses: files.Masses = None,
    max_energy_jump: Annotated[
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
    ] = None,
    min_distance: Annotated[
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
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads, for many systems or a large one. [default: all cores]"),
    ] = None,
    report: Annotated[
        bool,
        typer.Option("--report", help="Write a report page at the end, as mcegnn report does."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Describe the run without starting it.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Report each time frames are written.")
    ] = False,
) -> None:
    """Simulate a system by exact forces or a learned model; write its trajectory as an H5MD file.

    Examples:

    - `mcegnn rollout charged --systems 1000 -o swarm.h5md`

    - `mcegnn rollout solar --time "100 year" --relativity -o planets.h5md`

    - `mcegnn rollout solar --without Moon --integrator wisdom-holman --dt "4 day" --time "4000
      year" -o long.h5md`

    - `mcegnn rollout charged --model charged-mcegnn --time 5 -o learned.h5md`

    - `mcegnn rollout ethanol.xyz --calculator tblite --temperature "300 K" --time "1 ps"`

    - `mcegnn rollout ethanol.xyz --model ethanol --relax --temperature "300 K" --time "10 ps"`

    - `mcegnn rollout argon.xyz --potential mcegnn:LennardJones:epsilon=0.0104,sigma=3.4 --ensemble
      npt --temperature "80 K"
    --pressure "1 bar"`

    - `mcegnn rollout --resume swarm.h5md --steps 1000`
    """
    given = {name.replace("_", "-"): value for name, value in locals().items()}
    options = {name: given[name] if given[name] != [] else None for name in _OPTIONS}
    times = Times(dt, span, steps, every)
    if threads is not None and threads < 1:
        raise Mistake(f"--threads must be at least 1, not {threads}")
    with mistakes():
        from mcegnn.runs.rollout_request import (
            Request,
            check_resumed,
            new_rollout,
            resumed_rollout,
        )

        how: dict[str, Any] = {"threads": threads, "command": command_line()}
        if resume is not None:
            fixed = {name: given[name] for name in ("dt", "every", "integrator", "output")}
            check_resumed(system, {**options, **fixed, "force": force or None})
            run = resumed_rollout(resume, times, options, **how)
        else:
            request = Request(system, integrator, times, options, output)
            run, warnings = new_rollout(request, overwrite=force, **how)
            for warning in warnings if not quiet else ():
                typer.echo(f"warning: {warning}", err=True)
    if dry_run:
        _describe(run)
        return
    page = run.output.with_suffix(".html") if report else None
    _do(run, page, overwrite=force or resume is not None, quiet=quiet, verbose=verbose)


def _describe(run: "RolloutRun") -> None:
    """Say what would be done."""
    from mcegnn.cli.describe import describe
    from mcegnn.runs.resume import saved_rollout

    n_steps = run.configuration.n_steps
    if run.begun:
        saved = saved_rollout(run.output)
        n_steps -= saved.position.state.step
        for warning in saved.warnings:
            typer.echo(f"warning: {warning}", err=True)
    describe(run.configuration, run.output, n_steps)


def _do(
    run: "RolloutRun", page: Path | None, *, overwrite: bool, quiet: bool, verbose: bool
) -> None:
    """Do the run, say what came of it, and write its page; the exit code is 3 where it, or some of
    its systems, diverged."""
    if page is not None:
        with mistakes():
            check_output(page, overwrite)
    code = 0
    try:
        with compiling_told(quiet):
            result = follow(run, quiet=quiet, verbose=verbose)
        _summary(result, run.configuration.n_steps, quiet)
    except typer.Exit as end:
        code = end.exit_code
    if page is not None and code in (0, 3):
        _report(run.output, page, quiet)
    if code:
        raise typer.Exit(code)


def _summary(result: "RolloutResult", n_steps: int, quiet: bool) -> None:
    """A table of what was done; exit code 3 where systems diverged."""
    from mcegnn.cli.summary import summary
    from mcegnn.runs.divergence import systems_in_words

    if not quiet and result.n_steps:
        summary(result)
    elif not quiet:
        typer.echo(
            f"{result.path} is complete: all {n_steps:,} steps are done; add --steps N for N more"
        )
    if result.diverged and result.n_steps:
        went = (
            f"{len(result.diverged)} of {result.n_systems} systems diverged and were frozen"
            " at their last valid state"
        )
        typer.echo(f"mcegnn: {went}: {systems_in_words(result.diverged)}", err=True)
    if result.diverged:
        raise typer.Exit(3)


def _report(run: Path, page: Path, quiet: bool) -> None:
    from mcegnn.cli.report import write
    from mcegnn.runs.outputs import size
    from mcegnn.runs.provenance import marked_of
    from trajectories.storage.h5md import H5MDReader

    with mistakes(), H5MDReader(run) as reader:
        marked = marked_of(reader)  # where no frame is before it, all are shown
        written = write(reader, page, run, quiet=quiet, every=min(marked.values(), default=1) == 0)
    if not quiet:
        typer.echo(f"wrote {page}, {size(written)}")
