"""Rules for reading labels that a file leaves open."""

from typing import Literal, NamedTuple

Notes = tuple[tuple[str, str], ...]  #: rows of a table: what labels are, what was left out


class Reading(NamedTuple):
    """Rules for reading labels.

    ``labels`` begin with this prefix, such as ``REF_`` ("plain": with none; None: ``REF_`` where
    there are such). ``energy`` is which of two that differ (None: free_energy, whose derivatives
    the forces are). Stresses are in ``stress_unit``, and of the sign that ASE gives them (tension
    is positive, a virial is - volume x stress), or of the other, -1.
    """

    labels: str | None = None
    energy: Literal["energy", "free_energy"] | None = None
    stress_unit: str = "eV/Angstrom^3"
    stress_sign: Literal[1, -1] = 1


AS_THEY_ARE = Reading()  #: what is right of most files
