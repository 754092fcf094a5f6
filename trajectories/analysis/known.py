"""Facts about a run that are not in its frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field

CONSERVED = ("energy", "momentum", "angular_momentum")


@dataclass(frozen=True)
class Known:
    """Facts about a run that are not in its frames; the defaults are for a run at constant energy
    of which nothing else is known.

    ``conserves`` names what its flow should conserve; ``sure`` says that this, and what is held, is
    known and not only what files tell. ``n_degrees`` counts the degrees of freedom, as `degrees_of`
    says, ``temperature`` and ``pressure`` (eV / Angstrom^3) are what a thermostat and barostat
    hold: one value, or the first and the last of a ramp. ``parents`` is the body that each body
    goes around, ``epoch`` a planets' run's start, a TDB Julian day. ``lost`` are systems of an
    ensemble that diverged and are frozen, ``why_energy_drifts`` says it of a scheme that lets it.
    """

    conserves: Sequence[str] = CONSERVED
    sure: bool = True
    n_degrees: int | None = None
    temperature: Sequence[float] = ()
    pressure: Sequence[float] = ()
    parents: dict[str, str] = field(default_factory=dict)
    epoch: float | None = None
    lost: Sequence[int] = ()
    why_energy_drifts: str = ""
