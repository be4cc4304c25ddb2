"""Filters that ask a network for a number of each picture: fit for work, watermarked, beautiful."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from fovea.config import setting
from fovea.synth.batch import Batch, Column
from fovea.synth.models.loading import AESTHETICS, SECOND_CLASS, Kind
from fovea.synth.models.operator import NAMED, Asking
from fovea.synth.operator import AnyOrAll, Quirk, RangeFilter
from fovea.synth.thresholds import Limit


class Judged(Asking, RangeFilter):
    """A number for each image; a row without images passes."""

    quirks: ClassVar[tuple[Quirk, ...]] = ("distinct_paths",)
    any_or_all: AnyOrAll = setting("any", "whether one image must pass, or all")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Judge every image; those of several rows together, and equal ones of a row once."""
        rows = [list(self.pictures(batch, number)) for number in range(len(batch))]
        distinct = [list(dict.fromkeys(row)) for row in rows]
        network = self._network()
        images = [batch.pictures.decoded(*found) for row in distinct for found in row]
        scores = iter([s for some in self.in_batches(images) for s in network.judged(some)])
        judged = [{found: next(scores) for found in row} for row in distinct]
        asked = distinct if self.is_odd("distinct_paths") else rows
        found = [[known[one] for one in row] for row, known in zip(asked, judged, strict=True)]
        return {self.metrics[0]: found}

    def _network(self) -> Any:
        ((parameter, kind),) = self.asks.items()
        return self.asked(kind, getattr(self, parameter))


class ImageNsfw(Judged):
    """Keeps images that are fit for work: the second class of a classifier is unlikely.

    `score_threshold`, as recipes of 2024 call it, is `max_score`.
    """

    metrics: ClassVar[tuple[str, ...]] = ("image_nsfw_score",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_nsfw_model": SECOND_CLASS}
    renamed: ClassVar[Mapping[str, str]] = {"score_threshold": "max_score"}
    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = "max_score"
    hf_nsfw_model: str = setting("Falconsai/nsfw_image_detection", NAMED, local_only=True)
    min_score: Limit = setting(0.0, "least probability")
    max_score: Limit = setting(0.5, "largest probability")


class ImageWatermark(Judged):
    """Keeps images without a watermark: the second class of a classifier is unlikely."""

    metrics: ClassVar[tuple[str, ...]] = ("image_watermark_prob",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_watermark_model": SECOND_CLASS}
    low: ClassVar[str] = ""
    high: ClassVar[str] = "prob_threshold"
    hf_watermark_model: str = setting("amrul-hzz/watermark_detector", NAMED, local_only=True)
    prob_threshold: Limit = setting(0.8, "largest probability")


class ImageAesthetics(Judged):
    """Keeps images that look good to a predictor of aesthetics; its 1 to 10 is 0.1 to 1 here."""

    metrics: ClassVar[tuple[str, ...]] = ("image_aesthetics_scores",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_scorer_model": AESTHETICS}
    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = "max_score"
    hf_scorer_model: str = setting(
        "shunk031/aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE", NAMED, local_only=True
    )
    min_score: Limit = setting(0.5, "smallest score")
    max_score: Limit = setting(1.0, "largest score")
