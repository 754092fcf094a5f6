"""Runs that go wrong are caught at the first bad step: numbers that are not finite, energy that
jumps, particles that come too close.

Looking costs next to nothing, since it is done where states are yielded anyway; what is found there
is traced back to its step by running the steps since the last good frame once more, which gives the
same bits.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from integrators.state import Flow, State
from systems.neighbors.lists import NeighborList
from systems.neighbors.nearest import nearer, nearer_than_trained
from systems.neighbors.sparse import Count, counted
from systems.observables import kinetic_energy
from systems.system import System
from trajectories.rollout import advance, with_held

# of the fewest neighbours in training, below which is told of: long runs pass the least of some
# hundred structures by chance
SPARSE = 0.8
_COUNTED = 50  # steps, at least, from one count of neighbours to the next
_LOOKS = 8  # from one frame to the next, where every step has an evaluation
_STRIDES = 64  # parts of an interval that is searched


@dataclass(frozen=True)
class Limits:
    """What a sound run keeps to: ``energy``, by which a system's total energy may differ from that
    of the frame before, ``drift``, by which from that at the run's start, and ``distance``, below
    which no two particles come; ``nearness`` is that as a share of the shortest distance in what a
    potential was trained on, and ``neighbors`` the share of the fewest neighbours there, below
    which a system's mean number does not fall. What is not finite never is sound.
    """

    energy: float = math.inf
    distance: float = 0.0
    drift: float = math.inf
    nearness: float = 0.0
    neighbors: float = 0.0


class Breach(NamedTuple):
    """What went wrong first: when, in which system of an ensemble, with which particles, what it
    was in words, and which of the limits it was ("energy", "distance", "nearness" or "neighbors";
    empty where it was none)."""

    step: int
    time: float
    system: int | None
    particles: tuple[int, ...]
    what: str
    limit: str = ""
    failed: bool = False  # forces, in an error of their own


class Exploded(RuntimeError):
    """A run that does not go on: its `Breach`, and the last good state: a frame, but where forces
    failed, the last state there was."""

    def __init__(self, breach: Breach, good: State) -> None:
        super().__init__(breach.what)
        self.breach, self.good = breach, good


@dataclass(eq=False)
class Watch:
    """Looks at a run's states. Systems of an ensemble that go bad are held where they last were
    good, told of, and the others go on.

    ``lost`` says which are held and since which step; ``marked`` in which, and since which step, a
    pair has been nearer than any that the potential was trained on, of which ``tell_near`` is told
    once, and ``sparse`` in which, and since which step, the atoms have had less than 0.8 of the
    fewest neighbours in all of that, of which ``tell_near`` is told too. Neighbours are counted
    where frames are kept, not within 50 steps of the last count. ``start`` is the run's first
    state, where it is resumed; ``ending`` says whether the next state will be the last, which is
    looked at in full. `states` raises `Exploded` where no system is left, where the run is of a
    single one, or where forces end in an error.
    """

    flow: Flow
    dt: float
    limits: Limits
    tell: Callable[[Breach], None]
    threads: int | None = None
    lost: dict[int, int] = field(default_factory=dict)
    start: State | None = None
    ending: Callable[[], bool] = lambda: False
    tell_near: Callable[[Breach], None] = lambda breach: None
    marked: dict[int, int] = field(default_factory=dict)
    sparse: dict[int, int] = field(default_factory=dict)
    _counts: tuple[System, dict[int, Count]] | None = field(
        default=None, init=False
    )  # of the last system that was looked at
    _lists: dict[int, NeighborList] = field(default_factory=dict, init=False)
    _energies: list[tuple[State, np.ndarray | None]] = field(
        default_factory=list, init=False
    )  # of the last states looked at

    def states(
        self, state: State, n_steps: int, every: int, phase: int = 0, frame: System | None = None
    ) -> Iterator[State]:
        """As `trajectories.rollout.advance`; ``frame`` is the last frame's system, where the state
        is beyond it."""
        begin, end = state.step - phase, state.step + n_steps
        states = self._advance(state, n_steps, every, phase)
        good = looked = now = next(
            states
        )  # the last frame, and the last state that was looked at in full
        self.start = self.start or now
        rarely = every * -(-_COUNTED // every)
        if frame is not None:
            good = next(
                self._advance(
                    replace(state, system=frame, coordinates=None).at(begin, self.dt), 0, 1
                )
            )
        self._mark(now, True)
        yield now
        while now.step < end:
            try:
                new = next(states)
            except Exception as error:
                # the frame's end at the latest, which a compiled run may have been on its way to
                breach = self._first(
                    good, looked, min(looked.step + every - (looked.step - begin) % every, end)
                )
                breach = breach or _failed(now.step + 1, now.time + self.dt, error)
                named = getattr(
                    error, "system", None
                )  # a driver may know which system of an ensemble it was
                if breach.failed and named is not None and now.system.n_systems is not None:
                    breach = breach._replace(system=named, failed=False)
                if breach.failed:
                    raise Exploded(breach, now) from error
                self._hold(breach, good)
                bad, new = [breach], now
            else:
                kept = (new.step - begin) % every == 0
                counts = (
                    new.step - begin % every
                ) % rarely == 0  # then a frame is kept; a run that is resumed has the same steps
                # between frames too, so that not too many steps of a slow calculator are run again
                whole = kept or (
                    new.evaluation is not None and (new.step - begin) % max(1, every // _LOOKS) == 0
                )
                look = new
                if not whole and self.ending():  # who goes on from it has no good state before it
                    look, whole = self._evaluated(new), True
                bad = self._breaches(good, look, whole, counts)
                for breach in bad:
                    first = self._first(
                        good,
                        good if breach.limit == "neighbors" else looked,
                        new.step,
                        breach.system,
                    )
                    self._hold(breach if first is None or first.failed else first, good)
            if bad:
                new = with_held(new, good, tuple(self.lost))
                states = self._advance(new, end - new.step, every, (new.step - begin) % every)
                if next(states).step == now.step:
                    now = new
                    continue
            self._mark(new, counts)
            if whole:
                looked = new
            good = new if kept else good
            now = new
            yield now

    def _evaluated(self, state: State) -> State:
        """With the forces that a state between frames may lack, where they can be had."""
        potential = getattr(self.flow, "potential", None)
        if potential is None or state.evaluation is not None:
            return state
        with suppress(Exception):  # the next step would find out
            return replace(state, evaluation=potential(state.system))
        return state

    def _advance(self, state: State, n_steps: int, every: int, phase: int = 0) -> Iterator[State]:
        """The run from a state on, systems that are lost held where they are in it."""
        return advance(
            self.flow,
            state,
            self.dt,
            n_steps,
            every,
            threads=self.threads,
            phase=phase,
            held=tuple(self.lost),
        )

    def _mark(self, now: State, counts: bool) -> None:
        """Tell of systems that have left what the potential was trained on; ``counts`` says whether
        neighbours are counted."""
        single, apart = now.system.n_systems is None, self.apart(now, SPARSE) if counts else {}
        for marked, limit, found in (
            (self.marked, "nearness", self._near(now, 1.0)),
            (self.sparse, "neighbors", apart),
        ):
            for system, (particles, what) in found.items():
                if system not in marked and system not in self.lost:
                    marked[system] = now.step
                    self.tell_near(
                        Breach(
                            now.step, now.time, None if single else system, particles, what, limit
                        )
                    )

    @staticmethod
    def _near(now: State, limit: float) -> "_Found":
        """Systems with a pair at less than this share of the shortest distance in training."""
        closest = None if now.evaluation is None else now.evaluation.closest
        if closest is None or (closest.ndim == 1 and closest[0] >= limit):  # asked at each step
            return {}
        rows = np.atleast_2d(closest)
        of = [now.system] if now.system.n_systems is None else None
        return {
            s: (
                (int(rows[s, 1]), int(rows[s, 2])),
                nearer_than_trained(of[s] if of else now.system.copy_of(s), rows[s]),
            )
            for s in np.flatnonzero(rows[:, 0] < limit).tolist()
        }

    def _nearness(self, before: State, now: State) -> "_Found":
        return self._near(now, self.limits.nearness)

    def apart(self, now: State, limit: float) -> "_Found":
        """Systems whose atoms have on average less than this share of the fewest neighbours in
        training."""
        if limit <= 0.0:
            return {}
        if self._counts is None or self._counts[0] is not now.system:
            self._counts = now.system, counted(getattr(self.flow, "potential", None), now.system)
        return {s: ((), str(count)) for s, count in self._counts[1].items() if count.share < limit}

    def _neighbors(self, before: State, now: State) -> "_Found":
        return self.apart(now, self.limits.neighbors)

    def _hold(self, breach: Breach, good: State) -> None:
        """Let the others of an ensemble go on without a system; `Exploded` where there are none, or
        where they would not be alone."""
        if (
            breach.system is None
            or len(self.lost) + 1 >= (good.system.n_systems or 1)
            or good.coordinates is not None
        ):
            raise Exploded(breach, good)
        self.lost[breach.system] = breach.step
        self.tell(breach)

    def _breaches(
        self, before: State, now: State, whole: bool, counts: bool = True
    ) -> list[Breach]:
        """What is wrong with a state, at most one thing of each system that is not lost; ``whole``
        says that it has an evaluation, ``counts`` that neighbours are counted in it."""
        found: _Found = {}
        limits: dict[int, str] = {}
        with np.errstate(all="ignore"):  # what overflows is found
            sound = _sound(now)
            if not sound:
                found = _not_finite(now.system.positions, now.system.momenta)
                if now.system.cell is not None:
                    cells = _not_finite(
                        np.broadcast_to(now.system.cell, (*now.system.positions.shape[:-2], 3, 3)),
                        what="cell",
                    )
                    found = dict.fromkeys(cells, ((), "its cell is not finite")) | found
            looks: _Looks = [
                (self._forces, ""),
                (self._nearness, "nearness"),
                (self._energy, "energy"),
                (self._distance, "distance"),
            ]
            looks = (
                (looks + [(self._neighbors, "neighbors")] * counts)[sound:] if whole else looks[1:2]
            )
            for look, limit in looks:
                for system, fault in look(before, now).items():
                    if system not in found:
                        found[system], limits[system] = fault, limit
        if not found:
            return []
        single = now.system.n_systems is None
        return [
            Breach(
                now.step,
                now.time,
                None if single else system,
                particles,
                what,
                limits.get(system, ""),
            )
            for system, (particles, what) in sorted(found.items())
            if system not in self.lost
        ]

    @staticmethod
    def _forces(before: State, now: State) -> "_Found":
        evaluation = now.evaluation
        if evaluation is None:
            return {}
        found = _not_finite(evaluation.forces, what="force")
        if evaluation.energy is not None:
            for system in np.flatnonzero(~np.isfinite(np.atleast_1d(evaluation.energy))):
                found.setdefault(int(system), ((), "the energy is not finite"))
        return found

    def _energy(self, before: State, now: State) -> "_Found":
        found: _Found = {}
        for since, most in ((before, self.limits.energy), (self.start, self.limits.drift)):
            if not math.isfinite(most) or since is None or since is now:
                continue
            old, new = self._total(since), self._total(now)
            if old is None or new is None:
                continue
            for system in np.flatnonzero(~(abs(new - old) <= most)).tolist():
                gain = _own(kinetic_energies(now.system) - kinetic_energies(since.system), system)
                text = (
                    f"the energy has gone from {old[system]:.6g} to {new[system]:.6g}"
                    f" {now.system.units.energy}".rstrip()
                )
                found.setdefault(
                    system,
                    (
                        (int(abs(gain).argmax()),),
                        text + ("" if since is before else " since the start"),
                    ),
                )
        return found

    def _distance(self, before: State, now: State) -> "_Found":
        if not self.limits.distance:
            return {}
        unit = f" {now.system.units.length}".rstrip()
        return {
            system: (
                (i, j),
                f"they are {distance:.3g}{unit} apart, nearer than {self.limits.distance:g}{unit}",
            )
            for system, (distance, i, j) in nearer(
                now.system, self.limits.distance, self._lists
            ).items()
        }

    def _total(self, state: State) -> np.ndarray | None:
        """Total energies, [n_systems]: the frame before was looked at before."""
        for known, energies in self._energies:
            if known is state:
                return energies
        self._energies = [*self._energies[-2:], (state, _total(state))]
        return self._energies[-1][1]

    def _first(
        self, good: State, start: State, until: int, system: int | None = None
    ) -> Breach | None:
        """The first bad step of a system, or of any, after ``start`` and up to ``until``; None
        where there is none.

        Coarse strides first, then the stride that went bad in finer ones: the steps are run about
        twice, whatever their number.
        """
        while start.step < until:
            stride = max(1, (until - start.step) // _STRIDES)
            before, bad = start, []
            try:
                for now in self._advance(
                    start, -(-(until - start.step) // stride) * stride, stride
                ):
                    if now.step > before.step and (now.step - start.step) % stride == 0:
                        bad = [
                            one
                            for one in self._breaches(good, now, True)
                            if system in (None, one.system)
                        ]
                        if bad:
                            break
                        before = now
            except Exception as error:
                bad = [_failed(before.step + 1, before.time + self.dt, error)]
            if not bad or stride == 1:
                return bad[0] if bad else None
            # the others that are bad already would end the search, were they run on
            others = sorted(
                {
                    one.system
                    for one in self._breaches(good, before, True)
                    if one.system not in (None, system)
                }
            )
            start, until = with_held(before, good, others), before.step + stride
        return None


def _failed(step: int, time: float, error: Exception) -> Breach:
    kind = (
        ""
        if isinstance(error, ValueError | RuntimeError) and str(error)
        else f"{type(error).__name__}: "
    )
    return Breach(
        step,
        time,
        None,
        (),
        f"the forces failed ({kind}{' '.join(str(error).split())})",
        failed=True,
    )


_Found = dict[int, tuple[tuple[int, ...], str]]
_Looks = list[tuple[Callable[[State, State], _Found], str]]


def _not_finite(*arrays: Any, what: str = "position") -> _Found:
    found: _Found = {}
    for array, name in zip(arrays, (what, "momentum"), strict=False):
        values = np.asarray(array)
        if np.isfinite(values).all():
            continue
        copies = values.reshape(-1, *values.shape[-2:])
        for system in np.flatnonzero(~np.isfinite(copies).all((1, 2))):
            particle = int(np.argwhere(~np.isfinite(copies[system]))[0][0])
            found.setdefault(int(system), ((particle,), f"its {name} is not finite"))
    return found


def _sound(state: State) -> bool:
    """Whether all numbers are finite: so is the sum of their squares, but for an overflow, and that
    is quick to take."""
    system, evaluation = state.system, state.evaluation
    total = np.vdot(system.positions, system.positions) + np.vdot(system.momenta, system.momenta)
    if system.cell is not None:
        total += np.vdot(system.cell, system.cell)
    if evaluation is not None:
        total += np.vdot(evaluation.forces, evaluation.forces)
        if evaluation.energy is not None:
            total += np.vdot(evaluation.energy, evaluation.energy)
    return math.isfinite(total)


def kinetic_energies(system: System) -> np.ndarray:
    """Of each particle, [..., n_particles]."""
    return np.asarray(0.5 * (system.momenta**2).sum(-1) / system.masses)


def _own(values: np.ndarray, system: int) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])[system]


def _total(state: State) -> np.ndarray | None:
    """Total energies, [n_systems]; None where the forces have none."""
    if state.evaluation is None or state.evaluation.energy is None:
        return None
    return np.atleast_1d(np.asarray(kinetic_energy(state.system) + state.evaluation.energy))
