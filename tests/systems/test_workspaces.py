"""Workspaces belong to one call at a time; and threads of a forked process are its own."""

import copy
import os
import pickle
import subprocess
import sys

import pytest

from systems.workspaces import Workspaces


def test_one_call_at_a_time() -> None:
    idle: Workspaces[list[int]] = Workspaces(most=2)
    assert idle.take() is None
    for k in range(3):
        idle.give([k])
    assert len(idle) == 2  # the one that nobody has used for longest is let go
    assert [idle.take(), idle.take(), idle.take()] == [[2], [1], None]


def test_copies_begin_with_none() -> None:
    idle: Workspaces[list[int]] = Workspaces(most=3)
    idle.give([1])
    for twin in (copy.copy(idle), copy.deepcopy(idle), pickle.loads(pickle.dumps(idle))):
        assert twin.take() is None
        for k in range(5):
            twin.give([k])
        assert len(twin) == 3
    assert idle.take() == [1]


FORK = """
import os, signal, time
from systems.threads import shared

shared(lambda k: time.sleep(0.3), 3)  # long enough for each thread to be started
time.sleep(0.3)
child = os.fork()
if not child:
    signal.alarm(30)
    os._exit(0 if shared(lambda k: k, 3) == [0, 1, 2] else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_starts_its_own_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
