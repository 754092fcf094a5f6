"""Calculators and potentials by name, as the command line takes them: NAME, or
NAME:key=value,key=value."""

import ast
import inspect
import re
from typing import Any

from mcegnn import importing
from mcegnn.importing import attribute, look_here, said
from mcegnn.names import nearest
from systems.system import Potential

# ASE finds only what it carries by name; these bring their own class
_CLASSES = {"tblite": "tblite.ase.TBLite", "xtb": "tblite.ase.TBLite"}
# tblite prints a table each call unless told not to. It begins from its last solution: converged a
# thousand times closer than it would be by itself, for a third more time, a resumed run is the same
# to 1e-9 Angstrom, and labels do not depend on what was labelled before
_USUAL = {"tblite.ase.TBLite": {"verbosity": 0, "accuracy": 0.001}}
_INSTALL = {"tblite": "pip install mcegnn[xtb]"}


def split(text: str) -> tuple[str, dict[str, Any]]:
    """Split "name:key=value,key=value" into name and options; values are Python literals, else
    text. Raises ValueError if it is not of that form."""
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in (
        re.split(r",(?![^(\[{]*[)\]}])", rest) if rest else ()
    ):  # commas inside brackets belong to a value
        key, equals, value = part.partition("=")
        if not (key.strip().isidentifier() and equals and value.strip()):
            raise ValueError(
                f"{text!r}: options are written NAME:key=value,key=value; {part!r} is none"
            )
        options[key.strip()] = _literal(value.strip())
    return name.strip(), options


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def calculator(text: str) -> Any:
    """The ASE calculator of a name ("emt", "lj", "tblite", or a class such as
    "mace.calculators.mace_mp") with its options.

    Raises ValueError or RuntimeError, in one sentence, if there is none, it is not installed, or it
    does not take the options.
    """
    name, options = split(text)
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(
            f"{name!r} is no calculator's name; write one such as emt, tblite or"
            " mace.calculators.mace_mp"
        )
    path = _CLASSES.get(name, name)
    look_here()
    try:
        make = attribute(path) if "." in path else _of_ase(name)
    except ModuleNotFoundError as error:
        missing = (error.name or path).partition(".")[0]
        how = _INSTALL.get(
            missing,
            f"pip install the package that brings {missing}, or run from the folder it is in",
        )
        raise RuntimeError(
            f"the calculator {name} needs {missing}, which is not installed: {how}"
        ) from None
    try:
        made = make(**{**_USUAL.get(path, {}), **options})
    except Exception as error:  # a foreign constructor may raise anything
        raise ValueError(
            f"the calculator {name} cannot be made with {options or 'no options'}: {said(error)}"
        ) from None
    _check_options_known(name, make, made, options)
    return made


def _check_options_known(name: str, make: Any, made: Any, options: dict[str, Any]) -> None:
    """Raise ValueError if the calculator would silently ignore an option."""
    known = set(getattr(made, "default_parameters", {}))
    if not known or not inspect.isclass(make):
        # calculators that hand their options on, to a program or to a model, know them only there
        return
    makers = [vars(kind)["__init__"] for kind in make.__mro__[:-1] if "__init__" in vars(kind)]
    known |= {key for maker in makers for key in inspect.signature(maker).parameters} - {
        "self",
        "args",
        "kwargs",
        "parameters",
    }
    for key in options:
        if key not in known:
            raise ValueError(
                f"the calculator {name} has no option {key!r}; did you mean {nearest(key, known)}?"
            )


def calculator_potential(text: str, stress: bool, template: Any = None) -> Potential:
    """That calculator as a `Potential` of systems of a template's atoms. Raises ValueError also if
    it lacks forces, or a stress that is needed."""
    from mcegnn.interfaces.ase import CalculatorPotential

    return CalculatorPotential(calculator(text), stress=stress, template=template)


def potential(text: str) -> Potential:
    """The user's potential that ``module:factory`` or ``module:factory:key=value,...`` makes.
    Raises ValueError if it cannot be made."""
    module, _, rest = text.partition(":")
    name, options = split(rest)
    if not (module and name):
        raise ValueError(
            f"a potential is written module:factory, not {text!r}, such as"
            " mcegnn:LennardJones:epsilon=0.0104,sigma=3.4"
        )
    look_here()
    try:
        make = attribute(f"{module}.{name}")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"there is no module {error.name} for the potential {text!r}; run from the folder it"
            " is in"
        ) from None
    try:
        made = make(**options)
    except Exception as error:
        takes = f"; it takes {_parameters(make)}" if isinstance(error, TypeError) else ""
        raise ValueError(
            f"{module}:{name} cannot be called with {options or 'no options'}: {said(error)}{takes}"
        ) from None
    if not callable(made):
        raise ValueError(
            f"{module}:{name} made a {type(made).__name__}, which is no potential: it cannot be"
            " called with a System"
        )
    return made


def digest(made: Any) -> str:
    """Digest of the file that a potential's class comes from, so that a resumed run notices a
    change; empty where there is no such file, and of our own, which the package's version stands
    for: their files may be moved or laid out anew."""
    thing = made if inspect.isfunction(made) else type(made)
    if thing.__module__.partition(".")[0] in ("systems", "integrators", "trajectories", "mcegnn"):
        return ""
    return importing.digest(thing)


def _parameters(make: Any) -> str:
    try:
        return ", ".join(inspect.signature(make).parameters)
    except (TypeError, ValueError):
        return "what its documentation says"


def _of_ase(name: str) -> Any:
    from ase.calculators.calculator import get_calculator_class, names

    try:
        return get_calculator_class(name)
    except ModuleNotFoundError as error:
        if error.name == f"ase.calculators.{name}":
            raise ValueError(
                f"ASE knows no calculator {name!r}; did you mean"
                f" {nearest(name, {*names, *_CLASSES})}?"
            ) from None
        raise
    except (AttributeError, ValueError):
        raise ValueError(
            f"ASE has no calculator class of the name {name!r}; give its class, such as"
            " tblite.ase.TBLite"
        ) from None
