"""The solar system against JPL: 100 start dates, ten years with and without relativity, 34 bodies
with and without J2."""

import math
import os
from pathlib import Path

import numpy as np
from record import Row

from integrators.ensembles import yoshida_8
from integrators.relativity import PostNewtonian
from integrators.state import State
from systems.sources import ephemeris
from systems.sources.solar import J2000, SolarSystem, read_bodies
from systems.system import System
from systems.units import ASTRONOMICAL
from trajectories.forecast import displacement_error
from trajectories.rollout import rollout

KM = ASTRONOMICAL.convert(1.0, "km")
THOUSAND_HALF_HOURS = 1000 * 1800 / 86400
NOT_IN_PAPER = ("Pluto", "Charon", "Phobos", "Deimos", "Ceres", "Vesta", "Eris")


def end(solar: SolarSystem, days: float, *, relativity: bool, oblate: bool = True) -> System:
    """The system after ``days``, by Yoshida-8 at its default step."""
    term = (
        PostNewtonian(solar.star, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)
        if relativity
        else None
    )
    n_steps = math.ceil(days / solar.default_time_step())
    flow = yoshida_8(solar.gravity(oblate=oblate), relativity=term)
    *_, last = rollout(flow, State(solar.system), days / n_steps, n_steps, n_steps)
    return last.system


def dates(*, relativity: bool) -> np.ndarray:
    """Mean error of each of 100 start dates from 1990 to 2050, 1,000 half hours ahead, in the
    metric of arXiv 2309.03139."""
    errors = []
    for epoch in np.linspace(
        ephemeris.julian_day("1990-01-01"), ephemeris.julian_day("2050-01-01"), 100
    ):
        solar = ephemeris.solar_system(float(epoch))
        true, _ = ephemeris.states(float(epoch), THOUSAND_HALF_HOURS)
        predicted = end(solar, THOUSAND_HALF_HOURS, relativity=relativity).positions
        errors.append(displacement_error(predicted, true * KM, solar.system.positions).mean())
    return np.array(errors)


def ten_years(*, relativity: bool) -> dict[str, float]:
    """Kilometres from DE440 of each body after ten Julian years from J2000."""
    solar = ephemeris.solar_system(J2000)
    true, _ = ephemeris.states(J2000, 3652.5)
    km = np.linalg.norm(end(solar, 3652.5, relativity=relativity).positions / KM - true, axis=-1)
    return dict(zip(solar.names, map(float, km), strict=True))


def moons(data: Path, *, relativity: bool, oblate: bool) -> float:
    """Error of 27 bodies after 19.59 days in the same metric, all 34 bodies rolled out."""
    start, truth = (
        read_bodies(data / "bodies_j2000.csv"),
        read_bodies(data / "bodies_jd2451564.587154910.csv"),
    )
    true = truth.system.positions[[truth.names.index(name) for name in start.names]]
    predicted = end(start, 19.587154910, relativity=relativity, oblate=oblate).positions
    kept = [k for k, name in enumerate(start.names) if name not in NOT_IN_PAPER]
    return float(displacement_error(predicted, true, start.system.positions)[kept].mean())


def measure() -> list[Row]:
    """Rows of the solar system."""
    newton, relative = ten_years(relativity=False), ten_years(relativity=True)
    rows = [
        Row(
            "planets and Moon from DE440, 20.83 days, 100 dates in 1990-2050, mean error with"
            " relativity (without)",
            f"{dates(relativity=True).mean():.1e} ({dates(relativity=False).mean():.1e})",
            "at most 3e-15",
        ),
        Row(
            "Mercury after ten years, without and with relativity, km; ratio",
            f"{newton['Mercury']:.0f}, {relative['Mercury']:.2f};"
            f" {newton['Mercury'] / relative['Mercury']:.0f}",
            "at least 100",
        ),
        Row(
            "ten years without relativity, km from DE440",
            ", ".join(f"{name} {km:.1f}" for name, km in newton.items()),
        ),
        Row(
            "ten years with relativity, km from DE440",
            ", ".join(f"{name} {km:.1f}" for name, km in relative.items()),
        ),
    ]
    folder = os.environ.get("MCEGNN_DATA")
    if folder:
        for relativity in (False, True):
            how = "with" if relativity else "without"
            errors = [
                moons(Path(folder) / "solar", relativity=relativity, oblate=oblate)
                for oblate in (False, True)
            ]
            figure = f"{errors[0]:.1e} without J2, {errors[1]:.1e} with"
            rows.append(
                Row(
                    f"34 bodies, 19.59 days, 27 scored, {how} relativity",
                    figure,
                    "5e-6 without J2, 1e-9 with",
                )
            )
    return rows
