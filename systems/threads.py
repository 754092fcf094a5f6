"""Threads that compiled functions share their work between."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from typing import Any


def shared(work: Callable[[int], Any], threads: int) -> list[Any]:
    """The work of each thread: the kernels hold no lock."""
    if threads == 1:
        return [work(0)]
    others = [_pool(threads - 1).submit(work, k) for k in range(1, threads)]
    try:
        first = work(0)  # whoever asks does not sit idle
    finally:
        wait(others)  # where one fails, none must work on at what is begun anew
    return [first, *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads are kept: to start them takes as long as a list of a thousand particles."""
    return ThreadPoolExecutor(threads)


with suppress(AttributeError):  # Windows does not fork
    # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
