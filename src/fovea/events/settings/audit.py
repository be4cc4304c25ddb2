"""What `events.audit` may be told."""

from __future__ import annotations

from fovea.config import Config, Path, artifact, setting


class AuditConfig(Config):
    """Pseudo labels are held against the truth that was hidden from their maker."""

    labels: Path = artifact("eventset", "the pseudo labels, a data set of events.label")
    data: Path = artifact("eventset", "the original data set with all its labels")
    log: Path | None = artifact(
        "table", "what events.label noted of every box; without it nothing is said of tracks",
        optional=True,
    )  # fmt: skip
    sensor: str = setting(
        "auto", "auto as the data set says; gen1 or gen4 for the published ones", min_length=1
    )
    iou: float = setting(0.5, "overlap from which a box is right", gt=0, lt=1)
    score_thresh: float = setting(
        0.01, "boxes of lower objectness or class confidence are not counted", ge=0, lt=1
    )
    pictures: int = setting(12, "moments that are shown", ge=0, le=100)
    good_precision: float = setting(0.85, "precision that is called good", ge=0, le=1)
    noisy_precision: float = setting(0.8, "precision below which they are noisy", ge=0, le=1)
    good_recall: float = setting(0.7, "recall that is called good", ge=0, le=1)
