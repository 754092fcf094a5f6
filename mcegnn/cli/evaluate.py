"""`mcegnn evaluate`: how well a model does on a data set's test samples."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli.messages import mistakes, refuse_figure, spelled, table, told

if TYPE_CHECKING:
    from mcegnn.models.store import Stored


@told
def evaluate(
    model: Annotated[str, typer.Argument(help="The name of a shipped model, or a model file.")],
    data: Annotated[
        str,
        typer.Argument(
            help="charged, solar, solar-de440 or solar:BODIES.csv; for a potential rmd17:MOLECULE or a file with energies and forces; qm9."
        ),
    ],
    without: Annotated[list[str] | None, typer.Option(help="Leave a body of a solar data set out; may be given again.")] = None,
    validation: Annotated[bool, typer.Option("--validation", help="The validation samples in place of the test samples.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Draw the law of a learned force into this PNG, SVG or PDF file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the figure where it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Score a model on test samples: errors of energies and forces, of a property, or of where particles will be, beside standing still.

    Examples:

    - `mcegnn evaluate charged-force charged --figure law.png`

    - `mcegnn evaluate charged-mcegnn charged --json`

    - `mcegnn evaluate ethanol rmd17:ethanol`

    - `mcegnn evaluate qm9/best.safetensors qm9`
    """
    with mistakes():
        if figure is not None:
            refuse_figure(figure, force)
        from mcegnn.models.force import LearnedForce
        from mcegnn.models.potential import ConservativePotential
        from mcegnn.models.property import PropertyModel
        from mcegnn.models.store import load

        stored = load(model)
        if figure is not None and not isinstance(stored.model, LearnedForce):
            raise ValueError(f"{model} is no learned force, so it has no law to draw; leave out --figure")
        if without and isinstance(stored.model, PropertyModel | ConservativePotential):
            raise ValueError(f"--without leaves bodies out of dynamics, and {model} is a {stored.kind}; leave it out")
        if isinstance(stored.model, PropertyModel):
            _of_property(stored, model, data, validation, as_json)
        elif data == "qm9":
            raise ValueError(f"{model} is a {stored.kind}; only a PropertyModel predicts properties of qm9's molecules")
        elif isinstance(stored.model, ConservativePotential):
            _of_potential(stored, model, data, validation, as_json)
        else:
            _of_dynamics(stored, model, data, without or (), validation, figure, as_json)


def _of_dynamics(
    stored: "Stored", model: str, data: str, without: Sequence[str], validation: bool, figure: Path | None, as_json: bool
) -> None:  # fmt: skip
    """Errors of where particles will be, of a dynamics model or a learned force, beside those of who has learned nothing."""
    import numpy as np

    from mcegnn.datasets.named import split
    from mcegnn.models.force import LearnedForce
    from mcegnn.training.options import parse
    from mcegnn.training.scoring import errors, floors, refuse_unfit

    if "options" not in stored.record:
        raise ValueError(f"{model} does not say what it was trained for; train it with mcegnn train")
    options = parse(stored.record["options"]).task
    samples = split(data, without=without)
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
        typer.echo(spelled(result))
    else:
        rows = [(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value)) for name, value in result.items()]
        table(f"{model} on {data}", rows)


def _of_potential(stored: "Stored", model: str, data: str, validation: bool, as_json: bool) -> None:
    """Errors of energies and forces: on the test structures of the data the model was trained with, on an official test, or on a file."""
    from mcegnn.models.potential import ConservativePotential
    from mcegnn.training.options import parse
    from mcegnn.training.prediction import measures
    from mcegnn.training.setup import tested

    assert isinstance(stored.model, ConservativePotential)
    trained = parse(stored.record["options"]).data if "options" in stored.record else None
    structures = tested(data, trained, validation)
    stored.model.kinds(structures.species)
    began = time.perf_counter()
    result = measures(stored.model, structures)
    _tell(f"{model} on {data}", result, {"structures": len(structures), "seconds": time.perf_counter() - began}, as_json)


def _of_property(stored: "Stored", model: str, data: str, validation: bool, as_json: bool) -> None:
    """Errors of a property on the test of the data the model was trained with."""
    from mcegnn.models.property import PropertyModel
    from mcegnn.training.options import parse
    from mcegnn.training.properties import measures
    from mcegnn.training.property_setup import tested

    assert isinstance(stored.model, PropertyModel)
    if "options" not in stored.record:
        raise ValueError(f"{model} does not say what it was trained for; train it with mcegnn train")
    molecules = tested(data, parse(stored.record["options"]).data, validation)
    stored.model.kinds(molecules.species)
    began = time.perf_counter()
    result = measures(stored.model, molecules)
    counts = {"property": stored.model.property, "molecules": len(molecules), "seconds": time.perf_counter() - began}
    _tell(f"{model} on {data}", result, counts, as_json)


def _tell(title: str, errors: dict[str, float], more: dict[str, Any], as_json: bool) -> None:
    """Errors in eV and Angstrom, in thousandths of them where people read, and what they are of."""
    if as_json:
        typer.echo(spelled({**errors, **more}))
        return
    units = {"force": "meV/Angstrom", "stress": "meV/Angstrom^3"}
    rows = [(name.replace("_", " "), f"{1e3 * value:.4g} {units.get(name.partition('_')[0], 'meV')}") for name, value in errors.items()]
    table(title, [*rows, *((name, f"{value:.4g}" if isinstance(value, float) else f"{value}") for name, value in more.items())])
