"""Everything that there is to say of a run: which analyses fit it, and what was left out and why."""

from collections.abc import Callable

import numpy as np

from systems.units import ASTRONOMICAL, METAL
from trajectories.analysis import correlation, structure
from trajectories.analysis.encounters import encounter_curves
from trajectories.analysis.orbits import orbit_curves
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.thermo import Known, conserved, matter, time_axis
from trajectories.forecast import ForecastError, distance_to_jpl, forecast_error
from trajectories.h5md import H5MDReader

_KINDS = 4  # elements that are told apart
_FEWEST = 32  # frames that a spectrum takes
_SQUARE_METERS = 1e-8  # a second, in one Angstrom^2 / ps
_STRETCH = 4000.0  # 1/cm, above which there are no vibrations
_CENTIMETERS = 33.35640951981521  # 1/cm in one cycle per ps


def analyse(
    run: H5MDReader, known: Known | None = None, *, against: H5MDReader | None = None, tolerance: float = 0.1, select: str | None = None,
    told: Callable[[str, float], None] = lambda what, share: None,
) -> Analysis:  # fmt: skip
    """Numbers, curves, warnings and notes of a run; frames are read in blocks, so it may be larger than memory.

    ``against`` is a reference whose distance is told, with the time it stays below ``tolerance``; ``select``, in MDAnalysis' language,
    the atoms whose correlations and surroundings are looked at. ``told`` hears what is being done and how far it is. Raises ValueError
    for a run without frames, a selection that matches nothing, and runs that cannot be compared.
    """
    if not len(run):
        raise ValueError(f"{run.path} holds no frames yet")
    known, found = known or Known(), Analysis()
    chosen = None if select is None else selected(run, select)
    if against is not None:
        told("comparing", 0.0)
        found.forecast = forecast_error(run, against)
        found.curves.append(forecast_curves(found.forecast, run, tolerance, found))
    if len(run) == 1:
        found.notes.append("it is a single frame: nothing that takes time is computed")
    if "masses" in run.missing:
        found.notes.append("atoms whose mass the files do not tell have one of 1 u")
    told("what is conserved", 0.0)
    if run.has_velocities:
        conserved(run, known, found)
    else:
        found.notes.append("no conserved quantities, velocity autocorrelation or spectrum: the frames hold no velocities")
    matter(run, known, found)
    if run.units is ASTRONOMICAL:
        _planets(run, known, found)
    elif run.units is METAL or any(run.pbc):
        _atoms(run, chosen, found, told)
    else:
        numbers, curves = ([], []) if run.n_particles < 2 or any(run.pbc) else encounter_curves(run)
        found.numbers += numbers
        found.curves += curves if len(run) > 1 else []
    return found


def selected(run: H5MDReader, select: str) -> np.ndarray:
    """Particles of one system that a selection in MDAnalysis' language matches; ValueError where it matches none or is none."""
    u = run.universe()
    try:
        matched = u.atoms[: run.n_particles].select_atoms(select).indices
    except Exception as error:
        raise ValueError(f"{select!r} is no selection that MDAnalysis understands ({' '.join(str(error).split())})") from None
    finally:
        u.trajectory.close()
    if not len(matched):
        raise ValueError(f'the selection {select!r} matches no particle; elements are chosen by "element O", numbers by "index 0:9"')
    return np.asarray(matched)


def _planets(run: H5MDReader, known: Known, found: Analysis) -> None:
    if run.n_particles > 1 and run.has_velocities and len(run) > 1:
        found.curves += orbit_curves(run, known.parents)
    if known.epoch is None:
        return
    try:
        found.jpl = distance = distance_to_jpl(run, known.epoch, [known.parents.get(name, "") for name in run.names])
    except (RuntimeError, ValueError) as error:
        found.notes.append(f"no comparison with JPL: {error}")
        return
    last = distance.kilometers[-1]
    for name, km in zip(distance.names, last, strict=True):
        found.numbers.append(Number(f"from_jpl_{name}", f"{name}, from JPL DE440 at the end", float(km), "km"))
    if len(distance.times) > 1:
        said = f"At the end {last.min():.3g} km ({distance.names[last.argmin()]}) to {last.max():.3g} km ({distance.names[last.argmax()]})."
        values = dict(zip(distance.names, np.where(distance.kilometers > 0, distance.kilometers, np.nan).T, strict=True))
        axis = Axis("distance", "km", True)
        found.curves.append(Curves("jpl", "Distance to JPL DE440", Axis("time", "years"), distance.times / 365.25, axis, values, said))


def _atoms(run: H5MDReader, chosen: np.ndarray | None, found: Analysis, told: Callable[[str, float], None]) -> None:
    groups = _groups(run, chosen)
    moving = {name: group for name, group in groups.items() if len(group)}
    periodic = all(run.pbc) and bool(run.cells.any())
    if run.n_particles > 1:
        told("distances", 0.0)
        own = None if chosen is None else {"selection": chosen}
        curves, every = structure.radial_distributions(run, own, lambda share: told("distances", share))
        found.curves.append(curves)
        if every > 1:
            found.notes.append(f"distances were looked at in one frame of {every}")
        found.curves += structure.bond_curves(run) if chosen is None else []
    if not periodic:
        found.notes.append("no density to compare distances with, and no diffusion: there is no box that is periodic in all directions")
    spacing = np.diff(run.times)
    if len(run) < 3:
        return
    if not np.allclose(spacing, spacing[0], rtol=1e-4):  # other programs keep times in single precision
        found.notes.append("no correlations in time: the frames are not evenly spaced")
        return
    n_lags = correlation.longest_lag(run, len(run))
    if n_lags < len(run) // 2:
        found.notes.append(f"correlations in time end at {n_lags} frames, half of what the run has: more would not fit into memory")
    if periodic:
        _displacement(run, moving, n_lags, found, told)
    if run.has_velocities and len(run) >= _FEWEST:
        _vibrations(run, moving, n_lags, found, told)


def _groups(run: H5MDReader, chosen: np.ndarray | None) -> dict[str, np.ndarray]:
    """All particles, and each element where there are several; without frozen ones, which do not move."""
    frozen = set(run.frozen)
    if chosen is not None:
        groups = {"selection": chosen}
    else:
        kinds = structure.kinds(run)
        groups = dict(list(kinds.items())[:_KINDS])
        if len(kinds) > 1:
            groups = {"all": np.arange(run.n_particles), **groups}
    return {name: np.array([k for k in group if k not in frozen], dtype=int) for name, group in groups.items()}


def _displacement(run: H5MDReader, groups: dict[str, np.ndarray], n_lags: int, found: Analysis, told: Callable[[str, float], None]) -> None:
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


def _vibrations(run: H5MDReader, groups: dict[str, np.ndarray], n_lags: int, found: Analysis, told: Callable[[str, float], None]) -> None:
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
    if run.units is not METAL:
        return
    spectra = {}
    for name, values in means.items():
        frequencies, power = correlation.spectrum(values, spacing)
        spectra[name] = power
    numbers = frequencies * _CENTIMETERS
    within = numbers <= _STRETCH
    total = next(iter(spectra.values()))
    tops = peaks(numbers, total)
    said = (
        f"Highest peaks at {', '.join(f'{top:.0f}' for top in tops[:6])} 1/cm; a line is {_CENTIMETERS / (n_lags * spacing):.2g} 1/cm wide."
    )
    scale = total[within].max()
    found.curves.append(
        Curves("spectrum", "Vibrational density of states", Axis("wavenumber", "1/cm"), numbers[within], Axis("power, relative"),
               {name: power[within] / scale for name, power in spectra.items()}, said)
    )  # fmt: skip
    turns = 0.0 if any(run.pbc) else turning(run) * METAL.convert(1.0, "ps") * _CENTIMETERS
    if turns * n_lags * spacing > _CENTIMETERS:  # more than the width of a line
        said = f"up to {turns:.2g} 1/cm to either side"
        found.notes.append(f"the particles turn as a whole, which splits lines of the spectrum in two, {said}")
    if 0.5 * _CENTIMETERS / spacing < _STRETCH:
        highest = f"{0.5 * _CENTIMETERS / spacing:.0f} 1/cm"
        found.notes.append(
            f"frames are {1000 * spacing:.3g} fs apart, so vibrations above {highest} appear at lower wavenumbers; keep frames more often"
        )


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


def forecast_curves(error: ForecastError, run: H5MDReader, tolerance: float, found: Analysis) -> Curves:
    """Distance to a reference against time; its numbers go into ``found``."""
    length = run.units.length
    last, valid = error.errors[-1], error.valid_time(tolerance)
    axis, times = time_axis(run)
    scale = times[-1] / run.times[-1] if run.times[-1] else 1.0
    until = float(np.median(valid)) * scale
    note = "" if run.n_systems is None else "median over systems"
    found.numbers.append(Number("forecast_error", "error of positions at the end", float(np.median(last)), length, note=note))
    found.numbers.append(Number("valid_time", f"within {tolerance:g} {length}".rstrip() + " for", until, axis.unit, note=note))
    columns = np.where(error.errors > 0, error.errors, np.nan)
    values = (
        {"": columns[:, 0]}
        if columns.shape[1] == 1
        else dict(zip(("median", "lowest tenth", "highest tenth"), np.nanquantile(error.errors, [0.5, 0.1, 0.9], 1), strict=True))
    )
    said = f"{np.median(last):.3g} {length}".rstrip() + f" at the end; within {tolerance:g} until {until:.4g} {axis.unit}".rstrip() + "."
    return Curves("forecast", "Distance to the reference", axis, error.times * scale, Axis("error", length, True), values, said,
                  marks={"valid": until})  # fmt: skip
