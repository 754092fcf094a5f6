"""How atoms move: displacement and diffusion, velocity autocorrelation and the vibrational spectrum, as numbers and curves."""

from collections.abc import Callable

import numpy as np

from systems.units import METAL
from trajectories.analysis import correlation
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.thermo import time_axis
from trajectories.h5md import H5MDReader

_SQUARE_METERS = 1e-8  # a second, in one Angstrom^2 / ps
_STRETCH = 4000.0  # 1/cm, above which there are no vibrations
_CENTIMETERS = 33.35640951981521  # 1/cm in one cycle per ps


def displacement(run: H5MDReader, groups: dict[str, np.ndarray], n_lags: int, found: Analysis, told: Callable[[str, float], None]) -> None:
    """Mean squared displacements of groups of particles, and the diffusion coefficients of those that diffuse."""
    times = time_axis(run)[1]
    lags = (times[1] - times[0]) * np.arange(n_lags + 1)
    msd = correlation.mean_squared_displacement(run, groups, n_lags, told=lambda n: told("displacements", n / len(run)))
    length, time = run.units.length, time_axis(run)[0].unit
    unit = f"{length}^2" if length else ""
    per = f"{unit}/{time}" if time else ""
    for name, group in groups.items():
        try:
            told("diffusion", 0.0)
            d = correlation.diffusion(run, group)
        except ValueError as error:
            found.notes.append(f"no diffusion coefficient: {error}")
            break
        scale = run.times[1] / times[1] if times[1] else 1.0  # from the run's unit of time to the one that is shown
        of = "" if len(groups) == 1 else f" of {name}"
        if not 0.8 < d.power < 1.2:
            found.notes.append(
                f"no diffusion coefficient{of}: the displacement grows with the power {d.power:.2g} of time and not with the first, so "
                + ("the particles do not diffuse" if d.power < 0.8 else "the frames end before they diffuse")
            )
            continue
        value, interval = d.coefficient * scale, None if d.interval is None else d.interval * scale
        if run.units is METAL:
            value, interval, per = value * _SQUARE_METERS, None if interval is None else interval * _SQUARE_METERS, "m^2/s"
        note = f"95 % interval; slope between lags of {d.begin / scale:.3g} and {d.end / scale:.3g} {time}".rstrip()
        found.numbers.append(Number(f"diffusion_{name}", f"diffusion coefficient{of}", value, per, interval, note))
    shown = {name: values.mean(1) for name, values in msd.items()}
    said = ", ".join(f"{name} {values[-1]:.3g} {unit}".rstrip() for name, values in shown.items())
    found.curves.append(
        Curves(
            "msd", "Mean squared displacement", Axis("lag", time), lags, Axis("displacement", unit), shown, f"At the longest lag: {said}."
        )
    )


def vibrations(run: H5MDReader, groups: dict[str, np.ndarray], n_lags: int, found: Analysis, told: Callable[[str, float], None]) -> None:
    """Velocity autocorrelation, and in metal units the vibrational density of states, with what to doubt in it."""
    axis, times = time_axis(run)
    spacing = float(times[1] - times[0])
    vacf = correlation.velocity_autocorrelation(run, groups, n_lags, run.masses, told=lambda n: told("velocities", n / len(run)))
    means = {name: values.mean(1) for name, values in vacf.items() if values[0].mean() > 0}
    if not means:
        found.notes.append("no velocity autocorrelation: nothing moves")
        return
    shown = {name: values / values[0] for name, values in means.items()}
    lags = spacing * np.arange(n_lags + 1)
    first = next(iter(shown.values()))
    crossing = np.flatnonzero(first <= 0)
    said = f"It first passes zero at {lags[crossing[0]]:.3g} {axis.unit}.".replace(" .", ".") if len(crossing) else "It stays above zero."
    found.curves.append(
        Curves("vacf", "Velocity autocorrelation", Axis("lag", axis.unit), lags, Axis("mass-weighted, relative"), shown, said)
    )
    if run.units is METAL:
        found.curves.append(_spectrum(means, spacing, n_lags))
        found.notes += _doubts(run, spacing, n_lags)


def _spectrum(means: dict[str, np.ndarray], spacing: float, n_lags: int) -> Curves:
    """The vibrational density of states of each group, in units of the first one's highest peak."""
    spectra = {}
    for name, values in means.items():
        frequencies, spectra[name] = correlation.spectrum(values, spacing)
    numbers = frequencies * _CENTIMETERS
    within = numbers <= _STRETCH
    total = next(iter(spectra.values()))
    tops = ", ".join(f"{top:.0f}" for top in peaks(numbers, total)[:6])
    said = f"Highest peaks at {tops} 1/cm; a line is {_CENTIMETERS / (n_lags * spacing):.2g} 1/cm wide."
    shown = {name: power[within] / total[within].max() for name, power in spectra.items()}
    axis = Axis("wavenumber", "1/cm")
    return Curves("spectrum", "Vibrational density of states", axis, numbers[within], Axis("power, relative"), shown, said)


def _doubts(run: H5MDReader, spacing: float, n_lags: int) -> list[str]:
    """What makes lines of the spectrum appear where no vibration is."""
    said = []
    turns = 0.0 if any(run.pbc) else turning(run) * METAL.convert(1.0, "ps") * _CENTIMETERS
    if turns * n_lags * spacing > _CENTIMETERS:  # more than the width of a line
        said.append(f"the particles turn as a whole, which splits lines of the spectrum in two, up to {turns:.2g} 1/cm to either side")
    highest = 0.5 * _CENTIMETERS / spacing
    if highest < _STRETCH:
        said.append(
            f"frames are {1000 * spacing:.3g} fs apart, so vibrations above {highest:.0f} 1/cm appear at lower wavenumbers; keep frames "
            "more often"
        )
    return said


def turning(run: H5MDReader) -> float:
    """How often per unit of time the particles turn as a whole in the first frame; of an ensemble the mean."""
    found = []
    shape = (-1, run.n_particles, 3)
    for x, v in zip(run.frames("position", 0).reshape(shape), run.frames("velocity", 0).reshape(shape), strict=True):
        masses = run.masses[:, None]
        away = x - (masses * x).sum(0) / masses.sum()
        inertia = (masses * away**2).sum() * np.eye(3) - (masses * away).T @ away
        angular = (masses * np.cross(away, v)).sum(0)
        # what lies on a line does not turn about it
        found.append(np.linalg.norm(np.linalg.pinv(inertia, rcond=1e-6) @ angular))
    return float(np.mean(found)) / (2.0 * np.pi)


def peaks(x: np.ndarray, power: np.ndarray, least: float = 0.02) -> np.ndarray:
    """Where a spectrum has its peaks, those highest first that rise by ``least`` of the highest above what is beside them."""
    from scipy.signal import find_peaks

    where, shape = find_peaks(power, prominence=least * power.max())
    return x[where[np.argsort(-power[where])]] if len(shape) else x[:0]
