"""Docstrings as this project writes them: |x| is a length, and `name` is whatever has that name."""

import re
from pydoc import locate
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import mcegnn

PACKAGES = ("systems.", "integrators.", "trajectories.", "mcegnn.")


def plain_bars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Bars are no substitutions: they are escaped where they are neither code nor an equation,
    which is indented.

    What Python itself says of a method without a docstring is left out.
    """
    if lines[:1] == ["Call self as a function."]:
        lines.clear()
    for k, line in enumerate(lines):
        if not line.startswith("    "):
            lines[k] = "".join(
                part if part.startswith("``") else part.replace("|", r"\|")
                for part in re.split("(``.*?``)", line)
            )


def bare(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, arguments: str, returns: str
) -> tuple[str, str] | None:
    """Annotated[float, Field(gt=0)] is a float: what else must hold is said when it does not."""
    while arguments and (start := re.search(r"Annotated\[", arguments)):
        depth, ends = 0, []
        for k in range(start.end(), len(arguments)):
            depth += (arguments[k] in "[(") - (arguments[k] in ")]")
            if depth < 0 or (depth == 0 and arguments[k] == ","):
                ends.append(k)
            if depth < 0:
                break
        arguments = (
            arguments[: start.start()]
            + arguments[start.end() : ends[0]]
            + arguments[ends[-1] + 1 :]
        )
    return arguments, returns


def leave_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples, which say no more than that they are fields, pydantic's settings,
    and what matplotlib adds to its figures."""
    return (
        True
        if name == "model_config"
        or (getattr(obj, "__module__", None) or "").startswith("matplotlib.")
        or (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
        else None
    )


def found(app: Sphinx, env: Any, node: Any, inner: nodes.Node) -> nodes.Node | None:
    """The only object that ends in the name; what a package exports is where it is defined. Else it
    stays code."""
    domain, target = env.domains.python_domain, node["reftarget"]
    if node.get("refdomain") != "py":
        return None
    own = (
        locate(target)
        if target.startswith(PACKAGES)
        else getattr(mcegnn, target, None)
        if target in mcegnn.__all__
        else None
    )
    full = f"{getattr(own, '__module__', '')}.{getattr(own, '__qualname__', '')}"
    names = (
        [full]
        if full in domain.objects
        else [name for name in domain.objects if name.endswith(f".{target}")]
    )
    if len(names) != 1:  # what is not public has no page
        return inner if any(part.startswith("_") for part in target.split(".")) else None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", names[0], node, inner)


def setup(app: Sphinx) -> dict[str, bool]:
    """The extension."""
    app.connect("autodoc-process-docstring", plain_bars)
    app.connect("autodoc-process-signature", bare)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("missing-reference", found)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
