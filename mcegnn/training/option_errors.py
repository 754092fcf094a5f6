"""Errors of options as sentences."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from mcegnn.names import suggestion

if TYPE_CHECKING:
    from mcegnn.training.options import TrainingOptions


def keys_of_others(kind: str, table: str) -> dict[str, list[str]]:
    """Keys of a table, "task" or "data", that a task has not, and the kinds of those that have."""
    from mcegnn.tasks.registry import TASKS
    from mcegnn.training.options import options_class

    own = _fields(options_class(kind), [table])
    found: dict[str, list[str]] = {}
    for other in TASKS:
        for key in _fields(options_class(other), [table]):
            if key not in own:
                found.setdefault(key, []).append(other)
    return found


def in_words(error: ValidationError, options: "type[TrainingOptions]", kind: str | None) -> str:
    """Say the first mistake in a sentence; without a kind of task first what is wrong whichever."""
    mistakes = error.errors()
    first = mistakes[0]
    if kind is None:
        first = next((one for one in mistakes if one["type"] != "extra_forbidden"), first)
    if first["type"] == "missing" and len(first["loc"]) == 1:
        # a table under a name that there is not is more likely mistyped than left out
        strange = [one for one in mistakes if one["type"] == "extra_forbidden"]
        first = next((one for one in strange if len(one["loc"]) == 1), first)
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        table, key = str(first["loc"][0]), str(first["loc"][-1])
        if kind is not None and len(first["loc"]) == 2 and table in ("task", "data"):
            others = keys_of_others(kind, table).get(key)
            if others:
                return (
                    f"a task that is {kind} has no key {where!r}, which is of one that is"
                    f" {' or '.join(others)}; leave it out"
                )
        known = _fields(options, first["loc"][:-1])
        return f"there is no key {where!r}; {suggestion(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{where}: it is required, and not given"
    simple = not isinstance(first["input"], dict)
    given = f" (given: {first['input']!r})" if simple else ""
    message = first["msg"].removeprefix("Value error, ")
    message = message.replace("valid tuple", "list, such as [1, 2]")
    return f"{where or 'the configuration'}: {message}{given}"[:300]


def _fields(options: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the fields at a place in the options."""
    for part in location:
        if isinstance(part, str):
            options = next(_models(options.model_fields[part].annotation))
    return list(options.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes of options in a field's type, such as those of a tuple's elements."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
