"""The stresses of structures that ASE has read, from their stresses or their virials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcegnn.data.label_checks import matrix
from mcegnn.data.label_rules import Notes, Reading

_KBAR = 1602.1766208  # of one eV/Angstrom^3
_UNITS = {"eV/Angstrom^3": 1.0, "kbar": 1.0 / _KBAR, "GPa": 10.0 / _KBAR}


@dataclass
class StressReader:
    """Reader of stresses by the rules of ``reading``, which counts what its notes report:
    structures that are not periodic, zeros where nothing was filled in, virials, and by how much
    virials and stresses differ."""

    reading: Reading
    n_open: int = 0
    n_zero: int = 0
    n_virials: int = 0
    difference: float = 0.0

    def stress(self, atoms: Any, given: Mapping[str, Any], where: str) -> np.ndarray:
        """Return the stress as ASE has it [3, 3], NaN where it is unknown or meaningless.

        ``given`` are the structure's labels by name. Raises ValueError, which begins with
        ``where``, if they are not numbers of the right shape.
        """
        unknown = np.full((3, 3), np.nan)
        virial = given.get("virial", given.get("virials"))
        if "stress" not in given and virial is None:
            return unknown
        if not atoms.pbc.all() or not atoms.cell.volume:
            self.n_open += 1
            return unknown
        sign = self.reading.stress_sign
        if virial is not None:
            of_virial = -sign * matrix(virial, f"{where}: its virial") / atoms.cell.volume
        if "stress" in given:
            unit = _UNITS[self.reading.stress_unit]
            stress = sign * unit * matrix(given["stress"], f"{where}: its stress")
            if virial is not None and abs(stress).any():
                apart = float(abs(of_virial - stress).max() / abs(stress).max())
                self.difference = max(self.difference, apart)
        else:
            stress = of_virial
            self.n_virials += 1
        if not stress.any() and np.any(given.get("forces", 0.0)):
            self.n_zero += 1  # a place that was never filled in
            return unknown
        return stress

    def notes(self) -> Notes:
        """Notes on the stresses that have been read."""
        unit, sign = self.reading.stress_unit, self.reading.stress_sign
        said = f"read as stress = {'-' if sign == 1 else ''}virial / volume"
        notes: Notes = ()
        if self.n_virials:
            notes += (("virials", f"{said}, in {self.n_virials:,} structures"),)
        if (unit, sign) != ("eV/Angstrom^3", 1):
            turned = "" if sign == 1 else ", the sign turned"
            notes += (("units of stress", f"{unit}{turned}, as was asked"),)
        if self.n_open:
            open_said = f"of {self.n_open:,} structures that are not periodic in all directions"
            notes += (("stress left out", open_said),)
        if self.n_zero:
            zero_said = f"of {self.n_zero:,} structures whose forces are not zero"
            notes += (("zero stress left out", zero_said),)
        if self.difference > 0.01:
            percent = f"{100 * self.difference:.3g} per cent"
            two_said = f"virial and stress differ by up to {percent}; stress is taken"
            notes += (("two stresses", two_said),)
        return notes
