"""What `vlm.finetune` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.vlm.settings.training import LoopConfig, LoraConfig


class FinetuneConfig(Config):
    """Instructions teach the language model and the projector together."""

    model: Path = artifact("vlm", "the model to start from, as vlm.pretrain gives it")
    data: Path = artifact("llava", "instructions with answers, LLaVA's JSON")
    images: Path | None = artifact(
        "folder", "the folder that the pictures' paths start from", optional=True
    )
    batch: int = setting(128, "samples a step; the challenge asks for 128", ge=1)
    rate: float = setting(2e-5, "highest learning rate", gt=0, log=True, tunable=(1e-6, 1e-3))
    shape: Literal["square", "pad"] = setting(
        "pad", "how pictures are made square; pad shows them whole, as published"
    )
    by_length: bool = setting(
        True, "batches of samples that are about as long, with and without pictures apart"
    )
    lora: LoraConfig = setting(LoraConfig(), "low-rank changes in place of all weights")
    loop: LoopConfig = setting(LoopConfig(), "steps, rates and memory")
    checkpoint_s: float = setting(
        300.0, "seconds between two checkpoints", gt=0, in_fingerprint=False
    )
