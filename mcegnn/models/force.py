"""`LearnedForce`: a central force between pairs whose dependence on the distance, and whose masses
if need be, are learned."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mcegnn.models.model import Model, Role, energies_and_forces
from mcegnn.names import check_positive
from systems.potentials.table import PairTable
from systems.system import Evaluation, System
from systems.units import BY_NAME

_FIRST_MASS = 1e-4  # where all learned masses start, the first being one
FIRST, LAST, N_KNOTS = 1e-5, 1e4, 16_384  # radii of the table that rollouts use
_LARGEST = 1e100  # of the table's values


class LearnedForce(Model):
    """F_i = sum_j c_i c_j w(r_ij) (x_i - x_j) with c the charges or the masses, and w(r) = s
    exp(u(log r)) / time^2.

    u is a perceptron and s its sign and size. No form of the force is assumed: s starts at zero and
    u at its random weights; ``time`` is a unit that makes forces of order one. ``n_masses`` makes
    the masses parameters, one a particle, the first being the unit; `with_learned_masses`
    gives a system these masses. Lengths are those of ``units``. ``limit`` clips each component of a
    particle's force, as the charged benchmark does. Torch systems are differentiated through;
    rollouts use the `tabulated` force.
    """

    role, periodic = Role.POTENTIAL, False

    def __init__(
        self,
        n_features: int = 32,
        n_layers: int = 2,
        *,
        coupling: Literal["charges", "masses"] = "charges",
        n_masses: int = 0,
        units: str = "reduced",
        time: float = 1.0,
        limit: float = float("inf"),
    ) -> None:
        super().__init__()
        if coupling not in ("charges", "masses") or (n_masses and coupling == "charges"):
            raise ValueError(
                f"pairs couple by charges or masses, and only masses are learned; not {coupling!r}"
                f" with {n_masses} masses"
            )
        if n_masses < 0 or n_masses == 1:
            raise ValueError(
                f"n_masses is 0, for masses that are given, or at least 2, not {n_masses}"
            )
        check_positive(limit=limit, time=time)
        widths = [1, *[n_features] * n_layers]
        hidden = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.SiLU())]
        self.exponent = nn.Sequential(*hidden, nn.Linear(n_features, 1))
        self.size = nn.Parameter(torch.zeros(()))
        self.log_masses = nn.Parameter(torch.full((max(0, n_masses - 1),), math.log(_FIRST_MASS)))
        self.coupling, self.limit, self.units, self.time = coupling, limit, BY_NAME[units], time

    @property
    def masses(self) -> Tensor | None:
        """The learned masses [n_masses], the first being one; None where masses are not learned."""
        return (
            torch.cat([self.log_masses.new_ones(1), self.log_masses.exp()])
            if len(self.log_masses)
            else None
        )

    def law(self, r2: Tensor) -> Tensor:
        """w at squared distances [...]."""
        return (
            self.size / self.time**2 * self.exponent(0.5 * r2.log().unsqueeze(-1)).squeeze(-1).exp()
        )

    def law_to_first_order(self, layer: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        """`law` with another last layer (weight, bias), for derivatives in forward mode of r2 and
        of that layer.

        Where many tangents would pass all layers, they meet the slope and the hidden values, which
        are computed once.
        """

        def law(r2: Tensor) -> Tensor:
            at = 0.5 * r2.log().unsqueeze(-1)
            fixed = at.detach()
            moved: Any = torch.func.jvp(self.exponent[:-1], (fixed,), (torch.ones_like(fixed),))
            hidden, slope = moved
            weight, bias = layer["weight"], layer["bias"]
            exponent = functional.linear(hidden, weight, bias) + (slope @ weight.detach().t()) * (
                at - fixed
            )
            return self.size / self.time**2 * exponent.squeeze(-1).exp()

        return law

    def forces(
        self, x: Tensor, couplings: Tensor, law: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Positions [..., n, 3] and couplings [..., n] -> forces [..., n, 3], not clipped; ``law``
        in place of the model's own."""
        i, j, ends = _pairs(x.shape[-2], x.dtype, x.device)
        d = x.index_select(-2, i) - x.index_select(-2, j)
        w = (
            couplings.index_select(-1, i)
            * couplings.index_select(-1, j)
            * (law or self.law)(d.square().sum(-1))
        )
        return ends @ (w.unsqueeze(-1) * d)

    @property
    def requires(self) -> frozenset[str]:  # type: ignore[override]
        """The quantity that pairs couple by, charges or masses."""
        return frozenset({self.coupling})

    def as_potential(self, threads: int = 1) -> PairTable:
        """As `tabulated`."""
        return self.tabulated()

    def check_system(self, system: System) -> None:
        """Check the system as any model does, and the number of bodies if masses are learned."""
        super().check_system(system)
        self._check_number(system.n_particles)

    def _check_number(self, n_particles: int) -> None:
        masses = self.masses
        if masses is not None and len(masses) != n_particles:
            raise ValueError(
                f"the model has learned the masses of {len(masses)} bodies; the system has"
                f" {n_particles}"
            )

    def with_learned_masses(self, system: System, masses: Tensor | None = None) -> System:
        """The system with its velocities and the learned masses, or these; itself if none are.
        Raises ValueError if it has another number of bodies."""
        masses = self.masses if masses is None else masses
        if masses is None:
            return system
        self._check_number(system.n_particles)
        kind: Any = (
            masses if isinstance(system.positions, Tensor) else masses.detach().double().numpy()
        )
        return System(
            system.positions,
            system.velocities * kind[:, None],
            kind,
            system.species,
            system.charges,
            system.cell,
            system.pbc,
            system.units,
        )

    def rows(self) -> list[tuple[str, str]]:
        """The learned masses."""
        masses = self.masses
        if masses is None:
            return []
        return [("learned masses", " ".join(f"{mass:.6g}" for mass in masses.tolist()))]

    def predict_targets(self, systems: Sequence[System]) -> Mapping[str, tuple[Any, str]]:
        """Energies, and the largest force on a particle of each system."""
        return energies_and_forces(self.tabulated(), systems, self.units)

    def forward(self, system: System) -> Evaluation:
        """Forces on a torch system, with their graph; the energy is the `tabulated` law's to
        give."""
        evaluation = self.unclipped(system)
        return evaluation._replace(
            forces=evaluation.forces.clamp(-self.limit, self.limit), potential=self
        )

    def unclipped(self, system: System) -> Evaluation:
        """The same forces without the limit, whose gradient is zero where it acts."""
        return Evaluation(None, self.forces(system.positions, getattr(system, self.coupling)))

    def tabulated(self) -> PairTable:
        """The law as it is now, in numbers, for NumPy systems and compiled rollouts: between 1e-5
        and 1e4 units of length."""
        exact = deepcopy(self).double()

        @torch.no_grad()
        def law(radii: np.ndarray) -> np.ndarray:
            # far from all data the law may be anything, but a number
            return np.asarray(
                exact.law(torch.from_numpy(radii).square()).clamp(-_LARGEST, _LARGEST).numpy()
            )

        return PairTable.of(law, FIRST, LAST, N_KNOTS, coupling=self.coupling, limit=self.limit)


_PAIRS: dict[tuple[int, torch.dtype, torch.device], tuple[Tensor, Tensor, Tensor]] = {}


def _pairs(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """i, j [n (n - 1) / 2] of each pair once, and what a pair's force does to each particle, [n,
    pairs] of +1, -1 and 0."""
    key = (n, dtype, device)
    if key not in _PAIRS:
        with torch.inference_mode(False):  # what is kept must serve training too
            i, j = torch.triu_indices(n, n, 1, device=device)
            which = torch.arange(n, device=device).unsqueeze(1)
            _PAIRS[key] = (i, j, (which == i).to(dtype) - (which == j).to(dtype))
    return _PAIRS[key]
