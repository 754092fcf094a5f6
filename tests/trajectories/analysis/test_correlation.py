"""Displacements and autocorrelations against plain sums and MDAnalysis; diffusion and spectra
against laws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from systems.units import METAL, REDUCED
from trajectories.analysis import (
    correlation,
    diffusion,
    mean_squared_displacement,
    spectrum,
    velocity_autocorrelation,
)
from trajectories.mdanalysis import universe
from trajectories.storage.h5md import H5MDReader

Written = Callable[..., Path]
PICOSECOND = METAL.convert(1.0, "ps")


def plain_msd(x: np.ndarray, n_lags: int) -> np.ndarray:
    """Of [frames, n, 3], one lag after the other."""
    return np.array(
        [
            np.mean([((x[t + lag] - x[t]) ** 2).sum(-1).mean() for t in range(len(x) - lag)])
            for lag in range(n_lags + 1)
        ]
    )


def plain_vacf(v: np.ndarray, weights: np.ndarray, n_lags: int) -> np.ndarray:
    return np.array(
        [
            np.mean([(weights * (v[t + lag] * v[t]).sum(-1)).mean() for t in range(len(v) - lag)])
            for lag in range(n_lags + 1)
        ]
    )


@given(
    n_frames=st.integers(3, 90),
    n_systems=st.sampled_from([None, 1, 3]),
    n=st.integers(1, 5),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_against_plain_sums(
    tmp_path_factory: pytest.TempPathFactory,
    n_frames: int,
    n_systems: int | None,
    n: int,
    share: float,
    seed: int,
) -> None:
    """Whatever the number of blocks that a run is read in."""
    stream = np.random.default_rng(seed)
    shape = (n_frames, n, 3) if n_systems is None else (n_frames, n_systems, n, 3)
    x, v, masses = (
        5.0 + stream.normal(size=shape).cumsum(0),
        stream.normal(size=shape),
        stream.uniform(0.5, 9.0, n),
    )
    n_lags, group = min(n_frames - 1, int(share * n_frames)), np.arange(n)[:: 1 + seed % 2]
    run = FakeRun(x, v, n_systems)
    found = mean_squared_displacement(run, {"some": group, "all": np.arange(n)}, n_lags)  # type: ignore[arg-type]
    vacf = velocity_autocorrelation(run, {"some": group}, n_lags, masses)["some"]  # type: ignore[arg-type]
    assert found["some"].shape == vacf.shape == (n_lags + 1, n_systems or 1)
    for s in range(n_systems or 1):
        xs, vs = (a if n_systems is None else a[:, s] for a in (x, v))
        for name, own in (("some", group), ("all", np.arange(n))):
            np.testing.assert_allclose(
                found[name][:, s], plain_msd(xs[:, own], n_lags), rtol=1e-10, atol=1e-12
            )
        np.testing.assert_allclose(
            vacf[:, s], plain_vacf(vs[:, group], masses[group], n_lags), rtol=1e-10, atol=1e-10
        )


class FakeRun:
    """Frames in memory."""

    units = METAL

    def __init__(self, x: np.ndarray, v: np.ndarray, n_systems: int | None) -> None:
        self.data, self.n_systems, self.n_particles = (
            {"position": x, "velocity": v},
            n_systems,
            x.shape[-2],
        )

    def __len__(self) -> int:
        return len(self.data["position"])

    def frames(self, element: str, which: Any) -> np.ndarray:
        return self.data[element][which]


def test_blocks_of_a_file_and_mdanalysis(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is read in many blocks, with transforms in batches, is the run as a whole, and
    EinsteinMSD agrees to its float32."""
    from MDAnalysis.analysis.msd import EinsteinMSD

    x = np.random.default_rng(0).normal(size=(300, 7, 3)).cumsum(0)
    path = written(x, species=18, masses=40.0)
    group = {"all": np.arange(7)}
    with H5MDReader(path) as run:
        whole = mean_squared_displacement(run, group, 40)["all"]
        monkeypatch.setattr(correlation, "BUDGET", 200_000)
        told: list[int] = []
        np.testing.assert_allclose(
            mean_squared_displacement(run, group, 40, told=told.append)["all"], whole, rtol=1e-12
        )
        assert told[-1] == 300
        assert len(told) > 3
        assert correlation.longest_lag(run, 300) == 150
        monkeypatch.setattr(correlation, "BUDGET", 20_000)
        assert correlation.longest_lag(run, 300) == 20_000 // (4 * 24 * 7)
    u = universe(path)
    other = EinsteinMSD(u, msd_type="xyz", fft=False).run().results.timeseries
    u.trajectory.close()
    np.testing.assert_allclose(whole[:, 0], other[:41], rtol=2e-5)


def test_the_interval_covers_the_truth() -> None:
    """Of a hundred Brownian runs, the 95 % interval holds the coefficient in 90 to 99, and it is no
    wider than it has to be."""
    stream, held, relative = np.random.default_rng(11), 0, []
    for _ in range(100):
        x = np.sqrt(2 * 0.7) * stream.normal(size=(400, 12, 3)).cumsum(0)
        run = FakeRun(x, x, None)
        run.times = np.arange(400.0)  # type: ignore[attr-defined]
        found = diffusion(run, np.arange(12))  # type: ignore[arg-type]
        assert found.interval is not None
        assert 0.8 < found.power < 1.2
        held += abs(found.coefficient - 0.7) <= found.interval
        relative.append(found.interval / 0.7)
    assert 90 <= held <= 99
    assert np.median(relative) < 0.25


def test_diffusion_of_an_ensemble_and_of_what_does_not_diffuse() -> None:
    stream = np.random.default_rng(3)
    x = np.sqrt(2 * 0.2) * stream.normal(size=(60, 40, 1, 3)).cumsum(0)
    run: Any = FakeRun(x, x, 40)
    run.times = np.arange(60.0) * 2.0
    found = diffusion(run, [0])
    assert found.interval is not None
    assert abs(found.coefficient - 0.1) < 2 * found.interval < 0.1
    flight: Any = FakeRun(np.arange(60.0)[:, None, None] * np.ones((1, 3, 3)), x, None)
    flight.times = np.arange(60.0)
    assert diffusion(flight, np.arange(3)).power == pytest.approx(2.0, abs=1e-6)
    bound: Any = FakeRun(stream.normal(size=(400, 3, 3)), x, None)
    bound.times = np.arange(400.0)
    assert abs(diffusion(bound, np.arange(3)).power) < 0.2
    for begin, end in ((0.0, 0.5), (5.0, 4.0), (1.0, 1e9)):
        with pytest.raises(ValueError, match="the lags to be fitted must lie between"):
            diffusion(bound, [0], begin, end)
    bound.data["position"] = bound.data["position"][:19]
    with pytest.raises(ValueError, match="takes at least 20 frames, not 19"):
        diffusion(bound, [0])


@given(frequency=st.floats(0.02, 0.4), n=st.integers(200, 1500))
@settings(max_examples=40, deadline=None)
def test_a_line_is_where_it_belongs(frequency: float, n: int) -> None:
    """The cosine transform, term by term; and one line has its height at its frequency, its area is
    its power."""
    autocorrelation = np.cos(2 * np.pi * frequency * 0.5 * np.arange(n))
    at, power = spectrum(autocorrelation, 0.5)
    faded = autocorrelation * np.cos(0.5 * np.pi * np.arange(n) / n) ** 2
    for k in (0, len(at) // 3, len(at) - 1):
        twin = 0.5 * (
            faded[0] + 2 * (faded[1:] * np.cos(2 * np.pi * at[k] * 0.5 * np.arange(1, n))).sum()
        )
        assert power[k] == pytest.approx(twin, rel=1e-9, abs=1e-9 * n)
    assert abs(at[power.argmax()] - frequency) < 0.6 / (n * 0.5)
    # half of the lines' area is at negative frequencies
    assert np.trapezoid(power, at) == pytest.approx(0.5, abs=0.02)


def test_waves(written: Written) -> None:
    """A harmonic motion's autocorrelation is its cosine, and reduced units have theirs."""
    t = np.arange(400)
    v = np.cos(0.3 * t)[:, None, None] * np.ones((1, 2, 3))
    path = written(np.sin(0.3 * t)[:, None, None] * np.ones((1, 2, 3)) / 0.3, v, units=REDUCED)
    with H5MDReader(path) as run:
        found = velocity_autocorrelation(run, {"all": [0, 1]}, 20)["all"][:, 0]
    np.testing.assert_allclose(found / found[0], np.cos(0.3 * np.arange(21)), atol=0.02)


def test_each_block_of_each_system_is_a_sample() -> None:
    """Slopes of plain displacements in three blocks of two systems, and Student's interval of their
    mean; lags are times."""
    x = np.random.default_rng(5).normal(size=(63, 2, 4, 3)).cumsum(0)
    run: Any = FakeRun(x, x, 2)
    run.times = 0.25 * np.arange(63)
    for span, (low, high) in (((None, None), (2, 10)), ((0.75, 2.0), (3, 8))):
        found = diffusion(run, np.arange(4), *span)
        msd = [
            plain_msd(x[21 * k : 21 * (k + 1), s], high)[low:] for k in range(3) for s in range(2)
        ]
        slopes = [np.polyfit(0.25 * np.arange(low, high + 1), one, 1)[0] / 6.0 for one in msd]
        within = stats.ttest_1samp(slopes, 0.0).confidence_interval(0.95)
        assert (found.begin, found.end, found.n_blocks) == (0.25 * low, 0.25 * high, 3)
        assert found.coefficient == pytest.approx(np.mean(slopes), rel=1e-9)
        assert found.interval == pytest.approx(0.5 * (within.high - within.low), rel=1e-9)
    short: Any = FakeRun(x[:39, 0], x, None)
    short.times = np.arange(39.0)
    assert diffusion(short, np.arange(4)).interval is None  # one block tells nothing of its scatter


def test_displacements_far_from_the_origin() -> None:
    """A million lengths away they are the same, to the digits that positions have left there."""
    x = np.random.default_rng(6).normal(size=(50, 3, 3)).cumsum(0)
    near, far = (
        mean_squared_displacement(FakeRun(x + away, x, None), {"": np.arange(3)}, 20)[""]  # type: ignore[arg-type]
        for away in (0.0, 1e6)
    )
    np.testing.assert_allclose(far, near, rtol=1e-8)
