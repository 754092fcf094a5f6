"""Whether this version computes the same bits as another: `same_bits.py OLD`.

OLD is a checkout of the other version. Both do the jobs of tests/data/v0_1/jobs.toml: predictions
of all shipped models, a training of each task and a run of each kind that go on from where they
were stopped, evaluations and analyses. Only the command line is called, each side by processes that
find its own packages first, and only HDF5, safetensors, CSV and JSON are compared, so modules may
have moved. One line a job says "same", or the entry that differs most and its share; the exit code
is 1 where one differs, or is refused by one side alone. `--only WORD` takes the jobs with the word
in their name.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "data" / "v0_1"))
import kept  # noqa: E402  (beside the files that it reads)

PACKAGES = ("systems", "integrators", "trajectories", "mcegnn")
_WHERE = f"""
import importlib.util
for name in {PACKAGES}:
    print(importlib.util.find_spec(name).origin)
"""


class Failed(Exception):
    """A command that did not end well, in words."""


def call(checkout: Path, folder: Path, *arguments: str) -> str:
    """What Python printed with a checkout's packages before all others, in one thread."""
    own = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    run: dict[str, Any] = {"cwd": folder, "env": os.environ | own, "capture_output": True}
    done = subprocess.run([sys.executable, *arguments], text=True, timeout=1800, check=False, **run)
    if done.returncode:
        raise Failed(f"exit code {done.returncode}: {' '.join(done.stderr.split())[-200:]}")
    return done.stdout


def refuse_other_packages(checkout: Path, folder: Path) -> None:
    """SystemExit where a checkout's packages are not those that would be run."""
    found = call(checkout, folder, "-c", _WHERE).splitlines()
    for name, origin in zip(PACKAGES, found, strict=True):
        if not Path(origin).resolve().is_relative_to(checkout):
            raise SystemExit(f"{name} of {checkout} would not be run but that of {origin}")


def work(job: kept.Job, checkout: Path, folder: Path) -> kept.Numbers:
    """All numbers of a job, done with a checkout in a folder that is a copy of what is kept."""
    run = ("-m", "mcegnn")
    if job.kind in ("trainings", "runs"):
        call(checkout, folder, *run, *job.resume(job.stopped))
        made = sorted(path for path in (folder / job.stopped).iterdir() if path.suffix != ".html")
    elif job.kind == "predictions":
        call(checkout, folder, *run, *job.writing)
        made = sorted(folder.glob(f"{kept.RUN}*"))
    else:
        return kept.answers(json.loads(call(checkout, folder, *run, *job.asking)))
    found = {}
    for path in made:
        found |= {f"{path.name}: {name}": value for name, value in kept.numbers(path).items()}
        if job.kind == "predictions":
            path.unlink()
    return found


def tried(job: kept.Job, checkout: Path, folder: Path) -> kept.Numbers | str:
    """The same, or why the version does not do it."""
    try:
        return work(job, checkout, folder)
    except Failed as error:
        return str(error)


def missing(job: kept.Job) -> str:
    """Why a job cannot be done here; empty where it can."""
    if job.needs == "MCEGNN_DATA":
        return "" if job.needs in os.environ else "MCEGNN_DATA is not set"
    return "" if not job.needs or importlib.util.find_spec(job.needs) else f"no {job.needs}"


def compared(job: kept.Job, sides: dict[Path, Path]) -> str:
    """What there is to say of a job, done by both sides at once."""
    with ThreadPoolExecutor(2) as pool:
        old, new = pool.map(lambda side: tried(job, *side), sides.items())
    if isinstance(old, str) or isinstance(new, str):
        if old == new:
            return f"both refuse: {new}"
        which, words = ("this version", new) if isinstance(new, str) else ("the old version", old)
        return f"differs: {which} refuses: {words}"
    off = kept.difference(new, old)
    if off != kept.SAME:
        return f"differs by {off.share:.3g} in {off.name}"
    more = sorted(new.keys() - old.keys())
    return f"same, and {len(more)} more, such as {more[0]}" if more else "same"


def main() -> int:
    """Do all jobs; the exit code."""
    as_it_is = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("old", type=Path, help="a checkout of the other version")
    parser.add_argument("--only", default="", help="a word in the names of the jobs to do")
    given = parser.parse_args()
    old = given.old.resolve()
    if old == REPO or not (old / "mcegnn").is_dir():
        raise SystemExit(f"{old} is no other checkout")
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        sides = {old: Path(place) / "old", REPO: Path(place) / "new"}
        for checkout, folder in sides.items():
            shutil.copytree(kept.HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
            refuse_other_packages(checkout, folder)
        for job in kept.jobs():
            if given.only not in str(job):
                continue
            began = time.perf_counter()
            said = f"left out: {missing(job)}" if missing(job) else compared(job, sides)
            bad += said.startswith("differs")
            print(f"{job}: {said} ({time.perf_counter() - began:.0f} s)", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
