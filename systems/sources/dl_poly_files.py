"""DL_POLY's CONFIG and HISTORY as ASE reads them, with what it gets wrong put right: units of
velocities and forces, and names of atoms."""

from typing import Any

from systems.sources.file_options import Reading
from systems.sources.identities import AtomLabels, identify

LABELS = "dlp4_labels"  # what ASE calls the rest of an atom's name, after its element


def settle(atoms: Any, reading: Reading) -> Any:
    """Give velocities and forces ASE's units, of which ASE 3.29 makes atomic ones, and elements to
    whole names (CL is no carbon)."""
    from ase.io.dlp4 import DLP_F_ASE, DLP_V_ASE
    from ase.units import _amu, _e, fs

    velocities = None
    if atoms.has("momenta"):
        velocities = atoms.get_velocities() / DLP_V_ASE / (1000.0 * fs)  # Angstrom/ps
    if atoms.calc is not None:
        atoms.calc.results["forces"] = (
            atoms.calc.results["forces"] / DLP_F_ASE * (_amu * 1e4 / _e)
        )  # u Angstrom/ps^2
    names = [
        f"{symbol}{label}"
        for symbol, label in zip(atoms.get_chemical_symbols(), atoms.arrays[LABELS], strict=True)
    ]
    told = atoms.get_masses() if atoms.has("masses") else None
    identify(atoms, reading, AtomLabels(names, told))
    if velocities is not None:
        atoms.set_velocities(velocities)
    if atoms.calc is not None:
        atoms.calc.atoms = atoms.copy()
    return atoms
