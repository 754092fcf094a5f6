"""The race with REBOUND: Sun and nine planets, the same start, dt 4 days, one thread, one
process."""

import numpy as np
import rebound
from record import Row, ratio, shown

from integrators.ensembles import velocity_verlet, wisdom_holman
from integrators.state import Flow, State
from systems.observables import kinetic_energy
from systems.sources.solar import SolarSystem, j2000
from trajectories.rollout import rollout

DT = 4.0
N_STEPS = 200_000
FOUR_THOUSAND_YEARS = round(4000 * 365.25 / DT)
PLANETS = SolarSystem(tuple(body for body in j2000().bodies if body.name != "Moon"))


def simulation(integrator: str, safe_mode: int = 1) -> rebound.Simulation:
    """REBOUND's simulation of the same start."""
    system = PLANETS.system
    sim = rebound.Simulation()
    sim.G = PLANETS.gravity().constant
    for m, x, v in zip(system.masses, system.positions, system.velocities, strict=True):
        sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    sim.integrator, sim.dt = integrator, DT
    if integrator == "whfast":
        sim.integrator.coordinates = "democraticheliocentric"
        sim.integrator.safe_mode = safe_mode
    return sim


def ours(flow: Flow, n_steps: int = N_STEPS) -> State:
    """The last state of our rollout."""
    *_, last = rollout(flow, State(PLANETS.system), DT, n_steps, n_steps)
    return last


def energy(state: State) -> float:
    """Total energy."""
    assert state.evaluation is not None
    return float(kinetic_energy(state.system) + state.evaluation.energy)


def energy_errors(flow: Flow, sim: rebound.Simulation, n_chunks: int = 400) -> tuple[float, float]:
    """Largest relative energy error within 4,000 years, ours and REBOUND's, looked at ``n_chunks``
    times."""
    every = FOUR_THOUSAND_YEARS // n_chunks
    own = np.array(
        [
            energy(state)
            for state in rollout(flow, State(PLANETS.system), DT, every * n_chunks, every)
        ]
    )
    theirs = [sim.energy()]
    for _ in range(n_chunks):
        sim.steps(every)
        sim.synchronize()
        theirs.append(sim.energy())
    reference = np.array(theirs)
    return float(abs(own / own[0] - 1).max()), float(abs(reference / reference[0] - 1).max())


def measure() -> list[Row]:
    """Rows of the race."""
    gravity = PLANETS.gravity()
    leapfrog, planets = velocity_verlet(gravity), wisdom_holman(gravity, star=PLANETS.star)
    ours(leapfrog, 1000), ours(planets, 1000)
    races = {
        "Wisdom-Holman over REBOUND's democratic heliocentric, safe mode": (
            planets,
            ("whfast", 1),
            "at least 1.2",
        ),
        "the same, safe mode off": (planets, ("whfast", 0), "stated; aim 1"),
        "leapfrog (velocity Verlet) over REBOUND's": (
            leapfrog,
            ("leapfrog", 1),
            "at least 1.0; aim 1.5",
        ),
    }
    rows = []
    for what, (flow, peer, bar) in races.items():
        values = ratio(
            lambda flow=flow: ours(flow), lambda peer=peer: simulation(*peer).steps(N_STEPS)
        )
        rows.append(Row(f"{what}, Sun + 9, dt 4 d, speed ratio, median of 7", shown(values), bar))
    own, theirs = energy_errors(planets, simulation("whfast"))
    rows.append(
        Row(
            "largest energy error within 4,000 years, ours, REBOUND's; ratio",
            f"{own:.2e}, {theirs:.2e}; {own / theirs:.2f}",
            "at most 2",
        )
    )
    return rows
