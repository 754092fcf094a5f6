"""What a model is and what made it, as rows of a table."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcegnn.models.store import Stored


def model_rows(stored: "Stored") -> list[tuple[str, str]]:
    """What a model is, and what made it."""
    masses = getattr(stored.model, "masses", None)
    trained_on = stored.record.get("options", {}).get("data", {}).get("name")
    return [
        ("class", stored.kind),
        *(
            (key.replace("_", " "), _shown(key, value))
            for key, value in stored.hyperparameters.items()
            if key not in ("nearest", "fewest")
        ),
        *nearest_rows(stored.model),
        ("parameters", f"{sum(p.numel() for p in stored.model.parameters()):,}"),
        *(
            [("learned masses", " ".join(f"{mass:.6g}" for mass in masses.tolist()))]
            if masses is not None
            else []
        ),
        *([("trained on", f"{trained_on}, {stored.record.get('data', '')}")] if trained_on else []),
        *_commands(stored.record),
        *(
            [("validation error", f"{stored.record['validation']:.3g}")]
            if "validation" in stored.record
            else []
        ),
    ]


def nearest_rows(model: Any) -> list[tuple[str, str]]:
    """How near atoms were in training, by pairs of elements, and how many neighbours they had;
    nothing of models that do not keep it."""
    fewest = getattr(model, "fewest", 0.0)
    least = (
        [
            (
                "neighbours in training",
                f"at least {fewest:.4g} an atom within {model.cutoff:g} Angstrom",
            )
        ]
        if fewest
        else []
    )
    if getattr(model, "nearest", None) is None:
        return least
    from ase.data import chemical_symbols

    names = [chemical_symbols[number] for number in model.species]
    pairs = [(i, j) for i in range(len(names)) for j in range(i, len(names))]
    known = [
        f"{names[i]}-{names[j]} {model.nearest[i, j]:.4g}" for i, j in pairs if model.nearest[i, j]
    ]
    rows = [("nearest in training", ", ".join(known) + " Angstrom")] if known else []
    never = [f"{names[i]}-{names[j]}" for i, j in pairs if not model.nearest[i, j]]
    far = (
        [
            (
                "not within the cutoff",
                f"{', '.join(never)}; nearest is taken for the sum of covalent radii",
            )
        ]
        if never
        else []
    )
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
