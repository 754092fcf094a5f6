"""Potentials against formulas that fit on a line: two charges, oblate bodies, single springs; what
is clipped and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from systems.kernel import evaluate
from systems.potentials.coulomb import Coulomb
from systems.potentials.gravity import Gravity, Oblateness
from systems.potentials.springs import Springs
from systems.potentials.sum import Sum
from systems.system import Evaluation, System
from systems.units import METAL

CLOSE = 1e-14  # relative: formulas of about twenty operations
POLE = np.array([2.0, -1.0, 2.0]) / 3.0
EQUATOR = np.array([1.0, 2.0, 0.0]) / 5.0**0.5


def by_kernel(potential: Any, system: System) -> Evaluation:
    return evaluate(potential, system)


def by_arrays(potential: Any, system: System) -> Evaluation:
    return potential(system)


both = pytest.mark.parametrize("act", [by_arrays, by_kernel])


@both
def test_two_elementary_charges_an_angstrom_apart(act: Any) -> None:
    """e^2 / (4 pi eps0 A) = 14.3996 eV."""
    pair = System.create([[0, 0, 0], [0, 0, 2.0]], charges=[1.0, -1.0], units=METAL)
    found = act(Coulomb(METAL.coulomb), pair)
    assert found.energy == pytest.approx(-14.3996 / 2, abs=5e-5)
    np.testing.assert_allclose(
        found.forces, [[0, 0, 14.3996 / 4], [0, 0, -14.3996 / 4]], rtol=0, atol=5e-5
    )


@both
def test_two_masses_attract(act: Any) -> None:
    pair = System.create([[0, 0, 0], [0, 3.0, 4.0]], masses=[2.0, 7.0])
    found = act(Gravity(0.5), pair)
    assert found.energy == pytest.approx(-0.5 * 14.0 / 5.0, rel=CLOSE)
    np.testing.assert_allclose(
        found.forces[0], 0.5 * 14.0 / 25.0 * np.array([0, 0.6, 0.8]), rtol=CLOSE
    )


@both
def test_softening_rounds_the_well(act: Any) -> None:
    """-G m m / sqrt(r^2 + a^2) with r = 3, a = 4."""
    pair = System.create([[0, 0, 0], [3.0, 0, 0]])
    found = act(Gravity(1.0, softening=4.0), pair)
    assert found.energy == pytest.approx(-1.0 / 5.0, rel=CLOSE)
    np.testing.assert_allclose(found.forces[:, 0], [3.0 / 125.0, -3.0 / 125.0], rtol=CLOSE)


@both
def test_the_body_left_out_neither_pulls_nor_is_pulled(act: Any, scatter: Any) -> None:
    system = scatter(1, 5)
    rest = replace(
        system,
        positions=system.positions[[0, 1, 3, 4]],
        masses=system.masses[[0, 1, 3, 4]],
        charges=system.charges[[0, 1, 3, 4]],
    )
    found, expected = act(Gravity().without(2), system), act(Gravity(), rest)
    np.testing.assert_array_equal(found.forces[2], np.zeros(3))
    np.testing.assert_allclose(np.delete(found.forces, 2, axis=0), expected.forces, rtol=1e-12)
    assert found.energy == pytest.approx(float(expected.energy), rel=CLOSE * 10)


@both
@pytest.mark.parametrize(
    ("direction", "factor"),
    [(POLE, -3.0), (-POLE, -3.0), (EQUATOR, 1.5)],
    ids=["north", "south", "equator"],
)
def test_an_oblate_body_pulls_less_at_its_pole(
    act: Any, direction: np.ndarray, factor: float
) -> None:
    """G M m / r^2 (1 - 3 J2 (R/r)^2) along the pole, (1 + 3/2 J2 (R/r)^2) in the plane of the
    equator, both towards the centre."""
    heavy, light, r, j2, radius = 5.0, 0.3, 2.0, 0.4, 0.9
    center = np.array([0.5, -1.0, 0.25])
    shape = Oblateness(np.array([1]), np.array([j2]), np.array([radius]), POLE[None])
    pair = System.create([center + r * direction, center], masses=[light, heavy])
    found = act(Gravity(1.5, oblateness=shape), pair)
    ratio = j2 * (radius / r) ** 2
    pull = 1.5 * heavy * light / r**2 * (1.0 + factor * ratio)
    np.testing.assert_allclose(
        found.forces, [-pull * direction, pull * direction], rtol=0, atol=CLOSE * 10
    )
    # the energy's J2 term is the force's times r / 3
    assert found.energy == pytest.approx(
        -1.5 * heavy * light / r * (1.0 + factor * ratio / 3.0), rel=CLOSE * 10
    )


@both
def test_a_spring_pulls_back_to_its_length(act: Any) -> None:
    pair = System.create([[0, 0, 0], [0, 0, 3.0]])
    found = act(Springs([[0, 1]], stiffness=2.0, length=1.0), pair)
    assert found.energy == pytest.approx(4.0, rel=CLOSE)
    np.testing.assert_allclose(found.forces[:, 2], [4.0, -4.0], rtol=CLOSE)


@both
def test_a_spring_without_length_has_no_singular_point(act: Any) -> None:
    meeting = System.create([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    found = act(Springs([[0, 1]], stiffness=2.0), meeting)
    assert found.energy == 0.0
    np.testing.assert_array_equal(found.forces, np.zeros((2, 3)))


@both
def test_two_springs_between_the_same_ends_add_up(act: Any, scatter: Any) -> None:
    twice = act(Springs([[0, 1], [1, 0]], stiffness=[1.0, 2.0], length=0.5), scatter(0, 2))
    once = act(Springs([[0, 1]], stiffness=3.0, length=0.5), scatter(0, 2))
    np.testing.assert_allclose(twice.forces, once.forces, rtol=CLOSE * 10)


@both
def test_the_limit_clips_components_and_not_the_energy(act: Any) -> None:
    """Three charges on a line 0.05 and 3 apart: 400 is clipped to 100, 1/9 is not; nothing touches
    the energy."""
    line = System.create([[0, 0, 0], [0.05, 0, 0], [0.05, 3.0, 0]], charges=[1.0, 1.0, 1.0])
    free, clipped = act(Coulomb(), line), act(Coulomb(limit=100.0), line)
    assert abs(free.forces).max() > 399.0
    np.testing.assert_array_equal(clipped.forces, np.clip(free.forces, -100.0, 100.0))
    np.testing.assert_array_equal(clipped.forces[:2, 0], [-100.0, 100.0])
    assert 0.0 < clipped.forces[2, 1] < 1.0
    assert clipped.energy == free.energy


@both
@pytest.mark.parametrize(
    "potential",
    [Coulomb(), Gravity(), Sum(Springs([[0, 1]]), Gravity())],
    ids=["Coulomb", "Gravity", "sum"],
)
@pytest.mark.parametrize("axis", range(3))
def test_periodic_systems_are_refused(act: Any, potential: Any, axis: int) -> None:
    pbc = tuple(k == axis for k in range(3))
    box = replace(System.create([[0, 0, 0], [1.0, 0, 0]]), cell=np.eye(3) * 5.0, pbc=pbc)
    name = "Coulomb" if isinstance(potential, Coulomb) else "Gravity"
    with pytest.raises(
        ValueError, match=f"{name} has no Ewald sum yet and cannot act in a periodic box; set pbc"
    ):
        act(potential, box)
