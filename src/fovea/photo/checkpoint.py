"""Checkpoints on the disk: names, shapes, and one tensor after another, mapped and not copied.

A tensor's pages are read when its values are used, so what is skipped costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fovea.errors import ArtifactError
from fovea.training.checkpoint import NOT_READ, reason

SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights, opened."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    tensor: Callable[[str], Tensor]
    """The mapped values of a key."""


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a state dict: `.safetensors`, or what `torch.save` wrote under any other suffix.

    Raises:
        ArtifactError: there is no such file, or it holds no state dict.
    """
    if not path.is_file():
        raise ArtifactError(f"weights are a file, and {path} is none. Give the path of one.")
    try:
        return _safetensors(path) if path.suffix == SAFETENSORS else _torch(path)
    except (SafetensorError, *NOT_READ) as error:
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as weights: {reason(error)}."
            " It may be cut short or of another kind; copy or download it again."
        ) from error


def _safetensors(path: Path) -> Checkpoint:
    file = safe_open(path, framework="pt")
    names: list[str] = file.keys()
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    return Checkpoint(path, shapes, file.get_tensor)


def _torch(path: Path) -> Checkpoint:
    content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not tensors by name")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"'{key}' holds a {type(value).__name__}, not a tensor")
    tensors: dict[str, Tensor] = {str(key): value for key, value in content.items()}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    return Checkpoint(path, shapes, tensors.__getitem__)
