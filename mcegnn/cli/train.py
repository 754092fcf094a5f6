"""`mcegnn train`: a preset or a configuration file in, a trained model out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcegnn.cli.events import command_line, follow
from mcegnn.cli.messages import Mistake, mistakes, table, told
from mcegnn.cli.reviews import said, scored_row

if TYPE_CHECKING:
    from mcegnn.runs.training import TrainingRun


@told
def train(
    preset: Annotated[
        str | None,
        typer.Argument(
            help=(
                "charged-egnn, charged-mcegnn, charged-force, solar-mcegnn, solar-force, rmd17,"
                " extxyz, qm9, or a TOML file."
            )
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The folder to write. [default: the preset's name]"),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set an option, such as lr=1e-3; repeatable."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="The data set, in place of the preset's; for a potential rmd17:MOLECULE or a file."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start from the weights of this model (a name or a file)."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue the run of this folder, bitwise reproducibly.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: all cores]")] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Write the metrics for TensorBoard too; needs the extra 'tensorboard'.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the folder's run where there is one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show the configuration without training.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
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
    or how many updates are ``done`` of a training that goes on."""
    result = follow(run, quiet=quiet, tables_to_err=run.dry_run)
    if run.dry_run:
        updates = f"{run.folder}: {done or 0:,} of {result.total:,} updates are done"
        typer.echo(json.dumps(result.model_dump(), indent=2) if done is None else updates)
    elif not quiet:
        files = [("model", str(result.model_file)), ("report", str(result.report_file))]
        of = scored_row(result.part, result.noun, result.scored, result.whole, result.data)
        numbers = said(result.numbers)
        table("Trained", [("updates", f"{result.n_updates:,}"), of, *numbers, *files])
