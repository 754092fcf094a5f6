"""`mcegnn train`: a preset or a configuration file in, a trained model out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mcegnn.cli import train_options as options
from mcegnn.cli.events import command_line, follow
from mcegnn.cli.messages import Mistake, mistakes, table, told
from mcegnn.cli.reviews import said, scored_row

if TYPE_CHECKING:
    from mcegnn.runs.training import TrainingRun


@told
def train(
    preset: options.Preset = None,
    output: options.Output = None,
    change: options.Change = None,
    data: options.Data = None,
    start: options.Start = None,
    resume: options.Resume = None,
    threads: options.Threads = None,
    tensorboard: options.Tensorboard = False,
    force: options.Force = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model. The folder gets the best weights (best.safetensors), the metrics
    (metrics.csv), a checkpoint to resume from, and at the end a page (report.html): curves, errors
    by element, predicted against true values, the worst samples to look at.

    Examples:

    - `mcegnn train charged-force -o law`

    - `mcegnn train charged-mcegnn --set model.hyperparameters.n_channels=10 --set seed=1 -o ten`

    - `mcegnn train rmd17 --data rmd17:aspirin`

    - `mcegnn train extxyz --data train.xyz --from ethanol -o mine`

    - `mcegnn train qm9 --set task.property=gap --set model.hyperparameters.n_channels=1`

    - `mcegnn train --resume law`
    """
    if threads is not None and threads < 1:
        raise Mistake(f"--threads must be at least 1, not {threads}")
    with mistakes():
        from mcegnn.runs.training import TrainingRun
        from mcegnn.runs.training_files import REPORT, complete, resumed
        from mcegnn.runs.training_options import training_options

        if resume is not None:
            if preset or change or start or output or data:
                raise ValueError(
                    "--resume takes everything from the run's folder; leave out the preset, --data,"
                    " --set, --from and --output"
                )
            saved = resumed(resume)
            # without a page the run was ended before it was written
            if saved.complete and (resume / REPORT).is_file():
                if not quiet:
                    typer.echo(complete(resume, saved))
                return
            run = TrainingRun.of_folder(
                resume, threads=threads, use_tensorboard=tensorboard, dry_run=dry_run
            )
        else:
            run = TrainingRun(
                training_options(preset, change or [], data=data, started=start is not None),
                output or Path(Path(str(preset)).stem),
                start=start,
                threads=threads,
                overwrite=force,
                use_tensorboard=tensorboard,
                dry_run=dry_run,
                command=command_line(),
            )
    _follow(run, quiet, None if resume is None else saved.header["update"])


def _follow(run: "TrainingRun", quiet: bool, done: int | None) -> None:
    """Train, and say at the end how the best does on the test samples; a dry run shows the options,
    or how many updates are ``done`` of a training that is resumed."""
    result = follow(run, quiet=quiet, tables_to_err=run.dry_run)
    if result is None:  # there was nothing to train, as was said
        return
    if run.dry_run:
        updates = f"{run.folder}: {done or 0:,} of {result.total:,} updates are done"
        typer.echo(json.dumps(result.model_dump(), indent=2) if done is None else updates)
    elif not quiet:
        files = [("model", str(result.model_file)), ("report", str(result.report_file))]
        of = scored_row(result.part, result.noun, result.scored, result.whole, result.data)
        numbers = said(result.numbers)
        table("Trained", [("updates", f"{result.n_updates:,}"), of, *numbers, *files])
