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
    from mcegnn.datasets.split import Part
    from mcegnn.models.store import Stored
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
            from mcegnn.models.force import LearnedForce
            from mcegnn.models.potential import ConservativePotential
            from mcegnn.models.property import PropertyModel
            from mcegnn.models.store import load

            stored = load(model)
        if figure is not None and not isinstance(stored.model, LearnedForce):
            raise ValueError(
                f"{model} is no learned force, so it has no law to draw; leave out --figure"
            )
        if without and isinstance(stored.model, PropertyModel | ConservativePotential):
            raise ValueError(
                f"--without leaves bodies out of dynamics, and {model} is a {stored.kind}; leave"
                " it out"
            )
        if isinstance(stored.model, PropertyModel):
            _of_property(stored, model, data, validation, as_json)
        elif data == "qm9":
            raise ValueError(
                f"{model} is a {stored.kind}; only a PropertyModel predicts properties of qm9's"
                " molecules"
            )
        elif isinstance(stored.model, ConservativePotential):
            _of_potential(stored, model, data, validation, as_json)
        else:
            _of_dynamics(stored, model, data, without or (), validation, figure, as_json)


def _of_dynamics(
    stored: "Stored",
    model: str,
    data: str,
    without: Sequence[str],
    validation: bool,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Errors of where particles will be, of a dynamics model or a learned force, beside those of
    who has learned nothing."""
    from mcegnn.datasets.named import split
    from mcegnn.datasets.split import part_of
    from mcegnn.models.force import LearnedForce
    from mcegnn.review.dynamics import numbers
    from mcegnn.training.options import parse
    from mcegnn.training.scoring import errors, floors, refuse_unfit, spread

    if "options" not in stored.record:
        raise ValueError(
            f"{model} does not say what it was trained for; train it with mcegnn train"
        )
    options = parse(stored.record["options"]).task
    with waiting("loading the data", quiet=as_json):
        samples = split(data, without=without)
    part = part_of(samples, "validation" if validation else "test")
    refuse_unfit(stored.model, part.samples)
    began = time.perf_counter()
    with waiting("looking at predictions", quiet=as_json):
        found = errors(stored.model, part.samples, options)
    seconds = time.perf_counter() - began
    if figure is not None:
        from mcegnn.figures import draw_law

        assert isinstance(stored.model, LearnedForce)
        draw_law(stored.model, samples.train, figure)
    values = spread(found)
    mean = {"mse" if options.error == "mean-square" else "displacement": values.pop("mean")}
    result = {
        "error": options.error,
        **mean,
        **values,
        **_counts(part, "samples"),
        "seconds": seconds,
        **floors(part.samples, options),
    }
    _tell(
        f"{model} on {data}",
        result,
        [scored(part, "samples", data)],
        numbers(found, part.samples, options, _label(part)),
        as_json,
    )


def _of_potential(stored: "Stored", model: str, data: str, validation: bool, as_json: bool) -> None:
    """Errors of energies and forces: on the test structures of the data the model was trained with,
    on an official test, or on a file."""
    from mcegnn.models.potential import ConservativePotential
    from mcegnn.review.potentials import numbers
    from mcegnn.training.options import parse
    from mcegnn.training.prediction import differences, measures_of
    from mcegnn.training.setup import to_score

    assert isinstance(stored.model, ConservativePotential)
    trained = parse(stored.record["options"]).data if "options" in stored.record else None
    with waiting("loading the data", quiet=as_json):
        part = to_score(data, trained, validation, stored.trained, stored.record.get("data"))
    stored.model.kinds(part.samples.species)
    began = time.perf_counter()
    with progress(len(part.samples), "structures", quiet=as_json) as tell:
        off = differences(
            stored.model, part.samples, lambda done, n: tell(done, "looking at predictions")
        )
    found = measures_of(off, part.samples)
    said_of = {"left_out": dict(part.left_out), "labels": dict(part.notes)}
    result = {
        **found,
        **_counts(part, "structures"),
        **said_of,
        "seconds": time.perf_counter() - began,
    }
    rows = [scored(part, "structures", data), *left_out(part)]
    _tell(f"{model} on {data}", result, rows, numbers(found, _label(part)), as_json)


def _of_property(stored: "Stored", model: str, data: str, validation: bool, as_json: bool) -> None:
    """Errors of a property on the test of the data the model was trained with."""
    from mcegnn.models.property import PropertyModel
    from mcegnn.review.properties import numbers
    from mcegnn.training.options import parse
    from mcegnn.training.properties import measures_of, residuals
    from mcegnn.training.property_setup import tested

    assert isinstance(stored.model, PropertyModel)
    if "options" not in stored.record:
        raise ValueError(
            f"{model} does not say what it was trained for; train it with mcegnn train"
        )
    with waiting("loading the data", quiet=as_json):
        part = tested(data, parse(stored.record["options"]).data, validation)
    stored.model.kinds(part.samples.species)
    began = time.perf_counter()
    with progress(len(part.samples), "molecules", quiet=as_json) as tell:
        off = residuals(
            stored.model, part.samples, lambda done, n: tell(done, "looking at predictions")
        )
    found = measures_of(off, stored.model, part.samples)
    counts = {
        "property": stored.model.property,
        **_counts(part, "molecules"),
        "seconds": time.perf_counter() - began,
    }
    rows = numbers(off, stored.model, part.samples, _label(part))
    _tell(
        f"{model} on {data}", {**found, **counts}, [scored(part, "molecules", data)], rows, as_json
    )


def _counts(part: "Part", what: str) -> dict[str, Any]:
    """How many of how many are scored, and which part of the data they are."""
    return {what: len(part.samples), "of": part.whole, "part": part.name}


def _label(part: "Part") -> str:
    """What the rows of the table begin with, as those of a training's: what was never trained on is
    a test."""
    return "test" if part.name == "all" else part.name


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
