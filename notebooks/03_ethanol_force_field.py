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
# # A force field for ethanol, from labels to dynamics in ASE
#
# A machine-learned force field is fitted to energies and forces of a costly method, and then gives both at a fraction of the cost. Here
# the method is GFN2-xTB, a semi-empirical one that is quick enough for a tutorial: `pip install 'mcegnn[xtb]'`. We label some hundred
# structures, train a small network for seconds, look at its errors, and use it as a calculator of ASE.

# %%
# %matplotlib inline
import os

os.environ["OMP_NUM_THREADS"] = "1"  # more threads do not make a molecule of nine atoms faster, and on a busy machine slower

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md import VelocityVerlet
from ase.optimize import BFGS
from matplotlib import rcParams
from matplotlib.figure import Figure
from tblite.ase import TBLite

from mcegnn import (
    CalculatorPotential,
    PotentialCalculator,
    Random,
    State,
    from_atoms,
    langevin_baoab,
    load,
    maxwell_boltzmann,
    rollout,
    to_atoms,
)
from mcegnn.data.structures import structures
from mcegnn.models.store import save
from mcegnn.tasks.potential_model import potential
from mcegnn.training.options import read
from mcegnn.training.trainer import Trainer
from trajectories.analysis.draw import COLORS, STYLE

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## Labels
#
# Any calculator of ASE becomes a potential of ours by `CalculatorPotential`. We run Langevin dynamics at 500 K, hotter than we want to
# use the force field at, so that its training data surround what it will meet. Every tenth step gives a labelled structure, ten
# femtoseconds from the last one. Energies are in eV, lengths in Angstrom, and times in ASE's unit, so a femtosecond is `units.fs`.
#
# On the command line it is `mcegnn label ethanol.xyz --calculator tblite --temperature "500 K" --dt "1 fs" --steps 3000 --every 10`.

# %%
xtb = CalculatorPotential(TBLite(method="GFN2-xTB", verbosity=0))
random = Random(1)
start = State(maxwell_boltzmann(from_atoms(molecule("CH3CH2OH")), temperature=500.0, random=random), random=random)
flow = langevin_baoab(xtb, temperature=500.0, friction=0.02 / units.fs)

labelled = []
for state in rollout(flow, start, dt=1 * units.fs, n_steps=3000, every=10):
    atoms = to_atoms(state.system)
    atoms.calc = SinglePointCalculator(atoms, energy=float(state.evaluation.energy), forces=state.evaluation.forces)
    labelled.append(atoms)
write(folder / "train.xyz", labelled)
print(f"{len(labelled)} structures")

# %% [markdown]
# ## Training
#
# A training is a set of options: those of a preset, changed by `key=value`, as on the command line. The preset `extxyz` is for files like
# ours. We take a smaller network and a shorter training than it does. The structures are cut at random: most train, a few choose the best
# weights (validation), and a tenth is kept for the test.

# %%
options = read("extxyz", [
    f"data.name='{folder / 'train.xyz'}'", "n_updates=500", "validate_every=50", "warmup=50", "ema=0.99", "compile=false",
    "model.hyperparameters.n_features=32", "model.hyperparameters.n_channels=[8, 4]", "model.hyperparameters.n_couplings=4",
    "model.hyperparameters.n_layers=2",
])  # fmt: skip
torch.manual_seed(0)  # of the first weights
split = structures(options.data)
stored = potential(options, split.train)
trainer = Trainer(stored, split, options)
history = list(trainer.run())
mine = trainer.best
save(replace(stored, model=mine), folder / "mine.safetensors")
print(f"{len(split.train)} structures to train on, {len(split.validation)} to validate, {len(split.test)} to test")

# %%
figure = Figure(figsize=(4.4, 3), layout="constrained")
axis = figure.subplots()
axis.semilogy([now.update for now in history], [1000 * now.parts["forces"] for now in history], "o-", color=COLORS[0])
ticks = (50, 100, 200, 400, 800)
axis.set(xlabel="updates", ylabel="mean absolute error of forces,\nvalidation (meV/Å)", yticks=ticks, yticklabels=ticks)
axis.minorticks_off()
figure

# %% [markdown]
# ## Parity
#
# Each dot is a component of the force on an atom in a structure that was not trained on. On the diagonal the network says what GFN2-xTB
# says.
#
# Beside it is the force field `ethanol` that comes with the package. Its last training was on a better method (density functional theory,
# of the revised MD17 data set). Its distance from the diagonal here is no error: it is the difference between two methods.

# %% tags=["thumbnail"]
shipped = load("ethanol")
test = split.test
figure = Figure(figsize=(7.4, 3.8), layout="constrained")
mean_errors = {}
for axis, (name, model) in zip(
    figure.subplots(1, 2, sharex=True, sharey=True), {"trained here": mine, "shipped": shipped}.items(), strict=True
):
    forces = np.concatenate([model(test.system(k)).forces for k in range(len(test))])
    mean_errors[name] = abs(forces - test["forces"]).mean()
    axis.axline((0, 0), slope=1, color="0.6", lw=0.8)
    for element, number, color in (("H", 1, "0.5"), ("C", 6, COLORS[0]), ("O", 8, COLORS[1])):
        of_element = test.species == number
        axis.plot(test["forces"][of_element].ravel(), forces[of_element].ravel(), ".", ms=3, color=color, label=element)
    axis.set(
        title=f"{name}: mean difference {1000 * mean_errors[name]:.0f} meV/Å", xlabel="force, GFN2-xTB (eV/Å)", xlim=(-7, 7), ylim=(-7, 7)
    )
    axis.set_aspect("equal")
figure.axes[0].set_ylabel("force, network (eV/Å)")
figure.axes[0].legend()
figure

# %%
assert mean_errors["trained here"] < 0.1 < mean_errors["shipped"]

# %% [markdown]
# ## In ASE: a relaxed geometry
#
# `PotentialCalculator` makes a calculator of any potential of ours. BFGS finds the nearest minimum of the energy. The three agree on the
# lengths of the two bonds between heavy atoms, within 0.02 Å.

# %%
calculators = {
    "GFN2-xTB": TBLite(method="GFN2-xTB", verbosity=0),
    "trained here": PotentialCalculator(mine),
    "shipped": PotentialCalculator(shipped),
}
relaxed = {}
for name, calculator in calculators.items():
    atoms = molecule("CH3CH2OH")
    atoms.calc = calculator
    optimizer = BFGS(atoms, logfile=None)
    optimizer.run(fmax=0.01)
    relaxed[name] = atoms
    print(
        f"{name:13} {optimizer.get_number_of_steps():2} steps, C-C {atoms.get_distance(0, 1):.3f} Å, C-O {atoms.get_distance(1, 2):.3f} Å"
    )
lengths = np.array([(atoms.get_distance(0, 1), atoms.get_distance(1, 2)) for atoms in relaxed.values()])
assert np.ptp(lengths, axis=0).max() < 0.02

# %% [markdown]
# ## In ASE: molecular dynamics
#
# A picosecond at constant energy. It begins in the minimum of the energy with velocities of 600 K, and soon a part of that kinetic energy
# is potential energy. Forces of our potentials are exact derivatives of their energy, so the total energy stays constant but for the
# error of the time step: this holds for any network, well trained or not.

# %%
atoms = to_atoms(maxwell_boltzmann(from_atoms(relaxed["trained here"]), temperature=600.0, random=Random(1)))
atoms.calc = calculators["trained here"]
dynamics = VelocityVerlet(atoms, timestep=0.5 * units.fs)
energies = [(atoms.get_potential_energy(), atoms.get_kinetic_energy()) for _ in dynamics.irun(2000)]
potential_energy, kinetic_energy = np.array(energies).T
potential_energy -= potential_energy[0]
total = potential_energy + kinetic_energy
print(f"the total energy stays within {1000 * np.ptp(total) / len(atoms):.2f} meV an atom")
assert np.ptp(total) < 0.02 * np.ptp(kinetic_energy)

# %%
figure = Figure(figsize=(5.2, 3.2), layout="constrained")
axis = figure.subplots()
femtoseconds = 0.5 * np.arange(len(total))
for color, (name, values) in zip(COLORS, {"potential": potential_energy, "kinetic": kinetic_energy, "total": total}.items(), strict=False):
    axis.plot(femtoseconds, values, color=color, label=name)
axis.set(xlabel="time (fs)", ylabel="energy above the minimum (eV)", xlim=(0, 250), ylim=(0, 1.2 * total.max()))
axis.legend(ncols=3, loc="upper center")
figure

# %% [markdown]
# From here on: `mcegnn rollout ethanol.xyz --model mine.safetensors --temperature "300 K"` runs it compiled and writes H5MD, and more
# labels and a longer training make it better. The README says how the shipped one was made, and how good it is.
