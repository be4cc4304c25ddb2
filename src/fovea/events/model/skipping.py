"""A pickle reader for `torch.load` that reads tensors and skips everything else.

Nothing of a file is run: a class or function that does not belong to tensors becomes a `Skipped`,
which takes whatever it is given and does nothing.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pickle import UnpicklingError, load, loads
from typing import Any

__all__ = ["Skipped", "Unpickler", "UnpicklingError", "load", "loads"]
_TENSOR_PARTS = {
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"
}  # fmt: skip
_PLAIN: dict[tuple[str, str], Any] = {("collections", "OrderedDict"): OrderedDict}


class Skipped:
    """Stands for an object of which nothing is read."""

    def __new__(cls, *_: Any, **__: Any) -> Skipped:
        """Takes any arguments."""
        return super().__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Skipped:
        """Does nothing, as what it stands for might not."""
        return self

    def __setstate__(self, state: Any) -> None:
        """Takes the state and forgets it."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Takes an entry and forgets it."""

    def append(self, value: Any) -> None:
        """Takes a value and forgets it."""

    def extend(self, values: Any) -> None:
        """Takes values and forgets them."""

    def add(self, value: Any) -> None:
        """Takes a value and forgets it."""


class Unpickler(pickle.Unpickler):
    """Finds what tensors are made of, and `Skipped` for all else."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """What a name in the file stands for."""
        if (module_name, global_name) in _PLAIN:
            return _PLAIN[module_name, global_name]
        is_part = module_name == "torch._utils" and global_name in _TENSOR_PARTS
        if is_part or (module_name == "torch" and global_name in ("Size", "device")):
            return super().find_class(module_name, global_name)
        if module_name == "torch" and not global_name.startswith("_"):
            import torch

            found = getattr(torch, global_name, None)
            if isinstance(found, torch.dtype):
                return found
        return Skipped
