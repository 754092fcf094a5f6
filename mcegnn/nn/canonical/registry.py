"""Canonicalizers by name, and which class serves which groups: a new one is a module of this
package and a line here."""

from typing import Any

from mcegnn.names import suggestion
from mcegnn.nn.canonical.axis import DirectAboutAxis
from mcegnn.nn.canonical.canonicalizer import Canonicalizer, Sizes
from mcegnn.nn.canonical.controls import (
    AverageOfCube,
    Fixed,
    PrincipalAxes,
    RandomFrozen,
    Uniform,
)
from mcegnn.nn.canonical.direct import Direct
from mcegnn.nn.canonical.finite import FiniteDirect, FiniteSmooth
from mcegnn.nn.canonical.groups import Group
from mcegnn.nn.canonical.optimized import Optimized
from mcegnn.nn.canonical.smooth import Smooth

CANONICALIZERS: dict[str, tuple[type[Canonicalizer], ...]] = {
    "direct": (Direct, DirectAboutAxis, FiniteDirect),
    "optimized": (Optimized, FiniteDirect),
    "smooth": (Smooth, FiniteSmooth),
    "principal-axes": (PrincipalAxes,),
    "random": (RandomFrozen,),
    "average": (AverageOfCube,),
    "fixed": (Fixed,),
    "uniform": (Uniform,),
}


def canonicalizer_of(name: str, group: Group, sizes: Sizes, **options: Any) -> Canonicalizer:
    """The canonicalizer of a name for a group; of one without rotations the identity.

    Raises ValueError if there is none of that name, none for that group, or it has no such option.
    """
    if name not in CANONICALIZERS:
        raise ValueError(
            f"there is no canonicalizer {name!r}; {suggestion(name, tuple(CANONICALIZERS))}"
        )
    classes = CANONICALIZERS[name] if group.rotations else (Fixed,)
    for one in classes:
        if group.rotations in one.serves:
            try:
                return one(group, sizes, **options)
            except TypeError as error:
                raise ValueError(f"{name} does not take these options: {error}") from None
    served = ", ".join(dict.fromkeys(what for one in classes for what in one.serves))
    raise ValueError(f"the canonicalizer {name!r} is for rotations of {served}, not {group.name}")
