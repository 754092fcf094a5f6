"""Schemes are data: a table of (flow, fraction of the time step) that the Python interpreter and
the compiled driver both run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from integrators.flows import Drift, Kick
from integrators.state import Flow, State
from systems.potentials.sum import Sum
from systems.system import Potential

Table = tuple[tuple[Flow, float], ...]


@dataclass(frozen=True)
class Scheme:
    """Flows applied one after the other, each for its fraction of the time step."""

    table: Table

    def __call__(self, state: State, dt: float) -> State:
        for flow, fraction in self.table:
            state = flow(state, fraction * dt)
        return state

    @cached_property
    def potential(self) -> Potential | None:
        """The potential of its flows, the `Sum` where they have different ones; None where none has
        one."""
        found = _different(flow.potential for flow, _ in self.table)
        return Sum(*found) if len(found) > 1 else next(iter(found), None)


def adjoint(scheme: Scheme) -> Scheme:
    """The scheme whose step by -dt undoes this scheme's step by dt: the table backwards."""
    return Scheme(scheme.table[::-1])


def _table(flow: Flow, fraction: float) -> Table:
    """The flow as a table; a scheme inside a scheme is flattened."""
    if isinstance(flow, Scheme):
        return tuple((inner, fraction * share) for inner, share in flow.table)
    return ((flow, fraction),)


def _merged(table: Table) -> Table:
    """The table with neighbouring kicks or drifts joined: two half kicks are one kick.

    Only of exact flows are two steps one long step; a flow that is merely symmetric would lower a
    composition's order.
    """
    merged: list[tuple[Flow, float]] = []
    for flow, fraction in table:
        if merged and merged[-1][0] is flow and isinstance(flow, Kick | Drift):
            merged[-1] = (flow, merged[-1][1] + fraction)
        else:
            merged.append((flow, fraction))
    return tuple(merged)


def Sequential(*flows: Flow) -> Scheme:
    """Each flow once for the whole step, in this order: first order (Lie-Trotter)."""
    return Scheme(_merged(tuple(row for flow in flows for row in _table(flow, 1.0))))


def Strang(*flows: Flow) -> Scheme:
    """A palindrome: all flows but the last for half a step, the last for a whole one, then back;
    second order (Strang 1968)."""
    *outer, middle = flows
    half = Scheme(tuple(row for flow in outer for row in _table(flow, 0.5)))
    return Scheme(_merged(half.table + _table(middle, 1.0) + adjoint(half).table))


def Composition(flow: Flow, weights: Sequence[float]) -> Scheme:
    """One flow repeated with ``weights`` of the time step, which sum to one."""
    return Scheme(_merged(tuple(row for weight in weights for row in _table(flow, weight))))


def _different(potentials: Iterable[Potential | None]) -> list[Potential]:
    """Each object once, in order."""
    return list(
        {id(potential): potential for potential in potentials if potential is not None}.values()
    )
