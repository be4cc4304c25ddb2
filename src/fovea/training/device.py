"""The device a loop runs on."""

from __future__ import annotations

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
    return device
