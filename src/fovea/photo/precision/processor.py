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
    """The fastest precision here that keeps pictures of a scene above 30 dB of float32's.

    Measured on the full network with made-up weights, see docs/photo-engines.md: bfloat16 keeps
    32 dB in half the time. int8 saves another tenth and keeps 27 dB, so that one has to ask for it.
    A processor without AVX-512 BF16 or AMX is slower in bfloat16 than in float32, which it gets.

    Args:
        capabilities: as `torch.cpu.get_capabilities` gives them; None asks the processor.
    """
    # A torch that cannot be asked is too old for the fast kernels as well.
    ask = getattr(torch.cpu, "get_capabilities", dict[str, Any])
    found: Mapping[str, Any] = ask() if capabilities is None else capabilities
    bfloat16 = _first(found, "amx_bf16", "avx512_bf16")
    if bfloat16:
        return Choice("bfloat16", f"the processor has {bfloat16}")
    return Choice("float32", "the processor has neither AVX-512 BF16 nor AMX")


def _first(found: Mapping[str, Any], *names: str) -> str:
    return next((name for name in names if found.get(name)), "")
