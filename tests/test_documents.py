"""What people read and run: the README's examples, and the notebooks, which are pairs of a script and a notebook without outputs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_in_step_with_its_script(script: Path, tmp_path: Path) -> None:
    import jupytext

    run = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    notebook = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert sources == [cell["source"] for cell in jupytext.read(script)["cells"]]


def test_the_solar_notebook_finds_what_einstein_found(tmp_path: Path) -> None:
    """42.98 arc seconds a century; a line through a hundred years of a perihelion that the other planets pull at is good to a tenth."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "notebooks/01_solar_system.py")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = re.search(r"relativity [\d.]+: ([\d.]+) arc seconds", run.stdout)
    assert found is not None
    assert abs(float(found[1]) - 42.98) < 0.1


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_readme_runs(number: int, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", EXAMPLES[number]], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr


def test_the_readme_has_no_place_holder() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(EXAMPLES) >= 3
    assert "RESULTS_TABLE" not in text
    for link in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", text):
        assert (ROOT / (link[0] or link[1])).exists(), link
