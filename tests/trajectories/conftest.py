"""What the tests of trajectories share: flows of every kind with a start, and the writing of states
or of bare numbers to a file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrators.ensembles import symplectic_euler, velocity_verlet, wisdom_holman, yoshida
from integrators.relativity import PostNewtonian
from integrators.state import Flow, State
from systems.potentials.coulomb import Coulomb
from systems.sources.charged import benchmark_coulomb, charged_systems
from systems.sources.solar import j2000
from systems.system import Evaluation, System
from systems.units import ASTRONOMICAL, METAL
from trajectories.storage.writer import H5MDWriter


@dataclass(frozen=True)
class Case:
    """A flow, a start it is made for, and a time step that suits them."""

    flow: Flow
    state: State
    dt: float


class Interpreted:
    """Coulomb without a kernel, so that only the Python interpreter can run it."""

    def __call__(self, system: System) -> Evaluation:
        return Coulomb()(system)._replace(potential=self)


def _planets() -> State:
    return State(j2000().system)


def _relativity() -> PostNewtonian:
    return PostNewtonian(0, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)


MAKERS: dict[str, Callable[[], Case]] = {
    "charged ensemble": lambda: Case(
        symplectic_euler(benchmark_coulomb()), State(charged_systems(3, seed=1)), 1e-3
    ),
    "charged exact": lambda: Case(
        velocity_verlet(Coulomb()), State(charged_systems(2, seed=4)), 1e-3
    ),
    "interpreted": lambda: Case(
        symplectic_euler(Interpreted()), State(charged_systems(2, seed=4)), 1e-3
    ),
    "planets": lambda: Case(
        yoshida(j2000().gravity(), 8, relativity=_relativity()), _planets(), 0.5
    ),
    "wisdom-holman": lambda: Case(
        wisdom_holman(j2000().gravity(), relativity=_relativity()), _planets(), 0.5
    ),
}


@pytest.fixture(params=MAKERS)
def case(request: pytest.FixtureRequest) -> Case:
    """Each kind of flow in turn: compiled, interpreted, in other variables; ensembles and single
    systems."""
    return MAKERS[request.param]()


@pytest.fixture(scope="session")
def make_case() -> Callable[[str], Case]:
    """A case by its name."""
    return lambda name: MAKERS[name]()


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Write states to a file in the test's folder and give its path."""

    def write(states: Iterable[State], name: str = "run.h5md", **options: Any) -> Path:
        states = list(states)
        path = tmp_path / name
        with H5MDWriter(path, states[0].system, **options) as writer:
            for state in states:
                writer.write(state)
        return path

    return write


@pytest.fixture
def random_state() -> Callable[..., State]:
    """A state of random numbers that hides no mistake behind a special value: every particle,
    component and system differs."""

    def make(
        stream: np.random.Generator,
        n_systems: int | None = None,
        n: int = 4,
        *,
        forces: bool = True,
        charges: bool = True,
        time: float = 0.0,
        step: int = 0,
        **more: Any,
    ) -> State:
        shape = (n, 3) if n_systems is None else (n_systems, n, 3)
        system = System.create(
            stream.normal(size=shape),
            velocities=stream.normal(size=shape),
            masses=stream.uniform(0.5, 9.0, n),
            species=stream.integers(1, 90, n),
            charges=stream.normal(size=shape[:-1]) if charges else 0.0,
        )
        evaluation = (
            Evaluation(stream.normal(size=shape[:-2])[()], stream.normal(size=shape))
            if forces
            else None
        )
        return State(replace(system, **more), time, step, evaluation)

    return make


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Positions [frames, (n_systems,) n, 3], and velocities, as a file: frames a picosecond apart
    in metal units."""

    def write(
        x: np.ndarray,
        v: Any = 0.0,
        *,
        name: str = "run.h5md",
        cell: Any = None,
        spacing: float = 1.0,
        **options: Any,
    ) -> Path:
        fixed = {
            key: options.pop(key)
            for key in ("masses", "species", "charges", "units")
            if key in options
        }
        units = fixed.setdefault("units", METAL)
        step = METAL.convert(spacing, "ps") if units is METAL else spacing
        v = np.broadcast_to(v, x.shape)
        path = tmp_path / name
        pbc = (cell is not None,) * 3
        first = replace(System.create(x[0], velocities=v[0], **fixed), cell=cell, pbc=pbc)
        with H5MDWriter(path, first, n_frames=len(x), **options) as writer:
            for k in range(len(x)):
                writer.write(
                    State(
                        replace(System.create(x[k], velocities=v[k], **fixed), cell=cell, pbc=pbc),
                        k * step,
                        k,
                    )
                )
        return path

    return write
