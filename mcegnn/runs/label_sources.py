"""Structures that are to be labelled: those of a file as they are, or those along dynamics."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from integrators.span import Span
from integrators.state import Flow, State
from mcegnn.runs.errors import forces_in_words
from mcegnn.runs.events import Event, Warned
from mcegnn.runs.relaxation import relaxed_start
from mcegnn.runs.signals import StopRequest
from mcegnn.simulation import AtomsRun
from systems.sources.atoms import read_all
from systems.sources.file_options import FileOptions, Reading
from systems.sources.template import timeless
from systems.system import Evaluation, System
from trajectories.rollout import advance


class Unlabelled(NamedTuple):
    """A structure to be labelled: its info, the system, and the atoms it comes from."""

    info: dict[str, Any]
    system: System
    template: Any


Labels = Callable[[Unlabelled], Evaluation]


@dataclass(frozen=True)
class Prepared:
    """Structures ready for labelling: ``total`` of them, of which the first that ``states`` hold
    has the number ``first``; each state, if there are any, comes with its structures."""

    total: int
    first: int
    states: Iterator[tuple[State | None, list[Unlabelled]]]


class Structures(Protocol):
    """A source of structures and of their labels."""

    @property
    def file(self) -> str:
        """The file that is read."""

    @property
    def labelled_by(self) -> str:
        """The calculator or potential, as it was named."""

    def labels(self) -> Labels:
        """What labels them."""

    def prepared(
        self, state: State | None, request: StopRequest
    ) -> Generator[Event, None, Prepared | None]:
        """Yield events of the preparation and return the structures from a state on (None: from the
        start); None if a stop is requested meanwhile."""


@dataclass(frozen=True)
class OfFile:
    """The structures of ``file`` as they are, read as ``options`` say."""

    file: str
    calculator: str = ""
    potential: str = ""
    options: FileOptions = field(default_factory=FileOptions)

    @property
    def labelled_by(self) -> str:
        """The calculator or potential, as it was named."""
        return self.calculator or self.potential

    def labels(self) -> Labels:
        """What labels them."""
        return labels(self.calculator, self.potential)

    def prepared(
        self, state: State | None, request: StopRequest
    ) -> Generator[Event, None, Prepared | None]:
        """All that the file has, each with its number."""
        reading = Reading(self.options)
        found = read_all(self.file, reading)
        for what, words in reading.assumed.items():
            yield Warned(f"{self.file}: assumed {what}: {words}", minor=True)
        structures = (
            (None, [Unlabelled({"structure": k}, system, atoms)])
            for k, (system, atoms) in enumerate(found)
        )
        return Prepared(len(found), 0, structures)


@dataclass(frozen=True)
class AlongDynamics:
    """The frames of a rollout of a file's atoms, which another copy of its calculator or potential
    labels: all replicas of a frame, but one at the start, where they are all alike."""

    configuration: AtomsRun

    @property
    def file(self) -> str:
        """The file of the start."""
        return self.configuration.file

    @property
    def labelled_by(self) -> str:
        """The calculator or potential, as it was named."""
        return self.configuration.by

    def labels(self) -> Labels:
        """What labels them."""
        return labels(self.configuration.calculator, self.configuration.potential)

    def prepared(
        self, state: State | None, request: StopRequest
    ) -> Generator[Event, None, Prepared | None]:
        """Those of the frames from the state on, each with its step, and with the number of its
        replica, if there are several."""
        config = self.configuration
        flow = config.flow()
        config.check_start()
        start = state
        if start is None:
            start = yield from relaxed_start(config, flow, request)
        if start is None:
            return None
        # as many frames are begun, of which the first, if it is one of them, holds one structure
        n_frames = -(-start.step // config.every)
        first = 1 + (n_frames - 1) * config.n_systems if n_frames else 0
        total = config.n_steps // config.every * config.n_systems + 1
        return Prepared(total, first, self._states(flow, start))

    def _states(self, flow: Flow, start: State) -> Iterator[tuple[State | None, list[Unlabelled]]]:
        config, template = self.configuration, timeless(self.configuration.structure.atoms)
        n_steps, phase = config.n_steps - start.step, start.step % config.every
        states = advance(flow, start, config.dt, Span(n_steps, config.every, phase))
        while True:
            with forces_in_words():
                now = next(states, None)
            if now is None:
                return
            yield now, [] if now.step % config.every else self._of_frame(now, template)

    def _of_frame(self, now: State, template: Any) -> list[Unlabelled]:
        if now.system.n_systems is None:
            return [Unlabelled({"step": now.step}, _at_rest(now.system), template)]
        n_different = self.configuration.n_systems if now.step else 1
        return [
            Unlabelled({"step": now.step, "replica": k}, _at_rest(now.system.copy_of(k)), template)
            for k in range(n_different)
        ]


def _at_rest(system: System) -> System:
    return replace(system, momenta=np.zeros_like(system.momenta))


def labels(calculator: str, potential: str) -> Labels:
    """The forces of the labels: another copy than the one that moves the atoms, of all of them,
    with a stress where there is one."""
    from mcegnn.interfaces import named
    from mcegnn.interfaces.ase import CalculatorPotential

    if not calculator:
        made = named.potential(potential)
        return lambda one: made(one.system)
    found = named.calculator(calculator)
    has_stress = "stress" in found.implemented_properties
    kept: dict[bool, CalculatorPotential] = {}

    def evaluate(one: Unlabelled) -> Evaluation:
        stress = has_stress and all(one.system.pbc)
        # along dynamics all structures have one template, and the calculator is told of what
        # changes
        if stress not in kept or kept[stress].template is not one.template:
            kept[stress] = CalculatorPotential(found, stress, one.template)
        return kept[stress](one.system)

    return evaluate
