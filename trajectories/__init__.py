"""Rollouts, the files that they are written to, and their analysis."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`trajectories.universe`, resolved when it is used: it brings h5py and MDAnalysis along."""
    if name == "universe":
        from trajectories.mdanalysis import universe

        return universe
    raise AttributeError(f"module 'trajectories' has no attribute {name!r}")
