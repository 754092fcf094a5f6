"""From options to the configuration of a rollout of a file's atoms: every option is checked here,
before anything runs or is written."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mcegnn.interfaces import named
from mcegnn.names import nearest
from mcegnn.runs.times import FRAMES, Times, every_of, steps_of
from mcegnn.simulation.atoms import BY_ENSEMBLE, INTEGRATORS, THERMOSTATS, AtomsRun
from systems.observables import center_velocity, kinetic_energy
from systems.quantities import duration, force, pressure, rate, temperature
from systems.sources import template
from systems.sources.atoms import Structure, read
from systems.sources.file_options import FileOptions
from systems.system import System
from systems.units import METAL

_FORCES = ("calculator", "model", "potential")
_HYDROGEN = 4.0  # u: what is lighter vibrates fast
_STEPS = 1000
_RELAXED = 0.05  # eV / Angstrom, the largest force that is left by --relax
_BEAM = 10.0  # times its share of the kinetic energy: the centre of mass moves by more than heat


def atoms_run(
    file: str, integrator: str | None, times: Times, options: Mapping[str, Any]
) -> tuple[AtomsRun, list[str]]:
    """The configuration asked for, and warnings.

    Raises ValueError or RuntimeError, in one sentence, if it cannot be.
    """
    chosen = _integrator(integrator, options)
    check_forces(file, options)
    said = FileOptions.parse(
        units=options.get("units"), format=options.get("format"), masses=options.get("masses")
    )
    structure = read(file, said)
    light = _is_light(structure)
    dt, n_steps = _steps(times, light)
    held = _held(chosen, options)
    n_systems, seed = _drawing(options)
    _check_atoms(file, structure, chosen)
    ramped = 2 in (len(held["temperature"]), len(held["pressure"]))
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
        draw=_drawn(structure.system, chosen, n_systems, held["temperature"]),
        file_units=said.units,
        file_format=said.format,
        template=template.to_text(template.timeless(structure.atoms)),
        file_masses=options.get("masses", ""),
        assumed=structure.assumed,
        **_limits(options),
        **held,
    )
    _check_thermostat(config)
    if config.potential:
        config = replace(config, potential_digest=named.digest(config.force))
    return config, _warnings(config, structure, light, options)


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


def _warnings(
    config: AtomsRun, structure: Structure, light: bool, options: Mapping[str, Any]
) -> list[str]:
    """What users should know of the run that they have asked for."""
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


def _limits(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a committee's models may disagree by; ValueError if there is no committee."""
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
    """ValueError unless exactly one of the options names forces."""
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


def _held(integrator: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Temperature and pressure, and how they are held; ValueError for an option that the integrator
    does not take, or that it lacks."""
    kelvin = _ramp(options.get("temperature"), "--temperature", temperature)
    outside = _ramp(options.get("pressure"), "--pressure", pressure)
    takes = {
        "pressure": ("npt",),
        "flexible": ("npt",),
        "friction": ("langevin-baoab", "npt"),
        "period": ("nose-hoover", "npt"),
    }
    for name, those in takes.items():
        if options.get(name) is not None and integrator not in those:
            where = " or ".join(
                {"npt": "--ensemble npt", "langevin-baoab": "--ensemble nvt"}.get(
                    one, f"--integrator {one}"
                )
                for one in those
            )
            raise ValueError(f"--{name} goes with {where}, not with {integrator}")
    if integrator in THERMOSTATS and not kelvin:
        raise ValueError(f'{integrator} holds a temperature: give --temperature "300 K"')
    if integrator in ("nose-hoover", "npt") and not all(kelvin):
        raise ValueError(
            f"{integrator} holds a temperature above zero, not {options['temperature']!r}"
        )
    if integrator not in THERMOSTATS and len(kelvin) > 1:
        raise ValueError(
            f"{integrator} holds no temperature, so none can be ramped; add --ensemble nvt"
        )
    if integrator == "npt" and not outside:
        raise ValueError('npt holds a pressure: give --pressure "1 bar"')
    ps = METAL.convert(1.0, "ps")
    period = (
        (1.0 if integrator == "npt" else 0.1) * ps
        if options.get("period") is None
        else duration(options["period"], METAL, "--period")
    )
    friction = (
        1.0 / ps
        if options.get("friction") is None
        else rate(options["friction"], METAL, "--friction")
    )
    return {"temperature": kelvin, "pressure": outside, "period": period, "friction": friction}


def _ramp(text: str | None, what: str, read: Callable[[str, str], float]) -> tuple[float, ...]:
    """None, one, or the two numbers of "10 K to 300 K"."""
    return () if text is None else tuple(read(part, what) for part in text.split(" to ", 1))


def _drawn(system: System, integrator: str, n_systems: int, kelvin: tuple[float, ...]) -> bool:
    """Whether velocities are drawn: where the file has none, in nve where a temperature is given,
    and for replicas, each its own."""
    return (
        not system.momenta.any()
        or n_systems > 1
        or (integrator not in THERMOSTATS and bool(kelvin))
    )


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


def _check_cell(file: str, system: System, integrator: str) -> None:
    """ValueError if periodic directions have no extent, or the cell that is to move is open."""
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
