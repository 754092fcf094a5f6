"""Names of the models that come with the package, their files, and the known name that is nearest
to a mistyped one."""

import difflib
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

#: what names of arrays begin with that tell what was trained on, in models' files and in
#: checkpoints
TRAINED = "trained."


def check_positive(**values: float) -> None:
    """Raise ValueError, naming the first value that is not a positive number."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{name} must be a positive number, not {value!r}")


def check_counts(**values: int) -> None:
    """Raise ValueError, naming the first value that is not a whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, not {value!r}")


def check_number(name: str, value: float, most: float, what: str) -> None:
    """Raise ValueError, which says ``what`` the value is, if it is no finite number from 0 to
    ``most``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0.0 <= value <= most or value == math.inf:
        raise ValueError(f"{name} is {what}, not {value!r}")


def nearest(name: str, known: Any) -> str:
    """The known name that looks most like ``name``."""
    return difflib.get_close_matches(str(name), list(known), 1, cutoff=0.0)[0]


def suggestion(name: str, known: Any) -> str:
    """The known name that a mistyped one resembles, as a question; all names if it resembles
    none."""
    near = difflib.get_close_matches(str(name), list(known), 1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def one_of(names: Any) -> str:
    """Names of things of which any will do, with their articles: "a Task or an Option"."""
    return " or ".join(f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}" for name in names)


def shipped() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(
        path.name.removesuffix(".safetensors")
        for path in files("mcegnn.pretrained").iterdir()
        if path.name.endswith(".safetensors")
    )


def presets() -> list[str]:
    """Names of the training runs that come with the package."""
    return sorted(
        path.name.removesuffix(".toml")
        for path in files("mcegnn.presets").iterdir()
        if path.name.endswith(".toml")
    )


class SourceChangedWarning(UserWarning):
    """The source of a factory is not what it was when a model that it makes was saved."""


def is_factory(name: object) -> bool:
    """Whether a name is one of a function that makes a torch module, ``package.module:function``,
    and not of a file."""
    named = re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", str(name))
    return named is not None and not Path(str(name)).is_file()


def check_model(name: str | Path) -> None:
    """Raise FileNotFoundError, with the nearest name, if there is no such model, unless a factory
    makes it."""
    if not is_factory(name):
        locate(name)


def locate(name: str | Path) -> Path:
    """The file of a shipped model or of a path. Raises FileNotFoundError, with the nearest name, if
    there is neither."""
    path = Path(name)
    if path.is_file():
        return path
    if is_factory(name):
        raise FileNotFoundError(
            f"{name} makes a network, and a model's file is needed here: mcegnn train adapt --from"
            f" {name} --data DATA writes one"
        )
    if str(name) in shipped():
        return Path(str(files("mcegnn.pretrained") / f"{name}.safetensors"))
    if path.is_dir():
        raise FileNotFoundError(
            f"{name} is a folder; name the model file in it, such as {path / 'best.safetensors'}"
        )
    a_name = shipped() and not path.suffix and path.name == str(name)  # not a path
    near = (
        f"; did you mean {nearest(str(name), shipped())}, which comes with the package?"
        if a_name
        else ""
    )
    raise FileNotFoundError(f"there is no model {name}{near}")


def absolute(name: str) -> str:
    """The absolute path of a file, if there is such a file; other names, such as those of shipped
    models, are returned as they are."""
    path = Path(name)
    return str(path.absolute()) if path.is_file() else name
