"""Labels as a run: structures with the energies and forces of a calculator, as a training set."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from integrators.state import State
from mcegnn.runs.errors import ForcesFailed, RunDiverged, forces_in_words
from mcegnn.runs.events import Event, Finished, FrameWritten, Progress, Started, Stopped
from mcegnn.runs.iteration import StoppableRun
from mcegnn.runs.label_sources import Labels, Prepared, Structures, Unlabelled
from mcegnn.runs.labelled_file import LabelledFile
from mcegnn.runs.outputs import check_output, check_writable
from systems.sources.atoms import path_of
from systems.system import Evaluation

__all__ = ["LabelResult", "LabelRun", "RunDiverged"]

_ENDINGS = (".xyz", ".extxyz")


@dataclass(frozen=True)
class LabelResult:
    """Result of labelling: ``n_structures`` in the file, and names of what was not written to it:
    ``other_results`` of other calculations, and ``left_out``, for which the format has no place."""

    path: Path
    n_structures: int
    seconds: float
    other_results: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass
class _Written:
    """Progress of a run: structures and bytes in its file, and the state of the dynamics."""

    n_structures: int = 0
    n_bytes: int = 0
    state: State | None = None


class LabelRun(StoppableRun):
    """The structures of ``source``, labelled and written to the extended XYZ file ``output``.

    Iterating it does it; `mcegnn.runs.events.Run` says how it is stopped, pickled and resumed,
    bitwise reproducibly: after the structure that is being labelled. Frozen atoms have a column of
    that name, and their true forces.

    Raises ValueError, RuntimeError or OSError, each in one sentence, if it cannot begin or the disk
    is full, and `RunDiverged` if the forces fail later: what was labelled stays.
    """

    def __init__(self, source: Structures, output: str | Path, *, overwrite: bool = False) -> None:
        super().__init__()
        self.source, self.output, self.overwrite = source, Path(output), overwrite
        self._written = _Written()

    def __getstate__(self) -> dict[str, Any]:
        state = self._written.state
        bare = None if state is None else replace(state, evaluation=None)
        return {
            "source": self.source,
            "output": self.output.absolute(),
            "overwrite": self.overwrite,
            "_written": replace(self._written, state=bare),
        }

    def check(self) -> None:
        """Raise ValueError or OSError, in one sentence, if the run cannot begin or be resumed."""
        if self._written.n_structures:
            self._check_written()
            return
        check_label_files(self.source.file, self.output, self.overwrite)

    def _events(self) -> Generator[Event, None, None]:
        began = time.monotonic()
        self.check()
        prepared = yield from self.source.prepared(self._written.state, self._request)
        labelling = _Labelling(self.source.labels(), self.source.labelled_by)
        writing = LabelledFile(self.output, self._written.n_bytes)
        try:
            with closing(writing):
                if prepared is not None and not self._request.asked:
                    yield from self._labelled(prepared, labelling, writing)
        except ForcesFailed as error:
            n = self._written.n_structures
            if not n:
                raise ValueError(
                    f"{labelling.by} gives no forces for these structures: {error}"
                ) from None
            raise RunDiverged(
                f"the forces failed after {n} structures ({error}); those are kept in {self.output}"
            ) from None
        except KeyboardInterrupt:  # a second signal, which does not wait
            yield self._stopped()
            return
        if self._request.asked:
            yield self._stopped()
            return
        yield Finished(
            LabelResult(
                self.output,
                self._written.n_structures,
                time.monotonic() - began,
                tuple(sorted(labelling.other_results)),
                tuple(sorted(writing.left_out)),
            )
        )

    def _labelled(
        self, prepared: Prepared, labelling: "_Labelling", writing: LabelledFile
    ) -> Iterator[Event]:
        """Label and write one structure after the other; what is written stays where the rest
        fails."""
        written, number = self._written, prepared.first
        yield Started("labelling", prepared.total, "structures", done=written.n_structures)
        for state, structures in prepared.states:
            written.state = state
            for one in structures:
                number += 1
                if number <= written.n_structures:
                    continue
                atoms = labelling.labelled(one)
                try:
                    written.n_bytes = writing.write(atoms)
                except OSError as error:
                    raise OSError(
                        f"writing {self.output} failed ({error.strerror}) after"
                        f" {written.n_structures} structures"
                    ) from None
                written.n_structures = number
                yield FrameWritten(self.output, number)
                yield Progress(number, prepared.total, "structures", "labelling")
                if self._request.asked:
                    return
            if self._request.asked:
                return

    def _check_written(self) -> None:
        """Raise FileNotFoundError or ValueError if what was written before is missing."""
        n, n_bytes = self._written.n_structures, self._written.n_bytes
        if not self.output.is_file():
            raise FileNotFoundError(
                f"there is no file {self.output}, in which {n} structures were labelled; put it"
                " back"
            )
        if self.output.stat().st_size < n_bytes:
            raise ValueError(
                f"{self.output} is shorter than when {n} structures were labelled in it; put it"
                " back as it was"
            )

    def _stopped(self) -> Stopped:
        n = self._written.n_structures
        message = (
            f"stopped; {self.output} holds the {n} structures that were labelled"
            if n
            else "stopped before anything was labelled"
        )
        return Stopped(message, self._request.signal)


def check_label_files(file: str, output: Path, overwrite: bool) -> None:
    """Raise ValueError or OSError, in one sentence, if labels of ``file`` cannot be written to
    ``output``."""
    if not path_of(file).exists():
        raise FileNotFoundError(f"there is no file {file}")
    if output.suffix not in _ENDINGS:
        raise ValueError(
            f"cannot write {output}: a training set is extended XYZ, so its name ends in"
            f" {' or '.join(_ENDINGS)}"
        )
    check_output(output, overwrite, path_of(file))
    check_writable(output)


class _Labelling:
    """Structures with their labels; ``other_results`` are the names of those that they came
    with."""

    def __init__(self, labels: Labels, by: str) -> None:
        self.evaluate: Callable[[Unlabelled], Evaluation] = labels
        self.by = by
        self.other_results: set[str] = set()

    def labelled(self, one: Unlabelled) -> Any:
        """Return the atoms with their labels. Raises `ForcesFailed` if the forces fail."""
        with forces_in_words():
            atoms, others = labelled(one, self.by, self.evaluate(one))
        self.other_results.update(others)
        return atoms


def labelled(one: Unlabelled, by: str, evaluation: Evaluation) -> tuple[Any, list[str]]:
    """The atoms with their labels and with all that they came with but other results, whose names
    are returned.

    Frozen atoms are marked in a column of that name: ASE gives zeros for the forces on atoms that a
    constraint holds.
    """
    import numpy as np
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.constraints import FixAtoms
    from ase.stress import full_3x3_to_voigt_6_stress

    from systems.sources.atoms import to_atoms
    from systems.sources.template import without_results

    atoms, others = without_results(to_atoms(one.system, one.template))
    if held := [
        index
        for constraint in atoms.constraints
        if isinstance(constraint, FixAtoms)
        for index in constraint.index
    ]:
        atoms.set_array("frozen", np.isin(np.arange(len(atoms)), held))
    atoms.set_constraint()
    atoms.info |= {**one.info, "labels": by}
    if evaluation.energy is None:
        raise ValueError("a field without an energy makes no labels")
    results = {"energy": float(evaluation.energy), "forces": evaluation.forces}
    if evaluation.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(evaluation.stress)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms, others
