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
# # Charged particles: exact physics, a learned force, and a learned dynamics model
#
# Five particles with charges +1 or -1 move in free space. This is the charged N-body benchmark of machine
# learning (Satorras, Hoogeboom and Welling 2021, arXiv 2102.09844). We move two hundred such systems in
# three ways from the same start: by Coulomb's law, by a force that was learned from data, and by a network
# that predicts the positions a whole unit of time later in a single step. Then we ask how far each is from
# exact physics, and what each conserves.

# %%
# %matplotlib inline
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

from mcegnn import simulate
from trajectories.analysis.draw import COLORS, STYLE

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## Three ways to move
#
# In reduced units, all masses and the Coulomb constant are one. The benchmark integrates with symplectic
# Euler in steps of 0.001, and so does `simulate("charged")`.
#
# `charged-force` was trained through the integrator, on positions and velocities only. It was told that a
# force acts along the line between two particles and is proportional to both charges, but not how it depends
# on the distance. It goes where Coulomb's law would be, in the same integrator.
#
# `charged-mcegnn` is an equivariant graph network (MC-EGNN). It moves the particles itself, and takes steps
# of its own interval only, here 1. It has no energy, so the energy of its frames is that of Coulomb's law.

# %%
systems = {"systems": 200, "seed": 7, "time": 5}
exact = simulate("charged", every=50, output=folder / "exact.h5md", **systems)
runs = {
    "learned force": simulate(
        "charged", model="charged-force", every=50, output=folder / "force.h5md", **systems
    ),
    "single step": simulate("charged", model="charged-mcegnn", output=folder / "step.h5md", **systems),
}
exact

# %% [markdown]
# ## One system
#
# Exact paths are grey, those of the models coloured. The learned force stays on the exact paths. The model
# that predicts in a single step is good while particles fly almost straight. A step that spans a close
# encounter goes wrong, and every later step starts from there.

# %% tags=["thumbnail"]
figure = Figure(figsize=(8, 3.4), layout="constrained")
for axis, (name, run), style in zip(figure.subplots(1, 2, sharex=True, sharey=True), runs.items(), ("-", ":o"), strict=True):
    for k in range(5):
        axis.plot(*exact.positions[:, 9, k, :2].T, color="0.85", lw=6, solid_capstyle="round")
        axis.plot(*run.positions[:, 9, k, :2].T, style, color=COLORS[k], ms=4)
    axis.set(title=name, xlabel="x", ylabel="y", aspect="equal")
figure

# %% [markdown]
# ## Error against time
#
# The error of a system is the root mean square of its particles' distances from where exact physics has
# them. The line is the median over the two hundred systems, the band holds the middle eight tenths.
#
# Charged particles are chaotic: small differences grow exponentially in close encounters. So the errors of
# different systems differ by orders of magnitude, and even a nearly perfect force has a band that widens.

# %%
analyses = {"exact": exact.analyse()}
analyses |= {name: run.analyse(reference=exact) for name, run in runs.items()}
errors = {name: analyses[name].forecast for name in runs}
figure = Figure(figsize=(5.2, 3.4), layout="constrained")
axis = figure.subplots()
for color, marker, (name, error) in zip(COLORS, ("", "o"), errors.items(), strict=False):
    low, median, high = np.quantile(error.errors[1:], (0.1, 0.5, 0.9), axis=1)
    axis.semilogy(error.times[1:], median, marker=marker, color=color, label=name)
    axis.fill_between(error.times[1:], low, high, color=color, alpha=0.15, lw=0)
axis.set(xlabel="time", ylabel="error of the positions")
axis.legend()
figure

# %%
for name, error in errors.items():
    kept = (error.valid_time(0.1) >= error.times[-1]).mean()
    median = np.median(error.errors[-1])
    print(f"{name:13} median error at the end {median:.2g}, within 0.1 throughout: {kept:.0%} of the systems")
assert np.median(errors["learned force"].errors[-1]) < 0.05
assert np.median(errors["single step"].errors[-1]) > 1.0

# %% [markdown]
# ## What each conserves
#
# Pair forces that act along the line between two particles conserve momentum and angular momentum, whatever
# the force: in most systems those two change by round-off only, under Coulomb's law and under the learned
# force alike. The exceptions come from the benchmark itself, which clips each component of a force at 100.
# The energy changes by some thousandths in the median. That is the error of a first-order integrator: with
# half the time step it is half as large, under either force.
#
# The network knows the symmetries of space (turn the start, and its answer turns along), but nothing forces
# it to conserve anything, and it does not.

# %%
drifts = {name: found.conservation for name, found in analyses.items()}
figure = Figure(figsize=(8, 3), layout="constrained")
for axis, quantity in zip(figure.subplots(1, 3, sharey=True), ("energy", "momentum", "angular_momentum"), strict=True):
    for color, (name, drift) in zip(("0.6", *COLORS), drifts.items(), strict=False):
        median = np.median(abs(getattr(drift, quantity)), axis=1)
        axis.semilogy(drift.times[1:], median[1:], color=color, lw=4 if name == "exact" else 1.3, label=name)
    axis.set(title=quantity.replace("_", " "), xlabel="time", ylim=(1e-17, 30))
    axis.label_outer()
figure.axes[0].set_ylabel("median relative change")
figure.axes[2].legend(loc="center right")
figure

# %%
for name in ("exact", "learned force"):
    assert np.median(drifts[name].momentum[-1]) < 1e-12
    assert np.median(drifts[name].angular_momentum[-1]) < 1e-12
assert np.median(drifts["single step"].momentum[-1]) > 0.1
