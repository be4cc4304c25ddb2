"""What both stages of training may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting


class GuardConfig(Config):
    """When a training has gone astray, and what is done about it."""

    factor: float = setting(
        3.0, "a loss this many times the median of the last losses is a spike; 0 looks for none",
        ge=0,
    )  # fmt: skip
    patience: int = setting(10, "spikes in a row that mean that it will not come back", ge=1)
    after: int = setting(
        20, "steps before spikes count: the first ones of stage 1 are wild as published", ge=0
    )
    restarts: int = setting(0, "times it begins anew with another seed", ge=0, le=10)


class LoraConfig(Config):
    """Low-rank changes in place of the whole language model."""

    rank: int = setting(0, "rank of the changes; 0 trains the weights themselves", ge=0, le=512)
    alpha: float = setting(16.0, "the changes count alpha / rank times", gt=0)
    dropout: float = setting(0.05, "part of the changes' inputs that is left out", ge=0, lt=1)
    bits: Literal[16, 4] = setting(
        16, "4 holds the frozen weights in 4 bits (QLoRA; needs bitsandbytes and a GPU)"
    )


class LoopConfig(Config):
    """Steps, rates and memory, alike in both stages."""

    epochs: float = setting(1.0, "times the data is seen", gt=0)
    steps: int = setting(0, "steps in place of epochs; 0 goes by epochs", ge=0)
    micro_batch: int = setting(
        4, "samples a device and pass; passes are summed up to a batch", ge=1, in_fingerprint=False
    )
    warmup: float = setting(0.03, "part of the steps on the way up; then a cosine to 0", ge=0, lt=1)
    weight_decay: float = setting(0.0, "of AdamW", ge=0)
    clip: float = setting(1.0, "largest norm of a gradient; 0 for any", ge=0)
    precision: Literal["auto", "fp32", "bf16"] = setting(
        "auto", "of the language model; auto is fp32 on a CPU and bf16 on a GPU"
    )
    gradient_checkpointing: bool = setting(
        False, "compute activations twice to hold less of them", in_fingerprint=False
    )
    zero2_offload: bool = setting(
        False,
        "DeepSpeed ZeRO-2 with optimizer and parameters in main memory (needs deepspeed)",
        in_fingerprint=False,
    )
    most_broken: float = setting(
        0.01, "part of the samples that may be unusable; others take their place", ge=0, le=1
    )
    guard: GuardConfig = setting(GuardConfig(), "when a training has gone astray")
    seed: int = setting(0, "of what is drawn: first weights, order of samples", ge=0)
