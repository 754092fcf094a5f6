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
# # Your own potential, flow and integrator
#
# A potential is any function from a system to energy and forces. A flow is any object that takes a state one step further. An integrator
# is a composition of flows. Each takes about ten lines here, and each is held to a law that tells whether it is right.

# %%
# %matplotlib inline
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

from integrators.composition import Composition, Strang
from integrators.flows import Drift, Kick
from mcegnn import Evaluation, KernelFunction, State, System, rollout, velocity_verlet, yoshida
from systems.observables import kinetic_energy
from trajectories.analysis.draw import COLORS, STYLE
from trajectories.conservation import reversibility

rcParams.update(STYLE)


def energy(state):
    """Total energy [...]."""
    return kinetic_energy(state.system) + state.evaluation.energy


# %% [markdown]
# ## A potential
#
# Hénon and Heiles (1964) asked how a star moves in a galaxy, and took the simplest potential that is not trivial:
#
#     U = (x² + y²)/2 + x² y - y³/3
#
# We write down the energy and minus its gradient. All arrays may have a leading axis for an ensemble, so we index from the end.


# %%
def henon_heiles(system):
    x, y, z = np.moveaxis(system.positions, -1, 0)
    potential_energy = 0.5 * (x**2 + y**2) + x**2 * y - y**3 / 3
    forces = np.stack([-x - 2 * x * y, -y - x**2 + y**2, 0 * z], axis=-1)
    return Evaluation(potential_energy.sum(-1), forces)


# %% [markdown]
# The law: forces are minus the gradient of the energy. Central differences say so to many digits, at any place.

# %%
here, h = System.create([[0.2, -0.3, 0.0]]), 1e-5
for axis, direction in enumerate(np.eye(3)):
    ahead, behind = (henon_heiles(replace(here, positions=here.positions + s * h * direction)).energy for s in (1, -1))
    numerical, analytical = -(ahead - behind) / (2 * h), henon_heiles(here).forces[0, axis]
    print(f"{'xyz'[axis]}: {numerical:+.8f} by differences, {analytical:+.8f} by the formula")
    assert abs(numerical - analytical) < 1e-8

# %% [markdown]
# ## A kernel
#
# A kernel is the same formula for one configuration, written with loops: positions and forces are [3, n], forces are added, the energy is
# returned. `KernelFunction` compiles it, and then the whole rollout runs compiled, ensembles on all cores. Nothing else changes.


# %%
def kernel(x, masses, charges, parameters, forces):
    total = 0.0
    for i in range(x.shape[1]):
        a, b = x[0, i], x[1, i]
        total += 0.5 * (a * a + b * b) + a * a * b - b * b * b / 3
        forces[0, i] -= a + 2 * a * b
        forces[1, i] -= b + a * a - b * b
    return total


compiled = KernelFunction(kernel)

# %% [markdown]
# The law: both are the same potential. And what it buys: the time of 2,000 steps of one star, in each way. (The first call compiles the
# kernel and is not counted.)

# %%
start = State(System.create([[0.0, 0.1, 0.0]], velocities=[[0.45, 0.1, 0.0]]))
ends, seconds = {}, {}
for name, acting in {"NumPy": henon_heiles, "kernel": compiled}.items():
    flow = yoshida(acting, 4)
    list(rollout(flow, start, dt=0.05, n_steps=10))
    began = perf_counter()
    *_, ends[name] = rollout(flow, start, dt=0.05, n_steps=2000, every=2000)
    seconds[name] = perf_counter() - began
print(f"NumPy {seconds['NumPy']:.2g} s, kernel {seconds['kernel']:.2g} s: {seconds['NumPy'] / seconds['kernel']:.0f} times as fast")
np.testing.assert_allclose(ends["NumPy"].system.positions, ends["kernel"].system.positions, atol=1e-9)

# %% [markdown]
# That much speed makes other questions possible. We take sixty stars of the same energy 1/8, follow them for 1,500 units of time, and
# mark a point (y, vy) whenever one passes x = 0 from left to right: a Poincaré section. An orbit with a second conserved quantity beside
# the energy stays on a curve. A chaotic one fills an area. At this energy there are both, side by side.

# %%
rng = np.random.default_rng(0)
y, vy = rng.uniform([[-0.45], [-0.5]], [[0.7], [0.5]], (2, 300))
vx2 = 2 / 8 - vy**2 - y**2 + 2 * y**3 / 3  # what the energy leaves for vx at x = 0
y, vy, vx = (part[vx2 > 0][:60] for part in (y, vy, np.sqrt(abs(vx2))))
stars = System.create(np.stack([0 * y, y, 0 * y], -1)[:, None], velocities=np.stack([vx, vy, 0 * vx], -1)[:, None])

states = list(rollout(yoshida(compiled, 4), State(stars), dt=0.05, n_steps=30_000))
drift = max(abs(energy(state) - 1 / 8).max() for state in states)
print(f"{len(vx)} stars, the energy changes by at most {drift:.0e}")
assert drift < 1e-6

# %% tags=["thumbnail"]
x = np.array([state.system.positions[:, 0] for state in states])
v = np.array([state.system.velocities[:, 0] for state in states])
passes = (x[:-1, :, 0] < 0) & (x[1:, :, 0] >= 0)
share = (x[:-1, :, 0] / (x[:-1, :, 0] - x[1:, :, 0]))[passes]  # of the step, before x = 0
y, vy = (part[:-1, :, 1][passes] + share * (part[1:, :, 1] - part[:-1, :, 1])[passes] for part in (x, v))

figure = Figure(figsize=(4.8, 4.4), layout="constrained")
axis = figure.subplots()
axis.scatter(y, vy, s=1, c=np.nonzero(passes)[1], cmap="turbo", lw=0)
axis.set(xlabel="y", ylabel="velocity along y", aspect="equal")
axis.grid(False)
figure

# %% [markdown]
# ## A flow
#
# A charge in a magnetic field along z: its velocity turns about the field at the cyclotron frequency q B / m, and the force does no work.
# A flow should solve its piece exactly, so this one turns the momenta by the right angle, whatever the time step. A flow also says which
# potential it moves under; this one has none.


# %%
@dataclass(frozen=True)
class Magnetic:
    field: float
    potential: None = None

    def __call__(self, state, dt):
        system = state.system
        angle = -system.charges * self.field / system.masses * dt
        c, s, zero = np.cos(angle), np.sin(angle), 0 * angle
        turn = np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, zero + 1], -1)], -2)
        return replace(state, system=replace(system, momenta=(turn @ system.momenta[..., None])[..., 0]))


# %% [markdown]
# `Strang` makes a palindrome of flows: half a kick, half a turn, a drift, and back. That is the Boris integrator of plasma physics but
# for its approximate turn. The particle sits in a trap that is harmonic, so there is an exact solution to compare with: with frequency w
# of the trap and cyclotron frequency B, the particle moves as the sum of two circles, at the frequencies ±sqrt(w² + B²/4) - B/2.
#
# Two laws: the energy is conserved, and a palindrome runs backwards to where it came from.


# %%
def trap(system):
    x = system.positions
    return Evaluation(0.5 * (x**2).sum((-1, -2)), -x)


def boris(field):
    return Strang(Kick(trap), Magnetic(field), Drift())


field = 3.0
start = State(System.create([[1.0, 0.0, 0.0]], charges=1.0))
states = list(rollout(boris(field), start, dt=0.02, n_steps=2500))
drift = max(abs(energy(state) - 0.5) for state in states)
back = reversibility(boris(field), start, dt=0.02, n_steps=2500)
print(f"the energy changes by at most {drift:.1e}; run back, it misses its start by {back:.1e} of the way")
assert drift < 1e-3
assert back < 1e-12

# %%
x = np.array([state.system.positions[0] for state in states])
t = np.array([state.time for state in states])
fast, slow = (s * np.sqrt(1 + field**2 / 4) - field / 2 for s in (-1, 1))
exact = (slow * np.exp(1j * fast * t) - fast * np.exp(1j * slow * t)) / (slow - fast)

figure = Figure(figsize=(4, 3.8), layout="constrained")
axis = figure.subplots()
axis.plot(exact.real, exact.imag, color="0.85", lw=4, label="exact")
axis.plot(x[:, 0], x[:, 1], color=COLORS[0], lw=0.8, label="Strang(Kick, Magnetic, Drift)")
axis.set(xlabel="x", ylabel="y", aspect="equal", ylim=(-1.05, 1.35))
axis.legend(loc="upper center", ncols=2)
figure

# %% [markdown]
# ## An integrator
#
# A symmetric second-order scheme, composed with itself by the right shares of the time step, is of fourth order. Yoshida's composition
# takes three steps, of which one goes far back. Suzuki's (1990) takes five, none longer than the time step, and has smaller errors. It is
# one line.

# %%
share = 1 / (4 - 4 ** (1 / 3))
SUZUKI = [share, share, 1 - 4 * share, share, share]


def suzuki(potential):
    return Composition(velocity_verlet(potential), SUZUKI)


# %% [markdown]
# The law: the error falls with the fourth power of the time step. The magnetic trap is beside it: its palindrome is of second order, and
# the same composition makes it one of fourth order.

# %%
star = State(System.create([[0.0, 0.1, 0.0]], velocities=[[0.45, 0.1, 0.0]]))
*_, reference = rollout(yoshida(compiled, 8), star, 0.01, 1000, 1000)
exact = np.exp(1j * np.array([fast, slow]) * 10) @ np.array([slow, -fast]) / (slow - fast)


def star_error(flow, n_steps):
    *_, end = rollout(flow, star, 10 / n_steps, n_steps, n_steps)
    return np.linalg.norm(end.system.positions - reference.system.positions)


def trap_error(flow, n_steps):
    *_, end = rollout(flow, start, 10 / n_steps, n_steps, n_steps)
    return abs(end.system.positions[0] @ [1, 1j, 0] - exact)


n_steps = np.array([80, 160, 320])
errors = {
    "velocity Verlet": (2, [star_error(velocity_verlet(compiled), n) for n in n_steps]),
    "Yoshida 4": (4, [star_error(yoshida(compiled, 4), n) for n in n_steps]),
    "Suzuki 4": (4, [star_error(suzuki(compiled), n) for n in n_steps]),
    "magnetic trap": (2, [trap_error(boris(field), n) for n in n_steps]),
    "magnetic trap, Suzuki 4": (4, [trap_error(Composition(boris(field), SUZUKI), n) for n in n_steps]),
}
for name, (order, values) in errors.items():
    slope = np.log2(values[-2] / values[-1])
    print(f"{name:24} order {slope:.2f}")
    assert abs(slope - order) < 0.1

# %%
figure = Figure(figsize=(6.4, 3.4), layout="constrained")
axis = figure.subplots()
for color, (name, (_, values)) in zip(COLORS, errors.items(), strict=False):
    axis.loglog(10 / n_steps, values, "o-", color=color, label=name)
axis.set(xlabel="time step", ylabel="error of the position after time 10", xticks=10 / n_steps, xticklabels=(10 / n_steps).round(3))
axis.minorticks_off()
figure.legend(loc="outside right center")
figure
