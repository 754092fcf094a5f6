"""The reference: all that is public has a docstring and a place in it, and its pages are made
without a warning."""

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("systems", "integrators", "trajectories", "mcegnn")
LISTED = set(
    " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/api").glob("*.rst")).split()
)
Definition = ast.FunctionDef | ast.ClassDef


def definitions(body: list[ast.stmt]) -> list[Definition]:
    """Public functions and classes among the statements; the setter of a property is described by
    its getter."""
    found = [
        node for node in body if isinstance(node, Definition) and not node.name.startswith("_")
    ]
    return [
        node
        for node in found
        if not any(
            isinstance(mark, ast.Attribute) and mark.attr == "setter"
            for mark in node.decorator_list
        )
    ]


def public_modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """Modules with something public in them by their names; those of the command line are described
    by its own help."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        module = ast.parse(path.read_text(encoding="utf-8"))
        if (
            not any(part.startswith("_") for part in name.split("."))
            and not name.startswith("mcegnn.cli")
            and definitions(module.body)
        ):
            yield name, module


@pytest.mark.parametrize("package", PACKAGES)
def test_all_that_is_public_has_a_docstring(package: str) -> None:
    without = []
    for name, module in public_modules(package):
        classes = [node for node in definitions(module.body) if isinstance(node, ast.ClassDef)]
        members = [
            (f"{name}.{owner.name}.{node.name}", node)
            for owner in classes
            for node in definitions(owner.body)
        ]
        inside = [(f"{name}.{node.name}", node) for node in definitions(module.body)]
        without += [
            full
            for full, node in [(name, module), *inside, *members]
            if not ast.get_docstring(node)
        ]
    assert not without, f"without a docstring: {', '.join(without)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_has_a_place_in_the_reference(package: str) -> None:
    """Its page has all of its names: Sphinx finds these by itself."""
    missing = [name for name, _ in public_modules(package) if name not in LISTED]
    assert not missing, f"put them into a list of docs/api/{package}.rst: {', '.join(missing)}"


@pytest.mark.parametrize("package", ["mcegnn", "trajectories.analysis"])
def test_every_name_that_a_package_exports_is_in_a_list(package: str) -> None:
    module = importlib.import_module(package)
    exported = [getattr(module, name) for name in module.__all__ if not name.startswith("__")]
    missing = [
        name
        for thing in exported
        if (name := f"~{thing.__module__}.{thing.__qualname__}") not in LISTED
    ]
    assert exported
    assert not missing, f"put them into a list of docs/api: {', '.join(missing)}"


@pytest.mark.slow
def test_the_pages_are_made_without_a_warning(tmp_path: Path) -> None:
    """But for the outputs of the notebooks, which take minutes, and the writing of HTML, which adds
    no warnings."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "dummy",
        str(ROOT / "docs"),
        str(tmp_path),
    ]
    made = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "MCEGNN_DOCS_EXECUTE": "off"},
    )
    assert made.returncode == 0, made.stderr
    assert not made.stderr
