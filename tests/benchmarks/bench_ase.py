"""What a step costs beside the forces: our loop and ASE's VelocityVerlet over the same
calculator."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from ase import units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet
from record import Row, shown

from integrators.ensembles import velocity_verlet
from integrators.state import State
from mcegnn.interfaces.ase import CalculatorPotential
from systems.sources.atoms import from_atoms
from trajectories.rollout import rollout

N_STEPS, DT = 500, 1.0 * units.fs


class Wells(Calculator):
    """Each atom in a well of its own; ``spent`` counts the seconds inside calculate."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    spent = 0.0

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        began = time.perf_counter()
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {"energy": float((x**2).sum()), "forces": -2.0 * x}
        self.spent += time.perf_counter() - began


def measure() -> list[Row]:
    """Microseconds a step, less those inside calculate, medians of nine turns."""
    rows = []
    for repeat in (1, 4):
        atoms = bulk("Ar", "fcc", 5.3, cubic=True).repeat(repeat)
        turns = [(_ours(atoms), _ases(atoms)) for _ in range(9)]
        own, other = (statistics.median(turn[k] for turn in turns) * 1e6 for k in (0, 1))
        ratios = sorted(a / b for a, b in turns)
        figure = (
            f"{shown((statistics.median(ratios), ratios[0], ratios[-1]))}; {own:.0f} against"
            f" {other:.0f} microseconds"
        )
        rows.append(
            Row(
                f"{len(atoms)} atoms: overhead of a step over that of ASE's VelocityVerlet",
                figure,
                "at most 0.5",
            )
        )
    return rows


def _ours(atoms: Any) -> float:
    calculator = Wells()
    flow, start = velocity_verlet(CalculatorPotential(calculator)), State(from_atoms(atoms))
    return _seconds(calculator, lambda: list(rollout(flow, start, DT, N_STEPS, N_STEPS)))


def _ases(atoms: Any) -> float:
    moved, calculator = atoms.copy(), Wells()
    moved.calc = calculator
    return _seconds(calculator, lambda: VelocityVerlet(moved, DT).run(N_STEPS))


def _seconds(calculator: Wells, work: Callable[[], object]) -> float:
    """A step's, without the calculator's."""
    work()
    calculator.spent = 0.0
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began - calculator.spent) / N_STEPS
