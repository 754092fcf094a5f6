"""The layout of our H5MD files: which group holds what, chunk sizes, hard links;
`trajectories.storage.h5md` writes and reads through it.

Every chunk of frames has a checksum, and so has HDF5's own bookkeeping in the version asked for
here. What neither covers, texts and small tables, `sealed` adds up.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence

import h5py
import numpy as np

from systems.system import System
from systems.units import METAL, Units

GROUP = "particles/trajectory"
OBSERVABLES = "observables/trajectory"
# observable [frames, (n_systems,) 3, 3], which files from before there was one go without
STRESS = "stress"
# observable [frames, n_systems, 3, 3] of an ensemble whose systems have cells of their own
CELLS = "cells"
# of HDF5's format: the first one with checksums throughout; read by HDF5 1.10 (2016) and later
VERSION = ("v110", "v110")
# zlib that packs nothing, for its frame and its Adler-32: HDF5's own Fletcher-32 takes a hole,
# zeros with a sum of zero, for data
CHECKED = {"compression": "gzip", "compression_opts": 0}
_CHUNK_BYTES = 2**16
_SEAL = "checksum"
_TEXT = h5py.string_dtype()
_CONSTANT = ("species", "mass", "charge", "box")  # what never changes within a run


_KJ_PER_MOL = 96.48533  # in one eV, as MDAnalysis' table of units has it


def file_units(units: Units) -> dict[str, tuple[float, str]]:
    """Factor of an element in the file, and its ``unit`` attribute; empty if the file has the run's
    own numbers.

    Molecular runs are kept in units that MDAnalysis knows. It would refuse those of other runs,
    which carry no attribute.
    """
    if units is not METAL:
        return {}
    assert units.seconds is not None
    picoseconds = units.seconds / 1e-12
    return {
        "position": (1.0, "Angstrom"),
        "velocity": (1.0 / picoseconds, "Angstrom ps-1"),
        "force": (_KJ_PER_MOL, "kJ mol-1 Angstrom-1"),
        "time": (picoseconds, "ps"),
        "edges": (1.0, "Angstrom"),
    }


def create(
    file: h5py.File, system: System, names: Sequence[str], provenance: dict[str, str]
) -> None:
    """Everything but the frames."""
    head = file.create_group("h5md")
    head.attrs["version"] = [1, 1]
    head.create_group("author").attrs["name"] = provenance.get("author", "N/A")
    creator = head.create_group("creator")
    creator.attrs["name"], creator.attrs["version"] = "mcegnn", provenance.get("version", "")
    parameters = file.create_group("parameters")
    units = parameters.create_group("units")
    for field in ("name", "length", "time", "mass", "energy"):
        units.attrs[field] = getattr(system.units, field)
    if system.n_systems is not None:
        parameters.create_dataset("n_systems", data=system.n_systems)
    if names:
        parameters.create_dataset("names", data=list(names), dtype=_TEXT)
    parameters.create_group("provenance")
    record(file, provenance)
    box = file.create_group(f"{GROUP}/box")
    box.attrs["dimension"] = 3
    box.attrs.create("boundary", ["periodic" if p else "none" for p in system.pbc], dtype=_TEXT)


def record(file: h5py.File, provenance: Mapping[str, str]) -> None:
    """Add to what the file says of its run; what it says already stays."""
    recorded = file["parameters/provenance"]
    for key, value in provenance.items():
        if key not in recorded:
            recorded.create_dataset(key, data=value, dtype=_TEXT)


def extend(
    file: h5py.File, name: str, first: int, values: np.ndarray, n_hint: int, units: Units
) -> None:
    """Rows ``first`` and on of a dataset, made where it is not there yet, in chunks of whole
    frames."""
    if name not in file:
        # a frame's worth of what never changes takes no room once compressed
        packed = {"compression": "gzip", "shuffle": True}
        kept = packed if name.split("/")[2] in _CONSTANT else CHECKED
        length = _chunk(max(1, int(np.prod(values.shape[1:]))) * values.dtype.itemsize, n_hint)
        dataset = file.create_dataset(
            name,
            shape=(0, *values.shape[1:]),
            maxshape=(None, *values.shape[1:]),
            dtype=values.dtype,
            chunks=(length, *values.shape[1:]),
            **kept,
        )
        path = name.split("/")
        known = file_units(units).get(path[-2] if path[-1] == "value" else path[-1])
        if known is not None:
            dataset.attrs.create("unit", known[1], dtype=_TEXT)
    dataset = file[name]
    dataset.resize(first + len(values), axis=0)
    dataset[first:] = values


def _chunk(row: int, n_hint: int) -> int:
    """Frames in a chunk, for rows of so many bytes and about ``n_hint`` frames."""
    return max(1, min(_CHUNK_BYTES // row, max(n_hint, -(-4096 // row))))


def estimated_bytes(
    n_frames: int, n_particles: int, n_systems: int, *, cells: bool, scalars: int
) -> float:
    """How large a file with forces will be, to a few hundredths: ``n_systems`` of ``n_particles``,
    and ``scalars`` observables of each.

    ``cells`` is whether each system of an ensemble has its own. What never changes is compressed to
    next to nothing.
    """
    flat = n_particles * n_systems
    rows = [24 * flat] * 3 + [8 * n_systems] * scalars + [72 * n_systems] * cells + [8, 8]
    changing = sum(
        -(-n_frames // _chunk(row, n_frames)) * _chunk(row, n_frames) * row for row in rows
    )
    constant = sum(
        -(-n_frames // _chunk(row, n_frames)) * (150 + row / 200)
        for row in (4 * flat, 8 * flat, 8 * flat, 72, 3)
    )
    return changing + constant + 2.2e4


def seal(file: h5py.File) -> None:
    """Add up texts and small tables, after any change of them."""
    file["parameters"].attrs[_SEAL] = np.uint32(_sum(file))


def sealed(file: h5py.File) -> bool:
    """Whether texts and small tables are as they were written; true of files from before there were
    checksums."""
    return _SEAL not in file["parameters"].attrs or file["parameters"].attrs[_SEAL] == _sum(file)


def _sum(file: h5py.File) -> int:
    """CRC of all attributes, types and shapes, and of the datasets without frames."""
    parts: list[bytes] = []

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        parts.append(name.encode())
        if isinstance(item, h5py.Dataset):
            parts.append(f"{item.dtype} {item.shape[1:]}".encode())
            if item.maxshape[:1] != (None,):  # scalars and tables, not frames
                parts.append(repr(np.asarray(item[()]).tolist()).encode())
        parts.extend(
            f"{key} {np.asarray(item.attrs[key]).tolist()!r}".encode()
            for key in sorted(item.attrs)
            if key != _SEAL
        )

    file.visititems(look)
    return zlib.crc32(b"\n".join(parts))


def link_times(file: h5py.File) -> None:
    """One step and one time dataset for all elements."""
    source = file[f"{GROUP}/position"]
    for group in elements(file):
        for name in ("step", "time"):
            if name not in group:
                group[name] = source[name]


def elements(file: h5py.File) -> Iterator[h5py.Group]:
    """Every group with a frame axis."""
    for name, group in file[GROUP].items():
        if name != "box":
            yield group
    yield from file[f"{GROUP}/box"].values()
    yield from file[OBSERVABLES].values()


def series(file: h5py.File) -> Iterator[h5py.Dataset]:
    """Every dataset with a frame axis, once."""
    for name in ("step", "time"):
        yield file[f"{GROUP}/position/{name}"]
    for group in elements(file):
        yield group["value"]


def whole_frames(file: h5py.File) -> int:
    """Number of frames that every dataset holds. Raises EOFError before there is any, and KeyError,
    naming it, if a dataset is missing."""
    if GROUP in file and "parameters/provenance" in file and set(file[GROUP]) <= {"box"}:
        raise EOFError("a file that was begun")
    wanted = [
        f"{GROUP}/{name}/value"
        for name in ("position", "velocity", "species", "mass", "charge", "box/edges", "box/pbc")
    ]
    wanted += [
        f"{GROUP}/position/step",
        f"{GROUP}/position/time",
        OBSERVABLES,
        "parameters/units",
        "parameters/provenance",
    ]
    for name in wanted:
        if name not in file:
            raise KeyError(f"it has no {name}")
    return min(len(dataset) for dataset in series(file))
