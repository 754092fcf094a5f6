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
# # A force field for ethanol, from labels to dynamics
#
# A machine-learned force field is fitted to energies and forces of a costly method, and then gives both at a
# fraction of the cost. Here the method is GFN2-xTB, a semi-empirical one that is quick enough for a tutorial:
# `pip install 'mcegnn[xtb]'`. We label some hundred structures, train a small network for seconds, look at
# its errors, and use it as a calculator of ASE and for dynamics.

# %%
# %matplotlib inline
import os

os.environ["OMP_NUM_THREADS"] = "1"  # more threads do not make a molecule of nine atoms faster

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from ase.build import molecule
from ase.io import read
from ase.optimize import BFGS
from matplotlib import rcParams
from matplotlib.figure import Figure
from tblite.ase import TBLite

from mcegnn import fit, label, load, simulate
from trajectories.analysis.draw import COLORS, STYLE

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## Labels
#
# `label` moves a molecule by a calculator of ASE and writes structures with their energies and forces. We
# run Langevin dynamics at 600 K, hotter than we want to use the force field at, so that its training data
# surround what it will meet. Every tenth step gives a structure, ten femtoseconds from the last one. A second
# run, with other velocities and other noise, gives structures to test on.
#
# On the command line it is `mcegnn label ethanol.xyz --calculator tblite --temperature "600 K" --dt "1 fs"
# --steps 3000`.

# %%
ethanol = molecule("CH3CH2OH")
dynamics = {"calculator": "tblite", "temperature": "600 K", "friction": "20 /ps", "dt": "1 fs"}
label(ethanol, steps=3000, seed=1, output=folder / "train.xyz", **dynamics)
label(ethanol, steps=600, seed=2, output=folder / "test.xyz", **dynamics)

# %% [markdown]
# ## Training
#
# A training begins from a preset; `extxyz` is for files like ours. Keywords change its options: we take a
# smaller network and a shorter training. Most structures train, and a few choose the best weights
# (validation).

# %%
trained = fit(
    folder / "train.xyz", preset="extxyz", output=folder / "mine",
    n_updates=500, validate_every=50, warmup=50, ema=0.99, compile=False,
    n_features=32, n_channels=[8, 4], n_couplings=4, n_layers=2, threads=1,
)  # fmt: skip
for number in trained.numbers:
    print(f"{number.label}: {number}")

# %%
figure = Figure(figsize=(4.4, 3), layout="constrained")
axis = figure.subplots()
axis.semilogy(trained.metrics["update"], 1000 * trained.metrics["forces"], "o-", color=COLORS[0])
ticks = (50, 100, 200, 400, 800)
axis.set(xlabel="updates", ylabel="mean absolute error of forces,\nvalidation (meV/Å)", yticks=ticks, yticklabels=ticks)
axis.minorticks_off()
figure

# %% [markdown]
# ## Parity
#
# Each dot is a component of the force on an atom in a structure that was not trained on. On the diagonal the
# network says what GFN2-xTB says.
#
# Beside it is the force field `ethanol` that comes with the package. Its last training was on a better method
# (density functional theory, of the revised MD17 data set). Its distance from the diagonal here is no error:
# it is the difference between two methods.

# %% tags=["thumbnail"]
calculators = {"trained here": trained.model.calculator(), "shipped": load("ethanol").calculator()}
test = read(folder / "test.xyz", ":")
true = np.array([atoms.get_forces() for atoms in test])
figure = Figure(figsize=(7.4, 3.8), layout="constrained")
mean_errors = {}
for axis, (name, calculator) in zip(figure.subplots(1, 2, sharex=True, sharey=True), calculators.items(), strict=True):
    forces = np.array([calculator.get_forces(atoms) for atoms in test])
    mean_errors[name] = abs(forces - true).mean()
    axis.axline((0, 0), slope=1, color="0.6", lw=0.8)
    for element, number, color in (("H", 1, "0.5"), ("C", 6, COLORS[0]), ("O", 8, COLORS[1])):
        of_element = ethanol.numbers == number
        axis.plot(true[:, of_element].ravel(), forces[:, of_element].ravel(), ".", ms=3, color=color, label=element)
    title = f"{name}: mean difference {1000 * mean_errors[name]:.0f} meV/Å"
    axis.set(title=title, xlabel="force, GFN2-xTB (eV/Å)", xlim=(-7, 7), ylim=(-7, 7), aspect="equal")
figure.axes[0].set_ylabel("force, network (eV/Å)")
figure.axes[0].legend()
figure

# %%
assert mean_errors["trained here"] < 0.1 < mean_errors["shipped"]

# %% [markdown]
# ## In ASE: a relaxed geometry
#
# `model.calculator()` is a calculator of ASE. BFGS finds the nearest minimum of the energy. The three agree
# on the lengths of the two bonds between heavy atoms, within 0.02 Å.

# %%
calculators["GFN2-xTB"] = TBLite(method="GFN2-xTB", verbosity=0)
relaxed = {}
for name, calculator in calculators.items():
    atoms = ethanol.copy()
    atoms.calc = calculator
    optimizer = BFGS(atoms, logfile=None)
    optimizer.run(fmax=0.01)
    relaxed[name] = atoms
    lengths = f"C-C {atoms.get_distance(0, 1):.3f} Å, C-O {atoms.get_distance(1, 2):.3f} Å"
    print(f"{name:13} {optimizer.get_number_of_steps():2} steps, {lengths}")
lengths = np.array([(atoms.get_distance(0, 1), atoms.get_distance(1, 2)) for atoms in relaxed.values()])
assert np.ptp(lengths, axis=0).max() < 0.02

# %% [markdown]
# ## Molecular dynamics
#
# A picosecond at constant energy. It begins in the minimum of the energy with velocities of 500 K, and soon a
# part of that kinetic energy is potential energy. Forces of our potentials are exact derivatives of their
# energy, so the total energy stays constant but for the error of the time step: this holds for any network,
# well trained or not.

# %%
run = simulate(
    relaxed["trained here"], model=trained.model, temperature="500 K", dt="0.5 fs", time="1 ps", every=1,
    output=folder / "run.h5md",
)  # fmt: skip
energy = run.energy
energy

# %%
assert np.ptp(energy["total"]) < 0.02 * np.ptp(energy["kinetic"])
figure = Figure(figsize=(5.2, 3.2), layout="constrained")
axis = figure.subplots()
for color, name in zip(COLORS, ("potential", "kinetic", "total"), strict=False):
    above = 0 if name == "kinetic" else energy["potential"][0]
    axis.plot(1000 * energy["time"], energy[name] - above, color=color, label=name)
top = 1.2 * energy["kinetic"].max()
axis.set(xlabel="time (fs)", ylabel="energy above the minimum (eV)", xlim=(0, 250), ylim=(0, top))
axis.legend(ncols=3, loc="upper center")
figure

# %% [markdown]
# From here on: a higher temperature of the labels, more of them and a longer training make it better.
# `mcegnn rollout ethanol.xyz --model mine/best.safetensors --temperature "300 K"` uses it on the command
# line. The README says how the shipped one was made, and how good it is.
