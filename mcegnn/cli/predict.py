"""`mcegnn predict`: what a model says of structures, as a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcegnn.cli.events import follow
from mcegnn.cli.messages import told

if TYPE_CHECKING:
    from mcegnn.runs.predict import PredictResult


@told
def predict(
    model: Annotated[str, typer.Argument(help="The name of a shipped model, or a model file.")],
    structures: Annotated[
        list[str],
        typer.Argument(
            help="Files of structures, any that ASE reads; FILE@3 is the fourth of one."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The table to write, CSV. [default: it is printed]"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the table where it exists.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Predict energies, or the property that the model was trained on, one row a structure.

    The first column is the file as given, with @INDEX where it holds several structures; the others
    are named after what is predicted, with its unit.

    Examples:

    - `mcegnn predict ethanol conformers.xyz`

    - `mcegnn predict gap/best.safetensors a.xyz b.cif -o gaps.csv`
    """
    from mcegnn.runs.predict import PredictRun

    result: PredictResult = follow(
        PredictRun(model, structures, output, overwrite=force), quiet=quiet
    )
    if output is None:
        typer.echo(result.table, nl=False)
    elif not quiet:
        n = len(result.names)
        typer.echo(f"wrote {n:,} {'row' if n == 1 else 'rows'} to {output}")
