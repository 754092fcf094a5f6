"""Lennard-Jones between particles of several species: a sum over all images in NumPy, gradients,
the rules of mixing, and dynamics."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from integrators.compiled.table import compile_flow
from integrators.ensembles import langevin_baoab, velocity_verlet
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from systems.observables import kinetic_energy
from systems.potentials.fixed import Fixed
from systems.potentials.lennard_jones import LennardJones
from systems.system import Evaluation, System
from trajectories.rollout import rollout

SPECIES = (10, 18, 36)
EPSILON = {10: 0.4, 18: 1.0, 36: 1.3, (36, 10): 0.5}
SIGMA = {10: 0.8, 18: 1.0, 36: 1.1, (18, 10): 0.85}
# Kob and Andersen's glass former, whose pairs follow no rule
KOB_ANDERSEN: dict[str, Any] = {
    "epsilon": {1: 1.0, 2: 0.5, (1, 2): 1.5},
    "sigma": {1: 1.0, 2: 0.88, (1, 2): 0.8},
}
TRUNCATIONS = pytest.mark.parametrize("truncation", ["force-shift", "switch", "shift"])


def mixture(seed: int = 0, pbc: Any = (True, True, True), n: int = 20) -> System:
    """Particles of three species at random places that are not too near, in a leaning cell."""
    rng = np.random.default_rng(seed)
    cell = 3.2 * np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3))
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    places = (rng.permutation(grid)[:n] + 0.5) / 3.0 + rng.normal(0, 0.02, (n, 3))
    system = System.create(places @ cell, species=rng.permutation(np.resize(SPECIES, n)))
    return replace(system, cell=cell, pbc=pbc)


def pair_value(table: dict[Any, float], rule: Any, one: int, other: int) -> float:
    for key in ((one, other), (other, one)):
        if key in table:
            return table[key]
    return float(rule(table[one], table[other]))


def definition(potential: LennardJones, system: System) -> Evaluation:
    """A loop over all pairs and images."""
    x, cell, z = system.positions, system.cell, system.species
    energies, forces, virial = np.zeros(len(x)), np.zeros_like(x), np.zeros((3, 3))
    rc, ro = potential.cutoff, potential.onset

    def shape(r: float, epsilon: float, sigma: float) -> tuple[float, float]:
        """u and u' without an end."""
        s6 = (sigma / r) ** 6
        return 4 * epsilon * (s6 * s6 - s6), -24 * epsilon * (2 * s6 * s6 - s6) / r

    steps = [range(-3, 4) if periodic else range(1) for periodic in system.pbc]
    for i, j, shift in product(range(len(x)), range(len(x)), product(*steps)):
        d = x[j] - x[i] + np.array(shift) @ cell
        r = float(np.linalg.norm(d))
        if r >= rc or (i == j and not any(shift)):
            continue
        pair = (
            pair_value(EPSILON, lambda a, b: (a * b) ** 0.5, int(z[i]), int(z[j])),
            pair_value(SIGMA, lambda a, b: (a + b) / 2, int(z[i]), int(z[j])),
        )
        (u, slope), (end, end_slope) = shape(r, *pair), shape(rc, *pair)
        if potential.truncation == "shift":
            u -= end
        elif potential.truncation == "force-shift":
            u, slope = u - end - (r - rc) * end_slope, slope - end_slope
        elif r > ro:
            t = (rc**2 - r**2) / (rc**2 - ro**2)
            fall = 6 * t * (1 - t) * -2 * r / (rc**2 - ro**2)
            u, slope = u * t * t * (3 - 2 * t), slope * t * t * (3 - 2 * t) + u * fall
        energies[i] += 0.5 * u
        forces[i] += slope * d / r
        virial += 0.5 * slope / r * np.outer(d, d)
    stress = virial / abs(np.linalg.det(cell)) if all(system.pbc) else None
    return Evaluation(energies.sum(), forces, stress, energies)


def assert_close(found: Evaluation, wanted: Evaluation, tolerance: float) -> None:
    for name in ("energy", "forces", "stress", "energies"):
        a, b = getattr(found, name), getattr(wanted, name)
        assert (a is None) == (b is None)
        if a is not None:
            size = max(abs(np.asarray(b)).max(), 1.0)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * size, err_msg=name)


@TRUNCATIONS
@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    cutoff=st.floats(1.5, 3.0),
)
def test_the_sum_over_all_pairs(truncation: Any, seed: int, pbc: Any, cutoff: float) -> None:
    system = mixture(seed, pbc, n=9)
    potential = LennardJones(EPSILON, SIGMA, cutoff, truncation, onset=0.8 * cutoff)
    assert_close(potential(system), definition(potential, system), 1e-11)


@TRUNCATIONS
def test_tensors_have_the_same_numbers_and_forces_are_gradients(truncation: Any) -> None:
    """By autograd of the energy: of positions, and of a strain of positions and cell."""
    system, potential = mixture(2), LennardJones(EPSILON, SIGMA, truncation=truncation)
    tensors = system.map(torch.as_tensor)
    x = tensors.positions.clone().requires_grad_()
    strain = torch.eye(3, dtype=torch.float64, requires_grad=True)
    slow = potential(replace(tensors, positions=x @ strain, cell=tensors.cell @ strain))
    gradient, by_strain = torch.autograd.grad(slow.energy, [x, strain])
    stress = by_strain / abs(torch.linalg.det(tensors.cell))
    found = Evaluation(slow.energy.detach(), -gradient, stress, slow.energies.detach())
    assert_close(potential(system), found, 1e-12)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_species_of_the_same_numbers_are_one_species(seed: int) -> None:
    system = mixture(seed)
    one = LennardJones(0.7, 0.95, cutoff=2.4)
    same = LennardJones(dict.fromkeys(SPECIES, 0.7), 0.95, cutoff=2.4)
    assert same.species == SPECIES
    assert_close(same(system), one(system), 1e-13)


def test_order_of_particles_does_not_matter() -> None:
    system, potential = mixture(4), LennardJones(EPSILON, SIGMA)
    order = np.random.default_rng(0).permutation(system.n_particles)
    other = potential(
        replace(system, positions=system.positions[order], species=system.species[order])
    )
    here = potential(system)
    moved = here._replace(forces=here.forces[order], energies=here.energies[order])
    assert_close(other, moved, 1e-13)


def test_lorentz_and_berthelot() -> None:
    """Mixed is what a table of all pairs says; a pair's own number goes before the rule."""
    system = mixture(5)
    pairs = [(a, b) for k, a in enumerate(SPECIES) for b in SPECIES[: k + 1]]
    e, s = {10: 0.4, 18: 1.0, 36: 1.3}, {10: 0.8, 18: 1.0, 36: 1.1}
    table = LennardJones(
        {(a, b): (e[a] * e[b]) ** 0.5 for a, b in pairs},
        {(b, a): (s[a] + s[b]) / 2 for a, b in pairs},
    )
    assert_close(LennardJones(e, s)(system), table(system), 1e-15)
    assert LennardJones(e | {(10, 36): 0.5}, s)(system).energy != table(system).energy
    assert LennardJones(e, s).cutoff == 2.5 * 1.1


def glass(n_side: int = 7) -> State:
    """Kob and Andersen's mixture of 80 to 20 at their density of 1.2, warm."""
    n = n_side**3
    side = (n / 1.2) ** (1 / 3)
    grid = np.stack(np.meshgrid(*[np.arange(n_side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    species = np.random.default_rng(0).permutation(np.where(np.arange(n) < n // 5, 2, 1))
    system = System.create((grid + 0.5) * side / n_side, species=species)
    system = replace(system, cell=side * np.eye(3), pbc=(True, True, True))
    start = State(maxwell_boltzmann(system, 1.5, Random(1)), random=Random(2))
    flow = langevin_baoab(LennardJones(**KOB_ANDERSEN), 1.0, 2.0)
    *_, warm = rollout(flow, start, 0.002, 400, 400)
    return replace(warm, evaluation=None)


def test_both_interpreters_give_the_same_numbers() -> None:
    """And so does a potential that leaves some particles where they are."""
    start = glass(5)
    for make in (
        lambda p: velocity_verlet(p),
        lambda p: velocity_verlet(Fixed(p, np.arange(125) % 5 == 0)),
    ):
        flow = make(LennardJones(**KOB_ANDERSEN))
        assert compile_flow(flow) is not None
        *_, fast = rollout(flow, start, 0.002, 60, 60)
        slow, flow = start.started(0.002), make(LennardJones(**KOB_ANDERSEN))
        for _ in range(60):
            slow = flow(slow, 0.002).at(slow.step + 1, 0.002)
        for name in ("positions", "momenta"):
            found, wanted = getattr(fast.system, name), getattr(slow.system, name)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def test_energy_is_conserved_to_the_square_of_the_step() -> None:
    """A run of one time unit by velocity Verlet, compiled: half the step, a quarter of the error;
    and no drift that shows beside it."""
    start, errors = glass(), []
    for dt in (0.004, 0.002, 0.001):
        flow = velocity_verlet(LennardJones(**KOB_ANDERSEN, truncation="switch"))
        energies = np.array(
            [
                float(state.evaluation.energy + kinetic_energy(state.system))
                for state in rollout(flow, start, dt, int(1.0 / dt), int(0.02 / dt))
                if state.evaluation is not None
            ]
        )
        errors.append(energies.std())
        drift = np.polyfit(np.linspace(0, 1, len(energies)), energies, 1)[0]
        assert abs(drift) < 4 * energies.std()
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.5)


@pytest.mark.parametrize(
    ("epsilon", "sigma", "words"),
    [
        ({18: 1.0}, 1.0, "the potential has no parameters for Ne, Kr; it has those of Ar"),
        ({18: 1.0, (10, 36): 1.0}, 1.0, "there is no epsilon of Ne-Ne; give one of the pair"),
        ({18: 1.0, 10: 1.0, 36: 1.0}, {18: 1.0}, "there is no sigma of Ne"),
        ({(18, 10): 1.0, (10, 18): 2.0}, 1.0, "epsilon of Ne-Ar is given twice, 1.0 and 2.0"),
        ({18: 1.0, 10: -1.0}, 1.0, "epsilon of Ne-Ne must be positive, not -1.0"),
    ],
)
def test_refusals(epsilon: Any, sigma: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LennardJones(epsilon, sigma)(mixture())
