"""`Registry`: objects of one kind by name, imported when they are first used."""

import importlib
from collections.abc import Iterator
from typing import Any

from mcegnn.names import nearest


class Registry:
    """Classes or functions by name. Those of a table "module:name" are imported when first used;
    `register` adds one that is there already, and other packages add theirs by an entry point of
    the ``group``.

    ``what`` they are, in messages.
    """

    def __init__(self, what: str, group: str, table: dict[str, str]) -> None:
        self.what, self.group = what, group
        self._places: dict[str, Any] = dict(table)

    def register(self, name: str, thing: Any) -> Any:
        """Add a class or a function, and return it. Raises ValueError if the name is taken."""
        if name in self._places:
            raise ValueError(f"there is a {self.what} {name!r} already; choose another name")
        self._places[name] = thing
        return thing

    def __getitem__(self, name: str) -> Any:
        """The object of a name. Raises ValueError, naming the nearest, if nothing has."""
        if name not in self._places:
            self._places.update(self._entry_points(name))
        if name not in self._places:
            known = ", ".join(self._places)
            raise ValueError(
                f"there is no {self.what} {name!r}; did you mean {nearest(name, self._places)}?"
                f" (known: {known})"
            )
        thing = self._places[name]
        if isinstance(thing, str):
            module, _, attribute = thing.partition(":")
            thing = self._places[name] = getattr(importlib.import_module(module), attribute)
        return thing

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._places))

    def _entry_points(self, name: str) -> dict[str, Any]:
        from importlib.metadata import entry_points

        return {one.name: one.load() for one in entry_points(group=self.group, name=name)}
