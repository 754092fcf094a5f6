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
# # Bring your own data
#
# Labelled structures to train on, with other names and units than ours; the options of a training; start files of rollouts; and particles
# from a plain table. What is wrong with data is best found before a training, so most of this is about checks.

# %%
# %matplotlib inline
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from ase import units
from ase.cluster import Icosahedron
from ase.io import read, write
from matplotlib import rcParams
from matplotlib.figure import Figure

from mcegnn import Coulomb, State, System, fit, label, predict, rollout, simulate, yoshida
from mcegnn.data.consistency import unit_warnings
from mcegnn.data.labelled import from_file
from mcegnn.data.statistics import outliers, summary
from systems.observables import kinetic_energy
from trajectories.analysis.draw import COLORS, STYLE

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## A file as one gets it
#
# Suppose somebody sends a file of copper clusters in extended XYZ, with energies `dft_energy` and forces `dft_forces` in kcal/mol. We
# make such a file, with ASE's quick EMT potential in place of density functional theory.

# %%
kcal = units.kcal / units.mol  # in eV
label(
    Icosahedron("Cu", 2), calculator="emt", temperature="600 K", friction="20 /ps", dt="4 fs",
    steps=1000, every=5, seed=1, output=folder / "emt.xyz",
)  # fmt: skip
received = read(folder / "emt.xyz", ":")
for atoms in received:
    atoms.info["dft_energy"] = atoms.get_potential_energy() / kcal
    atoms.arrays["dft_forces"] = atoms.get_forces() / kcal
    atoms.calc = None
write(folder / "received.xyz", received, columns=["symbols", "positions", "dft_forces"])
print(*(folder / "received.xyz").read_text().splitlines()[:4], sep="\n")

# %% [markdown]
# ## Names
#
# `from_file` reads what ASE reads. Labels are `REF_energy`, `REF_forces` and `REF_stress`, or else what a calculator said (`energy`,
# `forces`, `stress`). It does not guess other names, since a file may hold the labels of several methods. It says which names there are.

# %%
try:
    from_file(folder / "received.xyz")
except ValueError as error:
    print(error)

# %% [markdown]
# So we read the file with ASE and give the labels the names that are looked for.


# %%
def labelled(energy=1.0, forces=1.0):
    """The structures received, their energies and forces times these factors, as a file of our names."""
    found = read(folder / "received.xyz", ":")
    for atoms in found:
        atoms.info["REF_energy"] = energy * atoms.info.pop("dft_energy")
        atoms.arrays["REF_forces"] = forces * atoms.arrays.pop("dft_forces")
    write(folder / "labelled.xyz", found)
    return from_file(folder / "labelled.xyz")


# %% [markdown]
# ## Units
#
# We need energies in eV and forces in eV/Angstrom. A file does not tell its units, but near structures do: from one to the next, the
# energy falls by the work of the forces. `unit_warnings` compares the two over many pairs of near structures. Here is what it says of
# some usual mistakes.

# %%
right = labelled(energy=kcal, forces=kcal)
attempts = {
    "all converted": right,
    "forces forgotten": labelled(energy=kcal),
    "gradients, not forces": labelled(energy=kcal, forces=-kcal),
    "energies reordered": right.with_values(energy=right["energy"][::-1]),
}
for name, data in attempts.items():
    print(f"{name}: {'; '.join(unit_warnings(data)) or 'nothing to say'}")

# %% [markdown]
# The same by eye. Each dot is a step from one structure of the file to the next: the change of the energy against what the forces at both
# ends say of it. Labels that belong together lie on the grey diagonal.


# %% tags=["thumbnail"]
def energy_and_work(data):
    """From each structure to the next: the change of the energy, and the mean force at both ends times the way, with a minus (eV)."""
    x, f = (part.reshape(len(data), -1, 3) for part in (data.positions, data["forces"]))
    return np.diff(data["energy"]), -(0.5 * (f[1:] + f[:-1]) * np.diff(x, axis=0)).sum((1, 2))


figure = Figure(figsize=(8.4, 2.6), layout="constrained")
for axis, (name, data) in zip(figure.subplots(1, 4, sharey=True), attempts.items(), strict=True):
    change, said = energy_and_work(data)
    axis.axline((0, 0), slope=1, color="0.8", lw=4)
    axis.plot(said, change, ".", ms=4, color=COLORS[0 if data is right else 1])
    axis.set(title=name, xlabel="from the forces (eV)", ylim=(-0.7, 0.7))
figure.axes[0].set_ylabel("change of energy (eV)")
figure

# %%
change, said = energy_and_work(right)
assert abs(np.polyfit(said, change, 1)[0] - 1) < 0.1
assert [len(unit_warnings(data)) for data in attempts.values()] == [0, 1, 1, 1]

# %% [markdown]
# One mistake cannot be found so: energies and forces that are both in the same wrong units fit each other. Look at the table for their
# size. Forces in molecules and solids are about 1 eV/Angstrom.
#
# `outliers` names single structures that stand out, such as one whose energy did not converge.

# %%
for row, value in summary(right):
    print(f"{row:30} {value}")
broken = right["energy"] + np.where(np.arange(len(right)) == 17, 8.0, 0.0)
outliers(right.with_values(energy=broken))

# %% [markdown]
# `fit`, and `mcegnn train extxyz --data labelled.xyz`, say the same before they train.
#
# ## Options of a training
#
# A training is a TOML file. The presets are such files; keywords of `fit` change their options, wherever they
# stand, as does `--set key=value` on the command line. An option that does not exist is refused, with the
# nearest that does.

# %%
small = {"n_features": 16, "n_channels": 4, "n_couplings": 0, "n_layers": 2, "cutoff": 5.0}
short = {"n_updates": 150, "validate_every": 50, "warmup": 20, "ema": 0.97, "compile": False, "threads": 1}
try:
    fit(folder / "labelled.xyz", preset="extxyz", output=folder / "mine", batch_size=4)
except TypeError as error:
    print(error)

# %% [markdown]
# The options name the data; the data decide the rest: the elements, their mean energies, the size of the
# forces, and how many neighbours an atom has.

# %%
labelled(energy=kcal, forces=kcal)  # writes the file anew, as it should be
trained = fit(folder / "labelled.xyz", preset="extxyz", output=folder / "mine", batch=4, **small, **short)
for update, error in zip(trained.metrics["update"], trained.metrics["forces"], strict=True):
    print(f"after {update:.0f} updates: forces are {1000 * error:.0f} meV/Angstrom off, in the mean")

# %% [markdown]
# ## Structures to predict, and to start from
#
# Structures are files that ASE reads (`FILE@INDEX` is one of several), `ase.Atoms`, or systems of ours.

# %%
predicted = predict(trained.model, folder / "labelled.xyz")["energy"]
print(f"{abs(predicted.values - right['energy']).mean():.3f} {predicted.unit} off in the mean")
run = simulate(
    f"{folder / 'labelled.xyz'}@0", model=trained.model, temperature="300 K", steps=200, output=folder / "run.h5md"
)
run

# %% [markdown]
# Bodies start from a CSV file. Its columns are names, the body that each goes around, GM, barycentric
# positions and velocities in km and km/s, and oblateness, which may be empty.

# %%
(folder / "bodies.csv").write_text(
    """name,parent,gm_km3_s2,x_km,y_km,z_km,vx_km_s,vy_km_s,vz_km_s,j2,radius_km,pole_ra_deg,pole_dec_deg
star,,1.327e11,0,0,0,0,0,0,,,,
inner,star,4e5,1.496e8,0,0,0,29.78,0,,,,
outer,star,4e5,0,2.394e8,0,-23.54,0,0,,,,
"""
)
run = simulate("solar", bodies=folder / "bodies.csv", time="10 year", output=folder / "planets.h5md")
print(run, run.energy, sep="\n")

# %% [markdown]
# ## Particles from a plain table
#
# Everything else is arrays. `System.create` takes what NumPy takes: positions [n, 3] or, of an ensemble, [n_systems, n, 3], and numbers
# that are the same for all particles as one number. In reduced units lengths, times and masses mean what you want them to. It refuses
# what does not fit.

# %%
(folder / "ions.csv").write_text(
    """x,y,z,vx,vy,vz,mass,charge
0,0,0,0,0,0,10,2
1,0,0,0,1.1,0,1,-1
-2,0,0,0,-0.6,0,1,-1
"""
)
table = np.genfromtxt(folder / "ions.csv", delimiter=",", names=True)
ions = System.create(
    np.stack([table[name] for name in ("x", "y", "z")], axis=1),
    velocities=np.stack([table[name] for name in ("vx", "vy", "vz")], axis=1),
    masses=table["mass"], charges=table["charge"],
)  # fmt: skip
states = list(rollout(yoshida(Coulomb(), 8), State(ions), dt=0.005, n_steps=1800, every=4))
energies = np.array([kinetic_energy(state.system) + state.evaluation.energy for state in states])
print(f"the energy {energies[0]:.4f} changes by at most {abs(energies - energies[0]).max():.1e}")
assert abs(energies - energies[0]).max() < 1e-10

# %%
x = np.array([state.system.positions for state in states])
figure = Figure(figsize=(4.4, 3.4), layout="constrained")
axis = figure.subplots()
for k, color in enumerate(COLORS[:3]):
    axis.plot(x[:, k, 0], x[:, k, 1], color=color, lw=0.9, label=f"charge {table['charge'][k]:+.0f}")
axis.set(xlabel="x", ylabel="y", aspect="equal")
axis.legend()
figure
