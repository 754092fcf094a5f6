"""`mcegnn predict`: what a model says of structures, as a table."""

from pathlib import Path
from typing import Annotated

import typer

from mcegnn.cli.messages import mistakes, told
from mcegnn.cli.progress import progress, waiting
from mcegnn.names import locate
from mcegnn.runs.outputs import check_output, check_writable


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
    with mistakes():
        if output is not None:
            check_output(output, force)
            check_writable(output)
        locate(model)
        with waiting("loading torch", quiet=quiet or output is None):
            from mcegnn.models.store import load
            from mcegnn.prediction import check_predicts, read_structures, table_of

            stored = load(model)
        check_predicts(stored.model, model)
        named = read_structures(structures)
        with progress(len(named), "structures", quiet=quiet) as tell:
            text = table_of(stored.model, named, lambda done, of: tell(done, "predicting"))
        if output is None:
            typer.echo(text, nl=False)
            return
        from trajectories.storage.atomic_write import write_atomically

        write_atomically(output, text.encode())
    if not quiet:
        typer.echo(f"wrote {len(named):,} {'row' if len(named) == 1 else 'rows'} to {output}")
