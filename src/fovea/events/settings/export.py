"""What `events.export` may be told."""

from __future__ import annotations

from fovea.config import Config, Path, artifact, setting


class ExportConfig(Config):
    """A detector becomes a network that other programs run."""

    detector: Path = artifact("detector", "the detector, ours or a published checkpoint")
    sensor: str = setting(
        "auto", "auto as the detector says; gen1 or gen4 for published checkpoints", min_length=1
    )
    batch: int = setting(1, "recordings side by side; 0 leaves it open", ge=0)
    opset: int = setting(18, "of ONNX", ge=18, le=23)
    suppression: bool = setting(
        False, "whether the network also says which boxes remain, in a further output `kept`"
    )
    confidence: float = setting(
        0.1, "with suppression, least objectness times class confidence", ge=0, lt=1
    )
    iou: float = setting(
        0.45, "with suppression, overlap above which the less sure of two boxes goes", gt=0, le=1
    )
