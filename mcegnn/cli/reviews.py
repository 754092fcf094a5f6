"""Rows of tables on what was scored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcegnn.runs.evaluate import EvaluateResult
    from trajectories.analysis.results import Number


def scored_row(part: str, what: str, n: int, whole: int, data: str) -> tuple[str, str]:
    """The row of what errors are of; ``what`` the data hold, such as structures."""
    return "scored", f"{part} {what}, {n:,} of {whole:,} in {data}"


def evaluated_rows(result: "EvaluateResult") -> list[tuple[str, str]]:
    """Rows on the samples that were scored, those that were not and why, and notes."""
    row = scored_row(result.part, result.noun, result.scored, result.whole, result.data)
    told = ", ".join(f"{n:,} {reason}" for reason, n in result.left_out.items())
    return [row, *([("left out", told)] if told else []), *result.notes]


def said(numbers: Sequence["Number"]) -> list[tuple[str, str]]:
    """Rows for a table."""
    return [(number.label, str(number)) for number in numbers]
