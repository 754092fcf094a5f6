"""How long a stretch of a rollout takes, and how many steps a second are made."""

import time
from dataclasses import dataclass


@dataclass
class Speed:
    """How long a stretch took, in seconds, and its steps a second without the start, when drivers
    are compiled and loaded."""

    began: float
    started: tuple[int, float]
    seconds: float = 0.0
    steps_per_second: float = 0.0

    @classmethod
    def begin(cls) -> "Speed":
        """Start the clock."""
        now = time.monotonic()
        return cls(now, (0, now))

    def take(self, step: int) -> None:
        """A state has come: the start is over with the first."""
        if self.started[0] == 0:
            self.started = (step, time.monotonic())

    def end(self, step: int) -> None:
        """Stop the clock."""
        ended = time.monotonic()
        self.seconds = ended - self.began
        self.steps_per_second = (step - self.started[0]) / max(ended - self.started[1], 1e-9)
