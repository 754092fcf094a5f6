"""ASE interface: potentials as ASE calculators, and ASE calculators as potentials. Energies in eV,
lengths in Angstrom, stress in eV/Angstrom^3."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from systems.ensemble import map_ensemble
from systems.sources.atoms import from_atoms, to_atoms
from systems.system import Evaluation, Potential, System
from systems.units import METAL


class PotentialCalculator(Calculator):
    """ASE calculator of any `Potential` in metal units: energy, free_energy, forces, and stress and
    energies if the potential gives them.

    One potential may be that of many calculators, which several threads use at the same time. So
    may one calculator, but its threads wait for each other, since ASE keeps the atoms and the
    results in it: ask the atoms, not ``results``.
    """

    implemented_properties = [  # noqa: RUF012 (as ASE has it)
        "energy",
        "free_energy",
        "forces",
        "stress",
        "energies",
    ]
    discard_results_on_any_change = True

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential
        self._lock = _Lock()

    def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
        """The property of these atoms, even if another thread asks for that of others meanwhile."""
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def calculate(
        self,
        atoms: Any = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Fill ``results``. Raises PropertyNotImplementedError if the potential does not give a
        requested property."""
        super().calculate(atoms, properties, system_changes)
        evaluation = self.potential(from_atoms(self.atoms))
        if evaluation.energy is None:
            raise PropertyNotImplementedError(
                f"{type(self.potential).__name__} is a field without an energy"
            )
        energy, forces = float(evaluation.energy), np.asarray(evaluation.forces)
        if not (math.isfinite(energy) and np.isfinite(forces).all()):
            _check_apart(self.atoms)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if evaluation.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(np.asarray(evaluation.stress))
        if evaluation.energies is not None:
            self.results["energies"] = np.asarray(evaluation.energies)
        for name in properties:
            if name not in self.results:
                why = (
                    "; stress needs a cell that is periodic in all directions"
                    if name == "stress"
                    else ""
                )
                raise PropertyNotImplementedError(
                    f"{type(self.potential).__name__} gives no {name} for these atoms{why}"
                )


class _Lock:
    """A lock whose copies and pickles are locks of their own."""

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Lock, ()


class CalculatorPotential:
    """`Potential` of any ASE calculator, for systems in metal units; systems of an ensemble are
    calculated one after the other.

    ``stress`` asks for the stress too. ``template`` are the atoms that the systems are made of,
    where these hold something that a system does not and the calculator reads: info such as a
    charge or a spin, tags, initial magnetic moments, further arrays. Several threads wait for each
    other. Raises ValueError if the calculator has no forces (or no stress, if requested), systems
    are in other units, or the template is of other atoms.
    """

    def __init__(self, calculator: Any, stress: bool = False, template: Any = None) -> None:
        wanted = ("energy", "forces", "stress") if stress else ("energy", "forces")
        lacking = [name for name in wanted if name not in calculator.implemented_properties]
        if lacking:
            raise ValueError(
                f"the calculator {type(calculator).__name__} gives no {' and no '.join(lacking)}"
            )
        self.calculator, self.template, self._wanted = calculator, template, list(wanted)
        self._lock = _Lock()
        self._atoms: Any = None
        self._last: System | None = None
        self._seen: Any = None

    def __call__(self, system: System) -> Evaluation:
        if system.units is not METAL:
            raise ValueError(
                f"ASE's calculators take metal units; the system is in {system.units.name} units"
            )
        with self._lock:
            return map_ensemble(self._one, system)

    def _one(self, system: System) -> Evaluation:
        """Energy, forces and stress of a single system."""
        # at once, not through get_property: this potential is only asked about what has changed
        changes = self._place(system)
        known, self._last = (
            self._last is not None,
            None,
        )  # nothing is known of a calculator that fails
        # what it knows is of no use where somebody else has asked it since
        same = known and self._seen is getattr(self.calculator, "atoms", None)
        self.calculator.calculate(self._atoms, self._wanted, changes if same else all_changes)
        self._last, self._seen = system, getattr(self.calculator, "atoms", None)
        results = self.calculator.results
        stress = voigt_6_to_full_3x3_stress(results["stress"]) if "stress" in self._wanted else None
        return Evaluation(
            np.float64(results["energy"]),
            np.array(results["forces"], dtype=float),
            stress,
            potential=self,
        )

    def _place(self, system: System) -> Sequence[str]:
        """Make the atoms those of the system; returns what has changed since the last call, in
        ASE's words."""
        last = self._last
        if last is None or not _alike(system, last):
            self._atoms = to_atoms(system, self.template)
            return all_changes
        self._atoms.arrays["positions"][:] = system.positions
        if system.cell is last.cell or system.cell is None:
            return ["positions"]
        self._atoms.cell[:] = system.cell
        return ["positions", "cell"]


def _check_apart(atoms: Any) -> None:
    """Raise ValueError, naming them, if two atoms, or one and an image of another, are at one
    point."""
    from ase.neighborlist import neighbor_list

    i, j = neighbor_list("ij", atoms, 1e-3)
    if len(i):
        raise ValueError(
            f"atoms {i[0]} and {j[0]} are at one point, where a force has no direction; move them"
            " apart"
        )


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A step of a relaxation: the system, the number of steps, and the largest force on a particle
    (eV / Angstrom)."""

    system: System
    largest_force: float
    step: int


def relaxation(
    system: System, potential: Potential, force_limit: float, most: int = 1000
) -> Iterator[Relaxed]:
    """The steps by which ASE's FIRE relaxes positions in their cell, from the start on, ``most`` at
    the most.

    The last is the first in which no particle's force is above ``force_limit`` (eV / Angstrom), if
    there is such a one.
    """
    from ase.optimize import FIRE

    atoms = to_atoms(system)
    atoms.calc = PotentialCalculator(potential)
    for step, _ in enumerate(FIRE(atoms, logfile=None).irun(fmax=force_limit, steps=most)):
        force = float(np.linalg.norm(atoms.get_forces(), axis=-1).max())
        yield Relaxed(replace(system, positions=atoms.get_positions()), force, step)


def _alike(one: System, other: System) -> bool:
    """Whether systems differ by positions, momenta and the shape of their cell alone."""
    pairs = (
        (getattr(one, name), getattr(other, name)) for name in ("masses", "species", "charges")
    )
    same = all(a is b or np.array_equal(a, b) for a, b in pairs)
    return same and one.pbc == other.pbc and (one.cell is None) == (other.cell is None)
