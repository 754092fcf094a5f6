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
# A run is an H5MD file. `mcegnn.universe` opens it in MDAnalysis, whose hundreds of analyses then work on it; `analyse` gives the usual
# ones at once, with errors. Here both look at liquid argon, and at last we import a trajectory that another program has written.

# %%
# %matplotlib inline
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from ase import units
from ase.build import bulk
from ase.io import write
from matplotlib import rcParams
from matplotlib.figure import Figure
from MDAnalysis import Writer, transformations
from MDAnalysis.analysis.msd import EinsteinMSD
from MDAnalysis.analysis.rdf import InterRDF

from mcegnn import (
    H5MDReader,
    H5MDWriter,
    LennardJones,
    Random,
    State,
    from_atoms,
    langevin_baoab,
    maxwell_boltzmann,
    rollout,
    to_atoms,
    universe,
    velocity_verlet,
)
from systems.observables import center_velocity
from trajectories.analysis import analyse
from trajectories.analysis.draw import COLORS, STYLE
from trajectories.foreign import import_trajectory

rcParams.update(STYLE)
folder = Path(mkdtemp())

# %% [markdown]
# ## Liquid argon
#
# We repeat the first simulation of a liquid with a realistic potential (Rahman 1964), with 500 atoms in place of 864: Lennard-Jones argon
# at a density of 1.374 g/cm³ and about 94 K. It starts from a crystal. A Langevin thermostat at 200 K melts it, the same at 94 K cools
# it, and then 20 ps at constant energy are kept, a frame every 50 fs. A thermostat would disturb the diffusion that we want to measure,
# so it is off by then. Friction and noise have also moved the crystal as a whole. We take the motion of its centre of mass out, which would
# count as diffusion for whoever does not look.


# %%
argon = LennardJones(epsilon=0.01034, sigma=3.405)  # eV, Angstrom
crystal = bulk("Ar", "fcc", (4 * 39.948 / (1.374 * 0.60221)) ** (1 / 3), cubic=True) * 5
random = Random(1)
state = State(maxwell_boltzmann(from_atoms(crystal), temperature=200.0, random=random), random=random)
for kelvin in (200.0, 94.4):
    *_, state = rollout(langevin_baoab(argon, kelvin, friction=0.005 / units.fs), state, 5 * units.fs, 2000, 2000)
drift = state.system.masses[:, None] * center_velocity(state.system)
state = replace(state, system=replace(state.system, momenta=state.system.momenta - drift))

with H5MDWriter(folder / "argon.h5md", state.system) as writer:
    for now in rollout(velocity_verlet(argon), state, dt=5 * units.fs, n_steps=4000, every=10):
        writer.write(now)
run = H5MDReader(folder / "argon.h5md")
print(f"{len(run)} frames of {run.n_particles} atoms")

# %% [markdown]
# ## What `analyse` says
#
# One call finds out what fits the run and computes it: numbers with errors, curves, warnings of what looks wrong, and notes of what was
# left out. The command `mcegnn analyse argon.h5md` prints the same.

# %%
found = analyse(run)
for number in found.numbers:
    print(f"{number.label:32} {number}")
for line in (*found.warnings, *found.notes):
    print("-", line)

# %% [markdown]
# Rahman found a diffusion coefficient of 2.43e-9 m²/s. Ours agrees with it: the motion of a liquid is chaotic, so that the last digit of a
# sum, which is not the same on all processors, decides where each atom goes, and two runs agree no better than their intervals.

# %%
diffusion = found.number("diffusion_Ar")
assert abs(diffusion.value - 2.43e-9) < 2 * diffusion.error

# %% [markdown]
# ## The same by MDAnalysis
#
# `universe` hands over the frames with names, elements, masses and charges. MDAnalysis counts time in ps and length in Angstrom, and
# keeps positions in single precision, so energies and orbits are better read by `H5MDReader`.
#
# The radial distribution g(r) is the density of atoms at a distance r from an atom, over the mean density. The mean squared displacement
# (MSD) is how far atoms have gone after a time. It starts as the square of time, while atoms fly freely, and ends as a line, whose slope
# is six times the diffusion coefficient. Our positions are never wrapped into the box, which the MSD needs.

# %% tags=["thumbnail"]
u = universe(folder / "argon.h5md")
rdf = InterRDF(u.atoms, u.atoms, nbins=200, range=(0.0, 10.0), exclusion_block=(1, 1)).run(step=4).results
displacement = EinsteinMSD(u, select="all", fft=False).run().results.timeseries[:101]  # up to 5 ps
times = u.trajectory.dt * np.arange(len(displacement))

figure = Figure(figsize=(8, 3.2), layout="constrained")
left, right = figure.subplots(1, 2)
ours = found.curve("rdf")
left.plot(ours.x, *ours.values.values(), color="0.8", lw=5, label="analyse")
left.plot(rdf.bins, rdf.rdf, color=COLORS[0], label="MDAnalysis")
left.set(xlabel="distance (Å)", ylabel="g(r)")
left.legend()
ours = found.curve("msd")
right.plot(ours.x, *ours.values.values(), color="0.8", lw=5)
right.plot(times, displacement, color=COLORS[0])
right.set(xlabel="time (ps)", ylabel="mean squared displacement (Å²)", xlim=(0, 5), ylim=(0, 1.05 * displacement.max()))
figure

# %%
slope = np.polyfit(times[8:41], displacement[8:41], 1)[0]  # 0.4 to 2 ps
print(f"first peak at {rdf.bins[rdf.rdf.argmax()]:.2f} Å, diffusion coefficient {slope / 6 * 1e-8:.3g} m²/s")
assert abs(slope / 6 * 1e-8 - diffusion.value) < diffusion.error

# %% [markdown]
# The peaks of g(r) are shells of neighbours. In a crystal they would go on; in a liquid each is lower than the last, and g(r) tends to
# one.
#
# ## A trajectory of another program
#
# GROMACS writes XTC files, in which atoms are wrapped into the box and have no names; those are in a second file, such as a PDB. We write
# such a pair with MDAnalysis and ASE, to have one here.
#
# `import_trajectory` takes whatever ASE or MDAnalysis reads, a `.traj` of ASE too, and makes a run of it. It follows atoms that were
# wrapped from one side of the box to the other.

# %%
write(folder / "foreign.pdb", to_atoms(run[0].system))
u.trajectory.add_transformations(transformations.wrap(u.atoms))
with Writer(str(folder / "foreign.xtc"), u.atoms.n_atoms) as writer:
    for _ in u.trajectory:
        writer.write(u.atoms)

import_trajectory(folder / "foreign.xtc", folder / "imported.h5md", topology=folder / "foreign.pdb")
imported = analyse(H5MDReader(folder / "imported.h5md"))
for name, analysis in {"our run": found, "imported": imported}.items():
    print(f"{name}: diffusion coefficient {analysis.number('diffusion_Ar')}")
for note in imported.notes:
    print("-", note)

# %% [markdown]
# The diffusion coefficient is the same: nothing was lost but the velocities, which XTC does not hold, and digits. On the command line it
# is `mcegnn analyse foreign.xtc --topology foreign.pdb`.

# %%
assert abs(imported.number("diffusion_Ar").value - diffusion.value) < 0.2 * diffusion.error
