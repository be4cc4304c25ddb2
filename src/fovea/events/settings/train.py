"""What `events.train` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.events.settings.losses import LossConfig
from fovea.events.settings.sampling import BudgetConfig, SamplingConfig


class ScheduleConfig(Config):
    """How the learning rate moves: up, then down, linearly, in one cycle."""

    rate: float = setting(
        2e-4,
        "highest learning rate for a batch of 8; others are scaled by the square root of batch / 8."
        " The paper takes 5e-4 for a student",
        gt=0,
        log=True,
        tunable=(5e-5, 5e-3),
    )
    warmup: float = setting(0.005, "part of the steps on the way up", ge=0, le=1)
    start_div: float = setting(20.0, "highest rate over the first", ge=1)
    end_div: float = setting(10_000.0, "highest rate over the last", ge=1)


class ValidationConfig(Config):
    """When a detector is looked at while it learns, and which one is kept."""

    every: int = setting(20_000, "steps between two looks; 0 looks only at the end", ge=0)
    split: Literal["val", "test"] = setting(
        "val",
        "recordings that choose the checkpoint; the published runs choose on test, which flatters",
    )
    ratio: float = setting(1.0, "part of the recordings that is looked at", gt=0, le=1)
    batch: int = setting(8, "recordings side by side", ge=1)
    confidence: float = setting(0.1, "boxes below it are not counted", ge=0, lt=1)
    keep: Literal["best", "last"] = setting("best", "which weights the stage gives")


class TrainConfig(Config):
    """A data set and a budget of labels become a detector; teacher and student alike."""

    data: Path = artifact("eventset", "event histograms with boxes")
    weights: Path | None = artifact(
        "detector", "weights to start from; left out, a student starts from nothing", optional=True
    )
    sensor: str = setting(
        "auto", "auto as the data set says; gen1 or gen4 for the published ones", min_length=1
    )
    size: Literal["nano", "tiny", "small", "base"] = setting(
        "small", "of the network: RVT-T, RVT-S, RVT-B, or nano for a CPU"
    )
    steps: int = setting(
        400_000, "training steps; the paper takes 200,000 for 1% of the labels", ge=1
    )
    batch: int = setting(8, "windows in a step", ge=1)
    length: int = setting(21, "histograms in a window; the paper takes 5 to 10 for gen4", ge=1)
    schedule: ScheduleConfig = setting(ScheduleConfig(), "how the learning rate moves")
    clip: float = setting(1.0, "largest absolute value of a gradient's element; 0 for any", ge=0)
    weight_decay: float = setting(0.0, "of AdamW", ge=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto", "of the network; auto is fp32 on a CPU and 16 bit on a GPU"
    )
    budget: BudgetConfig = setting(BudgetConfig(), "which labels may be seen")
    sampling: SamplingConfig = setting(
        SamplingConfig(), "which windows make a batch, and how they are varied"
    )
    loss: LossConfig = setting(LossConfig(), "how boxes are assigned and what errors cost")
    validation: ValidationConfig = setting(
        ValidationConfig(), "when the detector is looked at, and which weights are kept"
    )
    seed: int = setting(0, "of the first weights and of everything that is drawn", ge=0)
    checkpoint_s: float = setting(
        600.0, "seconds between two checkpoints", gt=0, in_fingerprint=False
    )
