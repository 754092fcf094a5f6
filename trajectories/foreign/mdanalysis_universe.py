"""Universes of MDAnalysis, as files and options say, of which nothing is guessed yet."""

import gc
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from systems.sources.atoms_files import RefusedFileError
from systems.sources.file_options import FileOptions
from systems.sources.lammps_dumps import flag_columns
from systems.sources.lammps_files import is_dump
from trajectories.foreign.source import said


def universe_of(
    sources: list[Path], options: FileOptions, numbers: np.ndarray | None
) -> tuple[Any, list[str]]:
    """The universe of a topology and a trajectory, or of a file that tells atomic ``numbers``, of
    which nothing is guessed yet; and what its readers warned of."""
    import MDAnalysis

    more: dict[str, Any] = {}
    if options.format:
        reader, name, more = options.reader
        if reader != "mdanalysis":
            raise RefusedFileError(f"{name} is a format of ASE, which takes no topology")
        more = {**more, "format": name}
        if len(sources) == 1 and name in MDAnalysis._PARSERS:
            more["topology_format"] = name
    if numbers is not None:
        return _of_species(sources[0], numbers), []
    if len(sources) > 1 and is_dump(sources[-1]):
        more = {"format": "LAMMPSDUMP", "additional_columns": flag_columns(sources[-1]), **more}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        u = _made(sources, more)
    return u, [str(one.message) for one in heard]


def _of_species(path: Path, numbers: np.ndarray) -> Any:
    """The universe of an H5MD file, which needs no topology where it tells atomic numbers."""
    import MDAnalysis
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in numbers]
    u = MDAnalysis.Universe.empty(len(numbers), trajectory=False)
    for attribute in ("names", "types", "elements"):
        u.add_TopologyAttr(attribute, symbols)
    u.load_new(str(path), format="H5MD")
    return u


def _made(sources: list[Path], more: dict[str, Any]) -> Any:
    """A universe; a reader that fails half made is dropped at once, for it complains on standard
    error when it is."""
    import MDAnalysis

    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        try:
            return MDAnalysis.Universe(*map(str, sources), to_guess=(), **more)
        except Exception as error:
            failure = said(
                str(error).rpartition("Error: ")[2]
            )  # of the parser's, without its path and class
        gc.collect()
        raise ValueError(failure)
    finally:
        sys.unraisablehook = hook
