"""Unrolled training: a pair force is trained through an integrator, in stages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from integrators.ensembles import integrator, wisdom_holman
from mcegnn.tasks.objective import Objective
from mcegnn.tasks.pairs import PairsTask, PairsTaskOptions
from mcegnn.training.options import Count, NotNegative, Positive, Strict, TrainingOptions

if TYPE_CHECKING:
    from mcegnn.data.split import Split


class StageOptions(Strict):
    """Part of an unrolled training: ``substeps`` from coarse to fine, each sample integrated with
    the first that is good to ``tolerance`` (a mean squared distance from the fine scheme), with the
    force's clip or without. ``saturation`` is where errors stop to count. ``share`` of the training
    samples take part: those that free flight, positions + velocities * interval, predicts best.
    """

    n_updates: Count
    batch: Count
    lr: Positive
    substeps: Annotated[tuple[Count, ...], Field(min_length=1)]
    tolerance: Positive = 1e-6
    saturation: Positive = 1e-1
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    clip: bool = True


class RefinementOptions(Strict):
    """The end of an unrolled training: at most ``n_updates`` steps of least squares (Levenberg and
    Marquardt), all on the same ``batch`` samples, which are spread evenly over the training
    samples, through ``substeps`` steps of ``integrator``, without the force's clip.
    """

    n_updates: Count
    batch: Count
    integrator: str = "yoshida-8"
    substeps: Count
    damping: Positive = 1e-3


class UnrolledOptions(PairsTaskOptions):
    """A pair force is trained through ``integrator``. ``scheme`` and ``n_steps`` are what it is
    validated and tested with; ``lag`` is by how much the data's velocities lie before its
    positions; ``saturate`` whether errors stop to count sample by sample, or particle by particle.
    ``refinement`` follows the stages.
    """

    replaces: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("n_updates", "batch", "lr"), "task.stages"
    )

    kind: Literal["unrolled"] = "unrolled"
    integrator: str = "velocity-verlet"
    scheme: str = "symplectic-euler"
    n_steps: Count = 1000
    lag: NotNegative = 0.0
    saturate: Literal["samples", "particles"] = "samples"
    stages: Annotated[tuple[StageOptions, ...], Field(min_length=1)]
    refinement: RefinementOptions | None = None

    @model_validator(mode="after")
    def _integrators(self) -> "UnrolledOptions":
        last = [self.refinement.integrator] if self.refinement else []
        for name in (self.integrator, self.scheme, *last):
            if integrator(name) is wisdom_holman:
                raise ValueError(
                    "wisdom-holman needs gravity itself; take another integrator for a learned"
                    " force"
                )
        return self

    @property
    def n_updates(self) -> int | None:
        """Those of the stages."""
        return sum(stage.n_updates for stage in self.stages)

    @property
    def n_final(self) -> int:
        """Those of the refinement."""
        return self.refinement.n_updates if self.refinement else 0

    @property
    def betas(self) -> tuple[float, float]:
        """A shorter memory of squares, since the stages change the loss."""
        return 0.9, 0.99


class Unrolled(PairsTask):
    """A pair force moves the particles, and the loss is backpropagated through the integrator."""

    Options = UnrolledOptions
    trains = ("LearnedForce",)
    draws = True

    def objective(self, options: TrainingOptions, split: "Split", model: Any) -> Objective:
        """`mcegnn.training.unrolled.Unrolled`."""
        from mcegnn.training.scoring import check_fits
        from mcegnn.training.unrolled import Unrolled as Made

        check_fits(model, split.train)
        return Made(split.train, options.task)
