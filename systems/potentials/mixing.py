"""Parameters of pairs of species, from those of species or of pairs."""

from collections.abc import Callable, Mapping

import numpy as np

#: One number for all; or by atomic number; or by pairs of atomic numbers, in either order.
Parameter = float | Mapping[int, float] | Mapping[int | tuple[int, int], float]


def species_of(*parameters: Parameter) -> tuple[int, ...]:
    """The atomic numbers that parameters name, in order; none where all are numbers."""
    found: set[int] = set()
    for parameter in parameters:
        if isinstance(parameter, Mapping):
            for key in parameter:
                found.update(key if isinstance(key, tuple) else (key,))
    return tuple(sorted(found))


def pair_parameters(
    name: str,
    parameter: Parameter,
    species: tuple[int, ...],
    mix: Callable[[float, float], float],
) -> np.ndarray:
    """[n_species, n_species], symmetric ([1, 1] without species): the pair's own where it is given,
    else mixed from the two species'.

    Raises ValueError if a pair is given twice, or neither given nor mixed from what is, or a number
    is not positive.
    """
    if not isinstance(parameter, Mapping):
        return np.full((max(len(species), 1),) * 2, float(parameter))
    pairs: dict[tuple[int, int], float] = {}
    for key, value in parameter.items():
        one, other = key if isinstance(key, tuple) else (key, key)
        pair = (min(one, other), max(one, other))
        if pairs.get(pair, value) != value:
            named = f"{name} of {_symbol(pair[0])}-{_symbol(pair[1])}"
            raise ValueError(f"{named} is given twice, {pairs[pair]} and {value}")
        pairs[pair] = float(value)
    table = np.empty((len(species), len(species)))
    for a, one in enumerate(species):
        for b, other in enumerate(species[: a + 1]):
            if (other, one) in pairs:
                value = pairs[other, one]
            elif min(pairs.get((one, one), -1.0), pairs.get((other, other), -1.0)) > 0:
                value = mix(pairs[one, one], pairs[other, other])
            else:
                named = f"{name} of {_symbol(other)}-{_symbol(one)}"
                raise ValueError(
                    f"there is no {named}; give one of the pair, or one of each species"
                )
            if not value > 0:
                named = f"{name} of {_symbol(other)}-{_symbol(one)}"
                raise ValueError(f"{named} must be positive, not {value}")
            table[a, b] = table[b, a] = value
    return table


def geometric(one: float, other: float) -> float:
    """Berthelot's rule, for energies."""
    return (one * other) ** 0.5


def arithmetic(one: float, other: float) -> float:
    """Lorentz' rule, for lengths."""
    return 0.5 * (one + other)


def species_index(species: tuple[int, ...], numbers: np.ndarray) -> np.ndarray:
    """Which of the species, which are in order, each particle is, int64 [n]; zeros where there are
    none. Raises ValueError if one is not among them."""
    if not species:
        return np.zeros(len(numbers), np.int64)
    known = np.array(species)
    index = np.searchsorted(known, numbers).clip(max=len(known) - 1)
    unknown = np.unique(np.asarray(numbers)[known[index] != numbers])
    if len(unknown):
        those, these = (", ".join(map(_symbol, group)) for group in (unknown, species))
        raise ValueError(f"the potential has no parameters for {those}; it has those of {these}")
    return index


def _symbol(number: int) -> str:
    from ase.data import chemical_symbols

    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else str(number)
