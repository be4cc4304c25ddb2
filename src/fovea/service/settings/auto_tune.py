"""The search for the fastest way to predict, and what it found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fovea.config import Config, setting


class AutoTuneConfig(Config):
    """The search for the fastest way to predict on this device."""

    enabled: bool = setting(False, "whether it is searched for at the start")
    test_size: int = setting(512, "side of the picture it is tried on, in px", ge=64, le=1536)
    warmup_runs: int = setting(2, "runs of each way before they count", ge=0, le=100)
    test_runs: int = setting(3, "runs of each way that count", ge=1, le=100)


class PerformanceCacheConfig(Config):
    """What the search found; written by it, good for 7 days and for the same device."""

    last_test: datetime | None = setting(None, "when it was searched for")
    best_config: dict[str, Any] = setting({}, "name, amp, cudnn_benchmark, tf32, description")
    gpu: dict[str, Any] = setting({}, "name, vendor, compute_capability")
