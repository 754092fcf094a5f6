"""One analysis of a run by its name, with the numbers and curves that it has in `analyse`."""

from collections.abc import Callable

from trajectories.analysis.known import Known
from trajectories.analysis.results import Analysis
from trajectories.analysis.summary import selected
from trajectories.analysis.table import ANALYSES, Entry
from trajectories.analysis.task import AnalysisTask
from trajectories.storage.h5md import H5MDReader

_MOTION = "correlations in time"  # its notes say why other analyses do not fit


def analyse_one(
    run: H5MDReader,
    name: str,
    known: Known | None = None,
    *,
    select: str | None = None,
    told: Callable[[str, float], None] = lambda what, share: None,
) -> Analysis:
    """Do the analysis of this name, such as "radial distribution"; arguments as of
    `trajectories.analysis.analyse`.

    Raises ValueError, with the reason, if it does not apply to the run, and KeyError if there is
    none of that name.
    """
    by_name = {entry.name: entry for entry in ANALYSES}
    chosen = None if select is None else selected(run, select)
    task, found = AnalysisTask(run, known or Known(), chosen, told), Analysis()
    if not by_name[name].fits(task):
        raise ValueError(f"this run has no {name}{_why(task, by_name[_MOTION])}")
    by_name[name].add(task, found)
    return found


def _why(task: AnalysisTask, motion: Entry) -> str:
    """The note on a run whose motion cannot be analysed."""
    found = Analysis()
    if len(task.run) < 3:
        return ": it takes three frames"
    if motion.fits(task):
        motion.add(task, found)
    notes = [note for note in found.notes if note.startswith("no ")]
    return f" ({'; '.join(notes)})" if notes else ""
