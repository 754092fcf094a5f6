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
# # Make a network equivariant
#
# A network that knows nothing of rotations becomes exactly equivariant when a small canonicalizer brings its input into a pose that turns
# with the input, and turns the output back ([Kaba et al. 2023](https://arxiv.org/abs/2211.06489)). Any torch module will do.

# %%
# %matplotlib inline
import numpy as np
import torch
from ase.build import molecule
from matplotlib import rcParams
from matplotlib.figure import Figure

from mcegnn import Canonicalized, State, System, canonicalize, rollout
from trajectories.analysis.draw import STYLE

rcParams.update(STYLE)
torch.manual_seed(0)
rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))


# %% [markdown]
# ## One line
#
# A module says what kind of quantity each input and output is: "scalar", "vector", "position", "tensor", or one of their pseudo forms.


# %%
class Cloud(torch.nn.Module):
    """An energy of particles from their coordinates, in any order, with no other symmetry."""

    def __init__(self):
        super().__init__()
        self.each = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh())
        self.all = torch.nn.Linear(32, 1)

    def forward(self, x, z):
        return self.all(self.each(torch.cat([x, z], -1)).mean(-2))


plain = Cloud().double()
kinds = {"x": "position", "z": "scalar"}
invariant = canonicalize(plain, inputs=kinds, outputs="scalar", group="E(3)")

x = torch.randn(5, 3, dtype=torch.float64)
z = torch.rand(5, 1, dtype=torch.float64)
for name, model in (("plain", plain), ("canonicalized", invariant)):
    change = model(x @ rotation.T + 1.0, z) - model(x, z)
    print(f"{name}: turned and moved, the output changes by {abs(change.item()):.1e}")

# %%
assert torch.allclose(invariant(x @ rotation.T + 1.0, z), invariant(x, z), rtol=1e-10)

# %% [markdown]
# Canonicalizer and network learn together: `invariant.parameters()` are those of both.
#
# ## Smooth, for dynamics
#
# A single frame must jump where a molecule gains symmetry, and the energy with it. `canonicalizer="smooth"` averages over a few learned
# frames whose weights go to zero before a frame degenerates. Here ammonia is deformed along a straight path through its symmetric shape.

# %% tags=["thumbnail"]
# exact threefold symmetry
angles = 2.0 * np.pi * np.arange(3) / 3
ammonia = np.array([[0.0, 0.0, 0.1], *([0.94 * np.cos(a), 0.94 * np.sin(a), -0.27] for a in angles)])
away = np.random.default_rng(1).normal(size=(4, 3))
steps = np.linspace(-0.03, 0.03, 401)
path = torch.tensor(np.array([ammonia + s * away for s in steps]))
species = torch.tensor(molecule("NH3").numbers / 10.0).view(1, 4, 1).expand(401, 4, 1)

figure = Figure(figsize=(6.4, 3.2), layout="constrained")
axes = figure.subplots()
jumps = {}
for canonicalizer in ("direct", "smooth"):
    model = canonicalize(plain, kinds, "scalar", "E(3)", canonicalizer).double()
    with torch.no_grad():
        energies = model(path, species).squeeze(-1).numpy()
    jumps[canonicalizer] = abs(np.diff(energies)).max()
    axes.plot(steps, 1e3 * (energies - energies.mean()), label=canonicalizer)
axes.set_xlabel("deformation")
axes.set_ylabel("output, thousandths")
axes.legend()
print({name: f"{jump:.1e}" for name, jump in jumps.items()})
figure

# %%
assert jumps["smooth"] < 0.2 * jumps["direct"]

# %% [markdown]
# ## Models
#
# The same is a model class: `Canonicalized` wraps the unconstrained models of the package, and every verb takes it. From the command line,
#
#     mcegnn train charged-canonical
#     mcegnn train adapt --from MODEL --data DATA
#
# the first trains a plain graph network in canonical poses; the second makes a model equivariant that was trained without symmetry, and
# keeps what it knows by a prior over poses ([Mondal et al. 2023](https://arxiv.org/abs/2310.01647)). MODEL may be a torch module of yours,
# by the name of a function that makes it, `package.module:function`.

# %%
dynamics = Canonicalized("UnconstrainedDynamics", {"interval": 1.0}).double()
stream = np.random.default_rng(0)
charges = [1.0, -1.0, 1.0, 1.0, -1.0]
start = System.create(stream.normal(size=(5, 3)), velocities=stream.normal(size=(5, 3)), charges=charges)
turned = System.create(
    start.positions @ rotation.numpy().T, velocities=start.velocities @ rotation.numpy().T, charges=charges
)
ends = [
    list(rollout(dynamics.as_flow(), State(system), 1.0, 3))[-1].system.positions for system in (start, turned)
]
difference = abs(ends[0] @ rotation.numpy().T - ends[1]).max()
print(f"three steps in a turned frame, untrained: {difference:.1e}")

# %%
assert difference < 1e-9 * abs(ends[0]).max()
