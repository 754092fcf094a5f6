"""Predictions as a run: a model's predictions of structures in files, as a table."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.names import absolute, check_model
from mcegnn.runs.events import Event, Finished, Progress, Started, Stopped
from mcegnn.runs.iteration import StoppableRun
from mcegnn.runs.outputs import check_output, check_writable

if TYPE_CHECKING:
    from mcegnn.models.model import Model
    from mcegnn.prediction import Named

__all__ = ["PredictResult", "PredictRun"]


@dataclass(frozen=True, eq=False)
class PredictResult:
    """Predictions of the structures ``names``: values [n] and unit of each target, by name;
    ``path`` is the table that was written, if any."""

    names: tuple[str, ...]
    targets: Mapping[str, tuple[Any, str]]
    path: Path | None = None

    @property
    def table(self) -> str:
        """CSV: "file", then a column a target, "NAME (UNIT)"."""
        from mcegnn.prediction import table_of

        return table_of(self.names, self.targets)


class PredictRun(StoppableRun):
    """Predict all structures of ``files`` (FILE@INDEX is one of several) by ``model``, a name or a
    file, and write the CSV table ``output``, if one is named.

    Iterating it does it; `mcegnn.runs.events.Run` says how it is stopped and pickled. The table is
    written as a whole at the end: stopped before, a run writes nothing, and iterated again it
    starts anew, with the same numbers. Names of files are those of where it is pickled.

    Raises ValueError or OSError, each in one sentence, if model and structures do not belong
    together, a file cannot be read or the table not be written.
    """

    def __init__(
        self,
        model: str | Path,
        files: Sequence[str | Path],
        output: str | Path | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.files = str(model), tuple(map(str, files))
        self.output = None if output is None else Path(output)
        self.overwrite, self.folder = overwrite, Path()

    def __getstate__(self) -> dict[str, Any]:
        output = None if self.output is None else self.output.absolute()
        here = {"model": absolute(self.model), "output": output, "folder": self.folder.absolute()}
        return {**super().__getstate__(), **here}

    def check(self) -> None:
        """Raise ValueError or OSError, in one sentence, if the run cannot begin; fast, since torch
        is not loaded."""
        if self.output is not None:
            check_output(self.output, self.overwrite)
            check_writable(self.output)
        check_model(self.model)

    def _events(self) -> Generator[Event, None, None]:
        try:
            self.check()
            yield Started("loading torch", 0, "")
            model, structures = self._read()
            result = yield from self._predicted(model, structures)
        except KeyboardInterrupt:  # a second signal, which does not wait
            result = None
        if result is None:
            message = "stopped; no table is written, and predictions start anew"
            yield Stopped(message, self._request.signal)
            return
        if self.output is not None:
            from trajectories.storage.atomic_write import write_atomically

            write_atomically(self.output, result.table.encode())
        yield Finished(result)

    def _read(self) -> "tuple[Model, list[Named]]":
        """Load the model and the structures, and check that they fit."""
        from mcegnn.models.named import load
        from mcegnn.prediction import check_structures, read_structures

        model = load(self.model)
        model.check_verb("predict", self.model)
        structures = read_structures(self.files, self.folder)
        check_structures(model, structures)
        return model, structures

    def _predicted(
        self, model: "Model", structures: "list[Named]"
    ) -> Generator[Event, None, PredictResult | None]:
        """Predict some structures at a time; None if the run is stopped."""
        from mcegnn.prediction import joined, predictions

        total, done, parts = len(structures), 0, []
        yield Started("predicting", total, "structures")
        for part in predictions(model, [system for _, system in structures]):
            parts.append(part)
            done += len(next(iter(part.values()))[0])
            yield Progress(done, total, "structures", "predicting")
            if self._request.asked:
                return None
        return PredictResult(tuple(name for name, _ in structures), joined(parts), self.output)
