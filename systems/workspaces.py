"""`Workspaces`: arrays that a call works in and leaves for the next one, so that calls in several
threads never share any."""

import os
from collections import deque
from typing import Any, Generic, TypeVar

_Workspace = TypeVar("_Workspace")
KEPT = 2 * (os.cpu_count() or 1)  # more calls than that are rarely at work at the same time


class Workspaces(Generic[_Workspace]):
    """Workspaces that no call is at work in; one belongs to the call that has taken it until it is
    given back.

    The last one given back is the next one taken, so calls of a single thread always have the same
    one, and there are never more than there have been calls at the same time. Those given back
    beyond ``most`` are let go. A call that ends in an error gives back nothing: what it has left in
    the middle is not used again. Copies and pickles begin with none.
    """

    def __init__(self, most: int = KEPT) -> None:
        self._idle: deque[_Workspace] = deque(
            maxlen=most
        )  # taking from it and adding to it are atomic

    def take(self) -> _Workspace | None:
        """The workspace given back last; None where there is none, then the call makes its own."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def give(self, workspace: _Workspace) -> None:
        """Leave a workspace to the next call."""
        self._idle.append(workspace)

    def __len__(self) -> int:
        return len(self._idle)

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspaces, (self._idle.maxlen,)
