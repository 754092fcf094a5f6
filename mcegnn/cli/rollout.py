"""`mcegnn rollout`: move a system and keep its frames."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli import atoms_options as atoms
from mcegnn.cli import file_options as files
from mcegnn.cli.messages import Mistake, mistakes, told
from mcegnn.runs.outputs import check_output

if TYPE_CHECKING:
    from mcegnn.cli.job import Job
    from mcegnn.runs.times import Times

_CHARGED, _SOLAR, _TIME, _FILE = "Charged particles", "Solar system", "Time", "Output"
_SAFETY = "When to stop"
_FOREIGN = (".xyz", ".extxyz", ".traj", ".dcd", ".pdb", ".cif", ".csv", ".json", ".npz")


@told
def rollout(
    system: Annotated[
        str | None,
        typer.Argument(
            help=(
                "What moves: charged, solar, or a file of atoms that ASE can read (its last"
                " structure, or FILE@INDEX)."
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
                "Go on with the run of this file, to the same bits; with --steps or --time, for so"
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
                "A learned force, a dynamics model, or a potential of atoms, in place of exact"
                " physics: a file, or the name of one that "
                "comes with the package; potentials separated by commas are a committee."
            )
        ),
    ] = None,
    dt: Annotated[
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
            help='Time to cover, such as "10 year". [default for solar]',
            rich_help_panel=_TIME,
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            help=(
                "Keep a frame every K steps, which must divide the run. [default: 100 for charged,"
                " else about 500 frames]"
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
                "Independent systems, rolled out together. [default: 100 for charged, 1 for atoms,"
                " each with its own velocities]"
            )
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of what is drawn: the charged benchmark's is 43. [default: 0]"),
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
        typer.Option(help="Leave a body out; may be given again.", rich_help_panel=_SOLAR),
    ] = None,
    relativity: Annotated[
        bool | None,
        typer.Option(
            "--relativity",
            help=(
                "Add the star's first post-Newtonian term, or all bodies' where a second is heavy."
            ),
            rich_help_panel=_SOLAR,
        ),
    ] = None,
    j2: Annotated[
        bool | None,
        typer.Option(
            "--j2/--no-j2",
            help="Oblateness of the bodies that have one. [default: j2]",
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
        typer.Option("--report", help="Write the run's page, as mcegnn report does, at the end."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say each time that frames have been written.")
    ] = False,
) -> None:
    """Move a system under exact physics, or under a learned model, and keep its frames in an H5MD
    file.

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
    from mcegnn.cli.describe import describe
    from mcegnn.cli.job import Job, relaxed_start
    from mcegnn.runs.atoms_options import check_at_rest
    from mcegnn.runs.outputs import check_room
    from mcegnn.runs.rollout_options import configuration
    from mcegnn.runs.times import Times
    from mcegnn.simulation import AtomsRun

    times = Times(dt, span, steps, every)
    options = {
        "particles": particles,
        "systems": systems,
        "seed": seed,
        "epoch": epoch,
        "bodies": bodies,
        "without": without or None,
        "relativity": relativity,
        "j2": j2,
        "model": model,
        "calculator": calculator,
        "potential": potential,
        "ensemble": ensemble,
        "temperature": temperature,
        "pressure": pressure,
        "friction": friction,
        "period": period,
        "flexible": flexible,
        "relax": relax,
        "warn-above": warn_above,
        "stop-above": stop_above,
        "units": units,
        "format": format,
        "masses": masses,
        "max-energy-jump": max_energy_jump,
        "min-distance": min_distance,
    }
    if threads is not None and threads < 1:
        raise Mistake(f"--threads must be at least 1, not {threads}")
    with mistakes():
        if resume is not None:
            _refuse_choices(
                system,
                {
                    **options,
                    "dt": dt,
                    "every": every,
                    "integrator": integrator,
                    "output": output,
                    "force": force or None,
                },
            )
            job = _resumed(resume, times, options)
        elif system is None:
            raise ValueError(
                "name a system (charged, solar, or a file of atoms), or a run to --resume"
            )
        else:
            config, warnings = configuration(system, integrator, times, options)
            path = _output(system, output, force)
            flow = config.flow()
            if isinstance(config, AtomsRun):
                check_at_rest(config)
            for warning in warnings if not quiet else ():
                typer.echo(f"warning: {warning}", err=True)
            if dry_run:
                describe(config, path, config.n_steps)
                return
            check_room(config, path)
            job = Job(
                config, relaxed_start(config, flow, quiet), flow, path, fresh=True, force=force
            )
    if dry_run:
        describe(job.config, job.path, job.n_steps)
        return
    page = job.path.with_suffix(".html")
    if report:
        with mistakes():
            check_output(page, force or resume is not None)
    code = 0
    if job.n_steps > 0:
        code = _code_of(lambda: job.run(threads, quiet, verbose))
    else:
        if not quiet:
            typer.echo(
                f"{job.path} is complete: all {job.config.n_steps:,} steps are done; add --steps N"
                " for N more"
            )
        code = 3 if job.lost else 0
    if report and code in (0, 3):
        _report(job.path, page, quiet)
    if code:
        raise typer.Exit(code)


def _code_of(work: Callable[[], None]) -> int:
    """The exit code that it ends with."""
    try:
        work()
    except typer.Exit as end:
        return end.exit_code
    return 0


def _report(run: Path, page: Path, quiet: bool) -> None:
    from mcegnn.cli.report import write
    from mcegnn.cli.rows import marked_of
    from mcegnn.runs.outputs import size
    from trajectories.h5md import H5MDReader

    with mistakes(), H5MDReader(run) as reader:
        marked = marked_of(reader)  # where no frame is before it, all are shown
        written = write(reader, page, run, quiet=quiet, every=min(marked.values(), default=1) == 0)
    if not quiet:
        typer.echo(f"wrote {page}, {size(written)}")


def _refuse_choices(system: str | None, choices: dict[str, Any]) -> None:
    """A resumed run takes its system and physics from its checkpoint; where it is stopped may be
    said anew."""
    from mcegnn.runs.rollout_options import LIMITS

    given = [
        f"--{name}" for name, value in choices.items() if value is not None and name not in LIMITS
    ]
    if system is not None or given:
        raise ValueError(
            "--resume takes its system and physics from the run; leave out"
            f" {', '.join(given or [str(system)])}"
        )


def _output(system: str, output: Path | None, force: bool) -> Path:
    """The file to write; an error where it cannot be, or must not without --force."""
    from mcegnn.runs.atoms_options import file_of
    from mcegnn.runs.rollout_options import SYSTEMS
    from systems.molecules import path_of

    path = output or (Path(f"{system}.h5md") if system in SYSTEMS else file_of(system))
    if path.suffix.lower() in _FOREIGN:
        raise ValueError(
            f"a run is an H5MD file, so {path} would mislead; name it {path.with_suffix('.h5md')}"
            " and convert it afterwards"
        )
    check_output(path, force, None if system in SYSTEMS else path_of(system))
    return path


def _resumed(path: Path, times: "Times", options: dict[str, Any]) -> "Job":
    from mcegnn import machine
    from mcegnn.cli.job import Job
    from mcegnn.runs.rollout_options import further_steps, limits_of
    from mcegnn.simulation import configuration_from
    from trajectories import checkpoint
    from trajectories.h5md import H5MDReader

    if checkpoint.path_of(path).is_file():
        saved = checkpoint.load(path)
        # stopped before its file was there: what has its name now, if anything, was to be
        # overwritten
        if not saved.state.step:
            config = configuration_from(saved.configuration)
            config = replace(
                config,
                n_steps=config.n_steps + further_steps(times, config),
                **limits_of(config, options),
            )
            return Job(config, saved.state, config.flow(), path, fresh=True, force=True)
        if not path.exists():
            raise FileNotFoundError(
                f"there is no file {path}, of which its checkpoint holds {saved.n_frames} frames;"
                " put it back"
            )
    with H5MDReader(path) as reader:
        held, provenance = len(reader), reader.provenance
    saved = checkpoint.load(path)
    config = configuration_from(saved.configuration)
    if not configuration_from(json.loads(provenance.get("configuration", "{}"))).same_run(config):
        raise ValueError(f"the checkpoint of {path} is another run's: their configurations differ")
    if saved.n_frames > held:
        raise ValueError(
            f"{path} holds {held} frames but its checkpoint stands for {saved.n_frames}; they do"
            " not belong together"
        )
    _warn_elsewhere(provenance, machine.processor(), machine.versions())
    config = replace(
        config, n_steps=config.n_steps + further_steps(times, config), **limits_of(config, options)
    )
    return Job(
        config,
        saved.state,
        config.flow(),
        path,
        n_frames=saved.n_frames,
        lost=dict(saved.lost),
        frame=saved.frame,
    )


def _warn_elsewhere(provenance: dict[str, str], processor: str, versions: dict[str, str]) -> None:
    """Say so where a run goes on under other conditions than it began under: then its bits may
    differ."""
    before = {
        "processor": provenance.get("processor", processor),
        **json.loads(provenance.get("versions", "{}")),
    }
    now = {"processor": processor, **versions}
    changed = [
        f"{name} {now[name]} (it began under {old})"
        for name, old in before.items()
        if now.get(name, old) != old
    ]
    if changed:
        typer.echo(
            f"warning: the bits of this run may differ from here on: {', '.join(changed)}", err=True
        )
