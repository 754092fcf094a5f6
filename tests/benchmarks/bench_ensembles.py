"""Ensembles: whether thermostats and the barostat sample what they say, by the tests of
physical_validation (Merz and Shirts 2018).

Liquid argon of 108 atoms at two temperatures and two pressures, a crystal where the cell is
flexible: a liquid resists no shear, so such a cell would go on losing its shape. In each run the
kinetic energies are to have the mean and the width of their degrees of freedom; of two runs that
differ in one of temperature and pressure, the logarithm of the ratio of the distributions of the
potential energy, of U + P V or of the volume is to be a line of known slope. Each deviation is in
its standard errors.
"""

import os
from typing import Any, NamedTuple

import numpy as np
from ase import units
from ase.build import bulk
from record import Row

from integrators.barostats import Piston
from integrators.ensembles import langevin_baoab, nose_hoover, npt
from integrators.random import Random
from integrators.state import Flow, State
from integrators.velocities import maxwell_boltzmann
from systems.observables import kinetic_energy
from systems.potentials.lennard_jones import LennardJones
from systems.sources.atoms import from_atoms
from systems.units import METAL, PASCALS
from trajectories.rollout import rollout

N_STEPS, EVERY = 400_000, 20  # 2 ns, a frame every 0.1 ps
TEMPERATURES, PRESSURES = (110.0, 120.0), (300e5 / PASCALS, 480e5 / PASCALS)
COLD = (60.0, 66.0)  # K, of the crystal
FS = units.fs
_SIGMAS = "within 3"


class Samples(NamedTuple):
    """Frames of one run, [n_frames] each, and what it was to have."""

    kinetic: np.ndarray
    potential: np.ndarray
    volumes: np.ndarray
    temperature: float
    pressure: float


def flow(name: str, kelvin: float, pressure: float) -> Flow:
    """One of three ensembles of argon."""
    argon = LennardJones(epsilon=0.0104, sigma=3.4, cutoff=7.5, skin=0.8)
    if name == "Langevin":
        return langevin_baoab(argon, kelvin, friction=0.003 / FS)
    if name == "Nose-Hoover":
        return nose_hoover(argon, kelvin, period=300 * FS)
    return npt(
        argon,
        Piston(kelvin, pressure, period=500 * FS, flexible=name == "NPT, flexible"),
        friction=0.003 / FS,
    )


def sampled(name: str, kelvin: float, pressure: float, n_steps: int, seed: int) -> Samples:
    """A run from a crystal at twice the temperature, which half of goes into its vibrations, after
    a tenth of it that does not count."""
    atoms = bulk("Ar", "fcc", 5.75, cubic=True).repeat(3)
    random, ensemble = Random(seed), flow(name, kelvin, pressure)
    # Langevin and NPT let the centre of mass move, Nose-Hoover does not
    state = State(
        maxwell_boltzmann(from_atoms(atoms), 2.0 * kelvin, random, at_rest=name == "Nose-Hoover"),
        random=random,
    )
    *_, state = rollout(ensemble, state, 5 * FS, n_steps // 10, n_steps // 10)
    frames = [
        (
            float(kinetic_energy(now.system)),
            float(now.evaluation.energy),
            abs(np.linalg.det(now.system.cell)),
        )
        for now in rollout(ensemble, state, 5 * FS, n_steps, EVERY)
        if now.evaluation is not None and now.evaluation.energy is not None
    ]
    return Samples(*np.array(frames).T, kelvin, pressure)


def data(name: str, samples: Samples) -> Any:
    """The samples as physical_validation takes them: its units are GROMACS's, of which ours are
    multiples."""
    import physical_validation as pv

    metal = pv.data.UnitData(
        kb=METAL.boltzmann,
        energy_conversion=96.48533,
        length_conversion=0.1,
        volume_conversion=1e-3,
        temperature_conversion=1.0,
        pressure_conversion=PASCALS / 1e5,
        time_conversion=1.0,
    )
    n, constant = 108, name in ("Langevin", "Nose-Hoover")
    return pv.data.SimulationData(
        units=metal,
        dt=EVERY * 5e-3,
        system=pv.data.SystemData(
            natoms=n,
            nconstraints=0,
            ndof_reduction_tra=3 if name == "Nose-Hoover" else 0,
            ndof_reduction_rot=0,
        ),
        ensemble=pv.data.EnsembleData(
            "NVT" if constant else "NPT",
            natoms=n,
            temperature=samples.temperature,
            volume=samples.volumes[0],
            pressure=None if constant else samples.pressure,
        ),
        observables=pv.data.ObservableData(
            kinetic_energy=samples.kinetic,
            potential_energy=samples.potential,
            volume=None if constant else samples.volumes,
            total_energy=samples.kinetic + samples.potential,
        ),
    )


def kinetic_row(name: str, samples: Samples, at: str) -> Row:
    """Mean and width of the kinetic energy."""
    from physical_validation import kinetic_energy as check

    mean, width = check.distribution(
        data(name, samples), strict=False, verbosity=0, bootstrap_seed=1
    )
    return Row(
        f"{name}, {at}: kinetic energy, its mean and width, in sigma",
        f"{mean:.2f}, {width:.2f}",
        _SIGMAS,
    )


def ratio_row(name: str, one: Samples, other: Samples, what: str) -> Row:
    """The slope of the logarithm of a ratio of distributions."""
    from physical_validation import ensemble

    found = ensemble.check(
        data(name, one), data(name, other), bootstrap_error=False, bootstrap_seed=1, verbosity=0
    )
    return Row(
        f"{name}: {what}, slope in sigma",
        ", ".join(f"{abs(float(sigma)):.2f}" for sigma in found),
        _SIGMAS,
    )


def measure() -> list[Row]:
    """All of it; `MCEGNN_BENCH_STEPS` makes the runs shorter or longer."""
    n_steps, rows = int(os.environ.get("MCEGNN_BENCH_STEPS", N_STEPS)), []
    low, high = PRESSURES
    for seed, name in enumerate(("Langevin", "Nose-Hoover")):
        runs = [
            sampled(name, kelvin, low, n_steps, 10 * seed + k)
            for k, kelvin in enumerate(TEMPERATURES)
        ]
        rows += [kinetic_row(name, run, f"{run.temperature:g} K") for run in runs]
        rows.append(
            ratio_row(
                name,
                runs[0],
                runs[1],
                f"potential energy at {TEMPERATURES[0]:g} and {TEMPERATURES[1]:g} K",
            )
        )
    for seed, (name, (cool, warm)) in enumerate((("NPT", TEMPERATURES), ("NPT, flexible", COLD))):
        points = [(cool, low), (warm, low), (cool, high)]
        base, warmer, pressed = (
            sampled(name, *point, n_steps, 100 + 10 * seed + k) for k, point in enumerate(points)
        )
        bar = PASCALS / 1e5
        for run in (base, warmer, pressed):
            rows.append(
                kinetic_row(name, run, f"{run.temperature:g} K and {run.pressure * bar:.0f} bar")
            )
        rows.append(ratio_row(name, base, warmer, f"U + P V at {cool:g} and {warm:g} K"))
        rows.append(
            ratio_row(name, base, pressed, f"volume at {low * bar:.0f} and {high * bar:.0f} bar")
        )
    return rows


if __name__ == "__main__":
    for row in measure():
        print(*row, sep=" | ", flush=True)
