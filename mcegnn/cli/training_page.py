"""The page of a training, finished or not."""

from pathlib import Path

import typer

from mcegnn.cli.messages import check_ending
from mcegnn.cli.progress import progress, waiting
from mcegnn.runs.outputs import check_output, check_writable


def write_training_page(folder: Path, output: Path | None, force: bool, quiet: bool) -> Path:
    """Write the page of a training, as it was at its last validation; returns where it is."""
    from mcegnn.runs.training_files import LAST, METRICS, REPORT, resumed, rows_of
    from mcegnn.runs.training_page import write_page
    from mcegnn.tasks.registry import task

    if not (folder / LAST).is_file():
        raise FileNotFoundError(
            f"{folder} is a folder without a training's {LAST}; name a run's file, or the folder of"
            " mcegnn train"
        )
    path = folder / REPORT if output is None else output
    check_output(path, force)
    check_ending(path, ".html", ".htm")
    check_writable(path)
    saved = resumed(folder)
    metrics = rows_of(folder / METRICS, saved.header["update"])
    options = saved.options
    problem = task(options.task.kind)
    problem.check_data(options.data)
    with waiting("loading torch and the data", quiet=quiet):
        from mcegnn.training.build import build_trainer

        trainer, record = build_trainer(options, saved=saved)
    for warning in problem.doubts(trainer.split):
        typer.echo(f"warning: {warning}", err=True)
    record |= saved.header["record"] | {"validation": trainer.best_error}
    with progress(100, "per cent", quiet=quiet) as tell:
        write_page(trainer, record, metrics, path, str(folder), tell)
    return path
