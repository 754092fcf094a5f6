"""What a rollout would do, in words, and whether there is room for it."""

import shutil
from pathlib import Path

from mcegnn.cli.messages import refuse_unwritable, size, table
from mcegnn.simulation import AtomsRun, Configuration
from trajectories.storage.writer import estimated_bytes as file_bytes


def estimated_bytes(config: Configuration) -> float:
    """About how large the run's file will be."""
    return file_bytes(
        config.n_steps // config.every + 1,
        config.n_particles,
        config.n_systems,
        cells=config.n_systems > 1 and config.has_cell,
        scalars=config.n_observables,
    )


def room(config: Configuration, path: Path) -> str:
    """The file with its size, and the room that is left on its disk."""
    needed, free = estimated_bytes(config), shutil.disk_usage(path.parent).free
    return (
        f"{path}, about {size(needed)} ({size(free)}"
        f" free{', which is too little' if needed > free else ''})"
    )


def describe(config: Configuration, path: Path, n_steps: int) -> None:
    """Print what would be done."""
    many = f" x {config.n_systems:,} systems" if config.n_systems > 1 else ""
    seed = f", seed {config.seed}" if config.seeded else ""
    what = config.file if isinstance(config, AtomsRun) else config.system
    rows = [
        ("system", f"{what}, {config.n_particles:,} particles{many}{seed}"),
        *([("model", config.model)] if config.model else []),
        *config.rows(),
        ("time step", config.time(config.dt)),
        ("steps", f"{n_steps:,}, to time {config.time(config.n_steps * config.dt)}"),
        (
            "frames",
            f"{config.n_steps // config.every + 1:,}, steps from one to the next: {config.every:,}",
        ),
        ("file", room(config, path)),
    ]
    table("Would roll out", rows)


def refuse_too_large(config: Configuration, path: Path) -> None:
    """OSError where the run's file cannot be written, ValueError where the disk has no room for
    it."""
    refuse_unwritable(path)
    free = shutil.disk_usage(path.parent).free + (path.stat().st_size if path.exists() else 0)
    needed = estimated_bytes(config)
    if needed > free:
        less = (
            " or keep fewer frames with a larger --every" if config.every < config.n_steps else ""
        )
        raise ValueError(
            f"{path} would need about {size(needed)}, and its disk has {size(free)} free; make"
            f" room, name another with -o{less}"
        )
