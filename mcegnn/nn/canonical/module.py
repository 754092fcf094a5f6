"""`canonicalize`: any torch module, made equivariant in one line."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mcegnn.nn.canonical.canonicalization import Canonicalization
from mcegnn.nn.canonical.flat_inputs import FlatInputs
from mcegnn.nn.canonical.frames import fixed_numbers
from mcegnn.nn.canonical.groups import group_of
from mcegnn.nn.canonical.kinds import kind_of

_N_CODES = 4  # numbers that stand for a particle's scalars, however many these are

Outputs = str | Sequence[str] | Mapping[str, str]


def canonicalize(
    module: nn.Module,
    inputs: Mapping[str, str],
    outputs: Outputs,
    group: str = "O(3)",
    canonicalizer: str = "direct",
    *,
    axis: tuple[float, float, float] | None = None,
    **options: Any,
) -> "CanonicalizedModule":
    """Make any torch module equivariant under a group.

    ``inputs`` says of each input of the module, in their order, what kind of quantity it is:
    "scalar", "vector", "position" (which moves under translations), "tensor", and "pseudoscalar",
    "pseudovector", "pseudotensor" (`mcegnn.nn.canonical.kinds`). Inputs are of each particle,
    vectors [n, 3] or in batches [n_systems, n, 3], tensors [n, 3, 3], scalars [n, n_features];
    "vector per system" and others are [3] or [n_systems, 3]. ``outputs`` is the kind of the output,
    or those of several in a sequence or by name, as the module returns them: one of the system, a
    scalar [...] or a vector [3], unless it ends in "per particle".

    ``group`` is a name of `mcegnn.nn.canonical.groups.group_of`, such as "SO(3)", "E(3) x S_n" or
    "D_3", with an ``axis`` for SO(2). ``canonicalizer`` is "direct", "optimized", "smooth" (for
    dynamics: outputs and their gradients are continuous), or one of the controls
    "principal-axes", "random", "average" (of 24 rotations, not exactly equivariant), "fixed" (not
    at all); ``options`` are its own, such as ``n_hidden``.

    Where systems have no frame, such as single particles or collinear ones, any frame is taken that
    fits what there is: scalars stay exactly invariant, and other outputs equivariant up to the
    system's own symmetry (relaxed equivariance, Kaba and Ravanbakhsh 2023, arXiv 2312.09016); with
    "smooth" they are averaged over it. Poses are told by vectors, and by what tensors make of them;
    where there are none, or all are zero, a tensor alone does not tell a pose, and outputs are not
    equivariant.

    In training, add ``penalty()`` of the last call, where it is not None, to the loss: "smooth"
    wants few frames. To keep what a module knows of poses that its training data have, add
    ``canonicalization_prior`` of such data.

    Raises ValueError, in words, if kinds, group or canonicalizer do not fit together.

    >>> invariant = canonicalize(network, inputs={"x": "vector"}, outputs="scalar", group="O(3)")
    """
    return CanonicalizedModule(
        module, inputs, outputs, group, canonicalizer, axis=axis, options=options
    )


class CanonicalizedModule(nn.Module):
    """A module in canonical poses of its inputs; made by `canonicalize`.

    It is called as the module is. One canonicalizer and the module learn together;
    `canonicalization_prior` of the same inputs is what an adaptation adds to its loss.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Mapping[str, str],
        outputs: Outputs,
        group: str,
        canonicalizer: str,
        *,
        axis: tuple[float, float, float] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not inputs:
            raise ValueError('declare the inputs of the module, such as inputs={"x": "vector"}')
        self.module = module
        self.inputs = {name: kind_of(kind) for name, kind in inputs.items()}
        self.outputs = _kinds_of(outputs)
        scalar = any(kind.rank == 0 and not kind.pseudo for kind in self.inputs.values())
        self.canonicalization = Canonicalization(
            group_of(group, axis),
            canonicalizer,
            list(self.inputs.values()),
            _N_CODES if scalar else 0,
            **(options or {}),
        )
        weight = next((p for p in module.parameters() if p.is_floating_point()), None)
        if weight is not None:
            self.canonicalization.to(weight)

    def forward(self, *args: Tensor, **named: Tensor) -> Any:
        """Call the module with its inputs in canonical poses, and turn its outputs back.

        Raises ValueError if inputs are missing or of other shapes than their kinds, or outputs are
        not declared.
        """
        given = self._named(args, named)
        flat = FlatInputs(given, self.inputs)
        poses = self.canonicalization(*self._seen(flat))
        entered = {
            name: flat.folded(poses.enter(flat.values[name], kind), kind, len(poses.system))
            for name, kind in self.inputs.items()
        }
        said = self._called(entered, flat, by_name=not args)
        return _mapped(said, self.outputs, lambda value, kind: flat.left(poses, value, kind))

    def penalty(self) -> Tensor | None:
        """What the canonicalizer adds to the loss of the last call in training, if anything."""
        return self.canonicalization.penalty()

    def canonicalization_prior(self, *args: Tensor, **named: Tensor) -> Tensor:
        """How far the canonical poses of these inputs are from the identity, to be added to the
        loss of an adaptation: the mean of |R - 1|^2, of finite groups that of - log p(identity)
        (Mondal et al. 2023, arXiv 2310.01647)."""
        flat = FlatInputs(self._named(args, named), self.inputs)
        return self.canonicalization.canonicalization_prior(*self._seen(flat))

    def _seen(self, flat: FlatInputs) -> tuple[Sequence[Tensor], Tensor, Tensor, int]:
        """What the canonicalization takes; scalars, however many, as a few numbers made of them."""
        values = [flat.values[name] for name in self.inputs]
        like = next((value for value in values if value.is_floating_point()), values[0].float())
        scalars = like.new_zeros(len(flat.owner), 0)
        if self.canonicalization.n_scalars:
            parts = [
                (value if kind.per_particle else value[flat.owner]).flatten(1).to(like)
                for value, kind in zip(values, self.inputs.values(), strict=True)
                if kind.rank == 0 and not kind.pseudo
            ]
            every = torch.asinh(torch.cat([*parts, scalars], 1))
            scalars = every @ fixed_numbers(every.shape[1], _N_CODES).to(every)
        return values, scalars, flat.owner, flat.n_systems

    def _named(self, args: tuple[Tensor, ...], named: dict[str, Tensor]) -> dict[str, Tensor]:
        """Inputs by name, in the declared order."""
        given = {**dict(zip(self.inputs, args, strict=False)), **named}
        if len(args) > len(self.inputs) or given.keys() != self.inputs.keys():
            raise ValueError(
                f"the inputs are declared as {', '.join(self.inputs)}; given were"
                f" {len(args)} without names{''.join(f', {name}' for name in named)}"
            )
        return {name: given[name] for name in self.inputs}

    def _called(self, entered: dict[str, Tensor], flat: FlatInputs, *, by_name: bool) -> Any:
        """What the module says of all poses: at once in batches, else one by one."""

        def call(values: dict[str, Tensor]) -> Any:
            return self.module(**values) if by_name else self.module(*values.values())

        if flat.batched:
            return call(entered)
        n = len(next(iter(entered.values())))
        each = [call({name: value[k] for name, value in entered.items()}) for k in range(n)]
        return _stacked(each)


def _kinds_of(outputs: Outputs) -> Any:
    """Kinds of the outputs, in the structure that these have."""
    if isinstance(outputs, str):
        return kind_of(outputs, per_particle=False)
    if isinstance(outputs, Mapping):
        return {name: kind_of(kind, per_particle=False) for name, kind in outputs.items()}
    return tuple(kind_of(kind, per_particle=False) for kind in outputs)


def _mapped(said: Any, kinds: Any, leave: Any) -> Any:
    """Each output as its kind wants it. Raises ValueError if there are others than declared."""
    if isinstance(kinds, dict):
        if not isinstance(said, Mapping) or said.keys() - kinds.keys():
            names = ", ".join(said) if isinstance(said, Mapping) else type(said).__name__
            raise ValueError(
                f"the module's outputs are {names}; declared are {', '.join(kinds)}: declare the"
                " kind of each"
            )
        return {name: leave(value, kinds[name]) for name, value in said.items()}
    if isinstance(kinds, tuple):
        if not isinstance(said, tuple | list) or len(said) != len(kinds):
            n = len(said) if isinstance(said, tuple | list) else 1
            raise ValueError(f"the module has {n} outputs; the kinds of {len(kinds)} are declared")
        return tuple(leave(value, kind) for value, kind in zip(said, kinds, strict=True))
    if not isinstance(said, Tensor):
        raise ValueError(
            f"the module returns a {type(said).__name__}; declare the kind of each of its outputs"
        )
    return leave(said, kinds)


def _stacked(each: Sequence[Any]) -> Any:
    """Outputs of single poses as one output with an axis of poses."""
    first = each[0]
    if isinstance(first, Mapping):
        return {name: torch.stack([one[name] for one in each]) for name in first}
    if isinstance(first, tuple | list):
        return tuple(torch.stack(parts) for parts in zip(*each, strict=True))
    return torch.stack(list(each)) if isinstance(first, Tensor) else first
