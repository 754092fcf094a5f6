"""Values at keys such as "task.stages.0.lr" in nested tables and lists, as TOML has them."""

import tomllib
from collections.abc import Sequence
from typing import Any


def apply_change(values: dict[str, Any], change: str) -> None:
    """Put one ``key=value`` into nested values; the value is read as TOML, and as text if
    it is none.

    Raises ValueError if it has another form, or there is no such place.
    """
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"--set takes key=value, such as lr=1e-3, not {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except RecursionError:
        raise ValueError(f"--set {key} nests too deeply") from None
    if value == "none":  # TOML has no word for it
        value = None
    try:
        put(values, key.strip(), value)
    except ValueError as error:
        raise ValueError(" ".join(f"--set {change}: {error}".split())) from None


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into nested values, at a key such as "task.stages.0.lr". Raises ValueError if
    there is no such place."""
    *outer, last = key.split(".")
    inner: Any = values
    for k, name in enumerate(outer):
        place = _place(inner, outer[:k], name)
        inner = inner.setdefault(place, {}) if isinstance(inner, dict) else inner[place]
    inner[_place(inner, outer, last)] = value


def _place(inner: Any, path: Sequence[str], name: str) -> str | int:
    """The key of a table, or the index of a list's element. Raises ValueError if ``inner``, which
    is at ``path``, has no such place."""
    where = ".".join(path)
    if isinstance(inner, list):
        if name not in map(str, range(len(inner))):
            known = f"its elements are 0 to {len(inner) - 1}" if inner else "it is empty"
            raise ValueError(f"{where} is a list, and {name!r} is none of its elements; {known}")
        return int(name)
    if not isinstance(inner, dict):
        raise ValueError(f"{where} holds a value, not further keys")
    if name.isdecimal():
        raise ValueError(
            f"{where or 'the configuration'} holds no list, so it has no element {name}"
        )
    return name
