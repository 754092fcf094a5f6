"""What a benchmark reports, and how two things are timed against each other on a machine that
others use too."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

# a process says its own peak (kB) at its end: ru_maxrss would begin with that of the process which
# it was forked from
COMMAND_AND_PEAK = """
import atexit, sys
def tell():
    lines = open("/proc/self/status").read().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
atexit.register(tell)
from mcegnn.cli.app import main
main()
"""


class Row(NamedTuple):
    """One line of RESULTS.md: what was measured, the figure, and the bar it is held to ("" where it
    is only recorded)."""

    what: str
    figure: str
    bar: str = ""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int = 7
) -> tuple[float, float, float]:
    """Median of their time over ours, pair by pair in turn, and the smallest and largest: above
    one, ours is faster."""
    ratios = []
    for _ in range(repeats):
        own = seconds(ours)
        ratios.append(seconds(theirs) / own)
    return statistics.median(ratios), min(ratios), max(ratios)


def shown(values: tuple[float, float, float]) -> str:
    """A ratio with its spread."""
    return f"{values[0]:.3g} ({values[1]:.3g} to {values[2]:.3g})"
