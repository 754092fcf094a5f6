"""Groups that act on particles in space, by name: translations, rotations and reflections, finite
point groups, permutations, and products of these."""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

_Z = np.array([0.0, 0.0, 1.0])
_DIAGONAL = np.ones(3) / 3**0.5
_GOLDEN = (1.0 + 5**0.5) / 2.0
_LARGEST = 10_000  # elements of a finite group, far above what anybody evaluates


@dataclass(frozen=True, eq=False)
class Group:
    """A product of groups: ``translations``, those of ``rotations``, and ``permutations`` of
    particles (0: none; -1: of any number).

    ``rotations`` is "" (none), "SO(3)", "O(3)", "SO(2)" about the ``axis``, or "finite" with its
    ``elements`` [n_elements, 3, 3].
    """

    name: str
    translations: bool = False
    rotations: str = ""
    axis: np.ndarray | None = None
    elements: np.ndarray | None = None
    permutations: int = 0

    @property
    def proper(self) -> bool:
        """Whether there are no reflections in it."""
        if self.elements is not None:
            return bool((np.linalg.det(self.elements) > 0.0).all())
        return self.rotations != "O(3)"


def group_of(name: str, axis: tuple[float, float, float] | None = None) -> Group:
    """The group of a name.

    Names are "translations", "SO(3)", "O(3)", "SE(3)" and "E(3)" (with translations), "SO(2)" about
    an ``axis``, "S_n" (permutations of any number of particles) or "Sym(5)" (of five), and finite
    point groups as Schoenflies has them: C_n, D_n, T, O, I about z, C_s, C_i, S_2n, C_nv, C_nh,
    D_nh, D_nd, T_d, T_h, O_h, I_h. Factors of a product are joined by " x ": "E(3) x S_n".

    Raises ValueError if there is no such group, an axis is missing or not used, or two factors are
    of one sort.
    """
    factors = [_factor(part.strip(), axis) for part in re.split(r"\s+[x×]\s+", name)]
    if axis is not None and all(one.axis is None for one in factors):
        raise ValueError(f"{name} has no axis; leave it out, or name SO(2)")
    for what in ("translations", "rotations", "permutations"):
        if sum(bool(getattr(one, what)) for one in factors) > 1:
            raise ValueError(f"{name} has {what} in two of its factors; name one of them")
    turning = next((one for one in factors if one.rotations), Group(""))
    return Group(
        name,
        any(one.translations for one in factors),
        turning.rotations,
        turning.axis,
        turning.elements,
        next((one.permutations for one in factors if one.permutations), 0),
    )


def _factor(name: str, axis: tuple[float, float, float] | None) -> Group:
    """One factor of a product."""
    if name == "translations":
        return Group(name, translations=True)
    if name in ("SO(3)", "O(3)"):
        return Group(name, rotations=name)
    if name in ("SE(3)", "E(3)"):
        return Group(name, translations=True, rotations="SO(3)" if name == "SE(3)" else "O(3)")
    if name == "SO(2)":
        return Group(name, rotations=name, axis=_unit(axis))
    if name == "S_n":
        return Group(name, permutations=-1)
    if found := re.fullmatch(r"Sym\((\d+)\)", name):
        return Group(name, permutations=int(found[1]))
    return Group(name, rotations="finite", elements=point_group(name))


def _unit(axis: tuple[float, float, float] | None) -> np.ndarray:
    if axis is None:
        raise ValueError("SO(2) turns about an axis; give one, such as axis=(0, 0, 1)")
    found = np.array(axis, dtype=float)
    length = np.linalg.norm(found) if found.shape == (3,) else 0.0
    if not (np.isfinite(length) and length > 0.0):
        raise ValueError(f"an axis is three numbers, not all zero, not {axis}")
    return found / length


@cache
def point_group(name: str) -> np.ndarray:
    """The elements of a finite point group by its Schoenflies name, [n_elements, 3, 3], the
    identity first; its main axis is z.

    Raises ValueError if there is none of that name.
    """
    generators = _generators(name)
    if generators is None:
        raise ValueError(
            f"there is no group {name!r}; known are translations, SO(3), O(3), SE(3), E(3), SO(2),"
            " S_n, Sym(5), C_n, D_n, T, O, I, C_s, C_i, S_2n, C_nv, C_nh, D_nh, D_nd, T_d, T_h,"
            " O_h, I_h with a number for n, and products such as 'E(3) x S_n'"
        )
    elements = [np.eye(3)]
    for element in elements:  # grows while it is walked through: closed when nothing new comes
        for generator in generators:
            new = generator @ element
            if all(abs(new - one).max() > 1e-6 for one in elements):
                elements.append(new)
                if len(elements) > _LARGEST:
                    raise ValueError(f"{name} has more than {_LARGEST} elements")
    found = np.array(elements)
    found.setflags(write=False)
    return found


def _generators(name: str) -> list[np.ndarray] | None:
    """Generators of a point group; None if there is none of that name."""
    inversion, across, upright = -np.eye(3), np.diag([1.0, 1.0, -1.0]), np.diag([1.0, -1.0, 1.0])
    half = np.diag([1.0, -1.0, -1.0])  # about x
    third = rotation(_DIAGONAL, 2.0 * np.pi / 3.0)
    quarter = rotation(_Z, np.pi / 2.0)
    fifth = rotation(np.array([0.0, 1.0, _GOLDEN]), 2.0 * np.pi / 5.0)
    named = {
        "C_s": [across],
        "C_i": [inversion],
        "T": [rotation(_Z, np.pi), third],
        "O": [quarter, third],
        "I": [third, fifth],
        "T_d": [quarter @ -np.eye(3), third],
        "T_h": [rotation(_Z, np.pi), third, inversion],
        "O_h": [quarter, third, inversion],
        "I_h": [third, fifth, inversion],
    }
    if name in named:
        return named[name]
    found = re.fullmatch(r"([CDS])_(\d+)([vhd]?)", name)
    if found is None or int(found[2]) < 1:
        return None
    letter, n, ending = found[1], int(found[2]), found[3]
    turn = rotation(_Z, 2.0 * np.pi / n)
    if letter == "S":
        return [across @ turn] if n % 2 == 0 and not ending else None
    base = [turn] if letter == "C" else [turn, half]
    more = {
        "C": {"": [], "v": [upright], "h": [across]},
        "D": {"": [], "h": [across], "d": [across @ rotation(_Z, np.pi / n)]},
    }[letter].get(ending)
    return None if more is None else [*base, *more]


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """The rotation [3, 3] about an axis by an angle (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * k @ k)
