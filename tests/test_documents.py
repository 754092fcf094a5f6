"""What people read and run: the README's examples, and the notebooks, which are pairs of a script
and a notebook without outputs."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PAGES = ("README.md", "docs/examples.md", "docs/measured.md", "docs/built.md")
EXAMPLES = {
    f"{page} {number}": code
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    )
}


def stored(name: str) -> Any:
    import nbformat

    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A notebook as it is after all its cells have run in a kernel of its own, without our data
    sets; each is run once."""
    from nbclient import NotebookClient

    # kernels share the cores with other tests: idle threads that spin would make them slow
    environment = {key: value for key, value in os.environ.items() if key != "MCEGNN_DATA"} | {
        "OMP_NUM_THREADS": "1"
    }

    @cache
    def run(name: str) -> Any:
        notebook, folder = stored(name), tmp_path_factory.mktemp(name)
        NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": str(folder)}}
        ).execute(env=environment)
        return notebook

    return run


def printed(notebook: Any) -> str:
    """All that its cells have printed."""
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.get("name") == "stdout"
    )


def images(cell: Any) -> list[str]:
    return [
        output.data["image/png"]
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]


def test_every_script_has_its_notebook() -> None:
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.py")) == NOTEBOOKS
    assert NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_in_step_with_its_script_and_has_no_outputs(name: str) -> None:
    import jupytext

    notebook, script = stored(name), jupytext.read(ROOT / "notebooks" / f"{name}.py")
    for which in ("cell_type", "source"):
        assert [cell[which] for cell in notebook.cells] == [cell[which] for cell in script.cells]
    assert [cell.metadata.get("tags") for cell in notebook.cells] == [
        cell.metadata.get("tags") for cell in script.cells
    ]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_a_fresh_kernel_and_shows_its_figures(
    name: str, executed: Callable[[str], Any]
) -> None:
    cells = executed(name).cells
    figures = [cell for cell in cells if cell.source.endswith("\nfigure")]
    assert figures
    assert all(images(cell) for cell in figures)
    assert [cell.metadata.get("tags") for cell in figures].count(["thumbnail"]) == 1


@pytest.mark.slow
def test_the_solar_notebook_finds_what_einstein_found(executed: Callable[[str], Any]) -> None:
    """42.98 arc seconds a century; a line through a hundred years of a perihelion that the other
    planets pull at is good to a tenth."""
    found = re.search(
        r"relativity [\d.]+: ([\d.]+) arc seconds", printed(executed("01_solar_system"))
    )
    assert found is not None
    assert abs(float(found[1]) - 42.98) < 0.1


@pytest.mark.slow
def test_the_solar_notebook_finds_the_orders_of_the_integrators(
    executed: Callable[[str], Any],
) -> None:
    found = dict(re.findall(r"(\S[\w -]+\S) +slope ([\d.]+)", printed(executed("01_solar_system"))))
    assert {name: round(float(slope)) for name, slope in found.items()} == {
        "velocity Verlet": 2,
        "Yoshida 4": 4,
        "Wisdom-Holman": 2,
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_documents_runs(name: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", EXAMPLES[name]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "RESULTS_TABLE" not in text
    for link in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", text):
        assert ((ROOT / page).parent / (link[0] or link[1])).exists(), link


def test_the_readme_is_for_newcomers() -> None:
    """Short enough to be read, with examples that are run by the test above."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
    assert sum(name.startswith("README") for name in EXAMPLES) >= 3
