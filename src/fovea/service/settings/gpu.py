"""How a GPU is used."""

from __future__ import annotations

from fovea.config import Config, setting


class GpuConfig(Config):
    """How a GPU is used."""

    device: str = setting(
        "auto", "device the jobs run on: auto, cpu, mps or cuda:N; auto does what `mode` says"
    )
    enable_amp: bool = setting(True, "numbers of 16 bits where the device is good at them")
    enable_cudnn_benchmark: bool = setting(
        True, "let cuDNN try its algorithms; for NVIDIA from compute capability 6.0"
    )
    enable_tf32: bool = setting(
        True, "matrix products in TF32; for NVIDIA from compute capability 8.0"
    )
