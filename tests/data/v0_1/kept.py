"""What is kept here: the jobs of jobs.toml, and the numbers of the files that they write.

Only HDF5, safetensors, CSV and JSON are read, and nothing of the packages is imported: this works
wherever their modules are.
"""

import csv
import json
import platform
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from safetensors import safe_open

HERE = Path(__file__).parent
RUN = "run.h5md"
FILES = {  # of a finished folder
    "trainings": ("best.safetensors", "last.checkpoint", "metrics.csv"),
    "runs": (RUN, f"{RUN}.checkpoint"),
}
# how long something took and which version wrote it
_OTHER = ("seconds", "starting", "format", "checksum", "version")
COMPUTING = ("numpy", "scipy", "numba", "torch", "ase", "h5py")
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A command of jobs.toml; ``kind`` is its table there."""

    kind: str
    name: str
    command: tuple[str, ...]
    stop: int = 0
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def stopped(self) -> Path:
        """The folder of a training or a run, as it was when it was stopped."""
        return Path(self.kind, self.name, "stopped")

    @property
    def finished(self) -> Path:
        """The same at its end."""
        return Path(self.kind, self.name, "finished")

    @property
    def answer(self) -> Path:
        """Where an answer is kept."""
        return Path(self.kind, f"{self.name}.json")

    def resume(self, folder: Path) -> tuple[str, ...]:
        """The command that goes on with a training or a run in a folder."""
        if self.kind == "trainings":
            return ("train", "--resume", str(folder), "--threads", "1", "--quiet")
        return ("rollout", "--resume", str(folder / RUN), "--threads", "1", "--quiet")

    @property
    def writing(self) -> tuple[str, ...]:
        """The command of a prediction, which writes its frames into run.h5md."""
        return (*self.command, "--threads", "1", "--quiet", "-o", RUN)

    @property
    def asking(self) -> tuple[str, ...]:
        """The command of an evaluation or an analysis, which prints JSON."""
        return (*self.command, "--json")


def jobs(*kinds: str) -> list[Job]:
    """Those of these kinds, of all where none is named, in the order in which they are made."""
    return [job for job in _every() if not kinds or job.kind in kinds]


def _every() -> Iterator[Job]:
    tables = tomllib.loads((HERE / "jobs.toml").read_text(encoding="utf-8"))
    for name in tables["runs"]:
        tables["analyses"][name] = f"analyse runs/{name}/finished/{RUN}"
    for kind, table in tables.items():
        for name, said in table.items():
            entry = {"command": said} if isinstance(said, str) else dict(said)
            yield Job(kind, name, tuple(shlex.split(entry.pop("command"))), **entry)


def machine() -> dict[str, Any]:
    """What bits depend on: instructions of the processor that are used, and versions.

    A processor's name is not enough: what is called AMD EPYC comes with AVX-512 and without.
    """
    import llvmlite.binding
    import numba
    import torch

    features = numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()
    versions = {name: version(name) for name in COMPUTING} | {"python": platform.python_version()}
    return {
        "processor": numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
        "features": sorted(one for one in features.split(",") if one.startswith("+")),
        "torch": torch.backends.cpu.get_cpu_capability(),
        "versions": versions,
    }


def numbers(path: Path) -> Numbers:
    """What a file holds by name, without times and versions: arrays and texts."""
    if path.suffix == ".h5md":
        return _of_run(path)
    if path.suffix in (".safetensors", ".checkpoint"):
        return _of_arrays(path)
    if path.suffix == ".csv":
        return _of_table(path)
    return answers(json.loads(path.read_text(encoding="utf-8")))


def _of_run(path: Path) -> Numbers:
    found: Numbers = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name.startswith("parameters/provenance"):
            return
        of = {key: value for key, value in item.attrs.items() if key not in _OTHER}
        found.update({f"{name}@{key}": value for key, value in of.items()})
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def _of_arrays(path: Path) -> Numbers:
    with safe_open(str(path), "np") as file:
        found: Numbers = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads((file.metadata() or {}).get("mcegnn", "{}"))
    plain = {f"header.{k}": v for k, v in header.items() if isinstance(v, int | float)}
    return found | {name: v for name, v in plain.items() if name.split(".")[1] not in _OTHER}


def _of_table(path: Path) -> Numbers:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in _OTHER]
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}


def answers(values: Any, name: str = "") -> Numbers:
    """The numbers of what was printed as JSON, by their paths; ``None`` is NaN.

    Texts are left out: how something is said may become better.
    """
    if isinstance(values, Mapping):
        inside = [(str(key), value) for key, value in values.items() if key not in _OTHER]
    elif isinstance(values, list):
        inside = [(str(k), value) for k, value in enumerate(values)]
    else:
        return {} if isinstance(values, str) else {name: np.nan if values is None else values}
    found: Numbers = {}
    for key, value in inside:
        found |= answers(value, f"{name}.{key}" if name else key)
    return found


class Off(NamedTuple):
    """The entry in which two files differ most, and by how much: a share of its largest number."""

    name: str
    share: float


SAME = Off("", 0.0)


def difference(found: Numbers, kept: Numbers, floor: float = 0.0) -> Off:
    """Of two files' numbers, `SAME` where every bit is the same.

    The share is infinite where what is found lacks something; it may hold more. ``floor`` is what a
    number counts as at least when shares are taken: drifts of 1e-16 are noise.
    """
    if lacking := kept.keys() - found.keys():
        return Off(", ".join(sorted(lacking)), np.inf)
    pairs = {name: (np.asarray(found[name]), np.asarray(kept[name])) for name in kept}
    shares = (Off(name, _share(*pair, floor)) for name, pair in pairs.items())
    most = max(shares, key=_by_share, default=SAME)
    return most if most.share else SAME


def _by_share(off: Off) -> float:
    return off.share


def _share(found: np.ndarray, kept: np.ndarray, floor: float) -> float:
    if found.shape != kept.shape or found.dtype.kind != kept.dtype.kind:
        return np.inf
    if kept.dtype.kind not in "fc":
        return 0.0 if found.tolist() == kept.tolist() else np.inf
    if found.dtype == kept.dtype and found.tobytes() == kept.tobytes():
        return 0.0
    if not np.array_equal(np.isfinite(found), np.isfinite(kept)):
        return np.inf
    a, b = (np.where(np.isfinite(kept), values, 0.0).astype(float) for values in (found, kept))
    # not zero: bits differ, of signs of zeros or of NaNs at least
    return max(float(abs(a - b).max() / max(abs(b).max(), floor, 1e-300)), 1e-300)
