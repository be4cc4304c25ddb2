"""Mixed batches: some lanes are streams with carried states, the others random windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fovea.errors import ConfigError
from fovea.events.settings.sampling import SamplingConfig


@dataclass(frozen=True)
class Shares:
    """How a batch and its workers are split."""

    stream: int
    """Lanes of the batch that are streams; they come first."""
    random: int
    """Lanes of the batch that are random windows."""
    stream_workers: int
    """Workers that take turns in giving the streams."""


def shares(settings: SamplingConfig, batch: int) -> Shares:
    """Split a batch as the sampling says.

    Raises:
        ConfigError: the batch is too small to be mixed.
    """
    if settings.sampling == "random":
        return Shares(stream=0, random=batch, stream_workers=0)
    if settings.sampling == "stream":
        return Shares(stream=batch, random=0, stream_workers=settings.workers)
    if batch < 2:
        raise ConfigError(
            f"a mixed batch has a stream and a random window at least, and batch is {batch}. Set"
            " batch=2 or more, or sampling=random or stream."
        )
    part = settings.w_random / (settings.w_random + settings.w_stream)
    random = min(round(batch * part), batch - 1)
    random_workers = min(math.ceil(settings.workers * random / batch), settings.workers - 1)
    return Shares(
        stream=batch - random,
        random=random,
        stream_workers=max(settings.workers - random_workers, 1),
    )
