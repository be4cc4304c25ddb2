"""Settings of what a training sees: which labels, which windows, and how they are varied."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, setting


class BudgetConfig(Config):
    """Which ground truth is visible; the rest is kept apart for measuring pseudo labels."""

    keep: Literal["all", "frames", "recordings"] = setting(
        "all",
        "all labels; of every recording a few frames (WSOD, `_ss` in the paper's names); or all"
        " frames of a few recordings (SSOD, `_seq`)",
    )
    ratio: float = setting(
        0.01, "part of the frames or of the recordings that keeps its labels", gt=0, le=1
    )
    offset: int = setting(
        0, "by how many frames or recordings the choice is moved, for splits to average over", ge=0
    )
    length: int = setting(
        21,
        "histograms that precede the first kept frame, itself included: the sequence length of the"
        " training; 10 for gen4. Stages that share a budget must agree on it",
        ge=1,
    )
    split: Path | None = setting(
        None,
        "a published split, `ssod_0.010-off0.pkl`, to take the kept frames from; then ratio, offset"
        " and length are not used",
        local_only=True,
    )


class VariationConfig(Config):
    """How what is read is varied; one draw holds for all steps."""

    prob_hflip: float = setting(0.5, "probability of left for right", ge=0, le=1)
    prob_tflip: float = setting(
        0.5, "probability of the end for the start; the paper has 0 with all labels", ge=0, le=1
    )
    prob_rotate: float = setting(0.0, "probability of a rotation", ge=0, le=1)
    min_rotate_deg: float = setting(2.0, "smallest angle, to either side", ge=0, le=90)
    max_rotate_deg: float = setting(6.0, "largest angle, to either side", ge=0, le=90)
    prob_zoom: float = setting(0.5, "probability of a zoom", ge=0, le=1)
    max_zoom_out: float = setting(1.2, "largest factor of zooming out", ge=1, le=8)


class StreamAugmentConfig(VariationConfig):
    """How a stream is varied until its recording ends; it is only ever zoomed out."""


class AugmentConfig(VariationConfig):
    """How a random window is varied."""

    prob_zoom: float = setting(0.8, "probability of a zoom", ge=0, le=1)
    weight_zoom_in: float = setting(8.0, "weight of zooming in, beside zooming out", ge=0)
    weight_zoom_out: float = setting(2.0, "weight of zooming out, beside zooming in", ge=0)
    max_zoom_in: float = setting(1.5, "largest factor of zooming in", ge=1, le=8)
    skip_last_box: bool = setting(
        True,
        "never zoom towards the last box of several, as the paper's code does; false chooses among"
        " all of them",
    )


class SamplingConfig(Config):
    """Which windows of the recordings make a batch."""

    sampling: Literal["mixed", "random", "stream"] = setting(
        "mixed",
        "windows that end at a random label, whole recordings in order with carried states, or a"
        " part of the batch of each",
    )
    w_random: float = setting(1.0, "weight of random windows in a mixed batch", gt=0)
    w_stream: float = setting(1.0, "weight of streams in a mixed batch", gt=0)
    workers: int = setting(
        8,
        "workers whose turns follow each other, each with streams of its own; part of the sampling"
        " and unrelated to threads",
        ge=1,
    )
    weighted_sampling: bool = setting(
        False, "draw random windows by how rare the classes of their labels are"
    )
    use_label_every: int = setting(
        1, "use pseudo labels at every n-th step only; ground truth is always used", ge=1
    )
    random: AugmentConfig = setting(AugmentConfig(), "how random windows are varied")
    stream: StreamAugmentConfig = setting(StreamAugmentConfig(), "how streams are varied")
    threads: int = setting(
        2, "threads that read ahead; 0 reads when asked", ge=0, le=64, in_fingerprint=False
    )
    cache_mib: int = setting(
        1024, "memory for unpacked histograms, in MiB", ge=0, in_fingerprint=False
    )
