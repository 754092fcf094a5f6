"""How the documentation is built: `make docs`, or sphinx-build docs docs/_build/html.

Pages are Markdown, the reference is reStructuredText. Notebooks are executed once and kept in
_build/.jupyter_cache; MCEGNN_DOCS_EXECUTE=off leaves them as they are.
"""

import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import NewType

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT)]
os.environ["PYTHONPATH"] = str(ROOT)

import pydantic  # noqa: E402

import systems.arrays  # noqa: E402

# options of a task are options: in signatures SerializeAsAny[DataOptions] is DataOptions
pydantic.SerializeAsAny.__class_getitem__ = classmethod(lambda _, options: options)

# Any to a type checker; in signatures it keeps its name
systems.arrays.Array = NewType("Array", object)

# where a package exports a function that has the name of its module, the module is what is
# described
for package in ("systems", "integrators", "trajectories", "mcegnn"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        parent, _, last = found.name.rpartition(".")
        if not last.startswith("_") and parent != "mcegnn.cli":
            setattr(sys.modules[parent], last, importlib.import_module(found.name))

project = "mcegnn"
version = release = version_of("mcegnn")
extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "docstrings",
    "gallery",
    "mathml",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!(systems|integrators|trajectories|mcegnn)\.).*")]

default_role = "py:obj"
smartquotes = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
add_module_names = False
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "special-members": "__call__",
    "ignore-module-all": True,
}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"

myst_enable_extensions = ["html_image", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off" if os.environ.get("MCEGNN_DOCS_EXECUTE") == "off" else "cache"
nb_execution_cache_path = str(DOCS / "_build" / ".jupyter_cache")
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "mcegnn"
html_static_path = ["_static"]
html_css_files = ["mcegnn.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = False


def put(path: Path, text: str) -> None:
    """Write a file unless it has this text already: a page that is newer is read again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def copied(source: Path, target: Path) -> None:
    """The notebooks and their pictures beside the other pages, and none that are no longer
    there."""
    target.mkdir(exist_ok=True)
    for old in target.glob("*.ipynb"):
        if not (source / old.name).exists():
            old.unlink()
    for path in source.glob("*.ipynb"):
        put(target / path.name, path.read_text(encoding="utf-8"))
    shutil.copytree(source / "pictures", target / "pictures", dirs_exist_ok=True)


def without_leftovers(folder: Path) -> None:
    """Generated pages of modules that no page lists any more are removed."""
    listed = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.glob("api/*.rst")).split()
    for page in folder.glob("*.rst"):
        if page.stem not in listed:
            page.unlink()


def linked(text: str) -> str:
    """The list of commands with links to them, and with their first sentences whole."""
    for name, sentence in re.findall(
        r"^## `mcegnn (\w+)`\n\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL
    ):
        text = re.sub(
            rf"^\* `{name}`: .*$",
            f"* [`{name}`](#mcegnn-{name}): {sentence}",
            text,
            flags=re.MULTILINE,
        )
    return text


# kernels that know nothing of the user's own settings, and complain of errors only
profile = DOCS / "_build" / ".ipython" / "profile_default" / "ipython_kernel_config.py"
profile.parent.mkdir(parents=True, exist_ok=True)
put(profile, "c.IPKernelApp.log_level = 40\n")
os.environ["IPYTHONDIR"] = str(profile.parents[1])
os.environ["MPLBACKEND"] = "Agg"

copied(ROOT / "notebooks", DOCS / "tutorials")
without_leftovers(DOCS / "api" / "generated")
command = [sys.executable, "-m", "typer", "mcegnn.cli.app", "utils", "docs", "--name", "mcegnn"]
described = subprocess.run(
    command, capture_output=True, text=True, check=True, env={**os.environ, "TERM": "dumb"}
).stdout
put(DOCS / "commands.md", linked(described.replace("# `mcegnn`", "# Command line", 1)))
