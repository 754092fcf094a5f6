"""Description of a rollout for a dry run."""

from pathlib import Path

from mcegnn.cli.messages import table
from mcegnn.runs.outputs import room
from mcegnn.simulation import Configuration


def describe(config: Configuration, path: Path, n_steps: int) -> None:
    """Print a description of the run."""
    many = f" x {config.n_systems:,} systems" if config.n_systems > 1 else ""
    seed = f", seed {config.seed}" if config.seeded else ""
    _, what = config.subject
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
