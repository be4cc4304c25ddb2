"""Networks of transformers that say where things are: OWL-ViT by phrases, detectors by labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from fovea.synth.models.abilities import Find
from fovea.synth.models.hub import HubNetwork


class OwlVit(HubNetwork):
    """Finds what phrases name."""

    network = "OwlViTForObjectDetection"
    processing = "OwlViTProcessor"

    @torch.inference_mode()
    def found(
        self, pictures: Sequence[Image.Image], phrases: Sequence[str], least: float
    ) -> list[list[Find]]:
        """Boxes above a score; a phrase is cut to what the network takes."""
        given = self.processor(
            text=[list(phrases)] * len(pictures),
            images=list(pictures),
            return_tensors="pt",
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
            padding="max_length",
        ).to(self.device)
        sides = torch.tensor([[picture.height, picture.width] for picture in pictures])
        results = self.processor.image_processor.post_process_object_detection(
            self.model(**given), threshold=least, target_sizes=sides.to(self.device)
        )
        return [finds_of(result) for result in results]


class ObjectDetector(HubNetwork):
    """Finds things of the labels it learnt."""

    network = "AutoModelForObjectDetection"
    processing = "AutoImageProcessor"

    @torch.inference_mode()
    def things(self, pictures: Sequence[Image.Image], least: float) -> list[list[Find]]:
        """Boxes above a score."""
        given = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        sides = torch.tensor([[picture.height, picture.width] for picture in pictures])
        results = self.processor.post_process_object_detection(
            self.model(**given), threshold=least, target_sizes=sides.to(self.device)
        )
        return [finds_of(result) for result in results]


def finds_of(result: dict[str, Any]) -> list[Find]:
    """What a processor of transformers gives of one picture."""
    columns = (result[name].tolist() for name in ("scores", "labels", "boxes"))
    return [Find(s, label, (b[0], b[1], b[2], b[3])) for s, label, b in zip(*columns, strict=True)]
