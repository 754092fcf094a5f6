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
# # Analysis: our own, and MDAnalysis
#
# A run is an H5MD file, and a `Trajectory` opens it: the usual analyses are its methods, each with errors and
# a figure. `universe()` hands the same frames to MDAnalysis, whose hundreds of analyses then work on them.
# Here both look at liquid argon, and at last we open a trajectory that another program has written.

# %%
# %matplotlib inline
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from ase.build import bulk
from ase.md.velocitydistribution import Stationary
from matplotlib import rcParams
from matplotlib.figure import Figure
from MDAnalysis import Writer, transformations
from MDAnalysis.analysis.msd import EinsteinMSD
from MDAnalysis.analysis.rdf import InterRDF

from mcegnn import Trajectory, simulate
from trajectories.analysis.draw import COLORS, STYLE

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## Liquid argon
#
# We repeat the first simulation of a liquid with a realistic potential (Rahman 1964), with 500 atoms in place
# of 864: Lennard-Jones argon at a density of 1.374 g/cm³ and about 94 K. It starts from a crystal. A Langevin
# thermostat at 200 K melts it, the same at 94 K cools it, and then 20 ps at constant energy are kept, a frame
# every 50 fs. A thermostat would disturb the diffusion that we want to measure, so it is off by then. Friction
# and noise have also moved the crystal as a whole. We take the motion of its centre of mass out.

# %%
argon = {"potential": "mcegnn:LennardJones:epsilon=0.01034,sigma=3.405", "dt": "5 fs"}  # eV, Angstrom
atoms = bulk("Ar", "fcc", (4 * 39.948 / (1.374 * 0.60221)) ** (1 / 3), cubic=True) * 5
for kelvin in (200.0, 94.4):
    warm = simulate(
        atoms, ensemble="nvt", temperature=f"{kelvin} K", friction="5 /ps", time="10 ps",
        output=folder / "warm.h5md", overwrite=True, **argon,
    )  # fmt: skip
    atoms = warm.to_ase(-1)
Stationary(atoms)
run = simulate(atoms, time="20 ps", every=10, output=folder / "argon.h5md", **argon)
run

# %% [markdown]
# ## What the analyses say
#
# A result holds named arrays with their units, and numbers with errors.

# %%
run.temperature

# %%
run.rdf()["distance"][:3], run.msd().curves.keys(), run.vacf().x_unit

# %% [markdown]
# `analyse` finds out what fits the run and computes all of it: numbers, curves, warnings of what looks wrong,
# and notes of what was left out. The command `mcegnn analyse argon.h5md` prints the same.

# %%
found = run.analyse()
for number in found.numbers:
    print(f"{number.label:32} {number}")
for line in (*found.warnings, *found.notes):
    print("-", line)

# %% [markdown]
# Rahman found a diffusion coefficient of 2.43e-9 m²/s. Ours agrees with it: the motion of a liquid is chaotic,
# so that the last digit of a sum, which is not the same on all processors, decides where each atom goes, and
# two runs agree no better than their intervals.

# %%
diffusion = run.msd().numbers["diffusion_Ar"]
assert abs(diffusion.value - 2.43e-9) < 2 * diffusion.error

# %% [markdown]
# ## The same by MDAnalysis
#
# `universe` hands over the frames with names, elements, masses and charges. MDAnalysis counts time in ps and
# length in Angstrom, and keeps positions in single precision.
#
# The radial distribution g(r) is the density of atoms at a distance r from an atom, over the mean density. The
# mean squared displacement (MSD) is how far atoms have gone after a time. It starts as the square of time,
# while atoms fly freely, and ends as a line, whose slope is six times the diffusion coefficient. Our positions
# are never wrapped into the box, which the MSD needs.

# %% tags=["thumbnail"]
u = run.universe()
rdf = InterRDF(u.atoms, u.atoms, nbins=200, range=(0.0, 10.0), exclusion_block=(1, 1)).run(step=4).results
displacement = EinsteinMSD(u, select="all", fft=False).run().results.timeseries[:101]  # up to 5 ps
times = u.trajectory.dt * np.arange(len(displacement))

figure = Figure(figsize=(8, 3.2), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(run.rdf().x, run.rdf().y, color="0.8", lw=5, label="Trajectory")
left.plot(rdf.bins, rdf.rdf, color=COLORS[0], label="MDAnalysis")
left.set(xlabel="distance (Å)", ylabel="g(r)")
left.legend()
right.plot(run.msd().x, run.msd().y, color="0.8", lw=5)
right.plot(times, displacement, color=COLORS[0])
top = 1.05 * displacement.max()
right.set(xlabel="time (ps)", ylabel="mean squared displacement (Å²)", xlim=(0, 5), ylim=(0, top))
figure

# %%
slope = np.polyfit(times[8:41], displacement[8:41], 1)[0]  # 0.4 to 2 ps
peak = rdf.bins[rdf.rdf.argmax()]
print(f"first peak at {peak:.2f} Å, diffusion coefficient {slope / 6 * 1e-8:.3g} m²/s")
assert abs(slope / 6 * 1e-8 - diffusion.value) < diffusion.error

# %% [markdown]
# The peaks of g(r) are shells of neighbours. In a crystal they would go on; in a liquid each is lower than the
# last, and g(r) tends to one.
#
# ## A trajectory of another program
#
# GROMACS writes XTC files, in which atoms are wrapped into the box and have no names; those are in a second
# file, such as a PDB. We write such a pair with MDAnalysis and ASE, to have one here.
#
# `Trajectory` opens whatever ASE or MDAnalysis reads. It follows atoms that were wrapped from one side of the
# box to the other.

# %%
run.to_ase(0).write(folder / "foreign.pdb")
u.trajectory.add_transformations(transformations.wrap(u.atoms))
with Writer(str(folder / "foreign.xtc"), u.atoms.n_atoms) as writer:
    for _ in u.trajectory:
        writer.write(u.atoms)

foreign = Trajectory(folder / "foreign.xtc", topology=folder / "foreign.pdb")
imported = foreign.analyse()
for name, analysis in {"our run": found, "imported": imported}.items():
    print(f"{name}: diffusion coefficient {analysis.number('diffusion_Ar')}")
for note in imported.notes:
    print("-", note)

# %% [markdown]
# The diffusion coefficient is the same: nothing was lost but the velocities, which XTC does not hold, and
# digits. On the command line it is `mcegnn analyse foreign.xtc --topology foreign.pdb`.

# %%
assert abs(imported.number("diffusion_Ar").value - diffusion.value) < 0.2 * diffusion.error
