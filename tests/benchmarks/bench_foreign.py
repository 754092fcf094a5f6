"""A plain network that another package's training code trained: adapted, saved, loaded, rolled out.

    pip install --no-deps --target .peers/skorch skorch==1.4.0 scikit-learn joblib threadpoolctl \\
        tabulate narwhals

Runs are kept in ``learned/`` and not run again.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_learning import RUNS
from record import Row
from scipy.spatial.transform import Rotation
from turned import turned

from integrators.state import State
from mcegnn.data.charged import charged
from mcegnn.models.store import load
from mcegnn.tasks.direct import DirectOptions
from mcegnn.training.scoring import errors
from systems.sources.charged import charged_systems
from trajectories.rollout import rollout

_HERE = Path(__file__).parent
_EPOCHS = 200  # 6,000 updates
_FACTORY = "plain_network:trained"
_MCEGNN = [sys.executable, "-c", "from mcegnn.cli.app import main; main()"]
VARIANTS = {"fine-tuned": (), "frozen": ("--set", "task.freeze=true")}


def measure() -> list[Row]:
    """Errors on the official test samples as they are and each turned at random, and how far a
    rollout of a turned system is from the turned rollout."""
    folder = RUNS / "foreign"
    said = _trained_by_skorch(folder)
    sys.path[:0] = [str(_HERE / "peers")]
    here = Path.cwd()
    try:
        os.chdir(folder)
        for name, more in VARIANTS.items():
            if not (Path(name) / "report.html").is_file():  # the last thing that is written
                command = ["train", "adapt", "--from", _FACTORY, "--data", "charged", "--quiet"]
                sizes = ["--set", "batch=100", "--set", "n_updates=3000", "--threads", "1"]
                path = {**os.environ, "PYTHONPATH": _with_path(_HERE / "peers")}
                subprocess.run(
                    [*_MCEGNN, *command, *sizes, *more, "-o", name, "--force"], check=True, env=path
                )
        models = {"as it is": load(_FACTORY).model}
        models |= {name: load(Path(name) / "best.safetensors").model for name in VARIANTS}
    finally:
        os.chdir(here)
    straight = charged().test
    bent, _ = turned(straight, 0)
    rows = []
    for name, model in models.items():
        figures = [errors(model, samples, DirectOptions()) for samples in (straight, bent)]
        shown = ", turned ".join(
            f"mean {one.mean():.4f}, median {np.median(one):.1e}" for one in figures
        )
        rows.append(Row(f"{said}; {name}", f"{shown}; rollouts differ by {_apart(model):.0e}"))
    return rows


def _with_path(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def _trained_by_skorch(folder: Path) -> str:
    """What the training said; it is run where there are no weights yet."""
    told = folder / "said.txt"
    if not told.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        home = Path(os.environ.get("MCEGNN_PEERS", _HERE.parents[1] / ".peers")).resolve()
        script = str(_HERE / "peers" / "train_skorch.py")
        done = subprocess.run(
            [sys.executable, script, str(_EPOCHS)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": _with_path(home / "skorch")},
            check=True,
            capture_output=True,
            text=True,
        )
        told.write_text(done.stdout)
    return told.read_text().strip()


def _apart(model: Any) -> float:
    """The largest distance, in double precision, between particles of ten systems after ten steps
    and those of the systems in another frame."""
    model.double()
    start = charged_systems(10, 7)
    r = Rotation.random(random_state=1).as_matrix().T
    ends = []
    for turn in (np.eye(3), r):
        moved = replace(start, positions=start.positions @ turn, momenta=start.momenta @ turn)
        *_, end = rollout(model.as_flow(), State(moved), model.interval, 10, 10)
        ends.append(end.system.positions)
    model.float()
    return float(np.linalg.norm(ends[0] @ r - ends[1], axis=-1).max())
