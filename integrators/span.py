"""Spans of a run: how many steps are done, and which of them are frames."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """``n_steps`` steps of which every ``every``-th is a frame; the last frame lies ``phase`` steps
    behind the first of them, in a run that stopped between two frames."""

    n_steps: int
    every: int = 1
    phase: int = 0

    def is_frame(self, done: int) -> bool:
        """Whether a frame is kept after so many steps."""
        return (self.phase + done) % self.every == 0

    def to_frame(self, done: int) -> int:
        """Steps to the next frame after so many steps."""
        return self.every - (self.phase + done) % self.every
