"""What is easily reported as physics and is none: a wandering centre of mass, a breathing box,
rattling, images across a gap, ramps."""

import io
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrators.state import State
from systems.system import Evaluation, System
from systems.units import METAL, PASCALS, REDUCED
from trajectories.analysis import (
    Analysis,
    Known,
    Number,
    analyse,
    diffusion,
    mean_squared_displacement,
    velocity_autocorrelation,
)
from trajectories.analysis.draw import figure_of
from trajectories.analysis.matter import matter
from trajectories.analysis.results import Axis, Curves
from trajectories.analysis.structure import radial_distribution, radial_distributions
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]
Record = Callable[..., Path]
PICOSECOND = METAL.convert(1.0, "ps")


def states(
    x: np.ndarray,
    cells: np.ndarray,
    pbc: tuple[bool, bool, bool] = (True, True, True),
    v: Any = 0.0,
) -> Iterable[State]:
    """A picosecond apart, each with a cell of its own, [frames, (n_systems,) 3, 3]."""
    for k, (one, cell) in enumerate(zip(x, cells, strict=True)):
        system = System.create(
            one, velocities=np.broadcast_to(v, one.shape), masses=40.0, species=18, units=METAL
        )
        yield State(replace(system, cell=cell, pbc=pbc), k * PICOSECOND, k)


def test_the_center_of_mass_may_wander(written: Written) -> None:
    """Of particles that rattle about places which all drift together only the rattling is seen;
    with unequal masses."""
    stream, n = np.random.default_rng(0), 12
    rattle = 0.1 * stream.normal(size=(400, n, 3))
    masses = stream.uniform(1.0, 50.0, n)
    drift = 0.5 * stream.normal(size=(400, 1, 3)).cumsum(0)
    x = stream.uniform(0, 10, (1, n, 3)) + rattle + drift
    own = rattle - np.einsum("n,fna->fa", masses / masses.sum(), rattle)[:, None]
    with H5MDReader(
        written(x, rattle + drift, species=18, masses=masses, cell=10.0 * np.eye(3))
    ) as run:
        with_drift = mean_squared_displacement(run, {"": np.arange(n)}, 50)[""][50, 0]
        found = mean_squared_displacement(run, {"": np.arange(n)}, 50, about_center=True)[""][:, 0]
        vacf = velocity_autocorrelation(run, {"": np.arange(n)}, 3, about_center=True)[""][:, 0]
        said = analyse(run)
    exact = [((own[lag:] - own[: len(own) - lag]) ** 2).sum(-1).mean() for lag in range(51)]
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)
    assert with_drift > 30 * found[50]
    assert vacf[0] == pytest.approx((own**2).sum(-1).mean())
    assert not any(number.key.startswith("diffusion") for number in said.numbers)
    assert any("do not diffuse" in note for note in said.notes)


def test_a_box_that_breathes_moves_nothing(record: Record) -> None:
    """A lattice that keeps its places in a cell which changes in size and shape has not moved."""
    stream = np.random.default_rng(1)
    fractions = stream.uniform(0, 1, (20, 3)) + stream.integers(-2, 3, (20, 3))
    cells = 12.0 * np.eye(3) + 0.05 * stream.normal(size=(60, 3, 3)).cumsum(0)
    with H5MDReader(record(states(fractions @ cells, cells))) as run:
        still = mean_squared_displacement(run, {"": np.arange(20)}, 20, about_center=True)[""]
        assert mean_squared_displacement(run, {"": np.arange(20)}, 20)[""].max() > 0.1
    assert still.max() < 1e-12


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("ballistic", "the frames end before the particles diffuse"),
        ("rattling", "do not diffuse: their squared displacement has stopped growing"),
        ("bends", "do not diffuse"),
        ("swings", "do not diffuse"),
        ("slow", "less than 0.3 of their mean distance"),
        ("diffusing", ""),
    ],
)
def test_only_what_diffuses_has_a_coefficient(written: Written, kind: str, why: str) -> None:
    stream, n = np.random.default_rng(2), 40
    steps = stream.normal(size=(300, n, 3))
    x = {
        "ballistic": np.arange(300)[:, None, None] * 0.1 * stream.normal(size=(1, n, 3)),
        "rattling": 0.3 * steps,
        # a walk that is pulled back after some ten frames
        "bends": np.zeros_like(steps),
        # ballistic and then back: over all lags the power of time is about one
        "swings": (
            2.0
            * np.sin(
                2 * np.pi * np.arange(300)[:, None, None] / 47 + stream.uniform(0, 6.3, (1, n, 3))
            )
        ),
        "slow": 1e-3 * steps.cumsum(0),
        "diffusing": 0.5 * steps.cumsum(0),
    }[kind]
    if kind == "bends":
        for k in range(1, 300):
            x[k] = 0.9 * x[k - 1] + steps[k]
    with H5MDReader(
        written(
            x + stream.uniform(0, 15, (1, n, 3)), species=18, masses=40.0, cell=15.0 * np.eye(3)
        )
    ) as run:
        found = analyse(run)
        d = diffusion(run, np.arange(n), about_center=True)
    if kind == "swings":
        assert 0.8 < d.power < 1.2
    numbers = [number for number in found.numbers if number.key == "diffusion_Ar"]
    if why:
        assert not numbers
        assert any(
            "no diffusion coefficient from lags of" in note and why in note for note in found.notes
        )
    else:
        assert numbers[0].value == pytest.approx(
            0.5 * 0.5**2 * 1e-8 * (n - 1) / n, abs=3 * (numbers[0].error or 0.0)
        )
        assert d.powers == pytest.approx((1.0, 1.0), abs=0.3)


def test_replicas_each_have_their_own_box(record: Record) -> None:
    """g(r) of two systems in cells of different size is the mean of theirs, and bonds are those of
    the shortest way in each."""
    stream = np.random.default_rng(3)
    cells = np.stack([7.0 * np.eye(3), 11.0 * np.eye(3)])
    x = stream.uniform(0, 1, (4, 2, 30, 3)) @ cells
    everything = np.arange(30)
    both = record(states(x, np.repeat(cells[None], 4, 0)))
    singles = [
        record(states(x[:, s], np.repeat(cells[None, s], 4, 0)), name=f"{s}.h5md") for s in range(2)
    ]
    found = []
    for path in (both, *singles):
        with H5MDReader(path) as run:
            found.append(radial_distribution(run, everything, everything, reach=3.4, n_bins=20)[1])
    np.testing.assert_allclose(found[0], (found[1] + found[2]) / 2, rtol=1e-10)
    assert abs(found[1] - found[2]).max() > 0.1


def test_a_slab_has_no_images_across_the_gap(record: Record) -> None:
    """Periodic in the plane alone: two atoms near the opposite faces of the plane are near, near
    those of the gap they are not."""
    x = np.array([[[0.2, 3.0, 0.2], [7.8, 3.0, 0.2], [0.2, 3.0, 7.9]]] * 2)
    with H5MDReader(
        record(states(x, np.repeat(8.0 * np.eye(3)[None], 2, 0), (True, True, False)))
    ) as run:
        (curves, _), _, _ = radial_distributions(run)
    assert curves.x.max() < 4.0  # half of the plane's cell
    where = curves.x[curves.values["Ar"] > 0]
    np.testing.assert_allclose(where, [0.4], atol=0.03)


def test_distances_are_those_of_the_second_half(written: Written) -> None:
    """The start, a lattice from a file, does not count; what flies apart is seen to the end, and
    the last bin is no peak."""
    x = np.zeros((20, 2, 3))
    x[:10, 1, 0], x[10:, 1, 0] = 1.0, np.linspace(2.0, 40.0, 10)
    with H5MDReader(written(x, species=18, masses=40.0)) as run:
        (curves, _), _, every = radial_distributions(run)
        said = analyse(run).notes
    assert every == 1
    assert curves.x.max() > 40.0
    assert curves.values["Ar"].sum() * (curves.x[1] - curves.x[0]) == pytest.approx(1.0)
    assert curves.values["Ar"][curves.x < 1.5].max() == 0
    assert any("are of the second half of the run" in note for note in said)


def test_systems_that_went_bad_have_no_temperature(written: Written) -> None:
    stream = np.random.default_rng(5)
    v = 0.01 * stream.normal(size=(40, 3, 9, 3))
    v[:, 1] = 0.0
    with H5MDReader(written(stream.normal(size=(40, 3, 9, 3)), v, species=18, masses=40.0)) as run:
        found = analyse(run, Known(lost=[1]))
    about = v - v.mean(2, keepdims=True)  # of equal masses
    kinetic = 0.5 * 40.0 * (about**2).sum((2, 3))
    assert found.number("temperature").value == pytest.approx(
        (2 * kinetic[20:, [0, 2]] / (24 * METAL.boltzmann)).mean()
    )
    assert any("diverged" in note for note in found.notes)


def test_a_fast_vibration_is_on_the_axis(written: Written) -> None:
    """4,401 1/cm, as in hydrogen; and one frame after the other without a peak says so."""
    time = 1e-3 * np.arange(2000)  # ps
    v = np.zeros((2000, 2, 3))
    v[:, 0, 0] = np.cos(2 * np.pi * 4401 / 33.35641 * time)
    v[:, 1, 0] = -v[:, 0, 0]
    with H5MDReader(written(np.zeros_like(v), v, species=1, masses=1.0, spacing=1e-3)) as run:
        found = analyse(run)
    spectrum = found.curve("spectrum")
    assert spectrum.x[spectrum.values["H"].argmax()] == pytest.approx(4401, abs=10)
    assert "Highest peaks at 440" in spectrum.said
    assert spectrum.values["H"].max() == 1.0


@pytest.mark.parametrize(
    ("times", "what"),
    [
        (101990.0 + 0.2 * np.arange(40), ""),
        (np.full(40, 3.0), "not evenly spaced"),
        (np.arange(40.0) ** 1.01, "not evenly spaced"),
    ],
)
def test_times_of_other_programs(record: Record, times: np.ndarray, what: str) -> None:
    """In single precision long after the start; all the same; uneven."""
    stream = np.random.default_rng(6)
    system = System.create(
        stream.normal(size=(4, 3)),
        velocities=stream.normal(size=(4, 3)),
        species=18,
        masses=40.0,
        units=METAL,
    )
    rounded = times.astype(np.float32).astype(float) * PICOSECOND
    with H5MDReader(record(State(system, float(t), k) for k, t in enumerate(rounded))) as run:
        notes = analyse(run).notes
    assert any("not evenly spaced" in note for note in notes) == bool(what)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (94.604, 54.0, "95 ± 54"),
        (4675.8, 19.0, "4676 ± 19"),
        (83117.0, 523.0, "83120 ± 520"),
        (1.8909e-9, 1.2e-10, "1.89e-09 ± 1.2e-10"),
        (30.915, 0.0, "30.915"),
        (-1198.2, 3e-13, "-1198.2"),
        (0.001234, 0.0456, "0.001 ± 0.046"),
        (1.2346e8, 3.0, "123460000 ± 3"),
    ],
)
def test_values_end_where_their_errors_do(value: float, error: float, text: str) -> None:
    assert str(Number("x", "x", value, "", error)) == text
    assert (
        str(Number("x", "x", value, "K", error, least=True))
        == text.replace("± ", "± at least ") + " K"
    )


def test_a_selection_that_changes_nothing_is_told_of(written: Written) -> None:
    x = np.random.default_rng(7).normal(size=(5, 4, 3))
    with H5MDReader(written(x, units=REDUCED, charges=1.0)) as run:
        notes = analyse(run, select="index 0").notes
    assert any("'index 0' changes nothing" in note for note in notes)


def test_axes() -> None:
    """Parity plots are square; an axis is logarithmic only over about a decade; a single point is
    marked."""
    x = np.linspace(-1, 1, 50)
    square = figure_of(
        Curves("p", "P", Axis("a"), x, Axis("b"), {"": 1e-3 * x}, line=False, parity=True)
    ).axes[0]
    assert square.get_xlim() == square.get_ylim()
    assert square.get_aspect() == 1.0
    for top, scale in ((5.0, "linear"), (50.0, "log")):
        axes = figure_of(
            Curves("c", "C", Axis("a"), x, Axis("b", "", True), {"": np.linspace(1, top, 50)})
        ).axes[0]
        assert axes.get_yscale() == scale
    lone = figure_of(
        Curves("c", "C", Axis("a"), x[:2], Axis("b"), {"": np.array([np.nan, 1.0])})
    ).axes[0]
    assert lone.lines[0].get_marker() == "."


@pytest.mark.parametrize("width", [1e-4, 2e-3, 0.5, 300.0])
@pytest.mark.parametrize("middle", [1.09, 104.5, 12345.678])
def test_labels_of_ticks_are_whole_and_apart(middle: float, width: float) -> None:
    x = np.linspace(middle - width, middle + width, 50)
    figure = figure_of(Curves("c", "C", Axis("length"), x, Axis("b"), {"": 1e-4 * x + 1e3}))
    figure.savefig(io.BytesIO(), format="png")  # it is laid out as it is drawn
    (axes,) = figure.axes
    for axis in (axes.xaxis, axes.yaxis):
        assert axis.get_offset_text().get_text() == ""
    low, high = axes.get_xlim()
    boxes = [
        label.get_window_extent()
        for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= at <= high
    ]
    assert len(boxes) >= 2
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    shown = [float(text.replace("\N{MINUS SIGN}", "-")) for text in labels]
    np.testing.assert_allclose(shown, axes.get_xticks(), rtol=1e-9)


@pytest.mark.parametrize("n_degrees", [None, 24, 27])
def test_temperature_and_pressure_count_what_their_degrees_of_freedom_count(
    record: Record, n_degrees: int | None
) -> None:
    """An ideal gas of nine atoms that drifts: 24 degrees of freedom are those about the centre, of
    27 its motion is a part."""
    stream, cell, kelvin = np.random.default_rng(0), 9.0 * np.eye(3), 300.0
    masses = stream.uniform(10.0, 50.0, 9)
    moved = []
    for k in range(600):
        v = stream.normal(size=(9, 3)) * np.sqrt(METAL.boltzmann * kelvin / masses)[:, None]
        own = v - (masses[:, None] * v).sum(0) / masses.sum()
        v = v if n_degrees == 27 else own + np.array([0.1, -0.2, 0.3])
        system = System.create(
            stream.uniform(0, 9, (9, 3)), velocities=v, masses=masses, species=18, units=METAL
        )
        evaluation = Evaluation(np.float64(0.0), np.zeros((9, 3)), np.zeros((3, 3)))
        moved.append(
            State(replace(system, cell=cell, pbc=(True,) * 3), k * PICOSECOND, k, evaluation)
        )
    with H5MDReader(record(moved)) as run:
        found = Analysis()
        matter(run, Known(n_degrees=n_degrees), found)
    temperature, pressure = found.number("temperature"), found.number("pressure")
    degrees = n_degrees or 24
    assert f"{degrees} degrees of freedom" in temperature.note
    # the mean of 300 frames of a chi squared
    assert abs(temperature.value - kelvin) < 4 * kelvin * np.sqrt(2 / degrees / 300)
    kinetic = degrees * METAL.boltzmann * temperature.value / 2
    assert pressure.value == pytest.approx(2 * kinetic / (3 * 9.0**3) * PASCALS / 1e5)


def test_what_only_drifts_is_cold(written: Written) -> None:
    """One frozen atom holds the others: then all of their motion counts."""
    v = np.broadcast_to([0.01, 0.02, -0.03], (40, 8, 3)).copy()
    masses = np.arange(1.0, 9.0)
    with H5MDReader(written(np.zeros((40, 8, 3)), v, species=18, masses=masses)) as run:
        found = analyse(run)
    assert found.number("temperature").value == 0.0
    v[:, 3] = 0.0
    frozen = {"configuration": '{"frozen": [3]}'}
    with H5MDReader(
        written(
            np.zeros((40, 8, 3)), v, species=18, masses=masses, name="held.h5md", provenance=frozen
        )
    ) as run:
        kinetic, found = run.observable("kinetic_energy"), analyse(run)
    assert kinetic is not None
    assert found.number("temperature").value == pytest.approx(
        2 * kinetic[0] / (21 * METAL.boltzmann)
    )
