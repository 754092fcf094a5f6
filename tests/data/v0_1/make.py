"""Makes what is kept here, with the version that PYTHONPATH names; make.sh calls it, and says how.

Stops are made to come where jobs.toml says, by inner parts of that one version.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import kept
import numpy as np
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

STOPPED = """
import signal, sys
sys.argv[0], stop = "mcegnn", int(sys.argv.pop(1))
import integrators.compiled, integrators.listed, trajectories.watch
from mcegnn.cli.app import main

if sys.argv[1] == "train":
    from mcegnn.training.trainer import Trainer
    run = Trainer.run
    def some(self):
        for k, now in enumerate(run(self)):
            if k == stop:
                raise KeyboardInterrupt
            yield now
    Trainer.run = some
else:
    advance, came = trajectories.watch.advance, False
    def some(*arguments, **more):
        global came
        for state in advance(*arguments, **more):
            if state.step >= stop and not came:
                came = True
                signal.raise_signal(signal.SIGINT)
            yield state
    integrators.compiled.SLICE_SECONDS = integrators.listed.SLICE_SECONDS = 1e-9
    integrators.compiled.SLICE_BYTES = 1
    trajectories.watch.advance = some
main()
"""


def of_rmd17(path: Path) -> list[ase.Atoms]:
    """Eight test structures of a molecule of revised MD17, its first split, with labels in eV."""
    unit, found = ase.units.kcal / ase.units.mol, []
    with np.load(path) as data:
        for k in range(0, 800, 100):
            energy, forces = data["energies_test"][k], data["forces_test"][k]
            atoms = ase.Atoms(data["species"], data["positions_test"][k])
            labels = {"energy": float(energy) * unit, "forces": forces * unit}
            atoms.calc = SinglePointCalculator(atoms, **labels)
            found.append(atoms)
    return found


def inputs(reference: Path) -> None:
    """Structures: labelled by EMT, of revised MD17, and to begin runs from."""
    stream = np.random.default_rng(0)
    alloys = []
    for k in range(12):
        atoms = bulk("Cu", "fcc", 3.7 + 0.02 * k, cubic=True) * (2, 1, 1)
        atoms.numbers[stream.permutation(8)[: 2 + k % 3]] = 79
        atoms.rattle(0.08, seed=k)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels, stress=atoms.get_stress())
        alloys.append(atoms)
    names = ("ethanol", "aspirin")
    ethanol, aspirin = (of_rmd17(reference / "rmd17" / f"{name}.npz") for name in names)
    copper, argon = bulk("Cu", "fcc", 3.61, cubic=True) * 2, bulk("Ar", "fcc", 5.3, cubic=True) * 2
    for atoms in (copper, argon):
        atoms.rattle(0.02, seed=1)
    shapes = {"alloys": alloys, "ethanol_rmd17": ethanol, "aspirin": aspirin[0], "copper": copper}
    shapes |= {"argon": argon, "ethanol": molecule("CH3CH2OH")}
    for name, atoms in shapes.items():
        ase.io.write(f"inputs/{name}.xyz", atoms, format="extxyz")


def mcegnn(*arguments: str, stop: int = 0) -> str:
    """Run a command and return what it printed; with ``stop`` it is stopped there."""
    start = ["-c", STOPPED, str(stop)] if stop else ["-m", "mcegnn"]
    command = [sys.executable, *start, *arguments]
    done = subprocess.run(command, text=True, capture_output=True, timeout=900, check=False)
    if done.returncode != (130 if stop else 0) or "Traceback" in done.stderr:
        raise SystemExit(f"{arguments}: {done.returncode}\n{done.stderr}")
    return done.stdout


def make(job: kept.Job) -> None:
    """Its files."""
    if job.kind in ("trainings", "runs"):
        job.stopped.parent.mkdir(parents=True)
        if job.kind == "runs":
            job.stopped.mkdir()
        into = job.stopped / kept.RUN if job.kind == "runs" else job.stopped
        mcegnn(*job.command, "--threads", "1", "--quiet", "-o", str(into), stop=job.stop)
        shutil.copytree(job.stopped, job.finished)
        mcegnn(*job.resume(job.finished))
        for path in job.finished.iterdir():
            if path.name not in kept.FILES[job.kind]:
                path.unlink()
    elif job.kind == "predictions":
        mcegnn(*job.writing)
        found = kept.numbers(Path(kept.RUN))
        arrays = {f"{job.name}/{name}": np.asarray(value) for name, value in found.items()}
        PREDICTED.update({k: array for k, array in arrays.items() if array.dtype.kind in "iuf"})
        for path in Path().glob(f"{kept.RUN}*"):
            path.unlink()
    else:
        job.answer.parent.mkdir(exist_ok=True)
        said = json.loads(mcegnn(*job.asking))
        job.answer.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def main(commit: str, reference: str) -> None:
    """All of it, in the folder where it is called."""
    if "inputs" in sys.argv[3:]:
        inputs(Path(reference))
    for job in kept.jobs():
        print(job, flush=True)
        make(job)
    np.savez_compressed("predictions.npz", **PREDICTED)
    made = {"commit": commit, **kept.machine()}
    Path("made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


PREDICTED: dict[str, Any] = {}
if __name__ == "__main__":
    main(*sys.argv[1:3])
