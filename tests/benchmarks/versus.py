"""``python tests/benchmarks/versus.py CHECKOUT [NAME ...]``: the commands of this checkout against
those of another one, as whole processes in turn.

Two ratios of each: processor time and wall time of the other over ours, medians of pairs (smallest
to largest); above one, ours is faster. Names beginning with "first" have an empty folder for
compiled code each time; all others are run once before.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk, molecule

HERE = Path(__file__).parents[2]
ARGON = "mcegnn:LennardJones:epsilon=0.0104,sigma=3.4"
SMALL = ("--set", "n_updates=60", "--set", "validate_every=60", "--force", "-o", "mine")
COMMANDS: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "charged": ("rollout", "charged", "--systems", "400", "--steps", "20000", "-o", "a.h5md"),
    "engine": ("rollout", "argon.xyz", "--potential", ARGON, "--steps", "300", "-o", "b.h5md"),
    "neighbors": ("analyse", "b0.h5md", "--figure", "b.png"),
    "potential": (
        "rollout",
        "ethanol.xyz",
        "--model",
        "ethanol",
        "--steps",
        "4000",
        "-o",
        "c.h5md",
    ),
    "step": ("train", "charged-egnn", *SMALL),
    "looking": ("analyse", "a0.h5md", "--figure", "a.png"),
    "first charged": ("rollout", "charged", "-o", "d.h5md"),
    "first ethanol": ("rollout", "ethanol.xyz", "--model", "ethanol", "-o", "e.h5md"),
}
WARM = ("--temperature", "300 K")
PAIRS = 6  # half of them the other way round: what comes first may find a busier disk


def main(other: str, names: Sequence[str]) -> None:
    """Run the named commands, or all."""
    with tempfile.TemporaryDirectory() as folder:
        _structures(Path(folder))
        for name in names or COMMANDS:
            n = PAIRS + (not name.startswith("first"))
            pairs = [_pair(name, Path(other), Path(folder), turned=k % 2 == 1) for k in range(n)]
            pairs = pairs[-PAIRS:]
            shown = []
            for what, k in (("processor", 0), ("wall", 1)):
                ratios = [theirs[k] / ours[k] for ours, theirs in pairs]
                low, high = min(ratios), max(ratios)
                shown.append(f"{what} {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")
            ours = statistics.median(own[1] for own, _ in pairs)
            print(f"{name}: {', '.join(shown)}; ours takes {ours:.1f} s", flush=True)


def _structures(folder: Path) -> None:
    """What the commands read."""
    argon = bulk("Ar", "fcc", 5.4, cubic=True).repeat(14)  # 10,976 atoms
    argon.rattle(0.1, rng=np.random.default_rng(0))
    ase.io.write(folder / "argon.xyz", argon)
    ase.io.write(folder / "ethanol.xyz", molecule("CH3CH2OH"))
    _run(HERE, folder, (*COMMANDS["charged"][:-1], "a0.h5md"), {})
    _run(HERE, folder, (*COMMANDS["engine"][:-1], "b0.h5md", *WARM), {})


def _pair(
    name: str, other: Path, folder: Path, *, turned: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds of ours and of the other's, which comes first where it is ``turned``."""
    if turned:
        theirs = _seconds(name, other, folder)
        return _seconds(name, HERE, folder), theirs
    return _seconds(name, HERE, folder), _seconds(name, other, folder)


def _seconds(name: str, checkout: Path, folder: Path) -> tuple[float, float]:
    """Processor and wall time."""
    command = COMMANDS[name]
    more = ("--force",) if command[0] in ("rollout", "analyse") else ()
    more += WARM if any(word.endswith(".xyz") for word in command) else ()
    cache = folder / "cold"
    shutil.rmtree(cache, ignore_errors=True)
    variables = {"NUMBA_CACHE_DIR": str(cache)} if name.startswith("first") else {}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _run(checkout, folder, (*command, *more), variables)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def _run(checkout: Path, folder: Path, command: Sequence[str], variables: dict[str, str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", **variables}
    code = [sys.executable, "-m", "mcegnn", *command]
    done = subprocess.run(
        code, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{checkout}: {command}: {done.stderr}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
