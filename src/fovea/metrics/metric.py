"""What every metric is: it accumulates, then says one number with a direction and a unit.

`update` it with each image and its target; then `compute()` says 31.4, `unit` says "dB" and
`direction` "max": more is better.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch

from fovea.errors import DataError

Direction = Literal["min", "max"]


@runtime_checkable
class Metric(Protocol):
    """A number that can be trusted, and read without knowing which one it is."""

    name: str
    """As it is logged, `psnr`."""
    direction: Direction
    """Which way is better."""
    unit: str
    """Printed beside the number; empty for a pure one."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take one item, or a batch of them, into account."""
        ...

    def compute(self) -> float:
        """The value over all items so far."""
        ...

    def reset(self) -> None:
        """Forget all items."""
        ...


class MeanMetric(ABC):
    """A metric that is the mean of one score an item; a subclass says what an item scores."""

    name: ClassVar[str]
    direction: ClassVar[Direction]
    unit: ClassVar[str] = ""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all items."""
        self._scores: list[float] = []

    def update(self, image: torch.Tensor, target: torch.Tensor, **rest: Any) -> None:
        """Score one image, [height, width, channels], or a batch, [batch, height, width, channels].

        Raises:
            DataError: the two differ in shape, or are not images.
        """
        check_pair(image, target)
        with torch.no_grad():
            scores = self.scores(image.detach(), target.detach(), **rest)
        self._scores.extend(float(score) for score in scores.reshape(-1))

    @abstractmethod
    def scores(self, image: torch.Tensor, target: torch.Tensor, **rest: Any) -> torch.Tensor:
        """One score an item."""

    def compute(self) -> float:
        """The mean over all items so far.

        Raises:
            DataError: there were none.
        """
        if not self._scores:
            raise DataError(
                f"{self.name} was asked for its value before it saw an image. update() it first."
            )
        return sum(self._scores) / len(self._scores)


def check_pair(image: torch.Tensor, target: torch.Tensor) -> None:
    """Refuse a pair that cannot be compared pixel by pixel.

    Raises:
        DataError: shapes differ or are not [height, width, channels] with or without a batch.
    """
    if image.shape != target.shape:
        raise DataError(
            f"an image and its target have the same shape; found {tuple(image.shape)} and "
            f"{tuple(target.shape)}. Resize one of them, or cut off alpha."
        )
    if image.ndim not in (3, 4):
        raise DataError(
            f"an image is [height, width, channels], a batch [batch, height, width, channels]; "
            f"found {tuple(image.shape)}. Move the channels last."
        )
