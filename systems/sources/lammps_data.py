"""LAMMPS' data files as ASE's atoms, in the units that they tell, that users name, or that are
assumed and said."""

import re
from pathlib import Path
from typing import Any

from systems.sources.file_options import Reading, unit_size, unit_styles
from systems.sources.identities import AtomLabels
from systems.sources.lammps_files import lines_of, read_as, say_contradicted, set_identities


def data_atoms(path: Path, reading: Reading, more: dict[str, Any]) -> Any:
    """The atoms of a data file; elements are those of its masses, or of its labels of types."""
    from ase.io import read

    told = re.search(r"\bunits = (\w+)", next(lines_of(path), ""))
    own = told[1] if told and told[1] in unit_styles() else ""
    say_contradicted(own, reading)
    style = reading.options.units or own
    if not style:
        reading.assumed["units"] = (
            "LAMMPS' metal units, which the data file does not tell; --units tells others"
        )
    sections = {line.split("#")[0].strip() for line in lines_of(path)}
    reading.units = style
    try:
        atoms: Any = read(
            path, format="lammps-data", **{"units": read_as(style or "metal"), **more}
        )
    except Exception as error:  # of many kinds
        raise ValueError(
            f"{error}; name its atom_style, as in --format lammps-data:atom_style=full"
        ) from None
    if style == "lj" and atoms.has("momenta"):
        atoms.arrays["momenta"] /= unit_size("velocity", "metal")
    types = [str(one) for one in atoms.arrays["type"]]
    # without labels of types ASE takes types for atomic numbers
    names = atoms.get_chemical_symbols() if "Atom Type Labels" in sections else types
    told = atoms.get_masses() if "Masses" in sections else None
    set_identities(atoms, reading, AtomLabels(names, told, types, reduced=style == "lj"))
    atoms.info.pop("comment", None)
    return atoms
