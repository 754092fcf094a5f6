"""Kernels of one's own, sums of potentials with and without kernels, and the compiled copies kept
on disk."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrators.compiled.table import compile_flow
from integrators.ensembles import velocity_verlet
from integrators.state import State
from systems.kernel import KernelFunction, evaluate
from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity
from systems.potentials.springs import Springs
from systems.potentials.sum import Sum
from systems.system import Evaluation, KernelPotential, Potential, System
from trajectories.rollout import rollout


def yukawa(x, masses, charges, parameters, forces):  # type: ignore[no-untyped-def]
    energy = 0.0
    for i in range(x.shape[1]):
        for j in range(i):
            r = np.sqrt(((x[:, i] - x[:, j]) ** 2).sum())
            pair = charges[i] * charges[j] * np.exp(-r / parameters[0]) / r
            energy += pair
            for a in range(3):
                push = pair * (1.0 / r + 1.0 / parameters[0]) * (x[a, i] - x[a, j]) / r
                forces[a, i] += push
                forces[a, j] -= push
    return energy


class Wind:
    """A constant force upon every particle, and no kernel."""

    def __call__(self, system: System) -> Evaluation:
        force = np.array([0.0, 0.5, -1.0])
        return Evaluation(
            -(system.positions * force).sum(-1).sum(-1),
            np.broadcast_to(force, system.positions.shape),
            potential=self,
        )


class Swirl:
    """A field that is no gradient: it has no energy."""

    def __call__(self, system: System) -> Evaluation:
        return Evaluation(None, np.cross(system.positions, [0.0, 0.0, 1.0]), potential=self)


def test_ten_lines_of_ones_own_are_a_potential(scatter: Any) -> None:
    """Without screening it is Coulomb's law: to 1e-9 at a screening length of 1e10."""
    ensemble, potential = scatter(2, 5, (3,)), KernelFunction(yukawa, 1e10)
    assert isinstance(potential, KernelPotential)
    found, coulomb = potential(ensemble), Coulomb()(ensemble)
    np.testing.assert_allclose(found.forces, coulomb.forces, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.energy, coulomb.energy, rtol=0, atol=1e-8)
    assert found.potential is potential


def test_ones_own_parameters_reach_the_kernel() -> None:
    pair = System.create([[0, 0, 0], [2.0, 0, 0]], charges=[1.0, 3.0])
    assert KernelFunction(yukawa, [0.5])(pair).energy == pytest.approx(
        1.5 * np.exp(-4.0), rel=1e-14
    )


def test_ones_own_kernel_is_rolled_out_compiled(scatter: Any) -> None:
    flow = velocity_verlet(KernelFunction(yukawa, 2.0))
    assert compile_flow(flow) is not None
    state = State(scatter(2, 5))
    first, *_, last = rollout(flow, state, 0.001, 100, 100)
    drift = [
        float((s.system.momenta**2 / s.system.masses[:, None]).sum() / 2 + s.evaluation.energy)
        for s in (first, last)
    ]
    # (dt / fastest period)^2, with periods above one, is 1e-6 of an energy of order ten
    assert drift[1] == pytest.approx(drift[0], abs=1e-5)
    assert abs(last.system.positions - first.system.positions).max() > 0.01


def test_a_kernel_typed_into_a_notebook_has_no_file_and_works() -> None:
    space: dict[str, Any] = {}
    exec(
        "def pull(x, masses, charges, parameters, forces):\n    forces[0, 0] = parameters[0]\n   "
        " return 2.0 * parameters[0]\n",
        space,
    )
    found = KernelFunction(space["pull"], 3.0)(System.create([[0, 0, 0.0]]))
    assert found.energy == 6.0
    np.testing.assert_array_equal(found.forces, [[3.0, 0.0, 0.0]])


PARTS = [
    Coulomb(1.3),
    Gravity(0.7),
    Springs([[0, 1], [2, 1]], 2.0, 0.5),
    KernelFunction(yukawa, 1.5),
    Coulomb(0.5, limit=0.1),
]


@pytest.mark.parametrize("order", [(0,), (0, 1), (1, 0), (2, 0, 1), (4, 0), (0, 4), (3, 2, 1, 0)])
def test_a_sum_has_the_sum_of_its_kernels(scatter: Any, order: tuple[int, ...]) -> None:
    """A limit clips its own part's forces and nobody else's, whatever the order."""
    system, parts = scatter(5, 4, (2,)), [PARTS[k] for k in order]
    both = Sum(*parts)
    energy, forces, *_ = evaluate(both, system)
    np.testing.assert_allclose(
        forces, sum(part(system).forces for part in parts), rtol=0, atol=1e-13
    )
    np.testing.assert_allclose(
        energy, sum(part(system).energy for part in parts), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(both(system).forces, forces, rtol=0, atol=1e-13)


def test_sums_nest(scatter: Any) -> None:
    system, nested = scatter(5, 4), Sum(PARTS[0], Sum(PARTS[1], PARTS[2]))
    energy, forces, *_ = evaluate(nested, system)
    flat = Sum(*PARTS[:3])(system)
    np.testing.assert_allclose(forces, flat.forces, rtol=0, atol=1e-13)
    assert energy == pytest.approx(float(flat.energy), rel=1e-13)


@pytest.mark.parametrize(
    "parts", [(Coulomb(), Wind()), (Wind(), Coulomb()), (Coulomb(), Sum(Gravity(), Wind()))]
)
def test_a_sum_with_a_part_that_has_no_kernel_has_none_and_works(
    scatter: Any, parts: tuple[Potential, ...]
) -> None:
    system, mixed = scatter(5, 4), Sum(*parts)
    assert mixed.kernel is None
    assert compile_flow(velocity_verlet(mixed)) is None
    np.testing.assert_allclose(
        mixed(system).forces, sum(part(system).forces for part in parts), rtol=0, atol=1e-13
    )
    *_, last = rollout(velocity_verlet(mixed), State(system), 0.01, 5)
    assert last.step == 5
    assert last.evaluation.potential is mixed


@pytest.mark.parametrize("parts", [(Swirl(), Coulomb()), (Coulomb(), Swirl())])
def test_a_sum_with_a_field_that_is_no_gradient_has_no_energy(
    scatter: Any, parts: tuple[Potential, ...]
) -> None:
    assert Sum(*parts)(scatter(0, 3)).energy is None


def test_stress_is_added_where_every_part_has_one(scatter: Any) -> None:
    class Pressed:
        def __call__(self, system: System) -> Evaluation:
            return Evaluation(0.0, np.zeros_like(system.positions), np.eye(3))

    np.testing.assert_array_equal(Sum(Pressed(), Pressed())(scatter(0, 3)).stress, 2.0 * np.eye(3))
    assert Sum(Pressed(), Coulomb())(scatter(0, 3)).stress is None


def test_sums_of_the_same_kinds_share_a_kernel() -> None:
    """Compiled once a process, not once an object: the numbers are parameters."""
    assert Sum(Coulomb(1.0), Gravity(2.0)).kernel is Sum(Coulomb(3.0), Gravity(4.0)).kernel
    assert Sum(Coulomb(1.0), Gravity(2.0)).kernel is not Sum(Gravity(2.0), Coulomb(1.0)).kernel


def test_a_sum_leaves_no_litter_on_disk(tmp_path: Path) -> None:
    """Every process that makes the same sum shall find the last one's compiled copy, or keep none,
    but not add another."""
    make = (
        "from systems.potentials.coulomb import Coulomb;"
        " from systems.potentials.springs import Springs;"
        " from systems.potentials.sum import Sum;"
        " Sum(Coulomb(), Springs([[0, 1]])).kernel"
    )
    counts = []
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", make],
            check=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            timeout=300,
        )
        counts.append(len(list(tmp_path.rglob("*.nbc"))))
    assert counts[0] == counts[1]
