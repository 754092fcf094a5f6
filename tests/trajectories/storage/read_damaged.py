"""A child process, which HDF5 may crash: reads each damaged copy of a run, and says in a line what
came of it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.storage.h5md import H5MDReader


def everything(path: Path) -> dict[str, Any]:
    """All that the reader gives."""
    with H5MDReader(path) as reader:
        found = {
            name: getattr(reader, name)
            for name in (
                "steps",
                "times",
                "cells",
                "masses",
                "species",
                "pbc",
                "names",
                "provenance",
            )
        }
        found |= {name: reader.frames(name) for name in ("position", "velocity", "force")}
        found |= {name: reader.observable(name) for name in ("kinetic_energy", "potential_energy")}
        return found | {
            "units": reader.units.name,
            "charges": reader[0].system.charges,
            "counts": (len(reader), reader.n_systems, reader.n_particles),
        }


def outcome(path: Path, whole: dict[str, Any]) -> str:
    """In a word."""
    try:
        found = everything(path)
    except (ValueError, FileNotFoundError) as error:
        return (
            "refused"
            if str(path) in str(error) and "\n" not in str(error)
            else f"refused badly: {error}"
        )
    except Exception as error:
        return f"traceback: {type(error).__name__} {error}"
    same = all(np.array_equal(found[name], whole[name]) for name in whole)
    return "same" if same else "garbage"


if __name__ == "__main__":
    good = everything(Path(sys.argv[1]))
    for damaged in sys.argv[2:]:
        print(damaged, outcome(Path(damaged), good), flush=True)
