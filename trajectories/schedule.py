"""Schedule of a run: which steps are frames, and which states are checked between them."""

from dataclasses import dataclass

from integrators.state import State

_COUNTED = 50  # steps, at least, from one count of neighbours to the next
_LOOKS = 8  # from one frame to the next, where every step has an evaluation


@dataclass(frozen=True)
class Schedule:
    """Which steps of a run from ``begin`` to ``end`` are frames, and which of them are checked."""

    begin: int
    end: int
    every: int

    def phase(self, step: int) -> int:
        """Steps since the last frame."""
        return (step - self.begin) % self.every

    def next_frame(self, step: int) -> int:
        """The frame after this step, or the end."""
        return min(step + self.every - self.phase(step), self.end)

    def is_frame(self, step: int) -> bool:
        """Whether it is kept."""
        return self.phase(step) == 0

    def counts_neighbors(self, step: int) -> bool:
        """Whether neighbours are counted; then a frame is kept."""
        rarely = self.every * -(-_COUNTED // self.every)
        return (step - self.begin % self.every) % rarely == 0

    def is_checked(self, state: State) -> bool:
        """Whether all checks are made of a state. A run that is resumed has the same steps between
        frames too, so that not too many steps of a slow calculator are run again."""
        if self.is_frame(state.step):
            return True
        between = max(1, self.every // _LOOKS)
        return state.evaluation is not None and (state.step - self.begin) % between == 0
