# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The solar system: what an integrator keeps, and what relativity changes
#
# Sun, planets and Moon start from JPL's states at J2000 and move under their own gravity. We watch the energy error of three integrators
# fall with the time step as theory says, then see Mercury's perihelion turn.

# %%
import numpy as np
from matplotlib.figure import Figure

from integrators.relativity import PostNewtonian
from mcegnn import State, rollout, velocity_verlet, wisdom_holman, yoshida
from systems.observables import kinetic_energy
from systems.solar import SolarSystem, j2000
from systems.units import ASTRONOMICAL

planets = SolarSystem(tuple(body for body in j2000().bodies if body.name != "Moon"))
gravity = planets.gravity()
dict(zip(planets.names, planets.periods.round(1), strict=True))

# %% [markdown]
# ## Energy error against the time step
#
# One hundred years each. A scheme of order p has errors that fall as dt to the p; Wisdom-Holman is of second order too, but its errors are
# smaller by the planets' masses over the Sun's.


# %%
def energy_error(flow, dt, years=100):
    """Largest relative energy error over some years."""
    every = max(1, round(50 / dt))
    n_steps = round(years * 365.25 / dt / every) * every
    states = rollout(flow, State(planets.system), dt, n_steps, every)
    energies = np.array([kinetic_energy(s.system) + s.evaluation.energy for s in states])
    return abs(energies / energies[0] - 1).max()


flows = {"velocity Verlet": velocity_verlet(gravity), "Yoshida 4": yoshida(gravity, 4), "Wisdom-Holman": wisdom_holman(gravity)}
steps = np.array([0.5, 1.0, 2.0, 4.0])
errors = {name: [energy_error(flow, dt) for dt in steps] for name, flow in flows.items()}
for name, values in errors.items():
    slope = np.polyfit(np.log(steps[:3]), np.log(values[:3]), 1)[0]
    print(f"{name:16} slope {slope:.1f}, error at one day {values[1]:.1e}")

# %%
figure = Figure(figsize=(5, 3.5), layout="constrained")
axis = figure.subplots()
for name, values in errors.items():
    axis.loglog(steps, values, "o-", label=name)
axis.set(xlabel="time step, days", ylabel="largest energy error in 100 years")
axis.legend()
figure

# %% [markdown]
# ## Mercury's perihelion
#
# The direction of Mercury's eccentricity vector, with and without the Sun's first post-Newtonian term: the difference is Einstein's 43
# arc seconds a century.


# %%
def perihelion(state, star=0, planet=1):
    """Longitude of the perihelion in the orbit's own plane, arc seconds."""
    x = state.system.positions[planet] - state.system.positions[star]
    v = state.system.velocities[planet] - state.system.velocities[star]
    mu = gravity.constant * (state.system.masses[star] + state.system.masses[planet])
    momentum = np.cross(x, v)
    eccentricity = np.cross(v, momentum) / mu - x / np.linalg.norm(x)
    node = np.cross([0.0, 0.0, 1.0], momentum)
    angle = np.arctan2(np.cross(node, eccentricity) @ momentum / np.linalg.norm(momentum), node @ eccentricity)
    return np.degrees(angle) * 3600 + np.degrees(np.arctan2(node[1], node[0])) * 3600


def advance(relativity):
    """Arc seconds per century by which the perihelion turns."""
    flow = yoshida(gravity, 8, relativity=relativity)
    states = list(rollout(flow, State(planets.system), 0.5, 73_000, 730))
    return np.polyfit([s.time / 36525 for s in states], np.unwrap([perihelion(s) for s in states], period=1296000), 1)[0]


einstein = PostNewtonian(planets.star, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)
newton, with_relativity = advance(None), advance(einstein)
print(f"Newton {newton:.1f}, with relativity {with_relativity:.1f}: {with_relativity - newton:.2f} arc seconds a century")
