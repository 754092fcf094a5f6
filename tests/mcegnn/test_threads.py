"""One potential in several Python threads at the same time says, to the bit, what it says in one;
copies and pickles say so too."""

import copy
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.mep import NEB

from integrators.ensembles import velocity_verlet
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from mcegnn import load
from mcegnn.interfaces.ase import CalculatorPotential, PotentialCalculator
from mcegnn.models.potential import ConservativePotential
from systems.potentials.committee import Committee, ExtrapolationWarning
from systems.potentials.lennard_jones import LennardJones
from systems.potentials.table import PairTable
from systems.sources.atoms import from_atoms
from systems.system import Evaluation, System
from systems.workspaces import KEPT
from trajectories.rollout import rollout

N_THREADS = 4


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def metal() -> ConservativePotential:
    """A small periodic potential of random weights."""
    torch.manual_seed(3)
    model = ConservativePotential(
        [29, 79], n_features=16, n_channels=4, n_layers=2, cutoff=4.0, periodic=True
    )
    return model.requires_grad_(False)


def shaken(atoms: Sequence[Atoms], n: int, width: float = 0.05) -> list[System]:
    """Systems of the atoms in turn, each shaken in its own way."""
    found, rng = [from_atoms(one) for one in atoms], np.random.default_rng(0)
    chosen = [found[k % len(found)] for k in range(n)]
    return [
        replace(one, positions=one.positions + rng.normal(0.0, width, one.positions.shape))
        for one in chosen
    ]


COPPER = [bulk("Cu", "fcc", 3.6, cubic=True) * (2, 2, k) for k in (1, 2)] + [
    bulk("Cu", "fcc", 3.5) * (3, 3, 3)
]
ARGON = [bulk("Ar", "fcc", 5.3, cubic=True) * (2, 2, k) for k in (1, 2, 3)]
MOLECULES = [molecule("CH3CH2OH"), molecule("CH3OH"), molecule("H2O")]
CASES: dict[str, tuple[Callable[[], Any], list[System]]] = {
    "a shipped model": (lambda: load("ethanol"), shaken(MOLECULES, 240)),
    "a periodic model": (metal, shaken(COPPER, 120)),
    "Lennard-Jones": (lambda: LennardJones(epsilon=0.0104, sigma=3.4), shaken(ARGON, 240)),
    "a committee": (
        lambda: Committee([load("ethanol"), load("ethanol").as_potential()]),
        shaken(MOLECULES, 160),
    ),
    "a table": (lambda: PairTable.of(lambda r: 1.0 / r**3, 0.1, 20.0, 512), shaken(MOLECULES, 240)),
    "ASE's EMT": (lambda: CalculatorPotential(EMT()), shaken(COPPER, 60)),
}


def in_threads(
    work: Callable[[Any], Any], items: Sequence[Any], n_threads: int = N_THREADS
) -> list[Any]:
    """What the work gives for each item, in their order; they begin together."""
    begin = threading.Barrier(n_threads)

    def share(k: int) -> list[Any]:
        begin.wait()
        return [work(item) for item in items[k::n_threads]]

    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(share, range(n_threads)))
    return [parts[k % n_threads][k // n_threads] for k in range(len(items))]


def assert_same(found: Sequence[Evaluation], wanted: Sequence[Evaluation], case: str = "") -> None:
    """The same bits of all that is said; but what ASE's EMT says depends on its last neighbour list
    by round-off."""
    atol = 1e-11 if "EMT" in case else 0.0
    for one, other in zip(found, wanted, strict=True):
        for name in ("energy", "forces", "stress", "energies"):
            said, expected = getattr(one, name), getattr(other, name)
            assert (said is None) == (expected is None)
            if expected is not None:
                np.testing.assert_allclose(said, expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_a_shared_potential_is_right(case: str) -> None:
    make, systems = CASES[case]
    alone = make()
    wanted = [alone(system) for system in systems]
    assert_same(
        in_threads(make(), systems), wanted, case
    )  # of which the first calls make what is kept


def test_no_more_is_kept_than_calls_at_a_time() -> None:
    """Whatever pools of threads come and go; a single thread keeps one."""
    potential, systems = metal().as_potential(), shaken(COPPER, 64)
    for system in systems[:3]:
        potential(system)
    assert len(potential._workspaces) == 1
    for n_threads in (2, 16, 8):
        in_threads(potential, systems, n_threads)
        assert 1 <= len(potential._workspaces) <= KEPT


def test_a_call_that_fails_leaves_nothing_behind() -> None:
    potential, (good, *_) = metal(), shaken(COPPER, 1)
    bad = replace(good, positions=np.full_like(good.positions, np.nan))
    wanted = potential(good)

    def tried(system: System) -> Any:
        try:
            return potential(system)
        except ValueError as error:
            return str(error)

    found = in_threads(tried, [good, bad] * 20 + [good])
    assert all("no finite position" in one for one in found[1::2])
    assert_same(found[::2], [wanted] * 21)


def test_runs_that_share_a_potential() -> None:
    """Of the compiled driver, whose lists are the potential's; of different sizes, and of an
    ensemble."""
    starts = [
        State(maxwell_boltzmann(from_atoms(atoms), 60.0, Random(seed)))
        for seed, atoms in enumerate(ARGON)
    ]
    one = starts[0].system
    shapes = {
        "positions": (2, *one.positions.shape),
        "momenta": (2, *one.positions.shape),
        "charges": (2, one.n_particles),
    }
    many = replace(
        one,
        **{
            name: np.broadcast_to(getattr(one, name), shape).copy()
            for name, shape in shapes.items()
        },
    )
    starts.append(State(many))

    def run(potential: Any, start: State) -> list[State]:
        return list(rollout(velocity_verlet(potential), start, 0.2, 300, 60))

    shared = LennardJones(epsilon=0.0104, sigma=3.4)
    found = in_threads(lambda start: run(shared, start), starts * 2)
    wanted = [run(LennardJones(epsilon=0.0104, sigma=3.4), start) for start in starts] * 2
    for states, others in zip(found, wanted, strict=True):
        for state, other in zip(states, others, strict=True):
            np.testing.assert_array_equal(state.system.positions, other.system.positions)
            np.testing.assert_array_equal(state.evaluation.forces, other.evaluation.forces)


def band(
    potential: Callable[[], Any], parallel: bool, n_images: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces along a vacancy's way, the images calculated in threads of ASE's or one
    after the other."""
    first = bulk("Cu", "fcc", 3.6, cubic=True) * 2
    del first[0]
    last = first.copy()
    last.positions[np.linalg.norm(last.positions, axis=1).argmin()] = 0.0
    first.rattle(0.02, seed=1)
    last.rattle(0.02, seed=2)
    images = [*(first.copy() for _ in range(n_images - 1)), last]
    for image in images:
        image.calc = PotentialCalculator(potential())
    neb = NEB(images, parallel=parallel, method="improvedtangent")
    neb.interpolate(mic=True)
    forces = neb.get_forces()
    return np.array(neb.energies), forces


def test_a_band_of_images_that_share_a_model() -> None:
    energies, forces = band(metal, parallel=False)
    for _ in range(3):
        shared = metal()
        found = band(lambda: shared, parallel=True)  # noqa: B023
        np.testing.assert_array_equal(found[0], energies)
        np.testing.assert_array_equal(found[1], forces)


def test_errors_in_threads_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool raises them; ASE's bands leave them to Python, which prints them."""
    xenon = Atoms("Xe", cell=[5, 5, 5], pbc=True)
    with pytest.raises(ValueError, match="not trained on Xe"):
        in_threads(metal(), [from_atoms(xenon)] * N_THREADS)
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda what: told.append(str(what.exc_value)))
    images = [xenon.copy() for _ in range(3)]
    for image in images[1:2]:
        image.calc = PotentialCalculator(metal())
    for image in (images[0], images[2]):
        image.calc = PotentialCalculator(LennardJones(0.02, 4.0))
    NEB(images, parallel=True, method="improvedtangent").get_forces()
    assert told
    assert "not trained on Xe" in told[0]


def test_a_shared_calculator_gives_each_thread_its_own() -> None:
    """ASE keeps one set of atoms and results in a calculator; threads wait for each other."""
    calculator, alone = PotentialCalculator(load("ethanol")), PotentialCalculator(load("ethanol"))
    images = []
    for seed in range(80):
        images.append(molecule("CH3CH2OH"))
        images[-1].rattle(0.05, seed=seed)

    def said(atoms: Atoms, by: Any) -> tuple[float, np.ndarray]:
        mine = atoms.copy()
        mine.calc = by
        return mine.get_potential_energy(), mine.get_forces()

    wanted = [said(atoms, alone) for atoms in images]
    for (energy, forces), (other, others) in zip(
        in_threads(lambda a: said(a, calculator), images), wanted, strict=True
    ):
        assert energy == other
        np.testing.assert_array_equal(forces, others)


def test_a_committee_warns_once_whatever_the_threads() -> None:
    quiet, loud = load("ethanol"), LennardJones(epsilon=1.0, sigma=2.0)
    committee = Committee([quiet, loud], warn=1e-3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        in_threads(committee, shaken(MOLECULES[:1], 40))
    assert len([one for one in told if one.category is ExtrapolationWarning]) == 1


@pytest.mark.parametrize(
    "case", [case for case in CASES if "EMT" not in case]
)  # which cannot be pickled once it has been used
@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_copies_say_the_same(case: str, twin: Callable[[Any], Any]) -> None:
    make, systems = CASES[case]
    potential = make()
    potential(systems[0])  # has its workspaces by now
    other = twin(potential)
    assert_same(in_threads(other, systems[:8]), [potential(system) for system in systems[:8]])
    calculator = twin(PotentialCalculator(potential))
    assert_same([calculator.potential(systems[1])], [potential(systems[1])])
