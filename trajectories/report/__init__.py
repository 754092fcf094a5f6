"""`write_report`: a run as one HTML page that opens offline, with a scene that plays, its numbers
and its figures."""

from collections.abc import Sequence
from pathlib import Path

from trajectories.analysis.guard import left_out
from trajectories.analysis.results import Analysis
from trajectories.report.page import Scenes, Told, page
from trajectories.report.scene import scene, static_scene
from trajectories.storage.atomic_write import write_atomically
from trajectories.storage.h5md import H5MDReader

__all__ = ["Scenes", "page", "scene", "static_scene", "write_report"]


def write_report(
    path: str | Path,
    run: H5MDReader,
    analysis: Analysis,
    *,
    title: str,
    rows: Sequence[tuple[str, ...]] = (),
    against: H5MDReader | None = None,
    told: Told = lambda what, share: None,
) -> int:
    """Write the page of a run and of what `trajectories.analysis.analyse` found of it; returns its
    size in bytes.

    ``rows`` say what was run; ``against`` is another run, whose scene stands beside it. The scene
    is thinned to half a million places of particles, and says so. A scene or a figure that cannot
    be drawn is left out with its reason. ``told`` is called with what is being done and its
    progress. Raises OSError if the file cannot be written.
    """
    many = f" x {run.n_systems:,} systems" if run.n_systems else ""
    about = f"{run.n_particles:,} particles{many}, {len(run):,} frames"
    scenes, notes = [], list(analysis.notes)
    told("the scene", 0.0)
    for one, label in ((run, title), (against, "" if against is None else str(against.path))):
        if one is not None:
            with left_out(f"scene of {label}", notes):
                shown, omitted = scene(one, label)
                scenes.append(shown)
                notes += [f"{label}: {text}" if against is not None else text for text in omitted]
    data = page(title, about, rows, analysis, Scenes(scenes), notes, told=told).encode()
    write_atomically(path, data)
    return len(data)
