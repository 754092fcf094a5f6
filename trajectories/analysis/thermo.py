"""Degrees of freedom, and temperatures and pressures of frames."""

import numpy as np

from systems.units import METAL
from trajectories.analysis.blocks import blocks
from trajectories.analysis.known import Known
from trajectories.storage.h5md import H5MDReader

# of the whole kinetic energy, below which there is no motion about the centre but that of rounded
# velocities
_ROUNDING = 1e-24
# times its share of the kinetic energy, from which on the centre of mass does more than jitter
_DRIFTING = 10.0


def degrees_of(run: H5MDReader, known: Known) -> tuple[int, bool]:
    """Number of thermal degrees of freedom, and whether the centre of mass's motion is left out of
    them.

    It is taken out of both the count and the kinetic energy, or of neither. Of our runs, unless
    ``known.n_degrees`` says else, they are the 3 n - 3 of motions about the centre, whose mean
    kinetic energy is (3 n - 3) kB T / 2 whether or not a thermostat acts on the centre too. Where
    particles are held, or something else than 3 n - 3 is known to be free, all motion counts: three
    a particle that is not held. Files of other programs do not tell; as in ASE all motion counts
    there, unless the centre moves with more than heat.
    """
    n = run.n_particles
    every = 3 * (n - len(run.frozen)) if known.n_degrees is None else known.n_degrees
    if run.frozen or n == 1:
        return every, False
    if "imported" in run.provenance:
        return (every - 3, True) if moves_as_a_whole(run, every) else (every, False)
    degrees = 3 * n - 3 if known.n_degrees is None else known.n_degrees
    return degrees, degrees == 3 * n - 3


def moves_as_a_whole(run: H5MDReader, n_degrees: int) -> bool:
    """Whether the centre of mass has ten times its share of the heat in the first frame with
    velocities: it drifts."""
    moving = np.flatnonzero(run.moving)
    if not len(moving) or n_degrees <= 3:
        return False
    v = run.frames("velocity", int(moving[0])).reshape(-1, run.n_particles, 3)
    drift = np.einsum("n,sna->sa", run.masses / run.masses.sum(), v)
    of_center = run.masses.sum() * (drift**2).sum()
    about = np.einsum("n,sna->", run.masses, (v - drift[:, None]) ** 2)
    return bool(of_center / 3 > _DRIFTING * about / (n_degrees - 3))


def temperatures(run: H5MDReader, known: Known) -> np.ndarray | None:
    """Temperatures of all frames, [frames] or [frames, n_systems], in kelvin; None without
    velocities, or if some masses are unknown."""
    kinetic = run.observable("kinetic_energy")
    if kinetic is None or "masses" in run.missing:
        return None
    degrees, about_center = degrees_of(run, known)
    if about_center:
        about = kinetic_energies(run)[0].reshape(kinetic.shape)
        kinetic = np.where(about < _ROUNDING * kinetic, 0.0, about)
    return np.asarray(2.0 * kinetic / (degrees * METAL.boltzmann))


def pressures(run: H5MDReader, known: Known) -> np.ndarray | None:
    """Pressures of all frames, [frames] or [frames, n_systems], in eV / Angstrom^3; without the
    centre of mass's motion if the temperature is."""
    pressure = run.observable("pressure")
    if pressure is None or not run.has_velocities or not degrees_of(run, known)[1]:
        return pressure
    volumes = abs(np.linalg.det(run.cells)).reshape(len(run), -1)
    return np.asarray(
        pressure - (2.0 / 3.0 * kinetic_energies(run)[1] / volumes).reshape(pressure.shape)
    )


def kinetic_energies(run: H5MDReader) -> tuple[np.ndarray, np.ndarray]:
    """Kinetic energies of the motion about the centre of mass, and of the centre, [frames,
    n_systems] each; velocities are read in blocks."""
    about, of_center = np.empty((2, len(run), run.n_systems or 1))
    total = run.masses.sum()
    for where, v in blocks(run, "velocity"):
        drift = np.einsum("n,fsna->fsa", run.masses / total, v)
        about[where] = 0.5 * np.einsum("n,fsna->fs", run.masses, (v - drift[:, :, None]) ** 2)
        of_center[where] = 0.5 * total * (drift**2).sum(-1)
    return about, of_center
