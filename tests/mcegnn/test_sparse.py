"""Atoms that drift apart under a potential that was trained on denser ones: what training keeps of
it, and what a watched run finds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list

from integrators.ensembles import velocity_verlet
from integrators.state import State
from mcegnn.data.labelled import from_file
from mcegnn.models.potential import ConservativePotential
from mcegnn.models.store import Stored, load, save
from mcegnn.training.nearest import fewest_neighbors
from systems.neighbors.sparse import counted, mean_neighbors
from systems.potentials.committee import Committee
from systems.sources.atoms import from_atoms
from systems.system import System
from trajectories.checks import Limits, Violation
from trajectories.monitor import SPARSE, LimitViolated, Monitor


def potential(species: list[int], **options: Any) -> ConservativePotential:
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "n_features": 8,
        "n_channels": (3, 2),
        "n_layers": 2,
        "n_radial": 5,
        "cutoff": 5.0,
        "periodic": True,
    }
    return ConservativePotential(species, **{**small, **options}).requires_grad_(False)


def mean_of_ase(atoms: Atoms, cutoff: float) -> float:
    return len(neighbor_list("i", atoms, cutoff)) / len(atoms)


def random_atoms(seed: int) -> Atoms:
    """Periodic in some directions, of few atoms and of many."""
    stream = np.random.default_rng(seed)
    n, cell = int(stream.choice([1, 2, 7, 70])), stream.normal(size=(3, 3)) + 6.0 * np.eye(3)
    return Atoms(
        stream.choice([1, 8], n),
        stream.random((n, 3)) * stream.uniform(3.0, 9.0),
        cell=cell,
        pbc=stream.random(3) < 0.5,
    )


@pytest.mark.parametrize("seed", range(8))
def test_counts_are_ases(seed: int, tmp_path: Path) -> None:
    """Of random structures one by one, and the least of several as training keeps it."""
    some = [random_atoms(100 * seed + k) for k in range(5)]
    for atoms in some:
        assert mean_neighbors(from_atoms(atoms), 3.0) == pytest.approx(
            mean_of_ase(atoms, 3.0), rel=1e-12
        )
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((len(atoms), 3)))
    ase.io.write(tmp_path / "some.xyz", some)
    read = ase.io.read(tmp_path / "some.xyz", ":")
    assert fewest_neighbors(from_file(tmp_path / "some.xyz"), 3.0) == pytest.approx(
        min(mean_of_ase(atoms, 3.0) for atoms in read)
    )


def test_few_particles_and_many_are_counted_alike() -> None:
    """64 are looked at pair by pair, 65 are searched: far away, the one more adds nothing."""
    x = np.random.default_rng(0).random((64, 3)) * 8.0
    more = np.vstack([x, [[100.0, 0.0, 0.0]]])
    assert mean_neighbors(System.create(x), 3.0) * 64 == pytest.approx(
        mean_neighbors(System.create(more), 3.0) * 65
    )
    assert mean_neighbors(System.create(x[:1]), 3.0) == 0.0


@pytest.mark.parametrize("fewest", [-1.0, float("nan"), float("inf"), True, "2"])
def test_what_is_no_number_of_neighbours(fewest: Any) -> None:
    with pytest.raises(ValueError, match="fewest is a mean number of neighbours, never below zero"):
        potential([42], fewest=fewest)


def test_it_changes_no_number_and_survives_the_file(tmp_path: Path) -> None:
    """Compiled it is known too; a file that has none of it never tells."""
    atoms = bulk("Mo", cubic=True) * 2
    atoms.rattle(0.1, seed=0)
    system, plain, knowing = from_atoms(atoms), potential([42]), potential([42], fewest=21.4)
    np.testing.assert_array_equal(plain(system).forces, knowing(system).forces)
    np.testing.assert_array_equal(plain(system).energy, knowing(system).energy)
    assert (knowing.as_potential().fewest, knowing.as_potential().cutoff) == (21.4, 5.0)
    save(
        Stored.make("ConservativePotential", {"species": [42], "n_layers": 1, "fewest": 21.4}),
        tmp_path / "m.safetensors",
    )
    assert load(tmp_path / "m.safetensors").model.fewest == 21.4
    far = replace(system, positions=9.0 * system.positions, cell=9.0 * np.asarray(system.cell))
    for silent in (
        plain,
        plain.as_potential(),
        Committee([plain, plain]),
        None,
        lambda system: None,
        load("ethanol").model,
    ):
        assert counted(silent, far) == {}


def test_a_committee_counts_for_each_cutoff() -> None:
    """Members of one cutoff by the largest of their numbers; of several, the one that finds the
    fewest beside its training."""
    system = from_atoms(molecule("CH3CH2OH"))
    members = [
        potential([1, 6, 8], **more)
        for more in ({"fewest": 9.0}, {"fewest": 10.0}, {}, {"fewest": 8.0, "cutoff": 2.0})
    ]
    assert counted(Committee(members[:3]), system)[0][:3] == (8.0, 10.0, 5.0)
    count = counted(Committee([one.as_potential() for one in members]), system)[0]
    assert count[:3] == (mean_of_ase(molecule("CH3CH2OH"), 2.0), 8.0, 2.0)


def monitored(
    system: System, fewest: float, n_steps: int, every: int, share: float = 0.5, cutoff: float = 5.0
) -> Any:
    """What is told of, the monitor, and its error, where it ends in one."""
    told: list[Violation] = []
    held: list[Violation] = []
    law = potential(
        sorted(set(np.asarray(system.species).tolist())), fewest=fewest, scale=1e-9, cutoff=cutoff
    )
    monitor = Monitor(
        velocity_verlet(law.as_potential()),
        1.0,
        Limits(neighbors=share),
        held.append,
        tell_near=told.append,
    )
    try:
        for _ in monitor.states(State(system), n_steps, every):
            pass
    except LimitViolated as error:
        return told, held, monitor, error
    return told, held, monitor, None


def flying(n_systems: int | None = None) -> tuple[System, float]:
    """Atoms in free space that fly apart from their middle, by a thousandth a step, others of an
    ensemble the slower; at the start they have so many neighbours."""
    x = np.asarray(bulk("Mo", cubic=True).repeat(3).positions) * 0.8
    x = x - x.mean(0)
    speeds = 1e-3 * (1.0 if n_systems is None else 1.0 / np.arange(1, n_systems + 1)[:, None, None])
    positions = np.broadcast_to(x, (*((n_systems,) if n_systems else ()), *x.shape)).copy()
    one = from_atoms(Atoms("Mo54", x))
    system = replace(
        one,
        positions=positions,
        momenta=positions * speeds * np.asarray(one.masses)[:, None],
        charges=np.zeros(positions.shape[:-1]),
    )
    return system, mean_neighbors(one, 5.0)


def at(system: System, step: int) -> float:
    """The mean number after so many steps, by ASE."""
    return mean_of_ase(
        Atoms(
            "Mo54", system.positions + step * system.momenta / np.asarray(system.masses)[:, None]
        ),
        5.0,
    )


@pytest.mark.parametrize("every", [1, 20, 100])
def test_a_run_is_told_of_marked_and_stopped(every: int) -> None:
    """Told of once, at the first count below; stopped at the first step below half, in numbers that
    are ASE's."""
    system, fewest = flying()
    told, _, monitor, error = monitored(system, fewest, 1000, every)
    assert error is not None
    first = next(step for step in range(1, 1000) if at(system, step) < 0.5 * fewest)
    counts = every * -(-50 // every)
    assert error.violation.limit == "neighbors"
    if every > 50:  # where each frame has a count
        assert error.violation.step == first
    assert first <= error.violation.step <= -(-first // counts) * counts
    assert (
        f"on average {at(system, error.violation.step):.4g} neighbours within 5 Angstrom"
        in error.violation.what
    )
    assert f"in training never fewer than {fewest:.4g}" in error.violation.what
    assert error.good.step == (error.violation.step - 1) // every * every
    below = next(step for step in range(0, 1000, counts) if at(system, step) < SPARSE * fewest)
    assert [(one.step, one.system, one.limit) for one in told] == [(below, None, "neighbors")]
    assert monitor.sparse == {0: below}
    assert monitor.marked == {}
    again, _, monitor, error = monitored(system, fewest, 1000, every, share=0.0)
    assert (error, monitor.sparse) == (None, {0: below})
    assert again == told
    assert monitored(system, 0.0, 1000, every)[2].sparse == {}


def test_systems_of_an_ensemble_are_held_one_by_one() -> None:
    """The fast one is held, the slow one only marked, later; each is told of by its number."""
    system, fewest = flying(3)
    told, held, monitor, error = monitored(system, fewest, 600, 50)
    assert error is None
    assert [one.system for one in held] == [0]
    assert (
        at(system.copy_of(0), held[0].step)
        < 0.5 * fewest
        <= at(system.copy_of(0), held[0].step - 1)
    )
    assert sorted(one.system for one in told) == [0, 1, 2]
    for s in range(3):
        assert monitor.sparse[s] == next(
            step for step in range(0, 601, 50) if at(system.copy_of(s), step) < SPARSE * fewest
        )


def test_a_stretched_crystal_and_a_molecule() -> None:
    """Images count. A crystal like those of training is not told of, a stretched one at its first
    step."""
    atoms = bulk("Mo", cubic=True) * 2
    atoms.rattle(0.02, seed=0)
    fewest = mean_of_ase(atoms, 5.0)
    assert (
        monitored(from_atoms(atoms), 1.2 * fewest, 50, 50)[0] == []
    )  # the least of some structures is passed by chance
    assert monitored(from_atoms(atoms), fewest, 50, 50)[0] == []
    atoms.set_cell(1.2 * np.asarray(atoms.cell), scale_atoms=True)
    told, _, _, error = monitored(from_atoms(atoms), fewest, 50, 50)
    assert (error, [one.step for one in told]) == (None, [0])
    assert f"on average {mean_of_ase(atoms, 5.0):.4g} neighbours" in told[0].what
    atoms.set_cell(2.0 * np.asarray(atoms.cell), scale_atoms=True)
    error = monitored(from_atoms(atoms), fewest, 50, 50)[3]
    assert (error.violation.step, error.violation.limit) == (1, "neighbors")
    ethanol = from_atoms(molecule("CH3CH2OH"))
    assert monitored(ethanol, 8.0, 50, 50)[0] == []
    told, _, _, error = monitored(ethanol, 10.1, 50, 50)
    assert (
        "on average 8 neighbours within 5 Angstrom, in training never fewer than 10.1"
        in told[0].what
    )


def test_what_has_collapsed_or_is_not_finite_has_no_count() -> None:
    """Others tell of it."""
    system, law = from_atoms(bulk("Mo", cubic=True)), potential([42], fewest=21.4)
    assert counted(law, replace(system, cell=np.zeros((3, 3)))) == {}
    assert counted(law, replace(system, positions=np.full_like(system.positions, np.nan))) == {}
