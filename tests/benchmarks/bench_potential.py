"""The energy-conserving potential: milliseconds a call by size and threads, whole runs, and how
well a run keeps its energy."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ase import units
from ase.build import bulk, molecule
from ase.md.verlet import VelocityVerlet
from egnn_twin import Twin
from record import Row, ratio, shown
from torch import Tensor, nn

from integrators.ensembles import velocity_verlet
from integrators.random import Random
from integrators.state import State
from integrators.velocities import maxwell_boltzmann
from mcegnn import PotentialCalculator, load
from mcegnn.graph import complete
from mcegnn.models.potential import ConservativePotential
from systems.observables import kinetic_energy
from systems.sources.atoms import from_atoms
from systems.system import System
from trajectories.rollout import rollout

FS = units.fs
_MOLYBDENUM = {250: (5, 5, 5), 1000: (10, 10, 5), 10_000: (25, 20, 10)}  # cubic cells of two atoms


class _Energies(nn.Module):
    """The published EGNN as a force field: one channel, all pairs, energies from its features,
    forces by autograd."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.network, graph = Twin(64, 1, 4), complete(n)
        self.i, self.j, self.readout = (
            graph.i,
            graph.j,
            nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1)),
        )

    def forward(self, species: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_(True)
        h, moved, still = self.network.embedding(species), x.unsqueeze(-1), torch.zeros_like(x)
        r2 = (x[self.i] - x[self.j]).square().sum(-1, keepdim=True)
        for layer in self.network.layers:
            h, moved = layer(h, moved, still, torch.cat([r2, r2], -1), self.i, self.j)
        energy = self.readout(h).sum()
        return energy, -torch.autograd.grad(energy, x)[0]


def _model(cutoff: float, **options: Any) -> ConservativePotential:
    torch.manual_seed(0)
    made = ConservativePotential(
        [1, 6, 8, 42], n_layers=4, cutoff=cutoff, scale=1e-3, periodic=True, **options
    )
    return made.eval().requires_grad_(False)


def _aspirin() -> System:
    """As many atoms as aspirin has, of its elements, as densely."""
    return from_atoms(molecule("C60")[:21])


def _crystal(n: int) -> System:
    atoms = bulk("Mo", cubic=True) * _MOLYBDENUM[n]
    atoms.rattle(0.05, seed=1)
    return from_atoms(atoms)


def speed() -> list[Row]:
    """Energy and forces in float32, one and two threads."""
    torch.set_num_threads(1)
    system, twin = _aspirin(), _Energies(21)
    species, x = torch.ones(21, 1), torch.from_numpy(system.positions).float()
    rows = []
    for channels, couplings in ((1, 0), (16, 0), ((16, 8), 0), ((16, 8), 8)):
        own = _model(20.0, n_channels=channels, n_couplings=couplings).as_potential()

        def theirs() -> None:
            for _ in range(20):
                twin(species, x)

        def ours(own: Any = own) -> None:
            for _ in range(20):
                own(system)

        ours(), theirs()
        found = tuple(1.0 / r for r in ratio(ours, theirs, 9))
        each = statistics.median(_milliseconds(lambda own=own: own(system)) for _ in range(9))
        rows.append(
            Row(
                "21 atoms, all pairs, 4 layers, F = 64, channels "
                f"{channels}{f', {couplings} coupled' if couplings else ''}: time over a plain "
                "twin of the published EGNN, one thread",
                f"{shown((found[0], found[2], found[1]))}; {each:.2f} ms a call",
                "at most 0.5",
            )
        )
    return [*rows, *_by_size()]


def _by_size() -> list[Row]:
    """Milliseconds a call and microseconds an atom."""
    rows = []
    sizes = [
        (9, from_atoms(molecule("CH3CH2OH"))),
        (21, _aspirin()),
        (60, from_atoms(molecule("C60"))),
        *((n, _crystal(n)) for n in _MOLYBDENUM),
    ]
    for n, system in sizes:
        cutoff = 6.0 if n <= 60 else 5.0
        told = []
        for threads in (1, 2):
            own = _model(cutoff, n_channels=(16, 8), n_couplings=8).as_potential(threads=threads)
            own(system)
            told.append(
                statistics.median(
                    _milliseconds(lambda own=own, system=system: own(system)) for _ in range(5)
                )
            )
        rows.append(
            Row(
                f"{n:,} atoms, cutoff {cutoff:g}, 4 layers, F = 64, channels (16, 8), 8 "
                "coupled, one / two threads",
                f"{told[0]:.3g} / {told[1]:.3g} ms a call, {1e3 * told[0] / n:.3g} / "
                f"{1e3 * told[1] / n:.3g} microseconds an atom",
            )
        )
    return rows


def _milliseconds(work: Callable[[], object]) -> float:
    """Of one call, over at least a tenth of a second."""
    n, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < 0.1:
        work()
        n += 1
    return 1e3 * spent / n


def whole() -> list[Row]:
    """Steps a second of whole runs of the shipped models, in ASE and by our rollout."""
    rows = []
    for name in ("ethanol", "aspirin"):
        model = load(name)
        system = _of(name)
        calls = _milliseconds(lambda model=model, system=system: model(system))
        ours = _seconds_a_step(
            lambda n, model=model, system=system: list(
                rollout(velocity_verlet(model.as_potential()), State(system), 0.5 * FS, n, n)
            )
        )
        ases = _seconds_a_step(lambda n, model=model, system=system: _ase(model, system).run(n))
        figure = (
            f"{1 / ours:,.0f} steps a second, in ASE {1 / ases:,.0f}; a call alone takes"
            f" {calls:.3g} ms"
        )
        rows.append(Row(f"{name}, velocity Verlet, one thread", figure))
    return rows


def _of(name: str) -> System:
    """A molecule of the model's, at 300 K."""
    from mcegnn.data.labelled import named

    system = named(f"rmd17:{name}").structures.system(0)
    return maxwell_boltzmann(system, temperature=300.0, random=Random(1))


def _ase(model: Any, system: System) -> VelocityVerlet:
    from systems.sources.atoms import to_atoms

    atoms = to_atoms(system)
    atoms.calc = PotentialCalculator(model)
    return VelocityVerlet(atoms, 0.5 * FS)


def _seconds_a_step(run: Callable[[int], object], n: int = 1000) -> float:
    run(10)
    began = time.perf_counter()
    run(n)
    return (time.perf_counter() - began) / n


def conserved() -> list[Row]:
    """NVE of ethanol at 300 K under the shipped model: 100 ps at half a femtosecond, and the
    error's order in the time step."""
    model = load("ethanol")
    start = State(_relaxed_and_hot(model))
    run = rollout(velocity_verlet(model.as_potential()), start, 0.5 * FS, 200_000, 200)
    total = np.array([state.evaluation.energy + kinetic_energy(state.system) for state in run])
    per_atom = 1e3 * (total - total[0]) / 9
    drift = (
        np.polynomial.Polynomial.fit(np.linspace(0.0, 1.0, len(total)), per_atom, 1)
        .convert()
        .coef[1]
    )
    spread = [_fluctuation(model, start, dt) for dt in (1.0, 0.5, 0.25)]
    orders = ", ".join(f"{order:.2f}" for order in np.log2(np.divide(spread[:-1], spread[1:])))
    sizes = " / ".join(f"{1e3 * size / 9:.2g}" for size in spread)
    kept = f"{drift:.2g} meV an atom, largest deviation {abs(per_atom).max():.2g}"
    return [
        Row(
            "ethanol, 300 K, NVE, 0.5 fs, 100 ps: drift of the energy", kept, "below 1 meV an atom"
        ),
        Row(
            "the same, 2 ps: fluctuation of the energy at 1 / 0.5 / 0.25 fs",
            f"{sizes} meV an atom, orders {orders}",
            "order 2",
        ),
    ]


def _relaxed_and_hot(model: Any) -> System:
    """Ethanol at its minimum with twice the kinetic energy of 300 K, half of which becomes
    potential."""
    from mcegnn.interfaces.ase import relaxation

    *_, relaxed = relaxation(_of("ethanol"), model, 0.01)
    system = relaxed.system
    return maxwell_boltzmann(system, temperature=600.0, random=Random(2))


def _fluctuation(model: Any, start: State, dt: float) -> float:
    n = round(2000 / dt)
    totals = [
        s.evaluation.energy + kinetic_energy(s.system)
        for s in rollout(velocity_verlet(model.as_potential()), start, dt * FS, n, round(5 / dt))
    ]
    return float(np.std(totals))
