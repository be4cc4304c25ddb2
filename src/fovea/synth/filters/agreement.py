"""Filters that ask a network how well a caption fits its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from fovea.config import setting
from fovea.synth.batch import Batch, Column
from fovea.synth.models.abilities import Matcher
from fovea.synth.models.loading import matcher
from fovea.synth.models.operator import Asking
from fovea.synth.operator import AnyOrAll, RangeFilter
from fovea.synth.thresholds import Limit

REDUCE = {"avg": lambda values: sum(values) / len(values), "max": max, "min": min}


class Agreement(Asking, RangeFilter):
    """A score for each chunk with images, reduced over its images."""

    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = "max_score"
    max_score: Limit = setting(1.0, "largest score kept")
    horizontal_flip: bool = setting(False, "mirror the pictures left to right before")
    vertical_flip: bool = setting(False, "mirror the pictures top to bottom before")
    any_or_all: AnyOrAll = setting("any", "whether one chunk that passes keeps a row, or all must")
    reduce_mode: Literal["avg", "max", "min"] = setting("avg", "over the pictures of a chunk")

    def asked(self) -> Matcher:
        """The network."""
        raise NotImplementedError

    def load(self) -> None:
        """Load the network, once in each process."""
        self.asked()

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Score every row; pairs of several rows are asked about together."""
        rows = [self.chunks(batch, number) for number in range(len(batch))]
        pairs = [(text, image) for row in rows for text, images in row for image in images]
        scores: list[float] = []
        for start in range(0, len(pairs), self.batch_size):
            some = pairs[start : start + self.batch_size]
            seen = [self._turned(image) for _, image in some]
            scores += self.asked().agreement(seen, [text for text, _ in some])
        left = iter(scores)
        reduce = REDUCE[self.reduce_mode]
        found = [[reduce([next(left) for _ in images]) for _, images in row] for row in rows]
        return {self.metrics[0]: found}

    def _turned(self, image: Any) -> Any:
        from PIL import ImageOps

        image = ImageOps.mirror(image) if self.horizontal_flip else image
        return ImageOps.flip(image) if self.vertical_flip else image


class ImageTextSimilarity(Agreement):
    """Keeps rows whose captions are near their pictures by CLIP."""

    metrics: ClassVar[tuple[str, ...]] = ("image_text_similarity",)
    hf_clip: str = setting(
        "openai/clip-vit-base-patch32", "local:FOLDER, hf:NAME, module:FACTORY or a name",
        local_only=True,
    )  # fmt: skip
    min_score: Limit = setting(0.1, "smallest score kept")

    def asked(self) -> Matcher:
        """CLIP."""
        return matcher(self.hf_clip, download=self.allow_download, device=self.accelerator)


class ImageTextMatching(Agreement):
    """Keeps rows whose captions are of their pictures by BLIP's matching head."""

    metrics: ClassVar[tuple[str, ...]] = ("image_text_matching_score",)
    hf_blip: str = setting(
        "Salesforce/blip-itm-base-coco", "local:FOLDER, hf:NAME, module:FACTORY or a name",
        local_only=True,
    )  # fmt: skip
    min_score: Limit = setting(0.003, "smallest score kept")

    def asked(self) -> Matcher:
        """BLIP's head."""
        return matcher(
            self.hf_blip, kind="itm", download=self.allow_download, device=self.accelerator
        )
