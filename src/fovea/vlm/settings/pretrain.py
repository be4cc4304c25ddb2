"""What `vlm.pretrain` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.vlm.settings.model import ModelConfig
from fovea.vlm.settings.training import LoopConfig


class PretrainConfig(Config):
    """Pictures with captions teach the projector; tower and language model stay as they are."""

    data: Path = artifact("llava", "pictures with captions, LLaVA's JSON")
    images: Path | None = artifact(
        "folder", "the folder that the pictures' paths start from", optional=True
    )
    model: ModelConfig = setting(ModelConfig(), "what the model is made of")
    batch: int = setting(256, "samples a step; the challenge asks for 256", ge=1)
    rate: float = setting(1e-3, "highest learning rate", gt=0, log=True, tunable=(1e-4, 1e-2))
    shape: Literal["square", "pad"] = setting(
        "square", "how pictures are made square; square cuts off borders, as published"
    )
    plain: bool = setting(
        False, "image and caption alone, as LLaVA has it; MGM keeps the question and its template"
    )
    speaks: bool = setting(
        False,
        "whether the language model learns as well; a tiny one, which knows no language yet, does",
    )
    longest: int = setting(2048, "positions of a sample, its picture among them", ge=16)
    most: int = setting(
        200_000, "samples used; more are cut by drawing with seed 1024, as the challenge does", ge=1
    )
    loop: LoopConfig = setting(LoopConfig(), "steps, rates and memory")
    checkpoint_s: float = setting(
        300.0, "seconds between two checkpoints", gt=0, in_fingerprint=False
    )
