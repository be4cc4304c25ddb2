"""Share the parts of a kernel among threads.

Kernels hold no lock and each part writes where no other does, so plain threads do: no threading
    layer of Numba's is needed,
several callers may draw at once, and the result is the same for any number of threads. Their number
is torch's, `torch.get_num_threads()`.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

PARTS_PER_THREAD = 8
"""More parts than threads, so that a thread that was held up leaves its share to the others."""

_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}


def share(kernel: Callable[..., Any], *arguments: Any, parts: int | None = None) -> None:
    """Call `kernel(part, parts, *arguments)` for every part, and return when all are done."""
    threads = torch.get_num_threads()
    if parts is None:
        parts = 1 if threads == 1 else threads * PARTS_PER_THREAD
    if threads == 1 or parts == 1:
        for part in range(parts):
            kernel(part, parts, *arguments)
        return
    waiting = itertools.count()

    def work() -> None:
        while (part := next(waiting)) < parts:
            kernel(part, parts, *arguments)

    others = [_pool().submit(work) for _ in range(min(threads, parts) - 1)]
    work()
    for other in others:
        other.result()


def _pool() -> ThreadPoolExecutor:
    """The pool of this process; a forked child does not inherit its parent's threads."""
    with _lock:
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = ThreadPoolExecutor(
                max_workers=os.cpu_count() or 1, thread_name_prefix="fovea-raster"
            )
        return _pools[os.getpid()]
