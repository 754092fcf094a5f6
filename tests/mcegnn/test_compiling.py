"""What is said while a first run waits for compiled code, and compiled potentials whose code two
processes make."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from numba import njit

from mcegnn.cli import progress
from mcegnn.cli.compiling import compiling_told


def compile_something(seconds: float) -> None:
    """Have numba compile a new function, for so long at least."""
    from numba.extending import overload

    def wait() -> int:
        return 0

    @overload(wait)
    def _wait() -> Any:
        time.sleep(seconds)
        return lambda: 0

    njit(lambda: wait())()


@pytest.mark.parametrize(
    ("first", "quiet", "lines"), [(0.05, False, 1), (0.05, True, 0), (600.0, False, 0)]
)
def test_a_line_once_where_it_takes_a_while(
    first: float,
    quiet: bool,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_FIRST_SECONDS", first)
    with compiling_told(quiet):
        compile_something(0.5)
        compile_something(0.5)
    assert capsys.readouterr().err.count("compiling for this machine") == lines
    compile_something(0.5)  # outside nothing is said
    assert capsys.readouterr().err == ""


FORCES = """
import subprocess
from unittest.mock import patch
from ase.build import molecule
from mcegnn import from_atoms, load
from mcegnn.compiled import phases

started, real = [], subprocess.Popen
def start(*arguments, **options):
    started.append(real(*arguments, **options))
    return started[-1]
with patch.object(phases, "available_cores", lambda: 2), patch.object(subprocess, "Popen", start):
    if CHILD:
        phases._CHILD = CHILD
    found = load("ethanol").as_potential()(from_atoms(molecule("CH3CH2OH")))
print(len(started), started[0].returncode if started else None, found.forces.tobytes().hex())
"""


@pytest.mark.slow
def test_code_of_another_process(tmp_path: Path) -> None:
    """Another process compiles half of it where nothing is kept yet; one that fails is no loss; the
    next time nothing is compiled; and all forces are the same, bitwise."""
    found = []
    for child, kept in (("", "one"), ("", "one"), ("raise SystemExit(3)", "other")):
        code = f"CHILD = {child!r}\n{FORCES}"
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / kept)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
            check=True,
        )
        found.append(done.stdout.split())
    assert [one[:2] for one in found] == [["1", "0"], ["0", "None"], ["1", "3"]]
    assert found[0][2] == found[1][2] == found[2][2]
