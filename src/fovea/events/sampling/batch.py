"""Batches: samples side by side as tensors, and the reading ahead of them.

Notation: L steps, B lanes, [L, B, channels, height, width].
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from fovea.events.labels import Labels
from fovea.events.sampling.window import Sample

Plan = TypeVar("Plan")


@dataclass(frozen=True)
class Batch:
    """What the network is given at once; lane `b` goes on where lane `b` of its worker was."""

    histograms: UInt8[Tensor, "length batch channels height width"]
    labels: list[list[Labels | None]]
    """Over steps, then lanes."""
    hidden: list[list[Labels | None]]
    """Ground truth that training must not see, likewise."""
    is_first: Bool[Tensor, " batch"]
    """Where the recurrent state begins anew."""
    is_last: Bool[Tensor, " batch"]
    is_padded: Bool[Tensor, "length batch"]
    is_reversed: Bool[Tensor, " batch"]
    paths: list[str]
    """The recording's folder of each lane; empty where there is only padding."""
    frames: Int64[Tensor, "length batch"]
    """The histogram of each step in its recording; -1 is padding."""
    worker: int = 0
    """Whose states these are."""

    def __len__(self) -> int:
        """The number of lanes."""
        return len(self.paths)


def collated(
    samples: Sequence[Sample],
    histograms: UInt8[np.ndarray, "length batch channels height width"],
    *,
    worker: int = 0,
) -> Batch:
    """Samples as the lanes of a batch.

    Args:
        samples: one for each lane.
        histograms: theirs, as they lie side by side.
        worker: whose states these are.
    """
    steps = range(len(histograms))
    return Batch(
        histograms=torch.from_numpy(histograms),
        labels=[[sample.labels[step] for sample in samples] for step in steps],
        hidden=[[sample.hidden[step] for sample in samples] for step in steps],
        is_first=torch.tensor([sample.is_first for sample in samples]),
        is_last=torch.tensor([sample.is_last for sample in samples]),
        is_padded=torch.from_numpy(np.stack([sample.is_padded for sample in samples], axis=1)),
        is_reversed=torch.tensor([sample.is_reversed for sample in samples]),
        paths=[sample.path for sample in samples],
        frames=torch.from_numpy(np.stack([sample.frames for sample in samples], axis=1)),
        worker=worker,
    )


def read_ahead(
    plans: Iterable[Plan], read: Callable[[Plan], Batch], *, threads: int
) -> Iterator[Batch]:
    """The batch of each plan, in their order; threads read the next ones meanwhile.

    As a plan says all there is to know, the batches are the same for any number of threads.
    """
    if not threads:
        yield from map(read, plans)
        return
    plans = iter(plans)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sampling")
    try:
        waiting: deque[Future[Batch]] = deque(
            pool.submit(read, plan) for plan in islice(plans, threads + 1)
        )
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(read, plan) for plan in islice(plans, 1))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
