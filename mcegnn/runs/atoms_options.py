"""From options to the configuration of a rollout of a file's atoms: every option is checked here,
before anything runs or is written."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mcegnn.interfaces import named
from mcegnn.names import nearest
from mcegnn.runs.atoms_warnings import warnings_of
from mcegnn.runs.thermostat_options import held
from mcegnn.runs.times import FRAMES, Times, every_of, steps_of
from mcegnn.simulation.atoms import AtomsRun
from mcegnn.simulation.atoms_integrators import BY_ENSEMBLE, INTEGRATORS, THERMOSTATS
from systems.quantities import duration, force
from systems.sources import template
from systems.sources.atoms import Structure, read
from systems.sources.file_options import FileOptions
from systems.system import System
from systems.units import METAL

_FORCES = ("calculator", "model", "potential")
_HYDROGEN = 4.0  # u: what is lighter vibrates fast
_STEPS = 1000
_RELAXED = 0.05  # eV / Angstrom, the largest force that is left by --relax


def atoms_run(
    file: str, integrator: str | None, times: Times, options: Mapping[str, Any]
) -> tuple[AtomsRun, list[str]]:
    """Return the configuration of these options, and warnings.

    Raises ValueError or RuntimeError, in one sentence, if the options are not valid.
    """
    chosen = _integrator(integrator, options)
    check_forces(file, options)
    said = FileOptions.parse(
        units=options.get("units"), format=options.get("format"), masses=options.get("masses")
    )
    structure = read(file, said)
    light = _is_light(structure)
    dt, n_steps = _steps(times, light)
    holding = held(chosen, options)
    n_systems, seed = _drawing(options)
    _check_atoms(file, structure, chosen)
    ramped = 2 in (len(holding["temperature"]), len(holding["pressure"]))
    config = AtomsRun(
        integrator=chosen,
        dt=dt,
        n_steps=n_steps,
        every=every_of(times, n_steps, max(1, n_steps // FRAMES)),
        n_particles=structure.system.n_particles,
        n_systems=n_systems,
        seed=seed,
        file=file,
        frozen=tuple(np.flatnonzero(structure.frozen).tolist()),
        calculator=options.get("calculator", ""),
        potential=options.get("potential", ""),
        ramp=n_steps * dt if ramped else 0.0,
        flexible=bool(options.get("flexible")),
        relax=_RELAXED if options.get("relax") else 0.0,
        draw=_drawn(structure.system, chosen, n_systems, holding["temperature"]),
        file_units=said.units,
        file_format=said.format,
        template=template.to_text(template.timeless(structure.atoms)),
        file_masses=options.get("masses", ""),
        assumed=structure.assumed,
        **_limits(options),
        **holding,
    )
    _check_thermostat(config)
    if config.potential:
        config = replace(config, potential_digest=named.digest(config.force))
    return config, warnings_of(config, structure, light, options)


def _is_light(structure: Structure) -> bool:
    """Whether an atom that moves is so light that it vibrates fast."""
    return bool((structure.system.masses[~structure.frozen] < _HYDROGEN).any())


def _steps(times: Times, light: bool) -> tuple[float, int]:
    """Time step and number of steps."""
    usual = (0.5 if light else 1.0) * METAL.convert(1.0, "fs")
    dt = usual if times.dt is None else duration(times.dt, METAL, "--dt")
    if times.steps is None and times.time is None:
        return dt, _STEPS
    span = None if times.time is None else duration(times.time, METAL, "--time")
    n_steps, dt = steps_of(times, dt, span)
    return dt, n_steps


def _drawing(options: Mapping[str, Any]) -> tuple[int, int]:
    """Number of systems, and the seed of what is drawn for them."""
    n_systems, seed = options.get("systems", 1), options.get("seed", 0)
    if n_systems < 1:
        raise ValueError(f"--systems must be at least 1, not {n_systems}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 4294967295, not {seed}")
    return n_systems, seed


def _check_atoms(file: str, structure: Structure, integrator: str) -> None:
    """Raise ValueError if the file's cell or its frozen atoms do not go with the integrator."""
    _check_cell(file, structure.system, integrator)
    if structure.frozen.all():
        raise ValueError(f"all atoms of {file} are frozen, so nothing would move")
    if integrator == "npt" and structure.frozen.any():
        raise ValueError(
            f"{file} has frozen atoms, which do not go with a cell that moves; take --ensemble nvt"
        )


def _check_thermostat(config: AtomsRun) -> None:
    """Raise ValueError if a chain of thermostats has a single atom only."""
    if config.n_particles - len(config.frozen) == 1 and config.integrator == "nose-hoover":
        raise ValueError(
            "nose-hoover cannot hold the temperature of a single atom; take --ensemble nvt, which"
            " is Langevin's"
        )


def _limits(options: Mapping[str, Any]) -> dict[str, Any]:
    """Limits of how far a committee's models may disagree. Raises ValueError if there is no
    committee."""
    given = {
        name.replace("-", "_"): force(options[name], f"--{name}")
        for name in ("warn-above", "stop-above")
        if options.get(name)
    }
    if given and "," not in options.get("model", ""):
        raise ValueError(
            f"--{next(iter(given)).replace('_', '-')} is of a committee; name its models with"
            " commas in between: --model A,B,C"
        )
    for name, limit in given.items():
        if not limit:
            raise ValueError(
                f"--{name.replace('_', '-')} must be above zero; models always disagree a little"
            )
    return given


def check_forces(file: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError unless exactly one option names what gives the forces."""
    _check_empty(options)
    if len(given := [name for name in _FORCES if options.get(name) is not None]) != 1:
        what = "give only one of" if given else "something has to move its atoms: give one of"
        raise ValueError(
            f'{file}: {what} --calculator NAME (such as "tblite"), --model MODEL and --potential'
            " MODULE:FACTORY"
        )


def _check_empty(options: Mapping[str, Any]) -> None:
    for name in _FORCES:
        if options.get(name) == "":
            raise ValueError(f"--{name} is empty; name one")


def _integrator(integrator: str | None, options: Mapping[str, Any]) -> str:
    """The integrator of --ensemble or of --integrator."""
    ensemble = options["ensemble"].lower() if options.get("ensemble") is not None else None
    if ensemble is not None and integrator is not None:
        raise ValueError(
            "--ensemble names an integrator already (nve velocity-verlet, nvt langevin-baoab, npt"
            " npt); leave out --integrator"
        )
    if ensemble is not None and ensemble not in BY_ENSEMBLE:
        raise ValueError(f"--ensemble is one of {', '.join(BY_ENSEMBLE)}, not {ensemble!r}")
    chosen = integrator if integrator is not None else BY_ENSEMBLE[ensemble or "nve"]
    if chosen not in INTEGRATORS:
        raise ValueError(
            f"{chosen!r} does not move a file's atoms; did you mean {nearest(chosen, INTEGRATORS)}?"
            f" (known: {', '.join(INTEGRATORS)})"
        )
    return chosen


def _drawn(system: System, integrator: str, n_systems: int, kelvin: tuple[float, ...]) -> bool:
    """Whether velocities are drawn: where the file has none, in nve where a temperature is given,
    and for replicas, each its own."""
    return (
        not system.momenta.any()
        or n_systems > 1
        or (integrator not in THERMOSTATS and bool(kelvin))
    )


def _check_cell(file: str, system: System, integrator: str) -> None:
    """Raise ValueError if periodic directions have no extent, or a cell that is to move is open."""
    if integrator == "npt" and not all(system.pbc):
        raise ValueError(
            f"npt needs a cell that is periodic in all directions; that of {file} is not"
        )
    if any(system.pbc):
        vectors = (np.zeros((3, 3)) if system.cell is None else system.cell)[list(system.pbc)]
        sizes = np.linalg.norm(vectors, axis=-1)
        extent = np.linalg.det(vectors @ vectors.T) ** 0.5 if sizes.all() else 0.0
        if not extent > 1e-6 * sizes.prod():
            raise ValueError(
                f"the cell of {file} has no volume along its periodic directions; give it lattice"
                " vectors, or take pbc off"
            )
