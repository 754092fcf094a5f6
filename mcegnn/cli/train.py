"""`mcegnn train`: a preset or a configuration file in, a trained model out."""

import csv
import io
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli.messages import Mistake, mistakes, table, told
from mcegnn.cli.progress import progress, waiting
from mcegnn.cli.reviews import said, scored, write
from mcegnn.cli.trainers import look_at_data, made, refuse_no_data
from mcegnn.names import locate, presets
from mcegnn.runs.outputs import check_writable
from trajectories.whole import write_whole

if TYPE_CHECKING:
    from mcegnn.models.store import Stored
    from mcegnn.training.checkpoint import Checkpoint
    from mcegnn.training.trainer import Progress, Trainer

_COLUMNS = {"update", "loss", "error", "median", "lr", "seconds"}
BEST, LAST, METRICS, REPORT = "best.safetensors", "last.checkpoint", "metrics.csv", "report.html"


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
        typer.Option("-o", "--output", help="The folder to make. [default: the preset's name]"),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key, such as lr=1e-3; may be given again."),
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
        Path | None, typer.Option(help="Go on with the run of this folder, to the same bits.")
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
        bool, typer.Option("--dry-run", help="Check and show the configuration, and do nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train a model. The folder gets the best weights (best.safetensors), the metrics
    (metrics.csv), a checkpoint to resume from, and at the end a page (report.html): curves, errors
    by element, what is predicted against what is true, the worst samples to look at.

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
        if resume is not None:
            if preset or change or start or output or data:
                raise ValueError(
                    "--resume takes everything from the run's folder; leave out the preset, --data,"
                    " --set, --from and --output"
                )
            folder, saved = resume, resumed(resume)
            if (
                saved.complete and (folder / REPORT).is_file()
            ):  # without it the run was ended before its page was written
                if not quiet:
                    typer.echo(_complete(folder, saved))
                return
            options = saved.options
        else:
            if preset is None:
                raise ValueError(
                    f"name a preset ({', '.join(presets())}), a TOML file, or a folder to --resume"
                )
            from mcegnn.training.options import read

            named = [] if data is None else [f"data.name={json.dumps(data)}"]
            options = read(preset, [*(change or ()), *named], started=start is not None)
            folder, saved = output or Path(Path(preset).stem), None
            _refuse_folder(folder, force)
        if start is not None:
            locate(start)
        refuse_no_data(options)
        with waiting("loading torch and the data", quiet=quiet):
            other = None if start is None else _load(start)
            trainer, record = made(options, other, threads, saved)
        look_at_data(trainer, quiet, other, err=dry_run)
        if saved is not None:
            record |= {
                name: value
                for name, value in saved.header["record"].items()
                if name in ("command", "from")
            }
        else:
            record |= {
                "command": shlex.join(["mcegnn", *sys.argv[1:]]),
                **({} if other is None else {"from": other.record}),
            }
        if dry_run:
            done = f"{folder}: {trainer.update:,} of {options.total:,} updates are done"
            typer.echo(
                json.dumps(trainer.options.model_dump(), indent=2) if saved is None else done
            )
            return
        # only now, when everything else is known to be sound, is anything made or overwritten
        if saved is None:
            _prepare(folder)
        watch = _tensorboard(folder) if tensorboard else None
    _run(trainer, record, folder, quiet, watch)


def _load(name: str) -> "Stored":
    from mcegnn.models.store import load

    return load(name)


def resumed(folder: Path) -> "Checkpoint":
    """A folder's training as it was at its last validation."""
    from mcegnn.training.checkpoint import checkpoint

    return checkpoint(folder / LAST)


def _complete(folder: Path, saved: "Checkpoint") -> str:
    """That nothing is left to do, and what can be done instead."""
    update, total = saved.header["update"], saved.options.total
    done = (
        f"all {total:,} updates are done"
        if update >= total
        else f"after {update:,} of {total:,} updates more brought nothing better"
    )
    again = shlex.join(["mcegnn", "report", str(folder), "--force"])
    on = f"train on from its best weights with --from {folder / BEST} and another folder"
    return f"{folder} is complete: {done}; {on}, or make its page anew with: {again}"


def _refuse_folder(folder: Path, force: bool) -> None:
    """ValueError where the folder cannot be made, FileExistsError where it holds a run already."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder with -o")
    if not folder.parent.is_dir():
        raise ValueError(
            f"there is no folder {folder.parent}; make it first or name another with -o"
        )
    for name in (BEST, LAST, METRICS, REPORT):
        if (folder / name).exists() and not force:
            raise FileExistsError(17, "File exists", str(folder / name))


def _prepare(folder: Path) -> None:
    """Make the folder, without an earlier run's files."""
    folder.mkdir(exist_ok=True)
    for name in (BEST, LAST, METRICS, REPORT):
        (folder / name).unlink(missing_ok=True)
        check_writable(folder / name)


def _tensorboard(folder: Path) -> Any:
    """A writer of TensorBoard's event files; RuntimeError, with the way out, where the extra is
    missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RuntimeError(
            "the extra 'tensorboard' is not installed; install it with: pip install"
            " 'mcegnn[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder / "tensorboard"))


def _run(trainer: "Trainer", record: dict[str, Any], folder: Path, quiet: bool, watch: Any) -> None:
    """Train, keep the best and the last after each validation, and say at the end how the best does
    on the test samples."""
    from mcegnn.datasets.split import part_of
    from mcegnn.models.store import Stored, save
    from mcegnn.training.trained import without_labels
    from mcegnn.training.trainer import NotFinite

    options = trainer.options

    def keep() -> None:
        said = {**record, "validation": trainer.best_error}
        trained = without_labels(trainer.trained)
        best = Stored(
            trainer.best, options.model.kind, dict(options.model.hyperparameters), said, trained
        )
        save(best, folder / BEST)
        trainer.save(folder / LAST, record)  # last: what it says is done is not done again

    metrics = rows_of(folder / METRICS, trainer.update)
    if options.compiles and not quiet:
        typer.echo("the first update compiles, which takes a minute or more", err=True)
    try:
        with progress(options.total, "updates", done=trainer.update, quiet=quiet) as report:
            for now in trainer.run():
                row = {**vars(now), **now.parts}
                metrics.append({name: str(value) for name, value in row.items() if name != "parts"})
                _write(metrics, folder / METRICS)
                keep()
                if watch is not None:
                    for name in ("loss", "error", "median", "lr"):
                        watch.add_scalar(name, getattr(now, name), now.update)
                report(now.update, _said(now))
                for warning in trainer.task.warnings:
                    typer.echo(f"warning: {warning}", err=True)
                trainer.task.warnings.clear()
    except KeyboardInterrupt:
        go_on = f"go on from the last validation with: mcegnn train --resume {folder}"
        typer.echo(
            (
                f"stopped; {go_on}"
                if (folder / LAST).is_file()
                else "stopped before the first validation; nothing is kept"
            ),
            err=True,
        )
        raise typer.Exit(130) from None
    except NotFinite as error:
        kept = f"{folder / BEST} and {folder / LAST} are those of the last validation"
        typer.echo(
            f"mcegnn: {error};"
            f" {kept if (folder / LAST).is_file() else 'nothing was validated before'}",
            err=True,
        )
        raise typer.Exit(3) from None
    finally:
        if watch is not None:
            watch.close()
    with mistakes():
        found = write(
            trainer,
            {**record, "validation": trainer.best_error},
            metrics,
            folder / REPORT,
            str(folder),
            quiet,
        )
    if not quiet:
        files = [("model", str(folder / BEST)), ("report", str(folder / REPORT))]
        what = {"energy-forces": "structures", "property": "molecules"}.get(
            options.task.kind, "samples"
        )
        of = scored(part_of(trainer.split, found.part), what, options.data.name)
        table(
            "Trained",
            [("updates", f"{trainer.update:,}"), of, *said(found.analysis.numbers), *files],
        )


def _said(now: "Progress") -> str:
    """A validation in a few words."""
    if not now.parts:
        return f"validation {now.error:.3g} (best {now.best:.3g})"
    from mcegnn.review.learning import in_thousandths

    names = [name for name in ("forces", "energy per atom") if name in now.parts] or list(now.parts)
    return "validation: " + ", ".join(
        f"{name} {1e3 * now.parts[name]:.4g} {in_thousandths(name)}" for name in names
    )


def _write(metrics: list[dict[str, str]], path: Path) -> None:
    """All rows anew; a stop in between loses none."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(metrics[0]))
    writer.writeheader()
    writer.writerows(metrics)
    write_whole(path, text.getvalue().encode())


def rows_of(path: Path, update: int) -> list[dict[str, str]]:
    """The metrics up to an update; none where there is no file. ValueError where it holds other
    things."""
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [
                {**row, "starting": row.get("starting", "")} for row in csv.DictReader(file)
            ]  # which older ones do not have
        numbers = [{name: float(value or "nan") for name, value in row.items()} for row in rows]
        if not all(columns.keys() >= _COLUMNS for columns in numbers):
            raise KeyError(*sorted(_COLUMNS - numbers[0].keys()))
        return [
            row for row, columns in zip(rows, numbers, strict=True) if columns["update"] <= update
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the metrics of a training ({type(error).__name__}: {error})"
        ) from None
