"""An evaluation as a run: errors of a model on labelled data."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcegnn.names import absolute, check_model
from mcegnn.runs.events import Event, Finished, Started, Stopped
from mcegnn.runs.iteration import StoppableRun
from mcegnn.runs.outputs import check_figure
from mcegnn.runs.reported import Told, reported

__all__ = ["EvaluateResult", "EvaluateRun"]


@dataclass(frozen=True, eq=False)
class EvaluateResult:
    """Errors of ``model`` on the ``part`` of ``data`` ("all" of a file), ``scored`` of ``whole``
    ``noun``: ``values`` by name, and the same in words as ``numbers``.

    ``left_out`` says how many were not scored, by the reason; ``notes`` are remarks on the data.
    ``seconds`` are those of scoring, without loading.
    """

    model: str
    data: str
    part: str
    scored: int
    whole: int
    noun: str
    values: Mapping[str, Any]
    numbers: tuple[Any, ...]
    left_out: Mapping[str, int]
    notes: tuple[tuple[str, str], ...]
    seconds: float


class EvaluateRun(StoppableRun):
    """``model``, a name or a file, scored on the test samples of ``data``, a data set or a file, or
    on its ``validation`` samples, ``without`` some bodies of a solar system.

    A ``figure`` is drawn of what was learned, where the model has something to draw. Iterating it
    does it; `mcegnn.runs.events.Run` says how it is stopped and pickled. Nothing is kept of a run
    that is stopped: iterated again it starts anew, with the same numbers.

    Raises ValueError, RuntimeError or OSError, each in one sentence, if model and data do not
    belong together or the figure cannot be written.
    """

    def __init__(
        self,
        model: str | Path,
        data: str | Path,
        *,
        validation: bool = False,
        without: Sequence[str] = (),
        figure: str | Path | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.data = str(model), str(data)
        self.validation, self.without = validation, tuple(without)
        self.figure, self.overwrite = None if figure is None else Path(figure), overwrite

    def __getstate__(self) -> dict[str, Any]:
        kept = super().__getstate__()
        figure = None if self.figure is None else self.figure.absolute()
        here = {"model": absolute(self.model), "data": absolute(self.data), "figure": figure}
        return {**kept, **here}

    def check(self) -> None:
        """Raise ValueError or OSError, in one sentence, if the run cannot begin; fast, since torch
        is not loaded."""
        if self.figure is not None:
            check_figure(self.figure, self.overwrite)
        check_model(self.model)

    def _events(self) -> Generator[Event, None, None]:
        try:
            self.check()
            yield Started("loading torch", 0, "")
            result = yield from self._scored()
        except KeyboardInterrupt:  # a second signal, which does not wait
            result = None
        if result is None:
            yield Stopped("stopped; nothing is kept, and it starts anew", self._request.signal)
            return
        yield Finished(result)

    def _scored(self) -> Generator[Event, None, EvaluateResult | None]:
        """Compute the scores; None if the run is stopped."""
        import torch

        from mcegnn.models.store import load

        stored, threads = load(self.model), torch.get_num_threads()

        def work(on_progress: Told) -> EvaluateResult:
            torch.set_num_threads(threads)  # a thread has its own number
            return self._score(stored, on_progress)

        what = "loading the data"
        found: EvaluateResult | None = yield from reported(
            what, work, detail=what, request=self._request
        )
        return found

    def _score(self, stored: Any, on_progress: Told) -> EvaluateResult:
        from mcegnn.tasks.evaluation import task_for
        from mcegnn.tasks.task import Asked

        began = time.perf_counter()

        def looking(done: int, of: int) -> None:
            nonlocal began
            if not done:  # until now data were loaded
                began = time.perf_counter()
            on_progress(100 * done // max(of, 1), "looking at predictions")

        asked = Asked(self.data, self.model, self.validation, self.without, self.figure, looking)
        problem, options = task_for(stored, asked)
        scores = problem.score(stored, options, asked)
        part = scores.part
        return EvaluateResult(
            self.model,
            self.data,
            part.name,
            len(part.samples),
            part.whole,
            problem.noun,
            dict(scores.values),
            tuple(scores.numbers),
            dict(part.left_out),
            tuple(part.notes),
            time.perf_counter() - began,
        )
