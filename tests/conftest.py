"""What all tests share: the small inputs on which the toolkit was wrong once, and that no test may
hang or be a race."""

import faulthandler
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_timeout
from hypothesis import HealthCheck, settings

# threads that wait by spinning bring a machine to its knees whose cores others use too: a test of
# seconds then took a quarter of an hour
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# how long an example takes says how busy the machine is
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


# files that take a minute and more, the longest first: whoever is dealt one of them last is waited
# for by all others
LONG = (
    "test_wheel",
    "test_fluid",
    "test_cli_survival",
    "test_processors",
    "test_documents",
    "test_cli_random",
    "test_cache",
    "test_neighbors",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first; the order is else as it was."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of reference data, which not every machine has."""
    if "MCEGNN_DATA" not in os.environ:
        pytest.skip("MCEGNN_DATA is not set: the folder with the reference data is not known")
    return Path(os.environ["MCEGNN_DATA"])


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of those inputs; it is read and never written, so tests that write beside a file
    copy it first."""
    return Path(__file__).parent / "cases"


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """As pytest-timeout's own thread, which says where a test hangs and ends the process; the
    test's processes end with it."""
    if settings.method != "thread":
        return None
    timer = threading.Timer(settings.timeout, _end, (item, settings))
    timer.daemon = True

    def cancel() -> None:
        timer.cancel()
        timer.join()

    item.cancel_timeout = cancel  # type: ignore[attr-defined]
    timer.start()
    return True


def _end(item: pytest.Item, settings: Any) -> None:
    leave = os._exit

    def leave_nobody_behind(code: int) -> None:
        if hasattr(item.config, "workerinput"):
            faulthandler.dump_traceback(
                file=2
            )  # what a worker of pytest-xdist prints is seen by nobody
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        leave(code)

    os._exit = leave_nobody_behind  # type: ignore[assignment]  # what pytest-timeout ends with, once all is said
    pytest_timeout.timeout_timer(item, settings)


@pytest.fixture(scope="session")
def neighbor_pairs() -> Any:
    """All pairs nearer than a cutoff, from all images of all particles: the definition, at a cost
    of n^2. Called as `systems.neighbors.cells.cell_list`."""
    return _neighbor_pairs


def _neighbor_pairs(positions: Any, cell: Any, pbc: Any, cutoff: float) -> Any:
    from systems.cell import complete, heights
    from systems.neighbors.pairs import of_shifts

    x = np.asarray(positions)
    given = np.zeros((3, 3)) if cell is None else np.asarray(cell, dtype=float)
    whole = complete(given)
    outside = np.where(pbc, np.floor(x @ np.linalg.inv(whole)), 0.0)
    inside = x - outside @ whole
    reach = np.ceil(cutoff / heights(whole)).astype(int)
    far = [range(-k, k + 1) if p else range(1) for k, p in zip(reach, pbc, strict=True)]
    found = []
    for shift in np.stack(np.meshgrid(*far, indexing="ij"), -1).reshape(-1, 3):
        near = ((inside[None, :] - inside[:, None] + shift @ whole) ** 2).sum(-1) < cutoff**2
        i, j = np.nonzero(near & ~np.eye(len(x), dtype=bool) if not shift.any() else near)
        found.append(
            np.column_stack([i, j, np.broadcast_to(shift, (len(i), 3)) + outside[i] - outside[j]])
        )
    pairs = np.concatenate(found).astype(int)
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    return of_shifts(pairs[:, 0], pairs[:, 1], pairs[:, 2:], len(x))
