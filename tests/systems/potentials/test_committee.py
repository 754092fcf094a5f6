"""Committees of potentials: their mean, their spread, and what happens where they disagree."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from systems.potentials.committee import Committee, ExtrapolationError
from systems.potentials.springs import Springs
from systems.potentials.sum import Sum
from systems.system import Evaluation, System


def system(n_systems: int | None = None) -> System:
    shape = (4, 3) if n_systems is None else (n_systems, 4, 3)
    x = np.random.default_rng(0).normal(size=shape)
    return System.create(x)


class Pull:
    """A constant force on all particles, with the energy to go with it, and a stress that is its
    own number."""

    def __init__(self, strength: float, stress: bool = True) -> None:
        self.strength, self.stress = strength, stress

    def __call__(self, of: System) -> Evaluation:
        x = of.positions
        energies = -self.strength * x[..., 0]
        forces = np.broadcast_to([self.strength, 0.0, 0.0], x.shape)
        return Evaluation(
            energies.sum(-1),
            forces,
            self.strength * np.eye(3) if self.stress else None,
            energies,
            potential=self,
        )


@pytest.mark.parametrize("n_systems", [None, 3])
def test_the_mean_acts_and_the_spread_is_told(n_systems: int | None) -> None:
    one = system(n_systems)
    said = Committee([Pull(1.0), Pull(2.0), Pull(6.0)])(one)
    alone = Pull(3.0)(one)
    for name in ("energy", "forces", "stress", "energies"):
        np.testing.assert_allclose(
            getattr(said, name), getattr(alone, name), rtol=1e-14, atol=1e-14
        )
    np.testing.assert_allclose(
        said.uncertainty, np.full(() if n_systems is None else 3, np.sqrt((4 + 1 + 9) / 3))
    )


def test_the_uncertainty_is_that_of_the_worst_particle() -> None:
    one = system()
    springs = [Springs(np.array([[0, 1]]), stiffness=k, length=0.0) for k in (1.0, 3.0)]
    said = Committee(springs)(one)
    forces = np.stack([spring(one).forces for spring in springs])
    np.testing.assert_allclose(said.uncertainty, (forces.std(0) ** 2).sum(-1).max() ** 0.5)


def test_what_one_member_does_not_say_the_committee_does_not_say() -> None:
    said = Committee([Pull(1.0), Pull(2.0, stress=False)])(system())
    assert said.stress is None
    assert said.energy is not None


def test_a_warning_is_given_once() -> None:
    committee, one = Committee([Pull(1.0), Pull(2.0)], warn=0.4), system()
    with pytest.warns(
        UserWarning,
        match=(
            r"the 2 models of the committee disagree on the force on particle 0 by 0\.5, more than"
            r" 0\.4"
        ),
    ):
        committee(one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        committee(one)


def test_below_the_limits_nothing_is_said() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = Committee([Pull(1.0), Pull(2.0)], warn=0.51, stop=0.51)(system())
    assert told == []
    assert found.uncertainty == pytest.approx(0.5, rel=1e-12)


def test_it_stops_naming_system_and_particle() -> None:
    one = system(3)
    x = one.positions.copy()
    x[1, 2] += 40.0
    far = replace(one, positions=x)
    springs = [Springs(np.array([[0, 1], [2, 3]]), stiffness=k, length=0.0) for k in (1.0, 3.0)]
    with pytest.raises(
        ExtrapolationError,
        match=r"particle [23] of system 1 by .*, more than the 10 allowed: they are outside",
    ):
        Committee(springs, stop=10.0)(far)


def test_members_may_be_anything_that_acts() -> None:
    one = system()
    np.testing.assert_allclose(Committee([Sum(Pull(1.0)), Pull(1.0)])(one).uncertainty, 0.0)


@pytest.mark.parametrize(
    ("members", "limits", "said"),
    [
        ([], {}, "at least two members, not 0"),
        ([Pull(1.0)], {}, "at least two members, not 1"),
        ([Pull(1.0)] * 2, {"warn": 0.0}, "must be positive, not 0.0"),
        ([Pull(1.0)] * 2, {"stop": -1.0}, "must be positive, not inf and -1.0"),
        ([Pull(1.0)] * 2, {"stop": np.nan}, "must be positive"),
    ],
)
def test_mistakes(members: list[Pull], limits: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Committee(members, **limits)
