"""Direct prediction: a dynamics model says where particles are after the interval in one step."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mcegnn.tasks.objective import Objective
from mcegnn.tasks.pairs import PairsTask, PairsTaskOptions
from mcegnn.training.options import NotNegative, TrainingOptions

if TYPE_CHECKING:
    from mcegnn.data.split import Split


class DirectOptions(PairsTaskOptions):
    """``velocity_weight`` is that of the velocities' error in the loss. The model takes one step,
    without an integrator."""

    scheme: ClassVar[str] = ""
    n_steps: ClassVar[int] = 1

    kind: Literal["direct"] = "direct"
    velocity_weight: NotNegative = 0.1


class Direct(PairsTask):
    """The model predicts the end itself."""

    Options = DirectOptions
    trains = ("DirectDynamics", "UnconstrainedDynamics", "ForeignDynamics")

    def objective(self, options: TrainingOptions, split: "Split", model: Any) -> Objective:
        """`mcegnn.training.direct.Direct`."""
        from mcegnn.training.direct import Direct as Made
        from mcegnn.training.scoring import check_fits

        check_fits(model, split.train)
        return Made(split.train, options.task, options.batch)
