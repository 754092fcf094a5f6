"""Arrays with a header of plain values in one file: safetensors and JSON, with a checksum of both,
so that nothing has to be unpickled.

Checkpoints of runs and of trainings, and models, are such files. Those of before there was a
checksum have none.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.storage.atomic_write import write_atomically

_HEADER, _CHECKSUM = "mcegnn", "checksum"


def write_tensors(
    path: str | Path, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a header and arrays to ``path`` atomically."""
    from safetensors.numpy import save

    packed = {name: np.array(array, order="C") for name, array in arrays.items()}
    # within the header, since safetensors keeps entries beside each other in any order
    write_atomically(
        path, save(packed, {_HEADER: json.dumps({**header, _CHECKSUM: _sum(header, packed)})})
    )


def read_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the header and the arrays. Raises OSError if the file cannot be read, and ValueError or
    KeyError if it is of another format or damaged."""
    from safetensors import SafetensorError, safe_open

    open(path, "rb").close()  # safetensors calls a file that may not be read a missing one
    try:
        with safe_open(str(path), "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a handle, not a dict)
        header = json.loads(metadata[_HEADER])
    except (SafetensorError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    found = header.pop(_CHECKSUM, None)
    if found is not None and found != _sum(header, arrays):
        raise ValueError("its checksum does not fit")
    return header, arrays


def _sum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    total = zlib.crc32(json.dumps(header).encode())
    for name in sorted(arrays):
        total = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), total))
    return f"{total:08x}"
