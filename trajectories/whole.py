"""Files that are always whole: written under another name, synced to disk, then renamed, so that a stop in between leaves the old one."""

import os
from pathlib import Path


def temporary_of(path: str | Path) -> Path:
    """The name under which a file is written before it takes the place of the last."""
    return Path(f"{path}.tmp")


def write_whole(path: str | Path, data: bytes) -> None:
    """Put ``data`` in place of whatever ``path`` holds."""
    temporary = temporary_of(path)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # a full disk is not to be left fuller
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, path)
