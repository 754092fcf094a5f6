"""Warnings about the options of a rollout of a file's atoms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcegnn.simulation.atoms import AtomsRun
from systems.observables import center_velocity, kinetic_energy
from systems.sources import template
from systems.sources.atoms import Structure
from systems.system import System
from systems.units import METAL

_BEAM = 10.0  # times its share of the kinetic energy: the centre of mass moves by more than heat


def warnings_of(
    config: AtomsRun, structure: Structure, light: bool, options: Mapping[str, Any]
) -> list[str]:
    """Return warnings about what the file lacks, the time step, and velocities."""
    file = config.file
    warnings = [
        f"{file}: assumed {what}: {words}"
        for what, words in config.assumed.items()
        if what not in options
    ]
    if light and config.dt > 1.5 * METAL.convert(1.0, "fs"):
        warnings.append(
            "hydrogen vibrates in 9 fs, so a time step above 1 fs moves it wrongly; use --dt"
            ' "0.5 fs"'
        )
    if config.calculator and (lost := template.unwritable(structure.atoms)):
        warnings.append(
            f"the calculator does not get {', '.join(map(str, lost))} of {file}, no numbers, texts"
            " or arrays that a run can keep"
        )
    return warnings + _of_velocities(structure.system, config)


def _of_velocities(system: System, config: AtomsRun) -> list[str]:
    """What becomes of the file's velocities where that is not what one would expect of them."""
    if not system.momenta.any():
        return []
    if config.draw:
        each = f"each of the {config.n_systems} systems gets its own, drawn from the seed"
        return (
            [f"the velocities of {config.file} are not used: {each}"]
            if config.n_systems > 1
            else []
        )
    inside, whole = float(kinetic_energy(system, about_center=True)), float(kinetic_energy(system))
    if (
        system.n_particles == 1
        or config.frozen
        or whole - inside < _BEAM * inside / (system.n_particles - 1)
    ):
        return []
    speed = float(np.linalg.norm(center_velocity(system))) * METAL.convert(1.0, "fs")
    moves = f"the centre of mass of {config.file} moves at {speed:.3g} Angstrom/fs"
    if config.about_center:
        return [f"{moves}, which does not count in the temperature"]
    return [f"{moves}, which counts in the temperature until friction has taken it"]
