"""A training as a run: updates, validations, the best weights, and a page at the end."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.names import absolute, check_model
from mcegnn.runs.errors import RunDiverged
from mcegnn.runs.events import (
    Event,
    Finished,
    Noted,
    Progress,
    Saved,
    Started,
    Stopped,
    Warned,
)
from mcegnn.runs.iteration import StoppableRun
from mcegnn.runs.reported import Told, reported
from mcegnn.runs.training_data import described
from mcegnn.runs.training_files import (
    BEST,
    LAST,
    METRICS,
    REPORT,
    check_folder,
    keep,
    prepare_folder,
    resumed,
    rows_of,
    tensorboard,
    write_metrics,
)
from mcegnn.runs.training_result import TrainingResult
from mcegnn.tasks.nothing import NothingToDo
from mcegnn.training.options import TrainingOptions, parse

if TYPE_CHECKING:
    from mcegnn.models.store import Stored
    from mcegnn.tasks.reports import TrainingReport
    from mcegnn.training.checkpoint import TrainingCheckpoint
    from mcegnn.training.trainer import Trainer


class TrainingRun(StoppableRun):
    """A training of these options into ``folder``, from the weights of the model ``start`` where
    one is named.

    Iterating it does it; `mcegnn.runs.events.Run` says how it is stopped, pickled and resumed,
    bitwise reproducibly: after the update that is being made, and from its last validation.
    ``resume`` takes up a training that is in the
    folder already (`of_folder`); ``dry_run`` ends where the folder would be made. ``command`` is
    kept in the model's file.

    Raises ValueError, RuntimeError or OSError, each in one sentence, if options, data and model do
    not belong together or a file cannot be written, and `RunDiverged` if the loss is not finite.
    """

    def __init__(
        self,
        options: TrainingOptions,
        folder: str | Path,
        *,
        start: str | None = None,
        threads: int | None = None,
        overwrite: bool = False,
        use_tensorboard: bool = False,
        dry_run: bool = False,
        command: str = "",
        resume: bool = False,
    ) -> None:
        super().__init__()
        # plain values: classes of options are made for each task, and cannot be pickled
        self._values = options.model_dump()
        self.folder, self.start, self.threads = Path(folder), start, threads
        self.overwrite, self.use_tensorboard, self.dry_run = overwrite, use_tensorboard, dry_run
        self.command, self.begun = command, resume

    @classmethod
    def of_folder(cls, folder: str | Path, **how: Any) -> "TrainingRun":
        """The training of a folder, to be resumed. Raises FileNotFoundError or ValueError if
        there is none."""
        return cls(resumed(Path(folder)).options, folder, resume=True, **how)

    def __getstate__(self) -> dict[str, Any]:
        kept = super().__getstate__()
        start = None if self.start is None else absolute(self.start)
        return {**kept, "folder": self.folder.absolute(), "start": start}

    @property
    def options(self) -> TrainingOptions:
        """Options of the training: model, data, task."""
        return parse(self._values)

    def check(self) -> None:
        """Raise ValueError or OSError, in one sentence, if the run cannot begin or be resumed;
        torch is not loaded."""
        from mcegnn.tasks.registry import task

        if self.begun and not self.folder.is_dir():
            raise FileNotFoundError(
                f"there is no folder {self.folder}, in which the training began; put it back"
            )
        if not self.begun:
            check_folder(self.folder, self.overwrite)
        if self.start is not None:
            check_model(self.start)
        options = self.options
        task(options.task.kind).check_data(options.data)

    def _events(self) -> Generator[Event, None, None]:
        self.check()
        yield Started("loading torch and the data", 0, "")
        try:
            trainer, record = self._built()
        except NothingToDo as nothing:
            yield from (Noted(str(nothing)), Finished(None))
            return
        yield from described(trainer, record.pop("_start", None))
        if self.dry_run:
            yield Finished(trainer.options)
            return
        # only now, when everything else is known to be sound, is anything made or overwritten
        watch = tensorboard(self.folder) if self.use_tensorboard else None
        if not self.begun:
            prepare_folder(self.folder)
            self.begun = True
        metrics = rows_of(self.folder / METRICS, trainer.update)
        found: TrainingReport | None = None
        try:
            yield from self._trained(trainer, record, metrics, watch)
            found = yield from self._reported(trainer, record, metrics)
        except KeyboardInterrupt:  # a second signal, which does not wait
            self._request.ask()
        finally:
            if watch is not None:
                watch.close()
        if found is None:
            yield self._stopped()
            return
        yield Finished(self._result(trainer, found))

    def _result(self, trainer: "Trainer", found: "TrainingReport") -> TrainingResult:
        """The training that is over, and how good its best model is."""
        part = trainer.split.part(found.part)
        return TrainingResult(
            self.folder,
            trainer.update,
            found.part,
            len(part.samples),
            part.whole,
            part.samples.noun,
            trainer.options.data.name,
            tuple(found.analysis.numbers),
        )

    def _built(self) -> tuple["Trainer", dict[str, Any]]:
        """Build the trainer, at its last validation if it is resumed, and the record of the
        training."""
        from mcegnn.models.store import load
        from mcegnn.training.build import build_trainer

        saved = resumed(self.folder) if self.begun and (self.folder / LAST).is_file() else None
        start = None if self.start is None or saved is not None else load(self.start)
        trainer, record = build_trainer(self.options, start, self.threads, saved)
        return trainer, {**record, **self._origin(start, saved), "_start": start}

    def _origin(self, start: "Stored | None", saved: "TrainingCheckpoint | None") -> dict[str, Any]:
        """The command that began the training, and the record of the model it began from."""
        if saved is not None:
            was = saved.header["record"]
            return {name: was[name] for name in ("command", "from") if name in was}
        return {"command": self.command, **({} if start is None else {"from": start.record})}

    def _trained(
        self, trainer: "Trainer", record: dict[str, Any], metrics: list[dict[str, str]], watch: Any
    ) -> Iterator[Event]:
        """Train, and save the best and the last weights after each validation."""
        from mcegnn.tasks.registry import task
        from mcegnn.training.trainer import NotFinite

        options = trainer.options
        problem = task(options.task.kind)
        if options.compiles:  # it is long before anything else can be said
            yield Noted("the first update compiles, which takes a minute or more")
        yield Started("training", options.total, "updates", done=trainer.update)
        try:
            for now in trainer.run(lambda: self._request.asked):
                row = {**vars(now), **now.parts}
                metrics.append({name: str(value) for name, value in row.items() if name != "parts"})
                write_metrics(metrics, self.folder / METRICS)
                keep(trainer, record, self.folder)
                if watch is not None:
                    for name in ("loss", "error", "median", "lr"):
                        watch.add_scalar(name, getattr(now, name), now.update)
                for warning in trainer.task.warnings:
                    yield Warned(warning)
                trainer.task.warnings.clear()
                yield Saved(self.folder / LAST, now.update, len(metrics))
                words = problem.in_words(now.error, now.best, now.parts)
                yield Progress(now.update, options.total, "updates", words)
        except NotFinite as error:
            kept = (
                f"{self.folder / BEST} and {self.folder / LAST} are those of the last validation"
                if (self.folder / LAST).is_file()
                else "nothing was validated before"
            )
            raise RunDiverged(f"{error}; {kept}") from None

    def _reported(
        self, trainer: "Trainer", record: dict[str, Any], metrics: list[dict[str, str]]
    ) -> Generator[Event, None, "TrainingReport | None"]:
        """The page is written; None if it is not, since the run is stopped."""
        if self._request.asked:
            return None
        import torch

        from mcegnn.runs.training_page import write_page

        record, threads = {**record, "validation": trainer.best_error}, torch.get_num_threads()

        def work(on_progress: Told) -> "TrainingReport":
            torch.set_num_threads(threads)  # a thread has its own number
            path = self.folder / REPORT
            return write_page(trainer, record, metrics, path, str(self.folder), on_progress)

        found: TrainingReport | None = yield from reported(
            "looking at predictions", work, request=self._request
        )
        return found

    def _stopped(self) -> Stopped:
        """Message after a stop: what was saved, and how to resume."""
        if not (self.folder / LAST).is_file():
            message = "stopped before the first validation; nothing is kept"
        else:
            on = f"mcegnn train --resume {self.folder}"
            message = f"stopped; go on from the last validation with: {on}"
        return Stopped(message, self._request.signal)
