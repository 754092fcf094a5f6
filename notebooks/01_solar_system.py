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
# # The solar system: how exact is a simulation?
#
# The Sun, the planets, Pluto and the Moon start where JPL's ephemeris DE440 has them at J2000 (noon of
# 1 January 2000) and move under their own gravity. We compare twelve years of it with JPL, measure the
# order of three integrators, and watch the perihelion of Mercury turn.
#
# JPL's ephemeris comes with the extra `ephemeris`: `pip install 'mcegnn[ephemeris]'`.

# %%
# %matplotlib inline
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

from mcegnn import simulate
from trajectories.analysis.draw import COLORS, STYLE
from trajectories.analysis.orbits import elements, to_ecliptic

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## Twelve years
#
# `simulate("solar")` moves the bodies by Yoshida's symplectic integrator of order eight and writes their
# frames into an H5MD file. We do this twice: with Newton's law alone, and with the first post-Newtonian
# term of general relativity for the Sun. The Earth is a perfect sphere here (`j2=False`).
#
# What comes back is a `Trajectory`. It reads the file when it is asked for something, in double precision.

# %%
twelve_years = {"dt": "0.5 day", "steps": 8760, "every": 10, "j2": False}
runs = {
    "Newton": simulate("solar", output=folder / "newton.h5md", **twelve_years),
    "with relativity": simulate("solar", relativity=True, output=folder / "einstein.h5md", **twelve_years),
}
runs["Newton"]

# %% [markdown]
# The orbits, seen from the north pole of the ecliptic. Dots are the bodies at the end.

# %% tags=["thumbnail"]
figure = runs["with relativity"].plot("trajectory")
figure

# %% [markdown]
# ## The distance to JPL
#
# DE440 is JPL's fit to a century of observations. The distance between our bodies and its bodies is the
# error of our model plus that of our integrator. Without relativity Mercury and Venus are some thousand
# kilometres off after twelve years. With relativity some kilometres are left: what else our model leaves
# out, such as the asteroids. The integrator's share is smaller: half the time step moves no planet by more
# than metres. The Moon is nearly 200 km off, most of it because the Earth is a perfect sphere here.

# %%
distances = {name: run.analyse().jpl for name, run in runs.items()}
for name, distance in distances.items():
    km = dict(zip(distance.names, distance.kilometers[-1], strict=True))
    print(f"{name:16}", {body: f"{value:.3g} km" for body, value in km.items()})

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
newton, relative = (one.kilometers[-1, one.names.index("Mercury")] for one in distances.values())
assert newton > 1000 > 10 > relative

# %% [markdown]
# ## Energy error against the time step
#
# What does the integrator itself do wrong? Gravity conserves energy, so the change of the total energy
# measures it. We run one hundred years, without the Moon, whose month would need shorter steps. A scheme of
# order p has errors that fall as dt to the power p: a line of slope p in the figure. Wisdom-Holman moves
# planets on exact ellipses and treats only their pull on one another in steps. It is of second order too,
# but its errors are smaller by about the ratio of the planets' masses to the Sun's.

# %%
def energy_error(integrator, dt):
    """Largest relative energy error over a hundred years, looked at every fifty days or so."""
    every = round(50 / dt)
    run = simulate(
        "solar", without="Moon", j2=False, integrator=integrator, dt=f"{dt} day", every=every,
        steps=round(36525 / dt / every) * every, output=folder / "century.h5md", overwrite=True,
    )  # fmt: skip
    return run.energy.numbers["energy_drift"].value


integrators = {"velocity Verlet": "velocity-verlet", "Yoshida 4": "yoshida-4", "Wisdom-Holman": "wisdom-holman"}
steps = np.array([0.5, 1.0, 2.0, 4.0])
errors = {name: [energy_error(integrator, dt) for dt in steps] for name, integrator in integrators.items()}
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
# Mercury's ellipse turns slowly, mostly because the other planets pull at it. The longitude of the
# perihelion is the sum of two osculating elements, the longitude of the ascending node and the argument of
# the pericentre. We fit a line to a hundred years of it, with and without relativity: the difference is the
# famous 43 arc seconds a century that Einstein explained in 1915.


# %%
def advance(relativity):
    """Arc seconds per century by which Mercury's perihelion turns."""
    run = simulate(
        "solar", without="Moon", j2=False, relativity=relativity, dt="0.5 day", steps=73_000, every=730,
        output=folder / "mercury.h5md", overwrite=True,
    )  # fmt: skip
    masses, units = run[0].masses, run.units
    sun_to_mercury = [np.asarray(part[:, 1] - part[:, 0]) for part in (run.positions[:], run.velocities[:])]
    orbit = elements(*map(to_ecliptic, sun_to_mercury), units.gravitation * (masses[0] + masses[1]))
    longitudes = np.unwrap(3600 * (orbit["node"] + orbit["pericenter"]), period=1296000)
    return np.polyfit(run.times / 100, longitudes, 1)[0]


newton, with_relativity = advance(False), advance(True)
print(
    f"Newton {newton:.1f}, with relativity {with_relativity:.1f}:"
    f" {with_relativity - newton:.2f} arc seconds a century"
)
