"""`label`: make a training set from Python, as `mcegnn label` does."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mcegnn.api.following import ProgressOption, follow, warn
from mcegnn.api.simulation_options import Dynamics, options_of, times_of
from mcegnn.api.structures import StartFile, StructureLike
from mcegnn.api.words import check_keywords, words_of_python

if TYPE_CHECKING:
    from mcegnn.runs.label import LabelResult

_KNOWN = tuple(Dynamics.__annotations__)


def label(
    structures: StructureLike,
    *,
    output: str | Path,
    overwrite: bool = False,
    progress: ProgressOption = None,
    **options: Unpack[Dynamics],
) -> "LabelResult":
    """Write a training set, extended XYZ, of structures with energies, forces and stress, as
    `mcegnn label` does.

    ``structures`` is a file, an `ase.Atoms` or a `System` in metal units. Without ``steps`` all
    structures of a file are labelled as they are. With ``steps=3000`` the last one is the start of
    a dynamics run, of which one structure ``every`` 10 steps is labelled; ``temperature`` and so on
    are those of `simulate`. ``calculator`` or ``potential`` gives the labels, and the forces that
    move the atoms.

    Returns the number of labelled structures. Raises FileExistsError if the output exists, unless
    ``overwrite``; FileNotFoundError, ValueError, RuntimeError or TypeError, in one sentence, if the
    run cannot begin; `RunDiverged` if the forces fail later: what was labelled stays.

    >>> mcegnn.label("ethanol.xyz", calculator="tblite", steps=3000, dt="1 fs", temperature="500 K",
    ...     output="train.xyz")
    """
    check_keywords("label", options, (*_KNOWN, "output", "overwrite", "progress"))
    keywords: dict[str, Any] = dict(options)
    with words_of_python():
        start = StartFile(structures, Path(output), overwrite=overwrite)
        run = None
        try:
            run = _new(start.name, Path(output), keywords, overwrite)
            return follow(run, progress)
        except BaseException:
            if run is None or not Path(output).exists():
                start.undo()
            raise


def _new(file: str, output: Path, keywords: dict[str, Any], overwrite: bool) -> Any:
    from mcegnn.runs.label_options import label_run

    options = options_of(keywords, _KNOWN)
    run, warnings = label_run(file, output, times_of(keywords), options, overwrite=overwrite)
    for warning in warnings:
        warn(warning, 4)
    return run
