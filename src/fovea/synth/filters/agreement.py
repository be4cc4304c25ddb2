"""Filters that ask a network how well a caption fits its picture, or one picture another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from fovea.config import setting
from fovea.errors import DataError
from fovea.synth.batch import Batch, Column
from fovea.synth.models.abilities import Find
from fovea.synth.models.loading import CLIP, DIRECTIONS, FINDER, ITM, PHRASER, Kind
from fovea.synth.models.operator import NAMED, Asking
from fovea.synth.operator import AnyOrAll, RangeFilter
from fovea.synth.thresholds import Limit

REDUCE = {"avg": lambda values: sum(values) / len(values), "max": max, "min": min}


class Agreement(Asking, RangeFilter):
    """A score for each chunk with images, reduced over its images."""

    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = "max_score"
    horizontal_flip: bool = setting(False, "mirror the pictures left to right before")
    vertical_flip: bool = setting(False, "mirror the pictures top to bottom before")
    any_or_all: AnyOrAll = setting("any", "whether one chunk that passes keeps a row, or all must")
    reduce_mode: Literal["avg", "max", "min"] = setting("avg", "over the pictures of a chunk")

    def scores(self, pairs: list[tuple[str, Any]]) -> list[float]:
        """A number for each pair of a text and a picture."""
        ((parameter, kind),) = self.asks.items()
        network = self.asked(kind, getattr(self, parameter))
        found: list[float] = []
        for some in self.in_batches(pairs):
            found += network.agreement([image for _, image in some], [text for text, _ in some])
        return found

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Score every row; pairs of several rows are asked about together."""
        rows = [self.chunks(batch, number) for number in range(len(batch))]
        pairs = [
            (text, self._turned(image)) for row in rows for text, images in row for image in images
        ]
        left = iter(self.scores(pairs))
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
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_clip": CLIP}
    hf_clip: str = setting("openai/clip-vit-base-patch32", NAMED, local_only=True)
    min_score: Limit = setting(0.1, "smallest score kept")
    max_score: Limit = setting(1.0, "largest score kept")


class ImageTextMatching(Agreement):
    """Keeps rows whose captions are of their pictures by BLIP's matching head."""

    metrics: ClassVar[tuple[str, ...]] = ("image_text_matching_score",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_blip": ITM}
    hf_blip: str = setting("Salesforce/blip-itm-base-coco", NAMED, local_only=True)
    min_score: Limit = setting(0.003, "smallest score kept")
    max_score: Limit = setting(1.0, "largest score kept")


class PhraseGroundingRecall(Agreement):
    """Keeps rows whose pictures show what the noun phrases of their captions name.

    The score is the part of the phrases that a detector finds; a caption without phrases has 1.
    """

    metrics: ClassVar[tuple[str, ...]] = ("phrase_grounding_recall",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_owlvit": FINDER, "tagger": PHRASER}
    extras: ClassVar[tuple[str, ...]] = ("nltk",)
    low: ClassVar[str] = "min_recall"
    high: ClassVar[str] = "max_recall"
    hf_owlvit: str = setting("google/owlvit-base-patch32", NAMED, local_only=True)
    tagger: str = setting(
        "eng", "NLTK's tagger: eng, rus, local:FOLDER of nltk_data, or module:FACTORY",
        local_only=True,
    )  # fmt: skip
    min_recall: Limit = setting(0.1, "smallest part of phrases")
    max_recall: Limit = setting(1.0, "largest part of phrases")
    iou_thr: float = setting(0.5, "a box that overlaps a found one by more is none", ge=0, le=1)
    large_area_ratio_thr: float = setting(
        0.95, "a box over more of the picture is none", ge=0, le=1
    )
    conf_thr: float = setting(0.0, "least score of a box", ge=0, le=1)

    def scores(self, pairs: list[tuple[str, Any]]) -> list[float]:
        """The recall of each pair."""
        phraser, finder = self.asked(PHRASER, self.tagger), self.asked(FINDER, self.hf_owlvit)
        named = {text: phraser.phrases(text) for text, _ in pairs}
        recalls: list[float] = []
        for text, image in pairs:
            if not (phrases := named[text]):
                recalls.append(1.0)
                continue
            (finds,) = finder.found([image], phrases, self.conf_thr)
            recalls.append(self._hits(finds, phrases, image.width * image.height) / len(phrases))
        return recalls

    def _hits(self, finds: list[Find], phrases: list[str], area: float) -> int:
        """How many of the best finds are of a phrase of their own, at a place of their own."""
        hit: dict[str, Find] = {}
        ordered = sorted(finds, key=lambda find: -find.score)[: len(phrases)]
        for find in ordered:
            is_large = find.area > self.large_area_ratio_thr * area
            is_taken = any(find.overlap(other) > self.iou_thr for other in hit.values())
            if phrases[find.label] not in hit and not is_large and not is_taken:
                hit[phrases[find.label]] = find
        return len(hit)


class ImagePairSimilarity(Asking, RangeFilter):
    """Keeps rows whose two pictures are alike by CLIP."""

    metrics: ClassVar[tuple[str, ...]] = ("image_pair_similarity",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_clip": DIRECTIONS}
    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = "max_score"
    hf_clip: str = setting("openai/clip-vit-base-patch32", NAMED, local_only=True)
    min_score: Limit = setting(0.1, "smallest cosine")
    max_score: Limit = setting(1.0, "largest cosine")
    any_or_all: AnyOrAll = setting("any", "taken and without effect: a row has one score")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """The cosine of each row's pictures.

        Raises:
            DataError: a row does not have two different pictures.
        """
        network = self.asked(DIRECTIONS, self.hf_clip)
        pictures = [image for number in range(len(batch)) for image in self._pair(batch, number)]
        found = [network.directions(some) for some in self.in_batches(pictures)]
        if not found:
            return {self.metrics[0]: np.zeros(0)}
        directions = np.concatenate(found).reshape(len(batch), 2, -1).astype(np.float64)
        return {self.metrics[0]: (directions[:, 0] * directions[:, 1]).sum(-1)}

    def _pair(self, batch: Batch, number: int) -> list[Any]:
        names = batch.images(number, self.image_field)
        if len(names) != 2 or names[0] == names[1]:
            raise DataError(
                f"{self.name} looks at rows of two different pictures; this one has "
                f"{', '.join(names) or 'none'}. Take such rows out before."
            )
        return self.decoded(batch, number)
