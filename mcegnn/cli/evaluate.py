"""`mcegnn evaluate`: how well a model does on a data set's test samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli.events import follow
from mcegnn.cli.messages import spelled, table, told
from mcegnn.cli.reviews import evaluated_rows, said

if TYPE_CHECKING:
    from mcegnn.runs.evaluate import EvaluateResult


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
        typer.Option(help="Leave a body of a solar data set out; repeatable."),
    ] = None,
    validation: Annotated[
        bool,
        typer.Option("--validation", help="The validation samples in place of the test samples."),
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(
            help="Plot a learned pair force against distance into this PNG, SVG or PDF file."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the figure where it exists.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Score a model on test samples: errors of energies and forces, of a property, or of predicted
    positions, beside the baseline of no motion.

    Examples:

    - `mcegnn evaluate charged-force charged --figure law.png`

    - `mcegnn evaluate charged-mcegnn charged --json`

    - `mcegnn evaluate ethanol rmd17:ethanol`

    - `mcegnn evaluate qm9/best.safetensors qm9`
    """
    from mcegnn.runs.evaluate import EvaluateRun

    run = EvaluateRun(
        model,
        data,
        validation=validation,
        without=without or (),
        figure=figure,
        overwrite=force,
    )
    result: EvaluateResult = follow(run, quiet=as_json)
    if as_json:
        typer.echo(spelled(_values(result)))
        return
    time = ("time to score", f"{result.seconds:.3g} seconds")
    rows = [*evaluated_rows(result), *said(result.numbers), time]
    table(f"{model} on {data}", rows)


def _values(result: "EvaluateResult") -> dict[str, Any]:
    """For JSON."""
    counts = {result.noun: result.scored, "of": result.whole, "part": result.part}
    return {**result.values, **counts, "seconds": result.seconds}
