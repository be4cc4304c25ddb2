"""What photograph services are asked about themselves: health, device, cache."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from fovea.runs.record import package_version
from fovea.service.access import needs, visitor
from fovea.service.problems import RESPONSES
from fovea.service.state import Here, Service
from fovea.service.words import language_of, text

router = APIRouter(prefix="/v1", tags=["system"], responses=RESPONSES)


class PhotoHealth(BaseModel):
    """Whether photographs can be predicted."""

    status: Literal["healthy", "loading", "unhealthy"]
    gpu_available: bool
    gpu_vendor: str = Field(description="NVIDIA, AMD, Intel, Qualcomm, Apple or Unknown")
    gpu_name: str
    model_loaded: bool
    model: str = ""
    version: str
    uptime_s: float
    queue_depth: int
    trouble: str = ""


class GpuView(BaseModel):
    """What is computed on."""

    available: bool
    vendor: str
    name: str
    count: int
    memory_mb: float = Field(description="held by the jobs of this service")
    device: str
    notes: list[str] = []


class Stats(BaseModel):
    """Facts of the device."""

    gpu: GpuView


@router.get("/health", responses={503: {"model": PhotoHealth}})
async def health(here: Here) -> JSONResponse:
    """Whether photographs can be predicted: 503 until the network was loaded once."""
    return health_of(here)


def health_of(here: Service) -> JSONResponse:
    """The answer to those who ask for its health."""
    desk = here.photo
    loaded, wanted = desk.loaded, desk.settings.model.preload
    trouble = loaded.trouble if loaded else ""
    is_well = not trouble and (loaded is not None or not wanted)
    body = {
        "status": "healthy" if is_well else ("unhealthy" if trouble else "loading"),
        "gpu_available": desk.chosen.is_gpu,
        "gpu_vendor": desk.chosen.vendor,
        "gpu_name": desk.chosen.name,
        "model_loaded": bool(loaded and not trouble),
        "model": loaded.name if loaded else "",
        "version": package_version(),
        "uptime_s": desk.uptime_s,
        "queue_depth": here.pulse.queue_depth,
        "trouble": trouble,
    }
    headers = {} if is_well else {"Retry-After": "5"}
    return JSONResponse(body, 200 if is_well else 503, headers)


@router.get("/stats", response_model=Stats, dependencies=[Depends(visitor)])
async def stats(here: Here) -> JSONResponse:
    """Facts of the device."""
    return stats_of(here)


def stats_of(here: Service) -> JSONResponse:
    """The answer to those who ask what is computed on."""
    chosen = here.photo.chosen
    return JSONResponse(
        {
            "gpu": {
                "available": chosen.is_gpu,
                "vendor": chosen.vendor,
                "name": chosen.name,
                "count": chosen.count,
                "memory_mb": here.pulse.gpu_memory_mb,
                "device": chosen.device,
                "notes": list(chosen.notes),
            }
        }
    )


class CacheView(BaseModel):
    """The cache of results."""

    enabled: bool
    size: int
    max_size: int
    hits: int
    misses: int
    hit_rate: float = Field(description="percent")
    bytes: int
    max_bytes: int
    shared: bool = Field(description="whether several services share it through Redis")
    shared_failures: int


class Cleared(BaseModel):
    """Done."""

    status: Literal["success"] = "success"
    message: str


@router.get("/cache", dependencies=[needs("predict", "jobs:read")])
def cache(here: Here) -> CacheView:
    """How much the cache holds, and how often it was of use."""
    return CacheView.model_validate(here.cache.statistics())


@router.post("/cache/clear", dependencies=[needs("admin")])
def clear(request: Request, here: Here) -> Cleared:
    """Forget all results, and the figures of their use."""
    gone = here.cache.clear()
    return Cleared(message=text(language_of(request), "done.cache_cleared", count=gone))
