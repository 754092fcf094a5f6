"""Comets that graze the Sun and bodies that pass planets, with default settings, against REBOUND's
IAS15; ordinary years beside them."""

import os
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from grazers import KM, YEAR, converged, visitors, with_visitor, write
from record import Row, ratio, shown
from typer.testing import CliRunner

from integrators.encounters import Halved
from integrators.ensembles import yoshida_8
from integrators.state import State
from mcegnn.cli.app import app
from systems.sources import ephemeris
from systems.sources.solar import SolarSystem, j2000
from systems.units import ASTRONOMICAL
from trajectories.rollout import rollout
from trajectories.storage.h5md import H5MDReader

_RUNS = 100


def rolled_out(solar: SolarSystem, folder: Path) -> tuple[np.ndarray, str]:
    """Positions after a year by ``mcegnn rollout solar`` with nothing but the bodies and the time,
    and what it warned of."""
    bodies, run = write(solar, folder / "bodies.csv"), folder / "run.h5md"
    command = ["rollout", "solar", "--bodies", bodies, "--time", "1 year", "-o", run, "--force"]
    result = CliRunner().invoke(app, list(map(str, command)))
    if result.exit_code:
        raise RuntimeError(result.stderr)
    with H5MDReader(run) as reader:
        return reader.frames("position", len(reader) - 1), result.stderr


def grazing(folder: Path) -> list[Row]:
    """The hundred visitors."""
    errors, warned, doubt = [], [], []
    for visitor in visitors(_RUNS, 2026):
        solar = with_visitor(visitor)
        true, uncertain = converged(solar)
        found, said = rolled_out(solar, folder)
        errors.append(float(np.linalg.norm(found[-1] - true[-1])) / KM)
        warned.append("Visitor" in said)
        doubt.append(uncertain)
        if errors[-1] > 100 or warned[-1]:
            print(
                f"{visitor.what}: {errors[-1]:.3g} km, warned {warned[-1]}, IAS15 itself"
                f" {uncertain:.2g} km",
                flush=True,
            )
    wrong = [error > 100 for error in errors]
    figure = (
        f"{_RUNS - sum(wrong)} of {_RUNS}; of the rest warned of"
        f" {sum(w and said for w, said in zip(wrong, warned, strict=True))} of {sum(wrong)}; warned"
        f" of {sum(said and not w for w, said in zip(wrong, warned, strict=True))} that are right"
    )
    return [
        Row(
            "comets (q .01 to 1 au) and flybys (10,000 to 1,000,000 km), within 100 km of "
            "IAS15 after a year, default settings",
            figure,
            "90 of 100, all the rest, none",
        ),
        Row(
            "the same, error in km: median, 90 %, largest; IAS15 against itself at a "
            "tenth of its tolerance, largest",
            f"{median(errors):.2g}, {np.quantile(errors, 0.9):.2g}, {max(errors):.3g}; "
            f"{max(doubt):.2g}",
        ),
    ]


def ordinary(folder: Path) -> list[Row]:
    """Sun, planets and Moon from a hundred dates."""
    warned, worst = 0, 0.0
    for epoch in np.linspace(
        ephemeris.julian_day("1800-01-01"), ephemeris.julian_day("2200-01-01"), _RUNS
    ):
        solar = ephemeris.solar_system(float(epoch))
        true, _ = converged(solar)
        found, said = rolled_out(SolarSystem(solar.bodies), folder)
        warned += "warning" in said
        worst = max(worst, float(np.linalg.norm(found - true, axis=1).max()) / KM)
    return [
        Row(
            f"ordinary planets, {_RUNS} dates 1800-2200, a year: warned of; largest error, km",
            f"{warned}; {worst:.2g}",
            "0",
        )
    ]


def times() -> list[Row]:
    """What watching costs, and what a visitor does."""
    solar, gravity = j2000(), ASTRONOMICAL.gravitation
    grazer = with_visitor(next(v for v in visitors(40, 2026) if v.what.startswith("comet, q 0.0")))
    scheme = yoshida_8(solar.gravity())

    def go(flow: object, system: object, years: float) -> object:
        n = round(years * YEAR / 0.5)
        return list(rollout(flow, State(system), 0.5, n, n))  # type: ignore[arg-type]

    plain, watched = (
        (lambda: go(scheme, solar.system, 10.0)),
        (lambda: go(Halved(scheme, gravity), solar.system, 10.0)),
    )
    with_it, without = (
        (lambda: go(Halved(scheme, gravity), grazer.system, 1.0)),
        (lambda: go(scheme, grazer.system, 1.0)),
    )
    for work in (plain, watched, with_it, without):
        work()
    return [
        Row(
            "ten years of planets, watched for encounters over not, speed",
            shown(ratio(watched, plain, 15)),
        ),
        Row(
            "a year of planets and a grazing comet, steps halved over not, speed",
            shown(ratio(with_it, without, 15)),
        ),
    ]


def measure() -> list[Row]:
    """Rows of the planets."""
    os.environ["COLUMNS"] = "300"
    with tempfile.TemporaryDirectory() as name:
        return [*grazing(Path(name)), *ordinary(Path(name)), *times()]
