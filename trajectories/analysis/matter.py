"""Temperature, energy, pressure and volume of a run of atoms: means, curves against time, and
warnings."""

import numpy as np

from systems.cell import heights
from systems.units import METAL, PASCALS
from trajectories.analysis.conserved import energies_above_last, energy_drift
from trajectories.analysis.known import Known
from trajectories.analysis.results import Analysis, Axis, Curves, Number
from trajectories.analysis.thermo import degrees_of, pressures, temperatures
from trajectories.analysis.time_series import Series, add_mean, over_systems, time_axis
from trajectories.storage.h5md import H5MDReader

# of what it was at the start, the least height beside the cube root of the volume, below which a
# cell has lost its shape
_SHAPE = 0.5


def matter(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Temperature, energy, pressure and volume of a run in metal units; means are over its second
    half."""
    if run.units is not METAL:
        return
    _temperature(run, known, into)
    _energy(run, known, into)
    _pressure(run, known, into)
    _volume(run, known, into)
    _uncertainty(run, known, into)


def _observable(run: H5MDReader, known: Known, name: str) -> np.ndarray | None:
    """An observable of the systems that did not diverge; None if the run has none of that name."""
    values = run.observable(name)
    return None if values is None else _sound(values, known)


def _sound(values: np.ndarray, known: Known) -> np.ndarray:
    """Values [frames, n_systems, ...] of the systems that did not diverge; of all if all
    diverged."""
    return (
        np.delete(values, list(known.lost), axis=1)
        if values.ndim > 1 and 0 < len(known.lost) < values.shape[1]
        else values
    )


def _temperature(run: H5MDReader, known: Known, into: Analysis) -> None:
    kelvin = temperatures(run, known)
    if run.observable("kinetic_energy") is None:
        into.notes.append("no temperature: the frames hold no velocities")
        return
    if kelvin is None:
        into.notes.append("no temperature: the files do not give all masses")
        return
    degrees, about_center = degrees_of(run, known)
    note, values = f"{degrees:,} degrees of freedom", _sound(kelvin, known)
    series = Series("temperature", "Temperature", "K", values, known.temperature, note)
    add_mean(run, known, series, into)
    if "imported" in run.provenance and about_center:
        into.notes.append(
            "the atoms move as a whole, which is no heat: the temperature is that of motion"
            " about the centre of mass"
        )
    if "imported" in run.provenance and known.n_degrees is None:
        into.notes.append(
            "the temperature counts all degrees of freedom: where bonds were constrained, which"
            " files do not tell, it is higher"
        )


def _energy(run: H5MDReader, known: Known, into: Analysis) -> None:
    """The drift of the energy where it should be conserved, else the mean potential energy; of
    frames without velocities, how far above the last they are."""
    potential = _observable(run, known, "potential_energy")
    kinetic = _observable(run, known, "kinetic_energy")
    if potential is None:
        return
    if kinetic is None:
        above = 1000.0 * (potential - potential[-1]).reshape(len(run), -1) / run.n_particles
        energies_above_last(run, above, into)
    elif "energy" in known.conserves:
        total = 1000.0 * (potential + kinetic).reshape(len(run), -1) / run.n_particles
        energy_drift(run, total, known, into)
    else:
        each = potential / run.n_particles
        series = Series("potential_energy", "Potential energy", "eV/atom", each)
        add_mean(run, known, series, into)


def _pressure(run: H5MDReader, known: Known, into: Analysis) -> None:
    pressure, bar = pressures(run, known), PASCALS / 1e5
    if pressure is not None:
        asked = [value * bar for value in known.pressure]
        values = _sound(pressure, known) * bar
        add_mean(run, known, Series("pressure", "Pressure", "bar", values, asked), into)


def _volume(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Where it changes; and whether the cell keeps its shape."""
    cells = _sound(run.cells, known) if run.cells.ndim == 4 else run.cells
    if cells.any() and np.ptp(cells, axis=0).any():
        volumes = abs(np.linalg.det(cells))
        add_mean(run, known, Series("volume", "Volume", "Angstrom^3", volumes), into)
        _shape(cells.reshape(len(cells), -1, 3, 3), into)


def _uncertainty(run: H5MDReader, known: Known, into: Analysis) -> None:
    """Add the disagreement of a committee's members."""
    spread = _observable(run, known, "uncertainty")
    if spread is None:
        return
    (axis, times), unit = time_axis(run), "eV/Angstrom"
    largest, shown = float(spread.max()), Axis("largest disagreement", unit)
    title, said = "Disagreement of the committee", f"At most {largest:.3g} {unit}."
    into.curves.append(Curves("uncertainty", title, axis, times, shown, over_systems(spread), said))
    label = "largest disagreement of the committee"
    into.numbers.append(Number("uncertainty", label, largest, unit))


def _shape(cells: np.ndarray, into: Analysis) -> None:
    """Warn of cells [n_frames, n_systems, 3, 3] that have lost their shape, as a liquid lets a
    flexible one: all images are in the way."""
    if not cells.any((-2, -1)).all() or not (abs(np.linalg.det(cells)) > 0).all():
        return
    first, last = (
        heights(frame).min(-1) / abs(np.linalg.det(frame)) ** (1 / 3)
        for frame in (cells[0], cells[-1])
    )
    if (last < _SHAPE * first).any():
        k = int((last / first).argmin())
        least = [float(heights(frame[k]).min()) for frame in (cells[0], cells[-1])]
        into.warnings.append(
            f"The cell has lost its shape, its least height went from {least[0]:.3g} to"
            f" {least[1]:.3g} Angstrom: a liquid resists no shear, so keep the shape in npt (leave"
            " out --flexible)."
        )
