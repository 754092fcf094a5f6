"""Appearance of particles in a scene: colours and radii by element, type, body or charge, and a
legend."""

from typing import Any

import numpy as np

from trajectories.analysis.draw import COLORS

_NAMED = 20  # colours that a legend explains
_TYPE = 0.5  # Angstrom, the radius of atoms whose element nobody knows
_STAR = "#e0a800"
_POSITIVE, _NEGATIVE, _NEUTRAL = "#D55E00", "#0072B2", "#8a8a8a"


def looks_of(
    numbers: np.ndarray,
    names: list[str],
    masses: np.ndarray,
    charges: np.ndarray,
    *,
    atoms: bool = False,
) -> dict[str, Any]:
    """Colours and radii of each particle by element, name or charge, and the legend of colours.

    Names of ``atoms`` are those of types, such as LAMMPS', which have no elements.
    """
    if numbers.any():
        return _by_element(numbers)
    if names:
        return _by_type(names) if atoms else _by_body(names, masses)
    return _by_charge(charges)


def _by_element(numbers: np.ndarray) -> dict[str, Any]:
    from ase.data import chemical_symbols, covalent_radii
    from ase.data.colors import jmol_colors

    named = {
        chemical_symbols[z]: _hexadecimal(jmol_colors[z]) for z in sorted(set(numbers.tolist()))
    }
    names = [chemical_symbols[z] for z in numbers]
    radii = [float(covalent_radii[z]) for z in numbers]
    return {
        "colors": [named[name] for name in names],
        "radii": [0.4 * radius if np.isfinite(radius) else _TYPE for radius in radii],
        "names": names,
        "legend": named,
    }


def _by_type(names: list[str]) -> dict[str, Any]:
    kinds = sorted(set(names), key=lambda name: (len(name), name))  # 2 is before 10
    of_kind = {name: COLORS[k % len(COLORS)] for k, name in enumerate(kinds)}
    return {
        "colors": [of_kind[name] for name in names],
        "radii": [_TYPE] * len(names),
        "names": names,
        "legend": of_kind if len(kinds) <= _NAMED else {},
    }


def _by_body(names: list[str], masses: np.ndarray) -> dict[str, Any]:
    """The heaviest body in yellow, the others as their curves are in the figures, which are about
    the heaviest."""
    heaviest = int(masses.argmax())
    colors = [COLORS[(k - (k > heaviest)) % len(COLORS)] for k in range(len(names))]
    colors[heaviest] = _STAR
    sizes = np.clip((masses / masses.max()) ** 0.15, 0.15, 1.0)
    return {
        "colors": colors,
        "radii": [0.0] * len(names),
        "sizes": sizes.tolist(),
        "names": names,
        "legend": dict(zip(names, colors, strict=True)) if len(names) <= _NAMED else {},
    }


def _by_charge(charges: np.ndarray) -> dict[str, Any]:
    signs = {"positive": _POSITIVE, "negative": _NEGATIVE, "neutral": _NEUTRAL}
    words = ["positive" if q > 0 else "negative" if q < 0 else "neutral" for q in charges]
    return {
        "colors": [signs[word] for word in words],
        "radii": [0.0] * len(words),
        "names": [str(k) for k in range(len(words))],
        "legend": {word: color for word, color in signs.items() if word in words},
    }


def _hexadecimal(color: np.ndarray) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in color)
