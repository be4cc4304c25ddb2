"""The numbers that layers may compute in."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16", "int8"]
"""`int8` is of the transformers' Linear layers alone; what surrounds them is then bfloat16."""


def map_dtype(precision: Precision) -> torch.dtype:
    """In which convolutions compute and maps are kept."""
    return torch.float32 if precision == "float32" else torch.bfloat16
