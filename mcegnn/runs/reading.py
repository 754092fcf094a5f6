"""Opening runs for analysis: a run's file or another program's trajectory, and what its
configuration says."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcegnn.runs.provenance import MARKED, first_steps, lost_of, marked_of

if TYPE_CHECKING:
    from mcegnn.simulation import Configuration
    from systems.sources.file_options import FileOptions
    from trajectories.storage.h5md import H5MDReader

OnProgress = Callable[[int, int], None]  # how many frames are read, and of how many


@contextmanager
def opened(
    run: Path,
    topology: Path | None = None,
    options: "FileOptions | None" = None,
    beside: Path | None = None,
    on_progress: OnProgress = lambda done, of: None,
) -> "Iterator[H5MDReader]":
    """Open a run's file, or another program's trajectory, which is converted to one in a temporary
    folder that is deleted at the end of the block.

    ``options`` of files and a topology are refused for a run's file, unless they are for the other
    one, which is compared ``beside`` it. Raises FileNotFoundError or ValueError if the file cannot
    be read or holds no frames.
    """
    from trajectories.storage.h5md import H5MDReader

    own = check_own(run, topology, options, beside)
    with tempfile.TemporaryDirectory() as folder:
        copy = run if own else Path(folder) / f"{run.name}.h5md"
        if not own:
            imported(run, copy, topology, options, on_progress=on_progress)
        with H5MDReader(copy) as reader:
            if not len(reader):
                raise ValueError(f"{run} holds no frames yet")
            yield reader


def check_own(
    run: Path,
    topology: Path | None = None,
    options: "FileOptions | None" = None,
    beside: Path | None = None,
) -> bool:
    """Whether a file is a run of mcegnn. Raises ValueError if it is a folder, or if options of
    foreign files are given for a run's file, which holds all of these itself."""
    from trajectories.foreign import is_ours

    if run.is_dir():
        raise ValueError(
            f"{run} is a folder; name a run in it, or of a training make the page with mcegnn"
            f" report {run}"
        )
    # of two, the topology is for the one that is not ours
    both = beside is not None and is_ours(run) and not is_ours(beside)
    own = is_ours(run, None if both else topology)
    if own and options is not None and (beside is None or is_ours(beside)):
        check_no_file_options(options, f"{run} tells all itself")
    return own


def check_no_file_options(options: "FileOptions", what: str) -> None:
    """Raise ValueError if options of foreign files are given for a file that holds all of these
    itself."""
    given = [
        name for name in ("frame_interval", "units", "format", "masses") if getattr(options, name)
    ]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} goes with files of other programs; {what}"
        )


def imported(
    run: Path,
    out: Path,
    topology: Path | None = None,
    options: "FileOptions | None" = None,
    *,
    overwrite: bool = False,
    on_progress: OnProgress = lambda done, of: None,
) -> None:
    """Convert another program's trajectory to a run's file. Raises what `import_trajectory`
    raises."""
    from trajectories.foreign import import_trajectory

    values = {} if options is None else asdict(options)
    import_trajectory(run, out, topology, **values, overwrite=overwrite, told=on_progress)


def shown_times(reader: Any) -> tuple[float, str]:
    """Factor and unit for displaying a run's times: picoseconds in metal units, whose own unit of
    time (10.18 fs) is unusual."""
    if reader.units.name != "metal":
        return 1.0, reader.units.time
    return 1.0 / reader.units.convert(1.0, "ps"), "frames" if "times" in reader.missing else "ps"


def leave_out_marked(reader: Any, every: bool = False) -> list[str]:
    """End the reader where a system left the data that its potential was trained on, unless
    ``every`` frame is wanted; return sentences on what was left out.

    Raises ValueError if no frame would be left.
    """
    marked, n = marked_of(reader), len(reader)
    sound = int((reader.steps < min(marked.values())).sum()) if marked else n
    if sound == n:
        return []
    first = min(marked.values())
    near = first in first_steps(reader, MARKED).values()
    what = (
        "were nearer to each other than any"
        if near
        else "had fewer neighbours on average than in any structure"
    )
    why = f"from step {first:,} on atoms {what} that the model was trained on"
    if every:
        return [f"{why}: {n - sound:,} of {n:,} frames are extrapolated"]
    if not sound:
        raise ValueError(f"{why}, so all {n:,} frames are left out; take them in with --all-frames")
    reader.end_at(sound)
    return [f"{n - sound:,} of {n:,} frames are left out: {why}; take them in with --all-frames"]


def run_of(reader: Any) -> "Configuration | None":
    """The run's configuration; None for a file written from Python."""
    from mcegnn.simulation import configuration_from

    try:
        return configuration_from(reader.configuration)
    except ValueError:
        return None


def conserves(reader: Any) -> list[str]:
    """Names of the quantities that the run should conserve: none under a thermostat, no momentum
    with frozen atoms, no angular momentum in a periodic cell."""
    configuration, every = reader.configuration, 3 * reader.n_particles
    run = run_of(reader)
    thermostat = (run is not None and run.holds_temperature) or configuration.get(
        "conserves_energy"
    ) is False
    if thermostat or "masses" in reader.missing:
        return []
    held = reader.frozen or configuration.get("n_degrees", every) < every
    changed = (
        {"momentum", "angular_momentum"}
        if held
        else {"angular_momentum"}
        if any(reader.pbc)
        else set()
    )
    return [name for name in ("energy", "momentum", "angular_momentum") if name not in changed]


def known_of(reader: Any) -> Any:
    """Facts about a run from its configuration, for `trajectories.analysis.analyse`."""
    from trajectories.analysis import Known

    run, configuration = run_of(reader), reader.configuration
    imported = "imported" in reader.provenance
    asked = (
        configuration.get("temperature", ())
        if imported or (run is not None and run.holds_temperature)
        else ()
    )
    return Known(
        conserves=conserves(reader),
        sure=not imported or configuration.get("conserves_energy") is True,
        n_degrees=configuration.get("n_degrees") if run is None else run.n_degrees,
        temperature=tuple(asked),
        pressure=() if run is None else run.held_pressure,
        epoch=None if run is None else run.julian_day,
        lost=tuple(lost_of(reader)),
        why_energy_drifts="" if run is None else run.why_energy_drifts,
        parents={} if run is None else dict(run.parents),
    )
