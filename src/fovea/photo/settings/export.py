"""What `photo.export` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class ExportConfig(Config):
    """SHARP becomes a folder of ONNX networks that predicts without torch."""

    weights: Path = artifact("checkpoint", "a checkpoint with SHARP's keys, .pt or .safetensors")
    precision: Literal["float32", "int8"] = setting(
        "float32", "of the transformers' layers; int8 weighs a quarter, and rounds as it goes"
    )
    opset: int = setting(18, "of ONNX", ge=18, le=23)
    crops: int = setting(
        5, "crops in the transformer at a time, while parts are compared", ge=1, le=35,
        in_fingerprint=False, advanced=True,
    )  # fmt: skip
