"""Giving back the memory of weights that are mapped from a file.

Pages of a mapped file count as memory of the process once they were read. They can be dropped at
any time: the next reader gets them from the file again, most often from the system's cache.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor


def release(tensors: Iterable[Tensor]) -> None:
    """Drop the pages of those tensors that are mapped from a file; leave all others alone."""
    if not sys.platform.startswith("linux"):
        return
    mapped = list(_file_mappings())
    advise = ctypes.CDLL(None, use_errno=True).madvise
    for tensor in tensors:
        first = tensor.data_ptr()
        end = first + tensor.numel() * tensor.element_size()
        # Only whole pages: the first and the last may hold another tensor's values as well.
        first, end = (
            -(-first // mmap.PAGESIZE) * mmap.PAGESIZE,
            end // mmap.PAGESIZE * mmap.PAGESIZE,
        )
        if end > first and any(start <= first and end <= stop for start, stop in mapped):
            advise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), mmap.MADV_DONTNEED)


def _file_mappings() -> Iterable[tuple[int, int]]:
    # A line: 7f00-7f80 r--p 0000 08:01 1234 /path; memory without a file has the inode 0. Only what
    # cannot have been written to comes back from the file as it was.
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, inode, *_ = line.split()
        if inode != "0":
            first, _, end = span.partition("-")
            yield int(first, 16), int(end, 16)
