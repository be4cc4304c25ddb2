"""The device a loop runs on."""

from __future__ import annotations

import ctypes
import sys

import torch

from fovea.errors import BackendError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The numbers by which glibc's `mallopt` knows these two thresholds (malloc.h)."""
KEEP_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Have this process keep the memory that tensors free, for the next ones.

    glibc gives large blocks back to the system at once, and a loop on the CPU that makes the same
    tensors at every step then spends more on fresh pages than on arithmetic: SSIM at 200x200 takes
    twice as long. Other systems' allocators keep blocks by themselves.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, KEEP_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)


def torch_device(name: str) -> torch.device:
    """The device of that name, `cpu` or `cuda:0`, checked to be there.

    Raises:
        BackendError: torch does not know it or cannot reach it.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackendError(f"'{name}' is not a device; take cpu or cuda:0.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError(
            f"device {name} was asked for, and torch {torch.__version__} sees no GPU. Take"
            " device=cpu, or install the CUDA build of torch."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BackendError(
            f"device {name} was asked for, and there are {torch.cuda.device_count()} GPUs, counted"
            " from cuda:0."
        )
    return device
