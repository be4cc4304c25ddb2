"""The detector: histograms in, boxes out, and a memory from one to the next.

Notation: L steps of B recordings side by side. Histograms are counts, [bins, height, width] each,
of any integer or float type; they are padded inside.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from fovea.events.model.architecture import Architecture
from fovea.events.model.backbone import Backbone, Features
from fovea.events.model.fpn import FeaturePyramid
from fovea.events.model.head import YoloxHead
from fovea.events.model.losses import Losses, detection_losses
from fovea.events.model.memory import States
from fovea.events.settings.losses import LossConfig


class Detector(nn.Module):
    """A recurrent vision transformer with a feature pyramid and a YOLOX head."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = Backbone(architecture)
        self.fpn = FeaturePyramid(architecture)
        self.yolox_head = YoloxHead(architecture)

    def forward(
        self, histograms: Shaped[Tensor, "B bins H W"], states: States | None = None
    ) -> tuple[Float[Tensor, "B anchors 5+classes"], States]:
        """One step: decoded predictions, and the states for the next."""
        features, states = self.backbone_features(histograms, states)
        return self.predict(features), states

    def backbone_features(
        self,
        histograms: Shaped[Tensor, "B bins H W"],
        states: States | None = None,
        mask: Bool[Tensor, "B h w"] | None = None,
    ) -> tuple[Features, States]:
        """The features of one step, [B, C, H, W] by stage number, and the states after it."""
        features, states = self.sequence_features(
            histograms[None], states, None if mask is None else mask[None]
        )
        return {number: each[0] for number, each in features.items()}, states

    def sequence_features(
        self,
        histograms: Shaped[Tensor, "L B bins H W"],
        states: States | None = None,
        mask: Bool[Tensor, "L B h w"] | None = None,
    ) -> tuple[Features, States]:
        """The features of a whole sequence, [L, B, C, H, W] by stage number.

        The same numbers as step by step, sooner: only the memories wait for the step before.
        """
        return self.backbone(histograms, states, mask)

    def predict(self, features: Features) -> Float[Tensor, "B anchors 5+classes"]:
        """Boxes [centre x, centre y, w, h] in pixels, then probabilities of object and classes."""
        boxes = self.yolox_head(self.fpn(features)).boxes
        return torch.cat([boxes[..., :4], boxes[..., 4:].sigmoid()], dim=-1)

    def losses(
        self, features: Features, targets: Float[Tensor, "N M 7"], settings: LossConfig
    ) -> Losses:
        """What the features of labelled frames cost against their boxes."""
        return detection_losses(self.yolox_head(self.fpn(features)), targets, settings)


def at_frames(features: Features, steps: Tensor, lanes: Tensor) -> Features:
    """The features [N, C, H, W] of some frames of a sequence."""
    some = next(iter(features.values()))
    rows = steps.to(some.device) * some.shape[1] + lanes.to(some.device)
    return {number: each.flatten(0, 1).index_select(0, rows) for number, each in features.items()}
