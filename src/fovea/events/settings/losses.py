"""How a detector is taught: which anchors answer for which box, and what an error costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fovea.config import Config, setting
from fovea.events.model.weighting import checked


class LossConfig(Config):
    """The detector's loss."""

    assignment: Literal["hard", "soft"] = setting(
        "hard", "hard takes every label as it is; soft ignores boxes that are not sure enough"
    )
    ignore_bbox_thresh: tuple[Annotated[float, Field(ge=0, le=1)], ...] = setting(
        (0.7, 0.35),
        "with soft, boxes whose objectness or class confidence is lower are ignored: a number by"
        " class id, one for all, or two as (cars, all others)",
    )
    iou: float = setting(5.0, "weight of the boxes' overlap", ge=0)
    objectness: float = setting(1.0, "weight of the objectness", ge=0)
    classes: float = setting(1.0, "weight of the classes", ge=0)
    l1: float = setting(0.0, "weight of the boxes' absolute error in cells; the paper's is 0", ge=0)
    obj_focal_loss: bool = setting(
        False, "objectness by focal loss, alpha 0.25 and gamma 2, instead of cross entropy"
    )
    bbox_loss_weighting: Annotated[str, AfterValidator(checked)] = setting(
        "",
        "labels weigh by a score of theirs: obj, cls, objxcls, or with an expression of w as"
        " cls-w**2; empty weighs all alike",
    )
    soft_label_weight: float = setting(
        1.0, "factor on boxes whose scores are below 1, which are pseudo labels", ge=0
    )
    ignore_bg_k: float = setting(
        0.0, "share of each image's background, that taken most for objects, left unpunished",
        ge=0, lt=1,
    )  # fmt: skip
    ignore_image: bool = setting(False, "leave out frames in which every box is ignored")
