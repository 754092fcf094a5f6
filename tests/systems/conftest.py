"""What the tests of systems share: the data folder, scattered particles, and one potential of every
kind."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity, Oblateness
from systems.potentials.springs import Springs
from systems.potentials.sum import Sum
from systems.sources import ephemeris
from systems.system import System

KINDS = (
    "coulomb",
    "gravity",
    "softened gravity",
    "oblate gravity",
    "gravity without one",
    "springs",
    "springs with length",
    "sum",
)


@pytest.fixture(scope="session", autouse=True)
def close_the_ephemeris() -> Iterator[None]:
    """The kernel stays open for a whole process; left to the interpreter's end it would be a
    warning."""
    yield
    if ephemeris._kernel.cache_info().currsize:
        ephemeris._kernel().close()
        ephemeris._kernel.cache_clear()


def _scatter(seed: int, n: int, copies: tuple[int, ...] = ()) -> System:
    """n particles on a cubic grid of spacing 1.5, shaken by 0.3: no two are nearer than 0.9, so
    that forces are of order one."""
    stream = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(2.0)] * 3), -1).reshape(-1, 3)[:n] * 1.5
    positions = grid + stream.uniform(-0.3, 0.3, (*copies, n, 3))
    charges = stream.normal(size=(*copies, n))
    return System.create(
        positions,
        velocities=stream.normal(size=positions.shape),
        masses=stream.uniform(0.5, 2.0, n),
        charges=charges,
    )


@pytest.fixture(scope="session")
def scatter() -> Callable[..., System]:
    return _scatter


def _oblateness(n: int, rotation: np.ndarray, place: np.ndarray) -> Oblateness:
    poles = np.array([[0.6, 0.0, 0.8], [-2.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0]]) @ rotation.T
    k = min(n, 2)
    return Oblateness(place[:k], np.array([0.2, -0.1])[:k], np.array([0.7, 1.2])[:k], poles[:k])


def _springs(n: int, place: np.ndarray, length: Any) -> Springs:
    pairs = [(i, j) for i in range(n) for j in range(i)]
    lengths = np.resize(length, len(pairs))
    return Springs(
        place[np.array(pairs, dtype=int).reshape(-1, 2)], np.linspace(1.0, 2.0, len(pairs)), lengths
    )


def _build(
    kind: str, n: int, rotation: np.ndarray | None = None, order: np.ndarray | None = None
) -> Any:
    """A potential of n particles, turned by ``rotation``; particle ``order[k]`` of the original is
    its particle k."""
    rotation = np.eye(3) if rotation is None else rotation
    place = np.arange(n) if order is None else np.argsort(order)
    if kind == "sum":
        return Sum(
            *(
                _build(part, n, rotation, order)
                for part in ("coulomb", "oblate gravity", "springs with length")
            )
        )
    return {
        "coulomb": lambda: Coulomb(1.7),
        "gravity": lambda: Gravity(0.8),
        "softened gravity": lambda: Gravity(
            0.8, softening=0.4, oblateness=_oblateness(n, rotation, place)
        ),
        "oblate gravity": lambda: Gravity(1.3, oblateness=_oblateness(n, rotation, place)),
        "gravity without one": (
            lambda: Gravity(0.8, oblateness=_oblateness(n, rotation, place)).without(int(place[-1]))
        ),
        "springs": lambda: _springs(n, place, 0.0),
        "springs with length": lambda: _springs(n, place, [0.0, 0.7, 1.4]),
    }[kind]()


@pytest.fixture(scope="session", params=KINDS)
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """build(n, rotation, order) makes the potential of this kind; the plain one of n particles
    once, since a sum compiles its kernel."""
    plain = cache(partial(_build, request.param))

    def build(n: int, rotation: np.ndarray | None = None, order: np.ndarray | None = None) -> Any:
        return (
            plain(n)
            if rotation is None and order is None
            else _build(request.param, n, rotation, order)
        )

    return build
