"""`simulate`: run molecular dynamics from Python, as `mcegnn rollout` does."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mcegnn.api.following import ProgressOption, follow, warn
from mcegnn.api.simulation_options import SimulationOptions, options_of, times_of
from mcegnn.api.structures import StartFile, StructureLike
from mcegnn.api.trajectory import Trajectory
from mcegnn.api.words import call_of, check_keywords, words_of_python

if TYPE_CHECKING:
    from mcegnn.runs.rollout import RolloutRun

_KNOWN = tuple(SimulationOptions.__annotations__)
_OPTIONS = tuple(name for name in _KNOWN if name != "integrator")
_OWN = ("output", "resume", "overwrite", "threads", "progress")


def simulate(
    system: StructureLike | None = None,
    *,
    output: str | Path | None = None,
    resume: str | Path | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: ProgressOption = None,
    **options: Unpack[SimulationOptions],
) -> Trajectory:
    """Simulate a system and write its frames to the H5MD file ``output``, as `mcegnn rollout` does.

    ``system`` is "charged", "solar", a file of atoms (its last structure, or FILE@INDEX), an
    `ase.Atoms` or a `System` in metal units; a structure in memory is written beside the output, as
    OUTPUT.start.xyz. ``resume`` names a run to continue to its planned end, or ``steps`` or
    ``time`` beyond that end; the result is bitwise identical to that of an uninterrupted run.
    ``progress`` is a function that gets each event of the run (`mcegnn.runs.events`), or False to
    show nothing; without it a bar is shown in terminals and notebooks.

    The keywords are the options of the command line, where `mcegnn rollout --help` says what each
    means. Quantities are texts with their unit ("300 K", "0.5 fs"), bare numbers in reduced units.

    - Forces on atoms, one of them: ``model`` (a name, a file, a model loaded from one, or a list of
      them, which is a committee), ``calculator`` ("emt", "tblite:method=GFN2-xTB"), ``potential``
      ("mcegnn:LennardJones:epsilon=0.0104,sigma=3.4", "module:factory"). A model may also move
      charged particles or planets.
    - How far: ``dt``, ``time`` or ``steps``, ``every`` (steps from one frame to the next).
    - How: ``integrator``, or of atoms ``ensemble`` ("nve", "nvt", "npt"), ``temperature``,
      ``pressure``, ``friction``, ``period``, ``flexible``, ``relax``, ``systems``, ``seed``.
    - Where to stop: ``max_energy_jump``, ``min_distance``, ``warn_above``, ``stop_above``.
    - Of "charged" ``particles``, ``systems``, ``seed``; of "solar" ``epoch``, ``bodies``,
      ``without``, ``relativity``, ``j2``; of a file ``units``, ``format``, ``masses``.

    Returns the run's `Trajectory`. Raises FileExistsError if the output exists, unless
    ``overwrite``; FileNotFoundError if a file is missing; ValueError, RuntimeError or TypeError, in
    one sentence, if the run cannot begin; `RunDiverged` if it diverged, whose ``path`` is the file
    with the frames before; KeyboardInterrupt, which says how to resume the run, after Ctrl-C.

    >>> run = mcegnn.simulate("argon.xyz", potential="mcegnn:LennardJones:epsilon=0.0104,sigma=3.4",
    ...     ensemble="nvt", temperature="94 K", time="20 ps", output="argon.h5md")
    >>> run.temperature, run.plot("rdf")
    """
    check_keywords("simulate", options, (*_KNOWN, *_OWN))
    keywords: dict[str, Any] = dict(options)
    with words_of_python():
        _check_threads(threads)
        if resume is not None:
            given = {"output": output, "force": overwrite or None}
            run = _resumed(system, Path(resume), keywords, given, threads)
            follow(run, progress)
            return Trajectory(run.output)
        if output is None:
            raise ValueError('name the file of the run: output="run.h5md"')
        start = StartFile(_checked(system), Path(output), overwrite=overwrite)
        begun = None
        try:
            how = {"overwrite": overwrite, "threads": threads}
            begun = _new(start.name, Path(output), keywords, how)
            follow(begun, progress)
        except BaseException:
            if begun is None or not begun.begun:
                start.undo()
            raise
        return Trajectory(begun.output)


def _new(system: str, output: Path, keywords: dict[str, Any], how: dict[str, Any]) -> "RolloutRun":
    """Prepare a new run of these options, and issue its warnings."""
    from mcegnn.runs.rollout_request import Request, new_rollout

    options = options_of(keywords, _OPTIONS)
    command = call_of("simulate", system, **{**keywords, "model": options["model"]}, output=output)
    integrator = keywords.get("integrator")
    request = Request(system, integrator, times_of(keywords), options, output)
    run, warnings = new_rollout(request, **how, command=command)
    for warning in warnings:
        warn(warning, 4)
    return run


def _resumed(
    system: Any, path: Path, keywords: dict[str, Any], given: dict[str, Any], threads: int | None
) -> "RolloutRun":
    """Prepare the continuation of the run in a file."""
    from mcegnn.runs.rollout_request import check_resumed, resumed_rollout

    times, options = times_of(keywords), options_of(keywords, _OPTIONS)
    fixed = {name: keywords.get(name) for name in ("dt", "every", "integrator")}
    named = system if system is None or isinstance(system, str) else "the system"
    check_resumed(named, {**options, **fixed, **given})
    command = call_of("simulate", resume=path, **keywords)
    return resumed_rollout(path, times, options, threads=threads, command=command)


def _checked(system: StructureLike | None) -> StructureLike:
    """Return the system to simulate. Raises ValueError if none is given."""
    if system is None:
        raise ValueError(
            'name a system ("charged", "solar", or a file of atoms), or a run to resume'
        )
    return system


def _check_threads(threads: int | None) -> None:
    """Raise ValueError if the number of threads is not valid."""
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
