"""Rollouts of the atoms of a file: molecules and materials under a calculator, a potential or a
learned force."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from integrators.random import Random
from integrators.state import Flow, State
from mcegnn.simulation.atoms_forces import force_of
from mcegnn.simulation.atoms_integrators import INTEGRATORS, THERMOSTATS, flow_of
from mcegnn.simulation.atoms_rows import rows_of
from mcegnn.simulation.configuration import Configuration
from systems.ensemble import replicas
from systems.quantities import energy
from systems.sources.atoms import Structure, path_of
from systems.system import Potential, System
from systems.units import METAL, Units
from trajectories.checks import Limits

# eV an atom, Angstrom, shares
_USUAL_JUMP, _USUAL_DISTANCE, _USUAL_NEARNESS, _USUAL_NEIGHBORS = 10.0, 0.3, 0.8, 0.5
_TUPLES = ("temperature", "pressure", "frozen")


@dataclass(frozen=True, kw_only=True)
class AtomsRun(Configuration):
    """Atoms of ``file`` in metal units, moved by one of ``calculator``, ``potential`` and
    ``model``, each a name with options.

    ``temperature`` (kelvin) and ``pressure`` (eV / Angstrom^3) are none, one, or two numbers, first
    and last of a `Ramp` that takes the time ``ramp``. ``friction`` is the particles', ``period``
    that of a Nose-Hoover chain or of the cell. ``relax``, where it is not zero, is the largest
    force (eV / Angstrom) that is left before the run; ``draw`` says whether velocities are drawn or
    the file's. Where they are not zero, ``warn_above`` and ``stop_above`` (eV / Angstrom) limit the
    disagreement of a committee's models. ``template`` is what the file's atoms have beside a system
    (`systems.sources.template`): a calculator gets it too. ``file_units``, ``file_format`` and
    ``file_masses`` are options of the file, ``assumed`` says in words what it lacks.
    """

    system: ClassVar[str] = "atoms"
    units: ClassVar[Units] = METAL
    described_as: ClassVar[str] = "a file's atoms"
    provides: ClassVar[frozenset[str]] = frozenset({"charges", "masses", "cell"})

    file: str = ""
    calculator: str = ""
    potential: str = ""
    potential_digest: str = ""
    temperature: tuple[float, ...] = ()
    pressure: tuple[float, ...] = ()
    ramp: float = 0.0
    friction: float = 0.0
    period: float = 0.0
    flexible: bool = False
    frozen: tuple[int, ...] = ()
    relax: float = 0.0
    draw: bool = False
    warn_above: float = 0.0
    stop_above: float = 0.0
    template: str = ""
    file_units: str = ""
    file_format: str = ""
    file_masses: str = ""
    assumed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of plain values, with tuples where JSON has lists."""
        plain: dict[str, Any] = {
            name: tuple(value) if name in _TUPLES else value for name, value in values.items()
        }
        return cls(**plain)

    def check_settings(self) -> None:
        """Check counts, times, and the name of the integrator."""
        super().check_settings()
        if self.integrator not in INTEGRATORS:
            raise ValueError(f"integrator {self.integrator!r}")

    def time(self, value: float) -> str:
        """A time in words, in femto- or picoseconds."""
        fs = value / METAL.convert(1.0, "fs")
        return f"{fs:.6g} fs" if round(fs, 3) < 1000 else f"{fs / 1000:.6g} ps"

    @property
    def subject(self) -> tuple[str, str]:
        """The file."""
        return "file", self.file

    @property
    def by(self) -> str:
        """Name of what gives the forces."""
        return self.calculator or self.potential or self.model

    @property
    def holds_temperature(self) -> bool:
        """Whether a thermostat acts, so that energy is not conserved."""
        return self.integrator in THERMOSTATS

    @property
    def about_center(self) -> bool:
        """Whether the temperature is that of the motion about the centre of mass: where nothing
        changes the total momentum."""
        free = self.integrator not in ("langevin-baoab", "npt")
        return not self.frozen and self.n_particles > 1 and free

    @property
    def n_degrees(self) -> int:
        """Number of thermal degrees of freedom."""
        return 3 * (self.n_particles - len(self.frozen)) - 3 * self.about_center

    @property
    def source(self) -> Path:
        """The file of the atoms."""
        return path_of(self.file)

    @property
    def assumptions(self) -> Mapping[str, str]:
        """Assumptions about the file."""
        return self.assumed

    @property
    def relaxed_below(self) -> float:
        """Largest force after relaxation, in eV / Angstrom."""
        return self.relax

    @property
    def holds_pressure(self) -> bool:
        """Whether the integrator is npt."""
        return bool(self.pressure)

    @property
    def held_pressure(self) -> tuple[float, ...]:
        """Pressure, or first and last, in eV / Angstrom^3."""
        return self.pressure

    @staticmethod
    def energy_jump(text: str) -> float:
        """Read the option as an energy in eV."""
        return energy(text, "--max-energy-jump")

    @property
    def advice_on_near(self) -> str:
        """Advice to relax the atoms."""
        return "relax them first (--relax)"

    def check_start(self) -> None:
        """Raise ValueError if velocities are to be drawn and no temperature is given."""
        if self.draw and not self.temperature:
            each = f" for each of {self.n_systems} systems" if self.n_systems > 1 else ""
            raise ValueError(
                f'{self.file} has no velocities{each}; give --temperature "300 K" to draw them'
            )

    @property
    def structure(self) -> Structure:
        """The file's atoms, read with the file's options."""
        from systems.sources.atoms import read
        from systems.sources.file_options import FileOptions, masses_of

        masses = masses_of(self.file_masses) if self.file_masses else {}
        said = FileOptions(units=self.file_units, format=self.file_format, masses=masses)
        return read(self.file, said)

    @property
    def has_cell(self) -> bool:
        """Whether the file's atoms have one; False if the file is gone, which a resumed run does
        not need."""
        try:
            return self.structure.system.cell is not None
        except FileNotFoundError:
            return False

    @property
    def n_observables(self) -> int:
        """Energies; pressure and stress at least where a pressure is held; the spread of a
        committee."""
        return 2 + 10 * (self.integrator == "npt") + ("," in self.model)

    def rows(self) -> list[tuple[str, str]]:
        """Rows on forces, integrator, temperature, pressure and their control."""
        return rows_of(self)

    def limits(self) -> Limits:
        """Usually 10 eV an atom from one frame to the next, 0.3 Angstrom, less than half of the
        shortest bond there is, and 0.8 of the nearest distance and half of the fewest neighbours
        that a potential was trained on."""
        jump = _USUAL_JUMP if self.max_energy_jump is None else self.max_energy_jump
        least = _USUAL_DISTANCE if self.min_distance is None else self.min_distance
        nearness, neighbors = _USUAL_NEARNESS, _USUAL_NEIGHBORS
        if self.min_distance == 0.0:
            nearness = neighbors = 0.0
        return Limits(jump * self.n_particles, least, nearness=nearness, neighbors=neighbors)

    def example(self) -> System:
        """The file's atoms."""
        return self.structure.system

    def start(self) -> State:
        """The file's atoms, with the file's velocities or drawn ones; frozen atoms are at rest.
        Nothing is relaxed yet."""
        from integrators.velocities import maxwell_boltzmann

        system = self.structure.system
        if self.n_systems > 1:
            system = replicas(system, self.n_systems)
        random = Random(self.seed)
        if self.draw:
            hot, at_rest = self.temperature[0], self.about_center
            system = maxwell_boltzmann(system, hot, random, at_rest=at_rest)
        system.momenta[..., list(self.frozen), :] = 0.0
        return State(system, random=random)

    def flow(self) -> Flow:
        """The integrator with the forces."""
        return flow_of(self)

    @cached_property
    def force(self) -> Potential:
        """The potential that moves the atoms; made once."""
        return force_of(self)

    def check_model(self) -> None:
        """Check the model as any configuration does; it must be a potential."""
        from mcegnn.models.model import Role

        super().check_model()
        if self.learned.role is not Role.POTENTIAL:
            raise ValueError(
                f"{self.model} is a {type(self.learned).__name__}, which moves particles itself; a"
                " file's atoms are moved by forces, so name a potential"
            )

    @property
    def disagreement(self) -> dict[str, float]:
        """Limits in eV / Angstrom; infinite if none are given."""
        return {"warn": self.warn_above or np.inf, "stop": self.stop_above or np.inf}

    @property
    def is_frozen(self) -> np.ndarray | None:
        """[n_particles], or None where no atom is."""
        return np.isin(np.arange(self.n_particles), self.frozen) if self.frozen else None
