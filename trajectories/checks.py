"""Checks of single states of a run: that numbers are finite, energies do not jump, particles do not
come too near, and atoms keep their neighbours."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from integrators.state import State
from systems.neighbors.lists import NeighborList
from systems.neighbors.nearest import nearer, nearer_than_trained
from systems.neighbors.sparse import Count, counted
from systems.observables import kinetic_energy
from systems.system import System


@dataclass(frozen=True)
class Limits:
    """Limits of a valid run: ``energy``, by which a system's total energy may differ from that of
    the frame before, ``drift``, by which from that at the run's start, and ``distance``, below
    which no two particles come; ``nearness`` is that as a share of the shortest distance in what a
    potential was trained on, and ``neighbors`` the share of the fewest neighbours there, below
    which a system's mean number does not fall. Numbers that are not finite are never valid."""

    energy: float = math.inf
    distance: float = 0.0
    drift: float = math.inf
    nearness: float = 0.0
    neighbors: float = 0.0


class Violation(NamedTuple):
    """The first violation of a limit: its step and system, the particles, a description in words,
    and which of the limits it was ("energy", "distance", "nearness" or "neighbors"; empty for
    numbers that are not finite)."""

    step: int
    time: float
    system: int | None
    particles: tuple[int, ...]
    what: str
    limit: str = ""
    failed: bool = False  # forces, in an error of their own


#: By system, the particles that are concerned, and what is wrong in words.
Faults = dict[int, tuple[tuple[int, ...], str]]


class StateChecks:
    """Checks of a run's states, one after the other: energies, neighbour lists and counts of the
    last states are kept. ``first`` is the run's first state, from which energies may drift."""

    def __init__(self, limits: Limits, potential: Any, first: State | None) -> None:
        self.first = first
        self._limits, self._potential = limits, potential
        # of the last system whose neighbours were counted
        self._counts: tuple[System, dict[int, Count]] | None = None
        self._lists: dict[int, NeighborList] = {}
        # of the last states that were looked at
        self._energies: list[tuple[State, np.ndarray | None]] = []

    def violations(
        self, before: State, now: State, evaluated: bool, neighbors: bool = True
    ) -> list[Violation]:
        """Violations in a state, at most one of each system; ``evaluated`` says that it has an
        evaluation, ``neighbors`` that neighbours are counted."""
        faults: Faults = {}
        limits: dict[int, str] = {}
        with np.errstate(all="ignore"):  # what overflows is found
            finite = _all_finite(now)
            if not finite:
                faults = _not_finite_motion(now.system)
            for limit, check in self._checks(finite, evaluated, neighbors):
                for system, fault in check(before, now).items():
                    if system not in faults:
                        faults[system], limits[system] = fault, limit
        single = now.system.n_systems is None
        return [
            Violation(
                now.step, now.time, None if single else system, *fault, limits.get(system, "")
            )
            for system, fault in sorted(faults.items())
        ]

    def _checks(
        self, finite: bool, evaluated: bool, neighbors: bool
    ) -> list[tuple[str, Callable[[State, State], Faults]]]:
        """Which limits are checked, in this order; "" is that of numbers that are not finite."""
        nearness: tuple[str, Callable[[State, State], Faults]] = (
            "nearness",
            lambda before, now: self.too_near(now, self._limits.nearness),
        )
        if not evaluated:
            return [nearness]
        checks = [nearness, ("energy", self._energy), ("distance", self._distance)]
        if neighbors:
            checks.append(
                ("neighbors", lambda before, now: self.too_sparse(now, self._limits.neighbors))
            )
        return checks if finite else [("", _not_finite_forces), *checks]

    @staticmethod
    def too_near(now: State, limit: float) -> Faults:
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

    def too_sparse(self, now: State, limit: float) -> Faults:
        """Systems whose atoms have on average less than this share of the fewest neighbours in
        training."""
        if limit <= 0.0:
            return {}
        if self._counts is None or self._counts[0] is not now.system:
            self._counts = now.system, counted(self._potential, now.system)
        return {s: ((), str(count)) for s, count in self._counts[1].items() if count.share < limit}

    def _energy(self, before: State, now: State) -> Faults:
        faults: Faults = {}
        for since, most in ((before, self._limits.energy), (self.first, self._limits.drift)):
            if not math.isfinite(most) or since is None or since is now:
                continue
            old, new = self._total(since), self._total(now)
            if old is None or new is None:
                continue
            for system in np.flatnonzero(~(abs(new - old) <= most)).tolist():
                gains = _kinetic_energies(now.system) - _kinetic_energies(since.system)
                gain = gains.reshape(-1, gains.shape[-1])[system]
                text = (
                    f"the energy has gone from {old[system]:.6g} to {new[system]:.6g}"
                    f" {now.system.units.energy}".rstrip()
                )
                text += "" if since is before else " since the start"
                faults.setdefault(system, ((int(abs(gain).argmax()),), text))
        return faults

    def _distance(self, before: State, now: State) -> Faults:
        limit = self._limits.distance
        if not limit:
            return {}
        unit = f" {now.system.units.length}".rstrip()
        return {
            system: (
                (i, j),
                f"they are {distance:.3g}{unit} apart, nearer than {limit:g}{unit}",
            )
            for system, (distance, i, j) in nearer(now.system, limit, self._lists).items()
        }

    def _total(self, state: State) -> np.ndarray | None:
        """Total energies, [n_systems]: the frame before was looked at before."""
        for known, energies in self._energies:
            if known is state:
                return energies
        self._energies = [*self._energies[-2:], (state, _total_energies(state))]
        return self._energies[-1][1]


def _not_finite_motion(system: System) -> Faults:
    """Positions, momenta and cells that are not finite."""
    faults = _not_finite(system.momenta, "momentum") | _not_finite(system.positions, "position")
    if system.cell is None:
        return faults
    cells = np.broadcast_to(system.cell, (*system.positions.shape[:-2], 3, 3))
    return dict.fromkeys(_not_finite(cells), ((), "its cell is not finite")) | faults


def _not_finite_forces(before: State, now: State) -> Faults:
    evaluation = now.evaluation
    if evaluation is None:
        return {}
    faults = _not_finite(evaluation.forces, "force")
    if evaluation.energy is not None:
        for system in np.flatnonzero(~np.isfinite(np.atleast_1d(evaluation.energy))):
            faults.setdefault(int(system), ((), "the energy is not finite"))
    return faults


def _not_finite(array: Any, name: str = "") -> Faults:
    """By system, the first particle whose row of [..., n_particles, 3] is not finite."""
    values = np.asarray(array)
    if np.isfinite(values).all():
        return {}
    faults: Faults = {}
    copies = values.reshape(-1, *values.shape[-2:])
    for system in np.flatnonzero(~np.isfinite(copies).all((1, 2))):
        particle = int(np.argwhere(~np.isfinite(copies[system]))[0][0])
        faults[int(system)] = ((particle,), f"its {name} is not finite")
    return faults


def _all_finite(state: State) -> bool:
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


def _kinetic_energies(system: System) -> np.ndarray:
    """Of each particle, [..., n_particles]."""
    return np.asarray(0.5 * (system.momenta**2).sum(-1) / system.masses)


def _total_energies(state: State) -> np.ndarray | None:
    """Total energies, [n_systems]; None where the forces have none."""
    if state.evaluation is None or state.evaluation.energy is None:
        return None
    return np.atleast_1d(np.asarray(kinetic_energy(state.system) + state.evaluation.energy))
