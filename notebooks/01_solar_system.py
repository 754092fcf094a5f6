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
# # The solar system: how exact is a rollout?
#
# The Sun, the planets, Pluto and the Moon start where JPL's ephemeris DE440 has them at J2000 (noon of 1 January 2000) and move under
# their own gravity. We compare twelve years of it with JPL, measure the order of three integrators, and watch the perihelion of Mercury
# turn.
#
# JPL's ephemeris comes with the extra `ephemeris`: `pip install 'mcegnn[ephemeris]'`.

# %%
# %matplotlib inline
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

from integrators.relativity import PostNewtonian
from mcegnn import H5MDReader, H5MDWriter, State, rollout, velocity_verlet, wisdom_holman, yoshida
from systems.observables import kinetic_energy
from systems.sources.solar import SolarSystem, j2000
from systems.units import ASTRONOMICAL
from trajectories.analysis.draw import COLORS, STYLE
from trajectories.analysis.orbits import elements, to_ecliptic
from trajectories.forecast import distance_to_jpl

rcParams.update(STYLE)
solar = j2000()
dict(zip(solar.names, solar.periods.round(1).tolist(), strict=True))  # orbital periods, days

# %% [markdown]
# ## Twelve years, written to files
#
# Four nouns carry every run. A **system** holds positions, momenta and masses; here in astronomical units, days and solar masses. A
# **potential** gives energy and forces; here gravity. A **flow** moves the system by one time step; here Yoshida's symplectic integrator of
# order eight. And a **rollout** applies the flow again and again. It is an iterator of states, so the loop is ours, and we write each
# state that we get to an H5MD file.
#
# We do this twice: with Newton's law alone, and with the first post-Newtonian term of general relativity for the Sun.

# %%
folder = Path(mkdtemp())
einstein = PostNewtonian(solar.star, ASTRONOMICAL.gravitation, ASTRONOMICAL.speed_of_light)
runs = {}
for name, relativity in {"Newton": None, "with relativity": einstein}.items():
    flow = yoshida(solar.gravity(), 8, relativity=relativity)
    with H5MDWriter(folder / f"{name}.h5md", solar.system, names=solar.names) as writer:
        for state in rollout(flow, State(solar.system), dt=0.5, n_steps=8760, every=10):
            writer.write(state)
    runs[name] = H5MDReader(folder / f"{name}.h5md")
print(f"{len(runs['Newton'])} frames of {solar.system.n_particles} bodies over {runs['Newton'].times[-1] / 365.25:.2f} years")

# %% [markdown]
# The orbits, seen from the north pole of the ecliptic, with the Sun in the middle. Dots are the planets at the end.

# %% tags=["thumbnail"]
x = runs["with relativity"].frames("position")
x = to_ecliptic(x - x[:, [solar.star]])
figure = Figure(figsize=(8, 4.4), layout="constrained")
panels = figure.subplots(1, 2)
for axis, reach, size in zip(panels, (1.8, 34.0), (6, 4), strict=True):
    for k, name in enumerate(solar.names):
        if name != "Moon":
            axis.plot(x[:, k, 0], x[:, k, 1], lw=0.8, color=COLORS[k])
            axis.plot(*x[-1, k, :2], "o", ms=size, color=COLORS[k], label=name)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="x (au)", ylabel="y (au)")
    axis.grid(False)
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
figure

# %% [markdown]
# ## The distance to JPL
#
# DE440 is JPL's fit to a century of observations. The distance between our bodies and its bodies is the error of our model plus that of
# our integrator. Without relativity Mercury and Venus are some thousand kilometres off after twelve years. With relativity some
# kilometres are left: what else our model leaves out, such as the asteroids. The integrator's share is smaller: half the time step moves
# no planet by more than metres. The Moon is nearly 200 km off, most of it because the Earth is a perfect sphere here.

# %%
parents = [body.parent for body in solar.bodies]
distances = {name: distance_to_jpl(run, solar.epoch, parents) for name, run in runs.items()}
for name, distance in distances.items():
    print(f"{name:16}", {body: f"{km:.3g} km" for body, km in zip(distance.names, distance.kilometers[-1], strict=True)})

# %%
figure = Figure(figsize=(5.2, 3.4), layout="constrained")
axis = figure.subplots()
for color, body in zip(COLORS, ("Mercury", "Jupiter"), strict=False):
    for style, (name, distance) in zip((":", "-"), distances.items(), strict=True):
        km = distance.kilometers[1:, distance.names.index(body)]
        axis.semilogy(distance.times[1:] / 365.25, km, style, color=color, lw=1, label=f"{body}, {name}")
axis.set(xlabel="time (years)", ylabel="distance to JPL DE440 (km)", ylim=(1e-3, None))
axis.legend()
figure

# %%
newton, relative = (distance.kilometers[-1, distance.names.index("Mercury")] for distance in distances.values())
assert newton > 1000 > 10 > relative

# %% [markdown]
# ## Energy error against the time step
#
# What does the integrator itself do wrong? Gravity conserves energy, so the change of the total energy measures it. We run one hundred
# years, without the Moon, whose month would need shorter steps. A scheme of order p has errors that fall as dt to the power p: a line of
# slope p in the figure. Wisdom-Holman moves planets on exact ellipses and treats only their pull on one another in steps. It is of second
# order too, but its errors are smaller by about the ratio of the planets' masses to the Sun's.

# %%
planets = SolarSystem(tuple(body for body in solar.bodies if body.name != "Moon"))
gravity = planets.gravity()


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
figure = Figure(figsize=(5.2, 3.4), layout="constrained")
axis = figure.subplots()
for color, (name, values) in zip(COLORS, errors.items(), strict=False):
    axis.loglog(steps, values, "o-", color=color, label=name)
axis.set(xlabel="time step (days)", ylabel="largest relative energy error", xticks=steps, xticklabels=steps)
axis.minorticks_off()
axis.legend()
figure

# %% [markdown]
# ## Mercury's perihelion
#
# Mercury's ellipse turns slowly, mostly because the other planets pull at it. The longitude of the perihelion is the sum of two
# osculating elements, the longitude of the ascending node and the argument of the pericentre. We fit a line to a hundred years of it,
# with and without relativity: the difference is the famous 43 arc seconds a century that Einstein explained in 1915.


# %%
def perihelion(state, star=0, planet=1):
    """Longitude of Mercury's perihelion, arc seconds."""
    system = state.system
    x, v = (to_ecliptic(part[planet] - part[star]) for part in (system.positions, system.velocities))
    orbit = elements(x, v, gravity.constant * (system.masses[star] + system.masses[planet]))
    return 3600 * (orbit["node"] + orbit["pericenter"])


def advance(relativity):
    """Arc seconds per century by which the perihelion turns."""
    flow = yoshida(gravity, 8, relativity=relativity)
    states = list(rollout(flow, State(planets.system), 0.5, 73_000, 730))
    longitudes = np.unwrap([perihelion(s) for s in states], period=1296000)
    return np.polyfit([s.time / 36525 for s in states], longitudes, 1)[0]


newton, with_relativity = advance(None), advance(einstein)
print(f"Newton {newton:.1f}, with relativity {with_relativity:.1f}: {with_relativity - newton:.2f} arc seconds a century")
