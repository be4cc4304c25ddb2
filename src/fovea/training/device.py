"""The device a loop runs on."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from fovea.errors import BackendError


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
    if device.type == "cuda":
        use_switches(os.environ)
    return device


def use_switches(environment: Mapping[str, str]) -> None:
    """Obey FOVEA_CUDNN_BENCHMARK and FOVEA_TF32, each 0 or 1; without one torch's own stands."""
    benchmark, tf32 = (environment.get(f"FOVEA_{name}") for name in ("CUDNN_BENCHMARK", "TF32"))
    if benchmark is not None:
        torch.backends.cudnn.benchmark = benchmark == "1"
    if tf32 is not None:
        torch.backends.cuda.matmul.allow_tf32 = tf32 == "1"
        torch.backends.cudnn.allow_tf32 = tf32 == "1"
