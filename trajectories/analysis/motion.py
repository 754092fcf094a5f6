"""Motion of atoms: displacement and diffusion, velocity autocorrelation and the vibrational
spectrum, as numbers and curves."""

from collections.abc import Callable

import numpy as np

from systems.units import METAL
from trajectories.analysis import correlation
from trajectories.analysis.blocks import spacing
from trajectories.analysis.diffusion import Diffusion, diffusion
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.time_series import time_axis
from trajectories.storage.h5md import H5MDReader

_SQUARE_METERS = 1e-8  # a second, in one Angstrom^2 / ps
_STRETCH = 5000.0  # 1/cm, above which there are no vibrations: H2 has 4,401
_POWERS = (0.8, 1.2)  # of time, with which displacements of what diffuses grow
_PARTS = (0.6, 1.4)  # the same over half of the lags, where noise is more
_STILL = 0.25  # power of time below which a displacement grows no more, as where atoms rattle
_HOPS = 0.3  # of the mean distance of particles, as far as what diffuses has come
_CENTIMETERS = 33.35640951981521  # 1/cm in one cycle per ps


def displacement(
    run: H5MDReader,
    groups: dict[str, np.ndarray],
    n_lags: int,
    found: Analysis,
    told: Callable[[str, float], None],
) -> None:
    """Mean squared displacements of groups of particles, and the diffusion coefficients of those
    that diffuse."""
    (axis, times), center = time_axis(run), not run.frozen and run.n_particles > 1
    msd = correlation.mean_squared_displacement(
        run, groups, n_lags, told=lambda n: told("displacements", n / len(run)), about_center=center
    )
    if center:
        found.notes.append("displacements and velocities are those about the centre of mass")
    for name, group in groups.items():
        told("diffusion", 0.0)
        try:
            d = diffusion(run, group, about_center=center)
        except ValueError as error:
            found.notes.append(f"no diffusion coefficient: {error}")
            break
        _add_diffusion(run, name, "" if len(groups) == 1 else f" of {name}", d, found)
    unit = f"{run.units.length}^2" if run.units.length else ""
    lags = spacing(times) * np.arange(n_lags + 1)
    shown = {name: values.mean(1) for name, values in msd.items()}
    each = ", ".join(f"{name} {values[-1]:.3g} {unit}".rstrip() for name, values in shown.items())
    lag, moved, said = (
        Axis("lag", axis.unit),
        Axis("displacement", unit),
        f"At the longest lag: {each}.",
    )
    found.curves.append(Curves("msd", "Mean squared displacement", lag, lags, moved, shown, said))


def _add_diffusion(run: H5MDReader, name: str, of: str, d: Diffusion, found: Analysis) -> None:
    """Add a diffusion coefficient in the units that are shown, or why there is none."""
    axis, times = time_axis(run)
    # from the run's unit of time to the one that is shown
    scale = float(np.ptp(run.times) / np.ptp(times))
    window = f"lags of {d.begin / scale:.3g} to {d.end / scale:.3g} {axis.unit}".rstrip()
    if doubt := _no_diffusion(run, d):
        found.notes.append(f"no diffusion coefficient{of} from {window}: {doubt}")
        return
    value, interval = d.coefficient * scale, None if d.interval is None else d.interval * scale
    length = run.units.length
    unit = f"{length}^2" if length else ""
    per = f"{unit}/{axis.unit}" if axis.unit else ""
    if run.units is METAL:
        value, per = value * _SQUARE_METERS, "m^2/s"
        interval = None if interval is None else interval * _SQUARE_METERS
    note = f"slope over {window}" if interval is None else f"95 % interval; slope over {window}"
    label = f"diffusion coefficient{of}"
    found.numbers.append(Number(f"diffusion_{name}", label, value, per, interval, note))


def _no_diffusion(run: H5MDReader, d: Diffusion) -> str:
    """Why the particles do not diffuse between these lags; nothing where they do."""
    first, then = (round(power, 1) + 0.0 for power in d.powers)  # no minus before zero
    powers = (
        f"(their squared displacement grows as time to the {first}, then to the {then}; in"
        " diffusion to the 1)"
    )
    if max(d.powers) < _STILL:
        return "the particles do not diffuse: their squared displacement has stopped growing"
    if d.power < _POWERS[0] or min(d.powers) < _PARTS[0]:
        return f"the particles do not diffuse {powers}"
    if d.power > _POWERS[1] or max(d.powers) > _PARTS[1]:
        return f"the frames end before the particles diffuse {powers}"
    between = float(np.mean(abs(np.linalg.det(run.cells.reshape(-1, 3, 3)))) / run.n_particles) ** (
        1 / 3
    )
    if d.displacement < (_HOPS * between) ** 2:
        return (
            f"the particles move by less than {_HOPS:g} of their mean distance, as they do where"
            " they only rattle"
        )
    return ""


def vibrations(
    run: H5MDReader,
    groups: dict[str, np.ndarray],
    n_lags: int,
    found: Analysis,
    told: Callable[[str, float], None],
) -> None:
    """Velocity autocorrelation, and in metal units the vibrational density of states, with notes on
    its artefacts."""
    axis, times = time_axis(run)
    apart = spacing(times)
    weights = None if "masses" in run.missing else run.masses
    vacf = correlation.velocity_autocorrelation(
        run,
        groups,
        n_lags,
        weights,
        told=lambda n: told("velocities", n / len(run)),
        about_center=not run.frozen and run.n_particles > 1,
    )
    means = {name: values.mean(1) for name, values in vacf.items() if values[0].mean() > 0}
    if not means:
        found.notes.append("no velocity autocorrelation: nothing moves")
        return
    shown = {name: values / values[0] for name, values in means.items()}
    lags = apart * np.arange(n_lags + 1)
    first = next(iter(shown.values()))
    crossing = np.flatnonzero(first <= 0)
    said = (
        f"It first passes zero at {lags[crossing[0]]:.3g} {axis.unit}.".replace(" .", ".")
        if len(crossing)
        else "It stays above zero."
    )
    found.curves.append(
        Curves(
            "vacf",
            "Velocity autocorrelation",
            Axis("lag", axis.unit),
            lags,
            Axis("relative" if weights is None else "mass-weighted, relative"),
            shown,
            said,
        )
    )
    if run.units is METAL:
        found.curves.append(_spectrum(means, apart, n_lags))
        found.notes += _doubts(run, apart, n_lags)


def _spectrum(means: dict[str, np.ndarray], apart: float, n_lags: int) -> Curves:
    """The vibrational density of states of each group, in units of the first one's highest peak."""
    spectra = {}
    for name, values in means.items():
        frequencies, spectra[name] = correlation.spectrum(values, apart)
    numbers = frequencies * _CENTIMETERS
    within = numbers <= _STRETCH
    numbers, spectra = numbers[within], {name: power[within] for name, power in spectra.items()}
    total = next(iter(spectra.values()))
    tops = ", ".join(f"{top:.0f}" for top in peaks(numbers, total)[:6])
    said = f"Highest peaks at {tops} 1/cm" if tops else "No peaks"
    said += f"; a line is {_CENTIMETERS / (n_lags * apart):.2g} 1/cm wide."
    shown = {name: power / total.max() for name, power in spectra.items()}
    axis = Axis("wavenumber", "1/cm")
    return Curves(
        "spectrum",
        "Vibrational density of states",
        axis,
        numbers,
        Axis("power an atom, relative"),
        shown,
        said,
    )


def _doubts(run: H5MDReader, apart: float, n_lags: int) -> list[str]:
    """Notes on causes of lines in the spectrum that are no vibrations."""
    said = []
    turns = 0.0 if any(run.pbc) else turning(run) * METAL.convert(1.0, "ps") * _CENTIMETERS
    if turns * n_lags * apart > _CENTIMETERS:  # more than the width of a line
        said.append(
            "the particles turn as a whole, which splits lines of the spectrum in two, up to"
            f" {turns:.2g} 1/cm to either side"
        )
    highest = 0.5 * _CENTIMETERS / apart
    if highest < _STRETCH:
        said.append(
            f"frames are {1000 * apart:.3g} fs apart, so vibrations above {highest:.0f} 1/cm appear"
            " at lower wavenumbers; keep frames more often"
        )
    return said


def turning(run: H5MDReader) -> float:
    """How often per unit of time the particles turn as a whole in the first frame; of an ensemble
    the mean."""
    found = []
    shape = (-1, run.n_particles, 3)
    for x, v in zip(
        run.frames("position", 0).reshape(shape),
        run.frames("velocity", 0).reshape(shape),
        strict=True,
    ):
        masses = run.masses[:, None]
        away = x - (masses * x).sum(0) / masses.sum()
        inertia = (masses * away**2).sum() * np.eye(3) - (masses * away).T @ away
        angular = (masses * np.cross(away, v)).sum(0)
        # what lies on a line does not turn about it
        found.append(np.linalg.norm(np.linalg.pinv(inertia, rcond=1e-6) @ angular))
    return float(np.mean(found)) / (2.0 * np.pi)


def peaks(x: np.ndarray, power: np.ndarray, least: float = 0.02) -> np.ndarray:
    """Where a spectrum has its peaks, those highest first that rise by ``least`` of the highest
    above what is beside them."""
    from scipy.signal import find_peaks

    where, shape = find_peaks(power, prominence=least * power.max())
    return x[where[np.argsort(-power[where])]] if len(shape) else x[:0]
