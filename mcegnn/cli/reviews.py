"""Rows of tables on what was scored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcegnn.data.split import Part
    from trajectories.analysis.results import Number


def scored(part: "Part", what: str, data: str) -> tuple[str, str]:
    """The row of what errors are of; ``what`` the data hold, such as structures."""
    return scored_row(part.name, what, len(part.samples), part.whole, data)


def scored_row(part: str, what: str, n: int, whole: int, data: str) -> tuple[str, str]:
    """The same of numbers."""
    return "scored", f"{part} {what}, {n:,} of {whole:,} in {data}"


def left_out(part: "Part") -> list[tuple[str, str]]:
    """Rows of what was not scored and why, and of what else there is to say of the data."""
    told = ", ".join(f"{n:,} {reason}" for reason, n in part.left_out.items())
    return [*([("left out", told)] if told else []), *part.notes]


def said(numbers: Sequence["Number"]) -> list[tuple[str, str]]:
    """Rows for a table."""
    return [(number.label, str(number)) for number in numbers]
