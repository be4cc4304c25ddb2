"""Memory and speed of predictions."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting


class OptimizationConfig(Config):
    """Memory and speed of predictions."""

    gradient_checkpointing: bool = setting(
        False, "save memory: the network sees its crops in `checkpoint_segments` groups more"
    )
    checkpoint_segments: int = setting(3, "how many groups more", ge=1, le=35)
    enable_batch_processing: bool = setting(
        False, "photographs of a batch share a job, so that the network is loaded once for them"
    )
    max_batch_size: int = setting(4, "photographs that share a job", ge=1, le=1000)
    enable_quantization: bool = setting(False, "layers in 8-bit whole numbers")
    quantization_mode: Literal["dynamic", "static"] = setting(
        "dynamic", "rounded while it works, or before: static wants a folder of photo.export"
    )
    enable_tensorrt: bool = setting(
        False, "let TensorRT compute, for a folder of photo.export on an NVIDIA GPU"
    )
    tensorrt_fp16: bool = setting(True, "let it use numbers of 16 bits")
