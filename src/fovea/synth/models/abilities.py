"""What operators ask of networks, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image


class Captioner(Protocol):
    """Says what is to be seen."""

    def captions(
        self,
        pictures: Sequence[Image.Image],
        prompts: Sequence[str | None] | None = None,
        count: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """`count` captions of each picture; one is the likeliest, several are drawn."""
        ...


class Matcher(Protocol):
    """Says how well a text fits a picture."""

    def agreement(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """How well each text fits its picture; more is better."""
        ...
