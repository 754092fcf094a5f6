"""Checks of the files that a run will write: that they can be written and fit on the disk."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcegnn.simulation import Configuration


def check_writable(path: Path) -> None:
    """Raise OSError, naming the file, if it cannot be written, before the work begins; nothing is
    created or changed."""
    # a file that is not there is tried under another name: a kill in between must not leave an
    # empty one
    there = path.exists()
    probe = path if there else path.with_name(f"{path.name[:200]}.{os.getpid()}.tmp")
    try:
        with open(probe, "ab"):
            pass
    except OSError as error:
        error.filename = str(path)
        raise
    if not there:
        probe.unlink(missing_ok=True)  # by another thread that has tried the same


def check_output(path: Path, overwrite: bool, source: Path | None = None) -> None:
    """Raise ValueError or OSError if a file cannot be written, or must not be: it exists, or it is
    ``source``, the one that is read."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file to write with -o")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file; name another with -o")
    if not path.parent.is_dir():
        raise ValueError(
            f"there is no folder {path.parent}; make it first or name another file with -o"
        )
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise ValueError(f"{path} is the file that is read; name another with -o")
    if path.exists() and not overwrite:
        raise FileExistsError(17, "File exists", str(path))


def check_figure(path: Path, overwrite: bool) -> None:
    """Raise ValueError or OSError if a picture cannot be drawn into this file."""
    if path.exists() and not overwrite:
        raise FileExistsError(17, "File exists", str(path))
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"cannot draw {path}: a figure's name ends in .png, .svg or .pdf")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file to draw")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}")
    check_writable(path)


def size(n_bytes: float) -> str:
    """A number of bytes in words, such as "1.2 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def estimated_bytes(configuration: "Configuration") -> float:
    """Estimated size of a rollout's file in bytes."""
    from trajectories.storage.writer import estimated_bytes

    return estimated_bytes(
        configuration.n_steps // configuration.every + 1,
        configuration.n_particles,
        configuration.n_systems,
        cells=configuration.n_systems > 1 and configuration.has_cell,
        scalars=configuration.n_observables,
    )


def room(configuration: "Configuration", path: Path) -> str:
    """A rollout's file with its estimated size, and the free space on its disk, in words."""
    needed, free = estimated_bytes(configuration), shutil.disk_usage(path.parent).free
    return (
        f"{path}, about {size(needed)} ({size(free)}"
        f" free{', which is too little' if needed > free else ''})"
    )


def check_room(configuration: "Configuration", path: Path) -> None:
    """Raise OSError if the file of a rollout cannot be written, and ValueError if the disk has no
    room for it."""
    check_writable(path)
    free = shutil.disk_usage(path.parent).free + (path.stat().st_size if path.exists() else 0)
    needed = estimated_bytes(configuration)
    if needed > free:
        less = (
            " or keep fewer frames with a larger --every"
            if configuration.every < configuration.n_steps
            else ""
        )
        raise ValueError(
            f"{path} would need about {size(needed)}, and its disk has {size(free)} free; make"
            f" room, name another with -o{less}"
        )
