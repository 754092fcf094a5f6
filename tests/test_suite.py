"""The tests themselves: one that hangs is named and ends with all that it started, and none depends
on how fast the machine is."""

import ast
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).parent
FILES = [
    path
    for path in sorted(TESTS.rglob("*.py"))
    if "benchmarks" not in path.parts and "cases" not in path.parts
]

_HANGS = """
import subprocess, sys
import numpy as np
from numba import njit

@njit{options}
def endless(x):
    while x[0] == 0.0:
        x[1] += 1.0
    return x[1]

def test_that_passes():
    pass

def test_that_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("child", "w").write(str(child.pid))
    endless(np.zeros(2))
"""


def hung(folder: Path, options: str, *more: str) -> str:
    """What pytest says of a test that loops in compiled code."""
    (folder / "test_hang.py").write_text(_HANGS.format(options=options))
    shutil.copy(TESTS / "conftest.py", folder)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(TESTS.parent / "setup.cfg"),
        "--rootdir",
        str(folder),
        *more,
        "test_hang.py",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode
    return done.stdout + done.stderr


def ended(pid: int) -> bool:
    """Whether a process is no more; one that nobody has waited for counts as ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("more", [("-n", "1"), ()])
def test_a_compiled_loop_without_end_is_named_and_leaves_no_process(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    """Its stack names it, and with pytest-xdist so does the list of failures, where all other tests
    have been run."""
    said = hung(tmp_path, "(nogil=True)", "--timeout=5", *more)
    assert "in test_that_hangs" in said
    if more:
        assert "1 failed, 1 passed" in said
        assert re.search(
            r"worker 'gw0' crashed while running 'test_hang.py::test_that_hangs'", said
        )
    child, waited_since = int((tmp_path / "child").read_text()), time.monotonic()
    while not ended(child) and time.monotonic() - waited_since < 60:
        time.sleep(0.1)
    assert ended(child)


def test_a_loop_that_keeps_the_interpreters_lock_is_named_too(tmp_path: Path) -> None:
    """No thread of Python's gets its turn then; the one of faulthandler needs none."""
    said = hung(tmp_path, "", "--timeout=5", "-o", "faulthandler_timeout=8")
    assert "in test_that_hangs" in said
    psutil.Process(int((tmp_path / "child").read_text())).kill()


def without(tree: ast.AST) -> Iterator[int]:
    """Lines of a file that wait for a process without a limit, or that give hypothesis a deadline,
    which conftest.py takes away."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, given = (
            ast.unparse(call.func),
            {word.arg: ast.unparse(word.value) for word in call.keywords},
        )
        waits = name in {
            "subprocess.run",
            "subprocess.check_output",
            "subprocess.check_call",
            "process.communicate",
            "process.wait",
        }
        if (waits and "timeout" not in given) or (
            name == "settings" and given.get("deadline", "None") != "None"
        ):
            yield call.lineno


def test_whatever_a_test_waits_for_has_a_limit_and_no_example_a_deadline() -> None:
    found = {path: list(without(ast.parse(path.read_text(encoding="utf-8")))) for path in FILES}
    assert len(found) > 80
    assert not {str(path.relative_to(TESTS)): lines for path, lines in found.items() if lines}
