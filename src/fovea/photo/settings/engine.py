"""Which network predicts, in what numbers, and in how much memory."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting


class EngineConfig(Config):
    """Which network predicts, in what numbers, and in how much memory."""

    weights: str = setting(
        "auto",
        "sharp, lite, a checkpoint (.pt, .safetensors) or a folder of photo.export; auto is sharp"
        " where its file is in the cache, else lite",
        local_only=True,
        min_length=1,
    )
    accept_licence: bool = setting(
        False,
        "accept the licence of weights that are downloaded; it is named before, and asked for once",
        in_fingerprint=False,
        local_only=True,
    )
    engine: Literal["auto", "torch", "onnx"] = setting(
        "auto", "what computes; auto is onnx for a folder of photo.export, else torch"
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = setting(
        "auto", "numbers of the layers; auto is the fastest that this processor does well"
    )
    crops: int = setting(
        5, "crops of the photograph in the vision transformer at a time", ge=1, le=35,
        in_fingerprint=False, advanced=True,
    )  # fmt: skip
    tile: int = setting(
        256, "rows of the finest map in the convolutions at a time", ge=16, le=1536,
        in_fingerprint=False, advanced=True,
    )  # fmt: skip
