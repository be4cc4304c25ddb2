"""What `events.label` may be told; names of the paper's code are kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from fovea.config import Config, Path, artifact, setting
from fovea.events.settings.sampling import BudgetConfig


def _several(value: Any) -> Any:
    """One number stands for all classes, so that a study can search it as a range."""
    return (value,) if isinstance(value, int | float) else value


Thresholds = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], BeforeValidator(_several)]


class LabelConfig(Config):
    """A detector labels the training recordings of a data set."""

    data: Path = artifact(
        "eventset", "the original data set, in every round; with only_tracking a pseudo data set"
    )
    detector: Path | None = artifact(
        "detector", "the teacher; needed unless only_tracking", optional=True
    )
    sensor: str = setting(
        "auto", "auto as the data set says; gen1 or gen4 for the published ones", min_length=1
    )
    budget: BudgetConfig = setting(
        BudgetConfig(), "which ground truth is visible: the same as the teacher was trained on"
    )
    tta: bool = setting(
        True, "look four times: as it is, mirrored, backwards, and both; false looks once"
    )
    confidence: float = setting(
        0.01, "least objectness times class confidence of a box of a view", ge=0, lt=1
    )
    nms: float = setting(0.45, "overlap above which the less sure of two boxes goes", gt=0, lt=1)
    obj_thresh: Thresholds = setting(
        (0.6, 0.3),
        "objectness that a label must exceed: a number by class id, one for all, or for gen4 two"
        " as (cars, all others); the paper takes [0.6,0.5] for gen4 with few frames a recording",
    )
    cls_thresh: Thresholds = setting(
        (0.6, 0.3), "class confidence that a label must exceed, written likewise"
    )
    min_track_len: int = setting(
        6, "frames that a track must span for its labels to be believed; 0 believes all", ge=0
    )
    track_method: Literal["forward or backward", "forward"] = setting(
        "forward or backward", "whether a label is also kept for its track read backwards"
    )
    track_ties: Literal["published", "oldest"] = setting(
        "published",
        "which of two equally sure tracks chooses its box first: as the paper's code, whose sort"
        " depends on the processor, or the oldest, the same everywhere",
    )
    inpaint: bool = setting(
        True, "fill gaps of tracks with boxes from which training learns nothing"
    )
    use_gt: bool = setting(True, "keep visible ground truth; false labels those frames as well")
    skip_first_t: int = setting(
        0, "label nothing at the first histograms of a recording, while the memory is empty", ge=0
    )
    only_tracking: bool = setting(
        False, "run only the filter again, on a data set that has pseudo labels"
    )
    batch: int = setting(8, "recordings side by side; four views take four times the memory", ge=1)
    length: int = setting(
        21, "histograms at once; a recording is read from that many before its first label", ge=1
    )
    threads: int = setting(1, "threads that read ahead", ge=0, le=64, in_fingerprint=False)
    seed: int = setting(0, "chooses the recordings that are looked through at the end", ge=0)
