"""Batches of alike length, pictures and plain texts apart.

Source: LLaVA's `group_by_modality_length`, order for order; a length is negative for a sample
without an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def grouped_by_length(
    lengths: Sequence[int],
    *,
    batch_size: int,
    world_size: int,
    generator: torch.Generator | None = None,
    kinds: torch.Generator | None = None,
) -> list[int]:
    """An order of samples in which neighbours are about as long, and of one kind.

    Args:
        lengths: words of each sample, negative without an image; none is 0.
        batch_size: samples a device and step.
        world_size: devices times accumulated steps.
        generator: shuffles the batches; where all samples are of one kind, the samples as well.
        kinds: shuffles the samples of each kind; torch's own where there is none.
    """
    pictures = [i for i, length in enumerate(lengths) if length > 0]
    texts = [i for i, length in enumerate(lengths) if length <= 0]
    if not pictures or not texts:
        # Plain texts alone keep their negative lengths in the reference: the shortest come first.
        return _grouped(lengths, batch_size, world_size, generator)
    orders: list[list[int]] = []
    for members in (pictures, texts):
        plain = [abs(lengths[i]) for i in members]
        orders.append([members[i] for i in _grouped(plain, batch_size, world_size, kinds)])
    size = world_size * batch_size
    batches = [_cut(order, size) for order in orders]
    left_over = sorted(index for kind in batches for index in kind[-1])
    whole = [batch for kind in batches for batch in kind[:-1]]
    shuffled = torch.randperm(len(whole), generator=generator).tolist()
    return [index for place in shuffled for index in whole[place]] + left_over


def _grouped(
    lengths: Sequence[int], batch_size: int, world_size: int, generator: torch.Generator | None
) -> list[int]:
    order = torch.randperm(len(lengths), generator=generator).tolist()
    grouped: list[int] = []
    for batch in _cut(order, world_size * batch_size):
        by_length = sorted(batch, key=lambda index: lengths[index], reverse=True)
        for chunk in _even(by_length, lengths, world_size):
            grouped += chunk
    return grouped


def _even(indices: Sequence[int], lengths: Sequence[int], chunks: int) -> list[list[int]]:
    """Cut into chunks of the same number and about the same sum of lengths."""
    if len(indices) % chunks:
        return [list(indices[place::chunks]) for place in range(chunks)]
    most = len(indices) // chunks
    parts: list[list[int]] = [[] for _ in range(chunks)]
    sums = [0.0] * chunks
    for index in indices:
        shortest = sums.index(min(sums))
        parts[shortest].append(index)
        sums[shortest] += lengths[index]
        if len(parts[shortest]) == most:
            sums[shortest] = float("inf")
    return parts


def _cut(order: Sequence[int], size: int) -> list[list[int]]:
    return [list(order[start : start + size]) for start in range(0, len(order), size)]
