"""`mcegnn evaluate`: how well a model does on a data set's test samples."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from mcegnn.cli.messages import mistakes, refuse_figure, table, told


@told
def evaluate(
    model: Annotated[str, typer.Argument(help="The name of a shipped model, or a model file.")],
    data: Annotated[str, typer.Argument(help="charged, solar, solar-de440 or solar:BODIES.csv.")],
    without: Annotated[list[str] | None, typer.Option(help="Leave a body of a solar data set out; may be given again.")] = None,
    validation: Annotated[bool, typer.Option("--validation", help="The validation samples in place of the test samples.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Draw the law of a learned force into this PNG, SVG or PDF file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the figure where it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Score a model on the official test samples: the task's error, beside that of standing still and of flying straight.

    Examples:

    - `mcegnn evaluate charged-force charged --figure law.png`

    - `mcegnn evaluate charged-mcegnn charged --json`
    """
    import numpy as np

    with mistakes():
        if figure is not None:
            refuse_figure(figure, force)
        from mcegnn.datasets.named import split
        from mcegnn.models.force import LearnedForce
        from mcegnn.models.store import load
        from mcegnn.training.options import parse
        from mcegnn.training.scoring import errors, floors, refuse_unfit

        stored = load(model)
        if "options" not in stored.record:
            raise ValueError(f"{model} does not say what it was trained for; train it with mcegnn train")
        options = parse(stored.record["options"]).task
        if figure is not None and not isinstance(stored.model, LearnedForce):
            raise ValueError(f"{model} is no learned force, so it has no law to draw; leave out --figure")
        samples = split(data, without=without or ())
        chosen = samples.validation if validation else samples.test
        refuse_unfit(stored.model, chosen)
        began = time.perf_counter()
        found = errors(stored.model, chosen, options)
        seconds = time.perf_counter() - began
        if figure is not None:
            from mcegnn.figures import draw_law

            assert isinstance(stored.model, LearnedForce)
            draw_law(stored.model, samples.train, figure)
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
