"""Rollouts: which states come and when, what they carry, that nothing about watching them changes
them, and what is refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import integrators.compiled.driver
from integrators.ensembles import velocity_verlet
from integrators.span import Span
from integrators.state import State
from systems.sources.atoms import from_atoms
from systems.system import System
from trajectories.rollout import advance, rollout

EPS = np.finfo(float).eps
MakeCase = Callable[[str], Any]


def same(a: State, b: State) -> bool:
    """Equal to the bit in everything a restart needs, and in what frames keep."""
    assert a.evaluation is not None
    assert b.evaluation is not None
    pairs = [
        (a.system.positions, b.system.positions),
        (a.system.momenta, b.system.momenta),
        (a.time, b.time),
        (a.step, b.step),
    ]
    pairs += [
        (a.evaluation.forces, b.evaluation.forces),
        (a.evaluation.energy, b.evaluation.energy),
    ]
    assert (a.coordinates is None) == (b.coordinates is None)
    if a.coordinates is not None and b.coordinates is not None:
        pairs += [
            (a.coordinates.system.positions, b.coordinates.system.positions),
            (a.coordinates.system.momenta, b.coordinates.system.momenta),
        ]
    return all(np.array_equal(x, y) for x, y in pairs)


@given(
    n_frames=st.integers(0, 6),
    every=st.integers(1, 5),
    dt=st.floats(1e-4, 1e-2),
    t0=st.floats(-1e3, 1e3),
    step=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("kind", ["charged ensemble", "interpreted"])
def test_states_come_at_whole_multiples(
    make_case: MakeCase, kind: str, n_frames: int, every: int, dt: float, t0: float, step: int
) -> None:
    case = make_case(kind)
    start = replace(case.state, time=t0, step=step)
    states = list(rollout(case.flow, start, dt, n_frames * every, every))
    assert [s.step for s in states] == [step + k * every for k in range(n_frames + 1)]
    # time = (t0 - step dt) + now dt: three roundings of numbers no larger than |t0| + now dt
    largest = abs(t0) + (step + n_frames * every) * dt
    np.testing.assert_allclose(
        [s.time for s in states],
        [t0 + k * every * dt for k in range(n_frames + 1)],
        rtol=0,
        atol=4 * EPS * largest,
    )


def test_times_of_a_fresh_run_are_whole_steps(case: Any) -> None:
    """From time zero on a time is one product: no sum over steps, whose round-off would grow, and
    no other value than step dt."""
    assert [s.time for s in rollout(case.flow, case.state, case.dt, 700, 70)] == [
        k * 70 * case.dt for k in range(11)
    ]


def test_first_state_is_the_start(case: Any) -> None:
    first = next(rollout(case.flow, case.state, case.dt, 10))
    assert first.system is case.state.system
    assert first.step == 0
    assert first.evaluation is not None


def test_no_steps_give_the_start_alone(case: Any) -> None:
    assert [s.step for s in rollout(case.flow, case.state, case.dt, 0, 7)] == [0]


def pair_sum(
    system: System, constant: float, weights: np.ndarray
) -> tuple[float, np.ndarray, float, float]:
    """Energy and forces of sum_{i<j} constant w_i w_j / r_ij by its definition, and the sums of the
    terms' sizes, which bound round-off."""
    x = system.positions
    energy, forces, size, pull = 0.0, np.zeros_like(x), 0.0, np.zeros(len(x))
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                r = np.linalg.norm(x[i] - x[j])
                term = constant * weights[i] * weights[j] / r
                energy += 0.5 * term
                size += 0.5 * abs(term)
                forces[i] += term * (x[i] - x[j]) / r**2
                pull[i] += abs(term) / r
    return energy, forces, size, float(pull.max())


def single_systems(state: State) -> Iterator[tuple[System, float, np.ndarray]]:
    """Each system of a state with the energy and forces that the state carries for it."""
    system, evaluation = state.system, state.evaluation
    assert evaluation is not None
    if not system.n_systems:
        yield system, evaluation.energy, evaluation.forces
        return
    for k in range(system.n_systems):
        yield (
            replace(system, positions=system.positions[k], charges=system.charges[k]),
            evaluation.energy[k],
            evaluation.forces[k],
        )


def test_every_state_carries_the_full_potential(case: Any) -> None:
    """Wisdom-Holman kicks without the star; what a frame carries has it."""
    for state in rollout(case.flow, case.state, case.dt, 30, 10):
        for system, energy, forces in single_systems(state):
            gravity = system.units.name == "astronomical"
            exact = pair_sum(
                system,
                -system.units.gravitation if gravity else 1.0,
                system.masses if gravity else system.charges,
            )
            # each of n terms has about ten roundings, and r^-3 triples that of r
            tolerance = 20 * system.n_particles * EPS
            assert abs(energy - exact[0]) <= tolerance * exact[2]
            assert np.abs(forces - exact[1]).max() <= tolerance * exact[3]


@pytest.mark.parametrize("every", [2, 7, 30, 210])
def test_frames_do_not_depend_on_every(case: Any, every: int) -> None:
    all_states = list(rollout(case.flow, case.state, case.dt, 210, 1))
    kept = list(rollout(case.flow, case.state, case.dt, 210, every))
    assert all(same(a, b) for a, b in zip(kept, all_states[::every], strict=True))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_frames_do_not_depend_on_threads(case: Any, threads: int) -> None:
    expected = list(rollout(case.flow, case.state, case.dt, 60, 20))
    states = list(rollout(case.flow, case.state, case.dt, 60, 20, threads=threads))
    assert all(same(a, b) for a, b in zip(states, expected, strict=True))


@pytest.mark.parametrize("limit", [{"SLICE_SECONDS": 1e-9}, {"SLICE_BYTES": 1}])
def test_frames_do_not_depend_on_slices(
    case: Any, limit: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    n_steps = 1200  # more than the driver's first slice of 20,000 coordinates
    expected = list(rollout(case.flow, case.state, case.dt, n_steps, 40))
    for name, value in limit.items():
        monkeypatch.setattr(integrators.compiled.driver, name, value)
    states = list(rollout(case.flow, case.state, case.dt, n_steps, 40))
    assert all(same(a, b) for a, b in zip(states, expected, strict=True))


def test_whoever_watches_hears_of_it_between_frames(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrators.compiled.driver, "SLICE_SECONDS", 1e-9)
    n_steps = 1200
    steps = [s.step for s in advance(case.flow, case.state, case.dt, Span(n_steps, n_steps))]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, n_steps)
    assert len(steps) > 10


def continued(case: Any, cut: int, n_steps: int, every: int) -> Iterator[State]:
    """The frames of a run that is stopped after ``cut`` steps and goes on from that state alone."""
    for now in rollout(case.flow, case.state, case.dt, cut, 1):
        if now.step % every == 0:
            yield now
    # a checkpoint keeps no evaluation
    stopped, span = replace(now, evaluation=None), Span(n_steps - cut, every, cut % every)
    for state in advance(case.flow, stopped, case.dt, span):
        if state.step % every == 0 and state.step > cut:
            yield state


@pytest.mark.parametrize("cut", [1, 40, 41, 119])
def test_a_run_cut_in_two_is_the_same_run(case: Any, cut: int) -> None:
    # times too: 0.3 + n dt is rounded, and so is what is left once n dt is taken off it again
    case = replace(case, state=replace(case.state, time=0.3))
    expected = list(rollout(case.flow, case.state, case.dt, 120, 40))
    assert all(same(a, b) for a, b in zip(continued(case, cut, 120, 40), expected, strict=True))


def test_phase_counts_for_whole_multiples(case: Any) -> None:
    with pytest.raises(ValueError, match="whole multiple"):
        next(advance(case.flow, case.state, case.dt, Span(40, 40, phase=1)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_steps": 25}, "25 steps are not a whole multiple of every = 10; use 20 steps"),
        ({"n_steps": 5}, "5 steps are not a whole multiple of every = 10; use 10 steps"),
        ({"n_steps": -10}, "must not be negative"),
        ({"every": 0}, "every 1 or more steps, not every 0"),
        ({"every": -10}, "every 1 or more steps, not every -10"),
        ({"dt": 0.0}, "time step must be finite and not zero, not 0.0"),
        ({"dt": np.nan}, "time step must be finite and not zero, not nan"),
        ({"dt": np.inf}, "time step must be finite and not zero, not inf"),
        ({"dt": -np.inf}, "time step must be finite and not zero, not -inf"),
    ],
)
def test_refuses_steps_and_times(case: Any, change: dict[str, Any], words: str) -> None:
    asked = {"dt": case.dt, "n_steps": 20, "every": 10} | change
    with pytest.raises(ValueError, match=words):
        list(rollout(case.flow, case.state, **asked))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("positions", np.nan, "positions are not finite: nan at index"),
        ("positions", -np.inf, "positions are not finite: -inf at index"),
        ("momenta", np.nan, "momenta are not finite: nan at index"),
        ("charges", np.inf, "charges are not finite: inf at index"),
        ("masses", np.nan, "masses are not finite: nan at index"),
        ("masses", 0.0, "masses must be positive; particle 3 has 0.0"),
        ("masses", -2.0, "masses must be positive; particle 3 has -2.0"),
    ],
)
def test_refuses_numbers_that_are_unsound(case: Any, name: str, value: float, words: str) -> None:
    array = np.array(getattr(case.state.system, name), dtype=float)
    where: tuple[Any, ...] = (..., 3) if name in ("charges", "masses") else (..., 3, 1)
    array[where] = value
    bad = replace(case.state, system=replace(case.state.system, **{name: array}))
    with pytest.raises(ValueError, match=words):
        list(rollout(case.flow, bad, case.dt, 10))


@pytest.mark.parametrize(
    ("kind", "words"),
    [("planets", "particles 2 and 7 are"), ("charged exact", "particles 1 and 4 of system 1 are")],
)
def test_names_two_particles_at_one_place(make_case: MakeCase, kind: str, words: str) -> None:
    case = make_case(kind)
    x = case.state.system.positions.copy()
    if x.ndim == 2:
        x[7] = x[2]
    else:
        x[1, 4] = x[1, 1]
        # charges of zero would hide it
    system = replace(case.state.system, positions=x, charges=np.ones(x.shape[:-1]))
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            ValueError, match=f"forces are not finite at the start: {words} at the same place"
        ),
    ):
        list(rollout(case.flow, replace(case.state, system=system), case.dt, 10))


@pytest.mark.parametrize("kind", ["charged exact", "interpreted"])
def test_two_particles_that_meet_on_the_way(make_case: MakeCase, kind: str) -> None:
    """One flies through the other, without forces, and is at its place after four steps: not a
    number from there on, no exception."""
    state = State(System.create([[0.0, 0, 0], [1.0, 0, 0]], velocities=[[1.0, 0, 0], [0.0, 0, 0]]))
    with np.errstate(all="ignore"):
        states = list(rollout(make_case(kind).flow, state, 0.25, 8))
    sound = [
        s.evaluation is not None and bool(np.isfinite(s.evaluation.forces).all()) for s in states
    ]
    assert sound == [True] * 4 + [False] * 5


def test_an_evaluation_by_another_potential_is_not_kept(make_case: MakeCase) -> None:
    """A start that comes from a run under one potential is evaluated anew under the next one's."""
    clipped, exact = make_case("charged ensemble"), make_case("charged exact")
    start = next(rollout(clipped.flow, clipped.state, clipped.dt, 0))
    first = next(rollout(exact.flow, start, exact.dt, 0))
    assert first.evaluation is not None
    assert first.evaluation.potential is exact.flow.potential


@pytest.mark.parametrize("kind", ["charged ensemble", "interpreted"])
def test_an_old_evaluation_is_not_trusted_at_the_start(make_case: MakeCase, kind: str) -> None:
    """Whoever moves the particles of a state and leaves its evaluation gets the forces of where
    they are now."""
    case = make_case(kind)
    first = next(rollout(case.flow, case.state, case.dt, 10))
    moved = replace(case.state.system, positions=1.5 * case.state.system.positions)
    stale = list(rollout(case.flow, replace(first, system=moved), case.dt, 10))
    clean = list(rollout(case.flow, State(moved), case.dt, 10))
    assert all(
        np.array_equal(a.system.positions, b.system.positions)
        for a, b in zip(stale, clean, strict=True)
    )
    assert stale[0].evaluation is not None
    np.testing.assert_array_equal(stale[0].evaluation.forces, clean[0].evaluation.forces)


def test_a_plain_function_is_a_flow() -> None:
    start = State(System.create(np.eye(3), velocities=1.0))

    def drift(state: State, dt: float) -> State:
        return replace(
            state,
            system=replace(
                state.system, positions=state.system.positions + dt * state.system.velocities
            ),
        )

    *_, end = rollout(drift, start, 0.25, 4)  # type: ignore[arg-type]
    np.testing.assert_array_equal(end.system.positions, np.eye(3) + 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: replace(s, charges=np.ones(4)),
            r"charges have shape \(4,\); for these positions it must be \(2, 4\)",
        ),
        (
            lambda s: replace(s, masses=np.ones(3)),
            r"masses have shape \(3,\); for these positions it must be \(4,\)",
        ),
        (lambda s: replace(s, momenta=np.ones((4, 3))), r"momenta have shape \(4, 3\)"),
        (
            lambda s: System.create(np.random.default_rng(0).normal(size=(2, 2, 4, 3))),
            "these have 4 axes",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    make_case: MakeCase, change: Callable[[System], System], message: str
) -> None:
    system = System.create(np.random.default_rng(0).normal(size=(2, 4, 3)))
    with pytest.raises(ValueError, match=message):
        next(rollout(make_case("charged ensemble").flow, State(change(system)), 0.1, 10))


def test_no_threads_are_refused(case: Any) -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        next(rollout(case.flow, case.state, case.dt, 10, threads=0))


def test_what_ase_users_try_first() -> None:
    from ase import Atoms
    from ase.calculators.emt import EMT

    atoms = Atoms("Cu")
    with pytest.raises(TypeError, match=r"of ase\.Atoms, from_atoms"):
        list(rollout(velocity_verlet(EMT()), State(atoms), 0.1, 1))
    with pytest.raises(TypeError, match="of an ASE calculator, CalculatorPotential makes one"):
        list(rollout(velocity_verlet(EMT()), State(from_atoms(atoms)), 0.1, 1))
