"""Options that override what a file holds: its units, its format, masses, and the time between
frames."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

_REDUCED = "lj"
_NUMBERS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class FileOptions:
    """Options that override or complete what a file of another program holds.

    ``frame_interval`` is the time from one frame to the next in ASE's unit (`systems.units.METAL`),
    ``units`` a unit style of LAMMPS ("metal", "real", "lj", ...), ``format`` a format of ASE or of
    MDAnalysis with options ("lammps-data:atom_style=charge"), ``masses`` masses in u by element or
    by name or type of atom. Raises ValueError, in one sentence, if a value is not valid.
    """

    frame_interval: float | None = None
    units: str = ""
    format: str = ""
    masses: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.frame_interval is not None and not (
            self.frame_interval > 0 and math.isfinite(self.frame_interval)
        ):
            raise ValueError(
                "the time from one frame to the next must be positive and finite, not"
                f" {self.frame_interval}"
            )
        if self.units and self.units not in unit_styles():
            near = _nearest(self.units, unit_styles())
            raise ValueError(
                f"{self.units!r} are no units of LAMMPS; did you mean {near}? (known:"
                f" {', '.join(unit_styles())})"
            )
        for name, mass in self.masses.items():
            if not (mass > 0 and math.isfinite(mass)):
                raise ValueError(f"the mass of {name} must be positive and finite, not {mass}")
        if self.format:
            self.reader  # noqa: B018

    @classmethod
    def parse(
        cls,
        frame_interval: str | None = None,
        units: str | None = None,
        format: str | None = None,
        masses: str | None = None,
    ) -> Self:
        """Read the options from texts; None is an option that is not given. Raises ValueError, in
        one sentence, if a value is not valid."""
        from systems.quantities import duration
        from systems.units import METAL, REDUCED

        for name, value in (("units", units), ("format", format)):
            if value == "":
                raise ValueError(f"--{name} is empty; name one, or leave it out")
        interval = (
            None
            if frame_interval is None
            else duration(
                frame_interval, REDUCED if units == _REDUCED else METAL, "--frame-interval"
            )
        )
        return cls(interval, units or "", format or "", {} if masses is None else masses_of(masses))

    @property
    def reduced(self) -> bool:
        """Whether units are those of Lennard-Jones particles, which have no size."""
        return self.units == _REDUCED

    def size(self, quantity: str, default: str = "metal") -> float:
        """A LAMMPS unit of a "distance", "velocity", "energy", "force", "mass", "time" or "charge"
        in ASE's; 1 in reduced units."""
        return unit_size(quantity, self.units or default)

    @property
    def reader(self) -> tuple[str, str, dict[str, Any]]:
        """Who reads ``format`` ("ase" or "mdanalysis"), its name there, and the options it was
        given."""
        name, _, rest = self.format.partition(":")
        options = {}
        for pair in filter(None, rest.split(",")):
            key, equals, value = pair.partition("=")
            if not equals:
                raise ValueError(
                    f"--format {self.format}: {pair!r} is no option; write FORMAT:NAME=VALUE,..."
                )
            options[key.strip()] = _value(value.strip())
        known = _formats()
        for spelled in (name, name.lower(), name.upper()):
            if spelled in known:
                return known[spelled], spelled, options
        raise ValueError(
            f"{name!r} is no format that ASE or MDAnalysis reads; did you mean"
            f" {_nearest(name, known)}?"
        )


@dataclass
class Reading:
    """How a file is read, and what had to be ``assumed`` of it: "units", "elements", "masses", each
    in words.

    ``notes`` are for whoever looks at it. ``unknown`` are names of atoms of no element,
    ``massless`` those of no known mass, and ``virtual`` those of sites that have none. ``units`` is
    the unit style that the file told, ``identified`` what `systems.sources.identities.identify`
    found for the last frame.
    """

    options: FileOptions = field(default_factory=FileOptions)
    assumed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    massless: set[str] = field(default_factory=set)
    virtual: set[str] = field(default_factory=set)
    units: str = ""
    identified: Any = None


def unit_styles() -> tuple[str, ...]:
    """Names of LAMMPS' unit styles that can be read."""
    from ase.calculators.lammps.unitconvert import UNITSETS

    return (*(name for name in UNITSETS if name != "ASE"), _REDUCED)


def unit_size(quantity: str, style: str) -> float:
    """A unit of a quantity in a unit style of LAMMPS, in ASE's units; 1 in reduced units."""
    from ase.calculators.lammps import convert

    if style == _REDUCED:
        return 1.0
    # LAMMPS' time unit of "electron" is the femtosecond, its velocities are in bohr per atomic unit
    # of time
    return float(convert(1.0, quantity, style, "ASE"))


def masses_of(text: str, what: str = "--masses") -> dict[str, float]:
    """Read masses in u from a text such as "H=2.014,O=18". Raises ValueError, in one sentence, if
    it is not of that form."""
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = pair.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            name = ""
        if not name.strip() or not (0 < found[name.strip()] < math.inf):
            raise ValueError(
                f'{what} {pair!r} is not a mass; write {what} "H=2.014,O=18", in u, by element or'
                " by name or type of atom"
            )
    if not found:
        raise ValueError(f'{what} is empty; write {what} "H=2.014,O=18"')
    return found


def _formats() -> dict[str, str]:
    """Who reads which format: ASE those in small letters, MDAnalysis those in capitals."""
    from ase.io.formats import ioformats
    from MDAnalysis import _READERS

    others = {
        "CHAIN",
        "MEMORY",
        "IMD",
        "OPENMMAPP",
        "OPENMMSIMULATION",
        "PARMED",
        "RDKIT",
        "CHEMFILES",
    }  # no files
    found = {name: "mdanalysis" for name in _READERS if name not in others}
    return found | {name: "ase" for name, kind in ioformats.items() if kind.can_read}


def _nearest(name: str, known: Any) -> str:
    by_small = {one.lower(): one for one in known}
    first, *others = difflib.get_close_matches(name.lower(), list(by_small), 3, cutoff=0.0)
    alike = [difflib.SequenceMatcher(None, name.lower(), one).ratio() for one in (first, *others)]
    near = [
        one
        for one, ratio in zip((first, *others), alike, strict=True)
        if ratio > max(0.7, alike[0] - 0.15) or one == first
    ]
    return " or ".join(by_small[one] for one in near)


def _value(text: str) -> Any:
    if text.lower() in _NUMBERS:
        return _NUMBERS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
