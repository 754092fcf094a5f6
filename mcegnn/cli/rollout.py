"""`mcegnn rollout`: move a system and keep its frames."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mcegnn.cli import atoms_options as atoms
from mcegnn.cli import file_options as files
from mcegnn.cli import rollout_options as options
from mcegnn.cli.compiling import compiling_told
from mcegnn.cli.events import command_line, follow
from mcegnn.cli.messages import Mistake, mistakes, told
from mcegnn.runs.outputs import check_output
from mcegnn.runs.times import Times

if TYPE_CHECKING:
    from mcegnn.runs.rollout import RolloutResult, RolloutRun

# of the system and its physics, and of where it is stopped
_OPTIONS = (
    *("particles", "systems", "seed", "epoch", "bodies", "without", "relativity", "j2", "model"),
    *("calculator", "potential", "ensemble", "temperature", "pressure", "friction", "period"),
    *("flexible", "relax", "warn-above", "stop-above", "units", "format", "masses"),
    *("max-energy-jump", "min-distance"),
)


@told
def rollout(
    system: options.System = None,
    output: options.Output = None,
    force: options.Force = False,
    resume: options.Resume = None,
    integrator: options.Integrator = None,
    model: options.Model = None,
    dt: options.Dt = None,
    steps: options.Steps = None,
    span: options.Span = None,
    every: options.Every = None,
    particles: options.Particles = None,
    systems: options.Systems = None,
    seed: options.Seed = None,
    epoch: options.Epoch = None,
    bodies: options.Bodies = None,
    without: options.Without = None,
    relativity: options.Relativity = None,
    j2: options.J2 = None,
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
    max_energy_jump: options.MaxEnergyJump = None,
    min_distance: options.MinDistance = None,
    threads: options.Threads = None,
    report: options.Report = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
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
    run = _run_of(given)
    if dry_run:
        _describe(run)
        return
    page = run.output.with_suffix(".html") if report else None
    _do(run, page, overwrite=force or resume is not None, quiet=quiet, verbose=verbose)


def _run_of(given: Mapping[str, Any]) -> "RolloutRun":
    """The run of these options, by their names: a new one, or one that is resumed."""
    chosen = {name: given[name] if given[name] != [] else None for name in _OPTIONS}
    times = Times(given["dt"], given["span"], given["steps"], given["every"])
    threads = given["threads"]
    if threads is not None and threads < 1:
        raise Mistake(f"--threads must be at least 1, not {threads}")
    how: dict[str, Any] = {"threads": threads, "command": command_line()}
    with mistakes():
        from mcegnn.runs.rollout_request import (
            Request,
            check_resumed,
            new_rollout,
            resumed_rollout,
        )

        if given["resume"] is not None:
            fixed = {name: given[name] for name in ("dt", "every", "integrator", "output")}
            check_resumed(given["system"], {**chosen, **fixed, "force": given["force"] or None})
            return resumed_rollout(given["resume"], times, chosen, **how)
        request = Request(given["system"], given["integrator"], times, chosen, given["output"])
        run, warnings = new_rollout(request, overwrite=given["force"], **how)
        for warning in warnings if not given["quiet"] else ():
            typer.echo(f"warning: {warning}", err=True)
    return run


def _describe(run: "RolloutRun") -> None:
    """Print a description of the run."""
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
    from mcegnn.cli.page import write_page
    from mcegnn.runs.outputs import size
    from mcegnn.runs.provenance import marked_of
    from trajectories.storage.h5md import H5MDReader

    with mistakes(), H5MDReader(run) as reader:
        marked = marked_of(reader)  # where no frame is before it, all are shown
        from_start = min(marked.values(), default=1) == 0
        written = write_page(reader, page, run, quiet=quiet, all_frames=from_start)
    if not quiet:
        typer.echo(f"wrote {page}, {size(written)}")
