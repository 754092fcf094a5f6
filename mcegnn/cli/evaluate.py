"""`mcegnn evaluate`: how well a model does on a data set's test samples."""

import json
import time
from typing import Annotated

import typer

from mcegnn.cli.messages import mistakes, table, told


@told
def evaluate(
    model: Annotated[str, typer.Argument(help="The name of a shipped model, or a model file.")],
    data: Annotated[str, typer.Argument(help="charged, solar, solar-de440 or solar:BODIES.csv.")],
    without: Annotated[list[str] | None, typer.Option(help="Leave a body of a solar data set out; may be given again.")] = None,
    validation: Annotated[bool, typer.Option("--validation", help="The validation samples in place of the test samples.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Score a model on the official test samples: the task's error, beside that of standing still and of flying straight.

    Examples:

    - `mcegnn evaluate charged-force charged`

    - `mcegnn evaluate charged-mcegnn charged --json`
    """
    import numpy as np

    with mistakes():
        from mcegnn.datasets.named import split
        from mcegnn.models.store import load
        from mcegnn.training.options import parse
        from mcegnn.training.scoring import errors, floors

        stored = load(model)
        options = parse(stored.record["options"]).task
        samples = split(data, without=without or ())
        chosen = samples.validation if validation else samples.test
        began = time.perf_counter()
        found = errors(stored.model, chosen, options)
    seconds = time.perf_counter() - began
    q50, q90, q99 = (float(q) for q in np.quantile(found, (0.5, 0.9, 0.99)))
    result = {
        "error": options.error, "mse" if options.error == "mean-square" else "displacement": float(found.mean()), "median": q50, "q90": q90,
        "q99": q99, "largest": float(found.max()), "samples": len(found), "seconds": seconds, **floors(chosen, options),
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(result))
    else:
        table(
            f"{model} on {data}", [(name.replace("_", " "), f"{v:.4g}" if isinstance(v, float) else str(v)) for name, v in result.items()]
        )
