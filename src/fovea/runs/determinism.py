"""The same numbers in every run of one machine: what `--deterministic` asks of torch.

On a CPU fovea's stages give the same bytes anyway. On a GPU, sums whose order is left to chance
make runs differ in their last digits; torch then takes slower operations, and fails where an
operation has no deterministic form.

Source: https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from contextlib import contextmanager

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WITHOUT_A_FORM = "does not have a deterministic implementation"


@contextmanager
def deterministic(is_asked: bool) -> Generator[None]:
    """Have torch work deterministically inside the block, where that is asked and torch there."""
    if not is_asked or importlib.util.find_spec("torch") is None:
        yield
        return
    os.environ.setdefault(WORKSPACE, ":4096:8")  # cuBLAS reads it when a GPU is first used
    import torch

    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.deterministic
    torch.use_deterministic_algorithms(True)
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.benchmark, cudnn.deterministic = before[1:]
