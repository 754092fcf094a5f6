"""`mcegnn evaluate`: how well a model does on a data set's test samples."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli.messages import mistakes, refuse_figure, spelled, table, told
from mcegnn.cli.progress import progress, waiting
from mcegnn.cli.reviews import left_out, said, scored
from mcegnn.names import locate

if TYPE_CHECKING:
    from trajectories.analysis.results import Number


@told
def evaluate(
    model: Annotated[str, typer.Argument(help="The name of a shipped model, or a model file.")],
    data: Annotated[
        str,
        typer.Argument(
            help=(
                "charged, solar, solar-de440 or solar:BODIES.csv; for a potential rmd17:MOLECULE or"
                " a file with energies and forces; qm9."
            )
        ),
    ],
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a body of a solar data set out; may be given again."),
    ] = None,
    validation: Annotated[
        bool,
        typer.Option("--validation", help="The validation samples in place of the test samples."),
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the law of a learned force into this PNG, SVG or PDF file."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the figure where it exists.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Score a model on test samples: errors of energies and forces, of a property, or of where
    particles will be beside no motion at all.

    Examples:

    - `mcegnn evaluate charged-force charged --figure law.png`

    - `mcegnn evaluate charged-mcegnn charged --json`

    - `mcegnn evaluate ethanol rmd17:ethanol`

    - `mcegnn evaluate qm9/best.safetensors qm9`
    """
    with mistakes():
        if figure is not None:
            refuse_figure(figure, force)
        locate(model)
        with waiting("loading torch", quiet=as_json):
            from mcegnn.models.store import load
            from mcegnn.tasks.evaluation import task_for
            from mcegnn.tasks.task import Asked

            stored = load(model)
        with progress(100, "per cent", head="loading the data", quiet=as_json) as tell:
            began = time.perf_counter()
            began = time.perf_counter()

            def on_progress(done: int, of: int) -> None:
                nonlocal began
                if not done:  # until now data were loaded
                    began = time.perf_counter()
                tell(100 * done // max(of, 1), "looking at predictions")

            bodies = tuple(without or ())
            asked = Asked(data, model, validation, bodies, figure, on_progress)
            problem, options = task_for(stored, asked)
            scores = problem.score(stored, options, asked)
            seconds = time.perf_counter() - began
    noun, part = problem.noun, scores.part
    counts = {noun: len(part.samples), "of": part.whole, "part": part.name}
    result = {**scores.values, **counts, "seconds": seconds}
    rows = [scored(part, noun, data), *left_out(part)]
    _tell(f"{model} on {data}", result, rows, scores.numbers, as_json)


def _tell(
    title: str,
    result: dict[str, Any],
    of: Sequence[tuple[str, str]],
    numbers: "Sequence[Number]",
    as_json: bool,
) -> None:
    """One JSON object, or a table in the words of a training's."""
    if as_json:
        typer.echo(spelled(result))
    else:
        table(title, [*of, *said(numbers), ("time to score", f"{result['seconds']:.3g} seconds")])
