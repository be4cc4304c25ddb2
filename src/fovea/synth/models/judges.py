"""Networks that give a picture a number or names: image classifiers, predictors of aesthetics.

Source: the predictors of shunk031/simple-aesthetics-predictor, whose weights are LAION's: a vision
tower of CLIP and linear layers on its direction; here they are built of transformers' tower alone,
so that no code of a hub is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import nn

from fovea.errors import ConfigError
from fovea.synth.models.hub import HubNetwork, had, trained

SIZES = (1024, 128, 64, 16, 1)
"""Outputs of the layers of the second version's predictors."""
LEAST_LIKELY = 0.5
"""A tag is named from this probability on."""


class SecondClass(HubNetwork):
    """An image classifier of transformers: how probable its second class is.

    Args:
        place: its folder or name.
        download: whether it may be downloaded.
        device: that it computes on.

    Raises:
        ConfigError: it has one class only.
    """

    network = "AutoModelForImageClassification"
    processing = "AutoImageProcessor"

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        super().__init__(place, download=download, device=device)
        if self.model.config.num_labels < 2:
            raise ConfigError(
                f"a classifier with two classes is wanted, the second of them what is looked for; "
                f"{place} has {self.model.config.num_labels}. Take another."
            )

    @torch.inference_mode()
    def judged(self, pictures: Sequence[Image.Image]) -> list[float]:
        """The second class of the softmax."""
        given = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        return torch.softmax(self.model(**given).logits.float(), dim=-1)[:, 1].tolist()


class Aesthetics:
    """How good a picture looks: a predictor's number over 10, or a classifier's first output.

    Args:
        place: its folder or name.
        download: whether it may be downloaded.
        device: that it computes on.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        self.processor = had(AutoImageProcessor, place, download)
        self.head = head_of(place, download)
        self.scale = 10.0 if self.head or "aesthetics-predictor" in place else 1.0
        whole = predictor_class(self.head, place) if self.head else AutoModelForImageClassification
        self.model = trained(whole, place, download).to(device)
        self.device = device

    @torch.inference_mode()
    def judged(self, pictures: Sequence[Image.Image]) -> list[float]:
        """The first output, over 10 of a predictor."""
        given = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        predicted = self.model.predicted(**given) if self.head else self.model(**given).logits
        return (predicted[:, 0].float() / self.scale).tolist()


def head_of(place: str, download: bool) -> str:
    """The name of the predictor's head as its config says it; empty where it is none."""
    from transformers import PretrainedConfig

    config: Any = had(PretrainedConfig, place, download)
    for name in config.architectures or ():
        if name.startswith("AestheticsPredictor"):
            return name
    return ""


def predictor_class(head: str, place: str) -> Any:
    """The class of a predictor: a vision tower of CLIP, and layers on its direction.

    Args:
        head: as the config names it: `AestheticsPredictorV1`, `...V2Linear` or `...V2ReLU`.
        place: whose config.

    Raises:
        ConfigError: it is another head.
    """
    from transformers import CLIPVisionModelWithProjection

    heads = {
        "AestheticsPredictorV1": lambda width: nn.Linear(width, 1),
        "AestheticsPredictorV2Linear": lambda width: layers(width, relu=False),
        "AestheticsPredictorV2ReLU": lambda width: layers(width, relu=True),
    }
    if head not in heads:
        raise ConfigError(
            f"a predictor of aesthetics is one of {', '.join(heads)}; {place} is a {head}. "
            "Take another."
        )
    name = "predictor" if head.endswith("V1") else "layers"

    class Predictor(CLIPVisionModelWithProjection):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            setattr(self, name, heads[head](config.projection_dim))
            self.post_init()

        def predicted(self, pixel_values: torch.Tensor) -> torch.Tensor:
            found: Any = self(pixel_values=pixel_values).image_embeds
            return getattr(self, name)(nn.functional.normalize(found, dim=-1))

    return Predictor


def layers(width: int, *, relu: bool) -> nn.Sequential:
    """The layers of the second version; dropout is there for the weights' numbering alone."""
    found: list[nn.Module] = []
    for number, size in enumerate(SIZES):
        found.append(nn.Linear(width, size))
        if relu and number < 4:
            found.append(nn.ReLU())
        if number < 3:
            found.append(nn.Dropout(0.2 if number < 2 else 0.1))
        width = size
    return nn.Sequential(*found)


class LabelTagger(HubNetwork):
    """An image classifier of transformers with a probability for each label."""

    network = "AutoModelForImageClassification"
    processing = "AutoImageProcessor"

    @torch.inference_mode()
    def tags(self, pictures: Sequence[Image.Image]) -> list[list[str]]:
        """The labels that are likelier than not, the likeliest first."""
        given = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        likely = torch.sigmoid(self.model(**given).logits.float())
        names = self.model.config.id2label
        return [
            [names[place] for place in row.argsort(descending=True, stable=True).tolist()
             if row[place] >= LEAST_LIKELY]
            for row in likely
        ]  # fmt: skip
