"""What the service answers with, as objects; unknown members of newer services are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED = ("succeeded", "failed", "cancelled")

T = TypeVar("T", bound="DataclassInstance")


class Options(TypedDict, total=False):
    """What may be said about a prediction; /docs says what each means."""

    focal_mm: float
    focal_px: float
    format: Literal["ply", "compressed", "splat", "spz", "sog", "glb"]
    max_gaussians: int
    opacity_min: float
    coordinate: Literal["opencv", "opengl"]
    color_space: Literal["srgb", "linear"]
    size: int
    video: Literal["none", "rotate_forward", "rotate", "swipe", "shake", "dolly_zoom", "still"]
    webhook_url: str


@dataclass(frozen=True)
class Task:
    """A prediction that was asked for."""

    task_id: str
    status: State
    status_url: str
    events_url: str
    position: int = 0
    progress: float = 0.0
    """Percent."""
    stage: str | None = None
    url: str | None = None
    video_url: str | None = None
    gaussians: int | None = None
    processing_time: float | None = None
    cached: bool = False
    error: Mapping[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDED


@dataclass(frozen=True)
class Job:
    """A stage or a recipe that was asked for."""

    id: str
    kind: str
    state: State
    message: str = ""
    cached: bool = False
    progress: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    preset: str = ""
    run: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED


@dataclass(frozen=True)
class Upload:
    """What was sent; `name` is what a job says where a setting takes a path."""

    id: str
    name: str
    is_folder: bool
    files: int
    size: int
    sha256: str


@dataclass(frozen=True)
class BatchItem:
    """One photograph of a batch."""

    name: str
    status: State
    task_id: str | None = None
    url: str | None = None
    gaussians: int | None = None
    seconds: float | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Batch:
    """Several photographs that were sent at once."""

    batch_id: str
    status: Literal["queued", "running", "succeeded", "partly", "failed"]
    total: int
    succeeded: int
    failed: int
    items: tuple[BatchItem, ...]
    status_url: str
    download_url: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.download_url is not None


@dataclass(frozen=True)
class Health:
    """Whether photographs can be predicted."""

    status: Literal["healthy", "loading", "unhealthy"]
    gpu_available: bool
    gpu_vendor: str
    gpu_name: str
    model_loaded: bool
    version: str
    uptime_s: float
    queue_depth: int
    model: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened in a job."""

    kind: str
    """`progress`, `metric`, `log`, ..., `job` of the job itself, `end` of its end."""
    data: Mapping[str, Any]
    id: int | None = None


def read(kind: type[T], data: Mapping[str, Any]) -> T:
    """An object from what came as JSON."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in data.items() if name in known})


def read_batch(data: Mapping[str, Any]) -> Batch:
    """A batch with its items."""
    items = tuple(read(BatchItem, item) for item in data["items"])
    return read(Batch, {**data, "items": items})
