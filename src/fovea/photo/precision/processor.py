"""What this processor computes fast, and so which precision `auto` means here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from fovea.photo.precision.numbers import Precision


class Choice(NamedTuple):
    """A precision and why it was taken."""

    precision: Precision
    why: str


def best_precision(capabilities: Mapping[str, Any] | None = None) -> Choice:
    """The fastest precision here whose disparity is off by 2 % of float32's in the mean at most.

    Measured on the full network with made-up weights, see docs/photo-engines.md: int8 1.5 %.
    int8 multiplies in the transformers need VNNI or AMX to be faster; the convolutions around them
    and `bfloat16` need AVX-512 BF16 or AMX. A processor without either is slower in reduced numbers
    than in float32, which it then gets.

    Args:
        capabilities: as `torch.cpu.get_capabilities` gives them; None asks the processor.
    """
    # A torch that cannot be asked is too old for the fast kernels as well.
    ask = getattr(torch.cpu, "get_capabilities", dict[str, Any])
    found: Mapping[str, Any] = ask() if capabilities is None else capabilities
    bfloat16 = _first(found, "amx_bf16", "avx512_bf16")
    int8 = _first(found, "amx_int8", "avx512_vnni")
    if bfloat16 and int8:
        return Choice("int8", f"the processor has {int8} and {bfloat16}")
    if bfloat16:
        return Choice("bfloat16", f"the processor has {bfloat16}")
    return Choice("float32", "the processor has neither AVX-512 BF16 nor AMX")


def _first(found: Mapping[str, Any], *names: str) -> str:
    return next((name for name in names if found.get(name)), "")
