"""Trajectories that ASE reads: its own, extended XYZ, LAMMPS dumps, and those of programs that
MDAnalysis does not know."""

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integrators.state import State
from systems.sources.atoms import from_atoms
from systems.sources.atoms_files import NOT_TEXT
from systems.sources.file_options import FileOptions, Reading
from systems.sources.template import keep_same, timeless, without_results
from systems.system import Evaluation, System
from trajectories.foreign.ase_clock import Clock, clock_of
from trajectories.foreign.ase_files import Frames, frames_of, is_own, number, reads
from trajectories.foreign.source import SOME_VELOCITIES, Lacking, Source, said, virtual_sites
from trajectories.foreign.unwrapping import recorded_positions

__all__ = ["opened", "reads"]

# what conserves energy of ASE's dynamics; their names are in the file
_CONSTANT_ENERGY = ("VelocityVerlet",)


def opened(path: Path, options: FileOptions, without: Collection[str] = ()) -> Source:
    """Open a file of frames of the same atoms, read as ``options`` say; ``without`` names what not
    all frames have: "energy", "forces", "stress", or `SOME_VELOCITIES`. Raises ValueError, in one
    sentence, if it cannot be read."""
    reading = Reading(options)
    with _in_words(path):
        file = frames_of(path, reading)
        first = next(file.frames, None)
        if first is None or not len(first):
            raise ValueError("it holds no atoms or no frames")
        clock = clock_of(first, file.description, options)
        has = (_has(first) | ({"velocities"} if SOME_VELOCITIES in without else set())) - set(
            without
        )
        if (
            "optimizer" in file.description or "velocities" not in has
        ):  # a stress is no pressure without the motion that goes with it
            has -= {"velocities", "stress"}
        lacks = {
            "velocities": "velocities" not in has,
            "masses": bool(reading.massless),
            "times": not clock.told and file.n > 1,
        }
        known = _known(first, file.description, constraints_told=is_own(path))
        known = virtual_sites(first.get_masses(), reading) | known
        names = [str(name) for name in first.arrays.get("names", ())]
        if unwrapping := recorded_positions(first.positions, np.array(first.cell), first.arrays)[1]:
            reading.assumed["unwrapping"] = unwrapping
    missing = [what for what, is_so in lacks.items() if is_so]
    template = _template(first)
    states = _states(path, first, file, has, clock, reading, template)
    return Source(
        str(path), names, file.n, states, missing, known, reading.notes, reading.assumed, template
    )


def _template(first: Any) -> Any:
    """What the first frame has beside a system, but for what the run says itself."""
    template, _ = without_results(timeless(first))
    template.set_constraint()
    template.info.pop("uncertainty", None)
    template.arrays.pop("names", None)
    return template


def _known(first: Any, description: dict[str, Any], *, constraints_told: bool) -> dict[str, Any]:
    """Facts about the run from the first frame and the file's header."""
    from ase.constraints import FixAtoms

    held = [c.index for c in first.constraints if isinstance(c, FixAtoms)]
    known: dict[str, Any] = (
        {"frozen": sorted({int(k) for index in held for k in np.atleast_1d(index)})} if held else {}
    )
    if constraints_told or first.constraints:
        known["n_degrees"] = int(first.get_number_of_degrees_of_freedom())
    if optimizer := description.get("optimizer"):
        known["dynamics"] = f"{optimizer} of ASE, an optimisation"
    elif kind := description.get("md-type"):
        known["dynamics"] = f"{kind} of ASE"
        known["conserves_energy"] = kind in _CONSTANT_ENERGY
        if kelvin := number(description.get("temperature_K")):
            known["temperature"] = [kelvin]
    return known


def _states(
    path: Path,
    first: Any,
    file: Frames,
    has: set[str],
    clock: Clock,
    reading: Reading,
    template: Any,
) -> Iterator[State]:
    had, k, atoms = _has(first), 0, first
    while atoms is not None:
        with _in_words(path):
            _check_same_atoms(first, atoms, k)
            there = _has(atoms)
            if lost := sorted(has - there - {"velocities"}):
                raise Lacking(lost[0], k)
            if "velocities" in there - had - has and "optimizer" not in file.description:
                raise Lacking(SOME_VELOCITIES, k)
            if more := there - had - {"velocities"}:
                reading.notes.append(
                    f"left out, since the first frame has none: {', '.join(sorted(more))}"
                )
                had |= more
            keep_same(template, atoms)
            x, _ = recorded_positions(atoms.positions, np.array(atoms.cell), atoms.arrays)
            system = replace(_system(atoms, has), positions=x, units=clock.units)
            state = State(
                system, *clock.at(atoms, k), _evaluation(atoms, has & (there | {"velocities"}))
            )
        yield state
        k += 1
        try:
            with warnings.catch_warnings(action="ignore"):
                atoms = next(file.frames, None)
        except (
            Exception
        ) as error:  # what a run that was killed, or goes on, leaves; all before it is sound
            reading.notes.append(f"frame {k} and what may follow cannot be read: {said(error)}")
            return


def _check_same_atoms(first: Any, atoms: Any, k: int) -> None:
    """Raise ValueError if a frame does not have the first one's atoms."""
    if len(atoms) != len(first):
        raise ValueError(
            f"frame {k} has {len(atoms):,} atoms and the first {len(first):,}: this is a set of"
            " structures, not a trajectory"
        )
    if not np.array_equal(atoms.numbers, first.numbers):
        raise ValueError(
            f"frame {k} is of other atoms than the first: this is a set of structures, not a"
            " trajectory"
        )
    if first.cell.volume and not atoms.cell.volume:
        raise ValueError(f"the cell of frame {k} has no volume")
    for what, same in (
        ("masses", np.array_equal(atoms.get_masses(), first.get_masses())),
        ("periodic directions", np.array_equal(atoms.pbc, first.pbc)),
        ("lattice vectors", np.array_equal(atoms.cell.any(1), first.cell.any(1))),
    ):
        if not same:
            raise ValueError(
                f"frame {k} has other {what} than the first, so it is not of the same trajectory"
            )


def _system(atoms: Any, has: set[str]) -> System:
    """The system of a frame; momenta are not a number where only other frames have velocities, zero
    where none has."""
    found = from_atoms(atoms)
    if "velocities" not in has:
        return replace(found, momenta=np.zeros_like(found.momenta))
    return (
        found
        if atoms.has("momenta")
        else replace(found, momenta=np.full_like(found.momenta, np.nan))
    )


def _has(atoms: Any) -> set[str]:
    """Which of "velocities", "energy", "forces" and "stress" a frame has."""
    found = getattr(atoms.calc, "results", {})
    return {part for part in ("energy", "forces", "stress") if found.get(part) is not None} | (
        {"velocities"} if atoms.has("momenta") else set()
    )


def _evaluation(atoms: Any, has: set[str]) -> Evaluation | None:
    """Energy, forces and stress, as far as all frames have them; those that move the atoms, with
    what constraints add and take."""
    if not has & {"energy", "forces"}:
        return None
    from ase.stress import voigt_6_to_full_3x3_stress

    found = atoms.calc.results
    # ASE compares the atoms with those of the results at each call, which takes longer than to read
    # them
    if atoms.constraints:
        getters = {
            "energy": atoms.get_potential_energy,
            "forces": atoms.get_forces,
            "stress": atoms.get_stress,
        }
        found = {what: get() for what, get in getters.items() if what in has}
    energy, forces, stress = (
        np.asarray(found[what], dtype=float) if what in has else None
        for what in ("energy", "forces", "stress")
    )
    if stress is not None and stress.shape == (6,):
        stress = voigt_6_to_full_3x3_stress(stress)
    return Evaluation(energy, forces, stress)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Each of ASE's readers fails in its own way."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Lacking:
        raise
    except Exception as error:
        words = said(error)
        if isinstance(error, UnicodeDecodeError):
            words = NOT_TEXT
        elif words == type(error).__name__:
            words = f"it is damaged, or of another kind than its name says ({words})"
        raise ValueError(f"{path} cannot be read as a trajectory: {words}") from None
