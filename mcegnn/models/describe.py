"""Description of a model and its origin, as rows of a table."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcegnn.models.atomic import AtomicPotential
    from mcegnn.models.store import Stored


def model_rows(stored: "Stored") -> list[tuple[str, str]]:
    """Rows that describe a model and its origin."""
    trained_on = stored.record.get("options", {}).get("data", {}).get("name")
    return [
        ("class", stored.kind),
        *(
            (key.replace("_", " "), _shown(key, value))
            for key, value in stored.hyperparameters.items()
            if key not in ("nearest", "fewest")
        ),
        *stored.model.rows(),
        ("parameters", f"{sum(p.numel() for p in stored.model.parameters()):,}"),
        *([("trained on", f"{trained_on}, {stored.record.get('data', '')}")] if trained_on else []),
        *_commands(stored.record),
        *(
            [("validation error", f"{stored.record['validation']:.3g}")]
            if "validation" in stored.record
            else []
        ),
    ]


def nearest_rows(model: "AtomicPotential") -> list[tuple[str, str]]:
    """How near atoms were in training, by pairs of elements, and how many neighbours they had; no
    rows if the model does not keep it."""
    cutoff = f"{model.cutoff:g} Angstrom"
    words = f"at least {model.fewest:.4g} an atom within {cutoff}"
    least = [("neighbours in training", words)] if model.fewest else []
    if model.nearest is None:
        return least
    from ase.data import chemical_symbols

    names = [chemical_symbols[number] for number in model.species]
    known, never = [], []
    for i in range(len(names)):
        for j in range(i, len(names)):
            pair = f"{names[i]}-{names[j]}"
            if model.nearest[i, j]:
                known.append(f"{pair} {model.nearest[i, j]:.4g}")
            else:
                never.append(pair)
    rows = [("nearest in training", ", ".join(known) + " Angstrom")] if known else []
    taken = "nearest is taken for the sum of covalent radii"
    far = [("not within the cutoff", f"{', '.join(never)}; {taken}")] if never else []
    return rows + far + least


def _shown(name: str, value: Any) -> str:
    """A hyper-parameter; elements by their symbols."""
    if name != "species":
        return str(value)
    from ase.data import chemical_symbols

    return " ".join(chemical_symbols[number] for number in value)


def _commands(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The command that made a model, and those that made the models which it began from, the last
    first."""
    own = [("command", record["command"])] if "command" in record else []
    return own + (
        [("began from", text) for _, text in _commands(record["from"])] if "from" in record else []
    )
