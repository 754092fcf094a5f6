"""Template of an ``ase.Atoms``: what it holds beside a `System`, its info, and arrays such as tags,
initial magnetic moments and the user's own.

It travels as a template, an ``ase.Atoms`` whose positions and the like are of no account:
`systems.sources.atoms.to_atoms` fills it with a system. As text, JSON, it is kept with a run, so
that a resumed run and a converted one have it too.
"""

import json
from typing import Any

import numpy as np

_OF_A_SYSTEM = ("numbers", "positions", "momenta", "masses", "initial_charges")
# what ASE takes for a calculator's results where it reads a file, and what training takes for
# labels
_RESULTS = (
    "energy",
    "energies",
    "free_energy",
    "force",
    "forces",
    "stress",
    "stresses",
    "virial",
    "virials",
    "dipole",
    "charges",
    "magmom",
    "magmoms",
    "polarization",
    "dielectric_tensor",
    "born_effective_charges",
)


_MOMENT = ("time", "time_fs", "step", "timestep")
_WRAPPING = ("ix", "iy", "iz", "xu", "yu", "zu")


def is_result(name: str) -> bool:
    """Whether a file's info or column of this name would be taken for the result of a calculation:
    energy, REF_forces, ..."""
    return name.lower().removeprefix("ref_") in _RESULTS


def beside(atoms: Any) -> dict[str, Any]:
    """The info and the arrays that a system has no place for, by name."""
    return {
        **atoms.info,
        **{name: array for name, array in atoms.arrays.items() if name not in _OF_A_SYSTEM},
    }


def timeless(atoms: Any) -> Any:
    """A copy without what is of a single moment: momenta, time and step, and columns that tell into
    which images atoms have moved."""
    copy = atoms.copy()
    for key in (*_MOMENT, *(["units"] if "time" in copy.info else [])):
        copy.info.pop(key, None)
    for name in list(copy.arrays):
        if name == "momenta" or name.removeprefix("i_").removeprefix("f_") in _WRAPPING:
            del copy.arrays[name]
    return copy


def without_results(atoms: Any) -> tuple[Any, list[str]]:
    """A copy without calculator and without what would be taken for its results; and the names of
    what was taken out."""
    plain = atoms.copy()
    taken = [name for name in beside(plain) if is_result(str(name))]
    for name in taken:
        plain.info.pop(name, None)
        plain.arrays.pop(name, None)
    return plain, taken


def to_text(atoms: Any) -> str:
    """The template as JSON; empty where there is nothing in it. What JSON cannot hold is left out:
    `unwritable` names it."""
    from ase.io.jsonio import encode

    lost = unwritable(atoms)
    info = {key: value for key, value in atoms.info.items() if key not in lost}
    arrays = {
        name: array for name, array in atoms.arrays.items() if name not in (*_OF_A_SYSTEM, *lost)
    }
    if not (info or arrays):
        return ""
    text: str = encode({"numbers": atoms.numbers, "info": info, "arrays": arrays})
    return text


def from_text(text: str) -> Any:
    """The template of a text; None of an empty one."""
    from ase import Atoms

    if not text:
        return None
    known = _decoded(text)
    template = Atoms(known["numbers"], info=known["info"])
    for name, array in known["arrays"].items():
        template.set_array(name, array)
    return template


def unwritable(atoms: Any) -> list[str]:
    """The names of info and arrays that JSON cannot hold, and of info whose names are no text."""
    return [
        key
        for key, value in beside(atoms).items()
        if not (isinstance(key, str) and _writable(value))
    ]


def keep_same(template: Any, atoms: Any) -> None:
    """Take out of a template what another frame of the same atoms has not, or has differently."""
    there = beside(atoms)
    for name, value in beside(template).items():
        if name not in there or not _equal(value, there[name]):
            template.info.pop(name, None)
            template.arrays.pop(name, None)


def _writable(value: Any) -> bool:
    from ase.io.jsonio import encode

    try:
        _decoded(encode(value))
    except Exception:  # whatever stands in somebody's info
        return False
    return True


def _decoded(text: str) -> Any:
    from ase.io.jsonio import object_hook

    return json.loads(text, object_hook=object_hook)


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(np.array_equal(one, other))
    except Exception:  # of things that cannot be compared
        return False
