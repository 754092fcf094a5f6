"""Beside peers: ethanol of revised MD17 by MACE, SchNetPack's PaiNN, NequIP and ours, each trained
for as many minutes of one core.

Each peer has an environment of its own, since their requirements exclude one another, in the folder
named by MCEGNN_PEERS (.peers in the repository where it is not set). The parts run alone too, and
leave their models and figures in a folder:

    python tests/benchmarks/bench_peers.py train mace --minutes 13 --folder DIR
    python tests/benchmarks/bench_peers.py time --folder DIR
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench_rmd17 import train
from peers.molecule import milliseconds, read
from record import Row

from mcegnn import PotentialCalculator, load

OURS = "mcegnn"
PEERS = ("mace", "schnetpack", "nequip")
MINUTES = 13.0
UPDATES = 60_000  # of ours that take as long
_TURNS = 7
_MOLECULES = (
    "ethanol",
    "aspirin",
)  # the first is learned; the second, of the same elements, is called only
_HERE = Path(__file__).parent
_OWN = "best.safetensors"
_TORCH = "torch==2.13.0"
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"),
    "1",
)
# e3nn and SchNetPack load files that hold more than weights, which torch refuses since 2.6 unless
# told otherwise
_ENVIRONMENT = {
    **os.environ,
    **_ONE_THREAD,
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
    "PYTHONWARNINGS": "ignore",
}


def _home() -> Path:
    return Path(os.environ.get("MCEGNN_PEERS", _HERE.parents[1] / ".peers")).resolve()


def python(name: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing."""
    folder = _home() / name
    found = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, _TORCH], check=True)
        # the files are complete, and SchNetPack's own bound on sympy excludes every torch of today
        subprocess.run(
            [*pip, "--no-deps", "-r", str(_HERE / "peers" / f"requirements-{name}.txt")], check=True
        )
        done.touch()
    return found


def trained(
    name: str, folder: Path, minutes: float = MINUTES, updates: int = UPDATES
) -> dict[str, Any]:
    """Figures of a model that is trained into the folder, or was before."""
    kept = folder / f"{name}.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        found = (
            _ours(folder / OURS, updates) if name == OURS else _peer(name, folder / name, minutes)
        )
        kept.write_text(json.dumps(found, indent=1))
    return json.loads(kept.read_text())


def _peer(name: str, folder: Path, minutes: float) -> dict[str, Any]:
    command = [
        str(python(name)),
        str(_script(name)),
        "train",
        str(_npz(_MOLECULES[0])),
        str(folder),
        str(minutes),
    ]
    said = subprocess.run(
        command, check=True, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ).stdout
    return _said(said.splitlines())


def _ours(folder: Path, updates: int) -> dict[str, Any]:
    change = f"n_updates={updates}"
    found = train(_MOLECULES[0], folder, change)
    model = load(str(folder / _OWN))
    return {
        "name": "mcegnn",
        "version": f"mcegnn {version('mcegnn')}",
        "parameters": sum(part.numel() for part in model.parameters()),
        "minutes": found.minutes,
        "cpu_minutes": found.busy,
        "force_mae_mev": 1e3 * found.force,
        "energy_mae_mev": 1e3 * found.energy,
        "ms_per_call": milliseconds(PotentialCalculator(model), read(_npz(_MOLECULES[0])).test[0]),
        "settings": f"mcegnn train rmd17 --set {change}",
    }


def timed(folder: Path) -> dict[str, list[tuple[float, ...]]]:
    """Milliseconds a call of each molecule, of each trained model in the folder, turn by turn.

    Every peer's process stands by while the others are timed, and is warm.
    """
    names = [name for name in (OURS, *PEERS) if (folder / f"{name}.json").exists()]
    with ExitStack() as open_ones:
        turns = {name: _ready(name, folder, open_ones) for name in names}
        for turn in turns.values():  # compiles what each compiles
            turn()
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
        for _ in range(_TURNS):
            for name, turn in turns.items():
                found[name].append(turn())
    (folder / "times.json").write_text(json.dumps(found, indent=1))
    return found


def _ready(name: str, folder: Path, open_ones: ExitStack) -> Callable[[], tuple[float, ...]]:
    """What times one turn of a model when it is called."""
    files = [_npz(molecule) for molecule in _MOLECULES]
    if name == OURS:
        pairs = [
            (PotentialCalculator(load(str(folder / OURS / _OWN))), read(file).test[0])
            for file in files
        ]
        return lambda: tuple(milliseconds(calculator, atoms) for calculator, atoms in pairs)
    command = [str(python(name)), str(_script(name)), "time", str(folder / name), *map(str, files)]
    process = subprocess.Popen(
        command, env=_ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines, questions = process.stdout, process.stdin
    open_ones.callback(process.wait)
    open_ones.callback(questions.close)  # after which it ends

    def turn() -> tuple[float, ...]:
        questions.write("\n")
        questions.flush()
        return tuple(_said(lines))

    return turn


def _said(lines: Iterable[str]) -> Any:
    """The line of JSON among whatever else a peer's libraries print."""
    for line in lines:
        if line.startswith(("{", "[")):
            with suppress(json.JSONDecodeError):
                return json.loads(line)
    raise ValueError("the peer ended without a result; see what it printed above")


def _script(name: str) -> Path:
    return _HERE / "peers" / f"peers_{name}.py"


def _npz(molecule: str) -> Path:
    """ValueError where there is no data."""
    if "MCEGNN_DATA" not in os.environ:
        raise ValueError("set MCEGNN_DATA to the folder that has revised MD17 in rmd17/")
    return Path(os.environ["MCEGNN_DATA"]) / "rmd17" / f"{molecule}.npz"


def rows(folder: Path) -> list[Row]:
    """What there is in the folder, one row a model."""
    times = (
        json.loads((folder / "times.json").read_text()) if (folder / "times.json").exists() else {}
    )
    made = []
    for name in (OURS, *PEERS):
        if (folder / f"{name}.json").exists():
            found = trained(name, folder)
            what = (
                f"{found['name']} ({found['version']}; {found['parameters']:,} parameters;"
                f" {found['settings']})"
            )
            errors = (
                f"force {found['force_mae_mev']:.1f} meV/Angstrom, energy"
                f" {found['energy_mae_mev']:.2f} meV"
            )
            took = f"{found['minutes']:.0f} minutes ({found['cpu_minutes']:.0f} of a core)"
            made.append(Row(what, f"{errors} after {took}{_calls(times.get(name))}"))
    return made


def _calls(turns: list[list[float]] | None) -> str:
    if turns is None:
        return ""
    parts = [
        f"{molecule} {statistics.median(times):.3g} ({min(times):.3g} to {max(times):.3g})"
        for molecule, times in zip(_MOLECULES, zip(*turns, strict=True), strict=True)
    ]
    return f"; ms a call: {', '.join(parts)}"


def measure() -> list[Row]:
    """All of them, one after the other, and then their calls in turn; what lies in
    MCEGNN_PEERS/models already is not trained again."""
    folder = _home() / "models"
    for name in (OURS, *PEERS):
        trained(name, folder)
    timed(folder)
    return rows(folder)


def main() -> None:
    """A part alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("install", "train", "time"))
    parser.add_argument(
        "names", nargs="*", help=f"of {', '.join((OURS, *PEERS))}; all where none is named"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help="of one core, to train a peer; ours takes a number of updates",
    )
    parser.add_argument("--updates", type=int, default=UPDATES, help="of training of ours")
    parser.add_argument("--folder", type=Path, default=_home() / "models")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in (OURS, *PEERS)]
    if unknown or (given.part == "time" and given.names):
        parser.error(
            f"{', '.join(unknown)}: no such package"
            if unknown
            else "all that are trained are timed; leave the names out"
        )
    for name in given.names or (OURS, *PEERS):
        if given.part == "install" and name != OURS:
            python(name)
        elif given.part == "train":
            trained(name, given.folder, given.minutes, given.updates)
    if given.part == "time":
        timed(given.folder)
    for row in rows(given.folder):
        print(f"{row.what}: {row.figure}")


if __name__ == "__main__":
    main()
