"""The fastest way to predict on this device: a few ways are tried, the best one is kept.

A way switches 16-bit numbers, cuDNN's search and TF32 on or off. Which ways there are depends on
the card. What is timed is the network itself (`timing.py`, in a process of its own), not a stand-in
for it. What was found is written into the file of settings, under `performance_cache`, and believed
for 7 days and for the same device.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fovea.service.photo.devices import AMP_FROM, CUDNN_FROM, TF32_FROM, Chosen
from fovea.service.photo.recipe import engine
from fovea.service.settings import ServeConfig

log = logging.getLogger(__name__)

VALID_FOR = timedelta(days=7)
WITHIN_S = 3600.0


@dataclass(frozen=True)
class Way:
    """One way to predict."""

    name: str
    amp: bool = False
    cudnn_benchmark: bool = False
    tf32: bool = False
    description: str = ""


WAYS = (
    Way("none", description="numbers of 32 bits, nothing searched for"),
    Way("AMP", amp=True, description="numbers of 16 bits"),
    Way("cuDNN", cudnn_benchmark=True, description="cuDNN tries its algorithms"),
    Way("TF32", tf32=True, description="matrix products in TF32"),
    Way("AMP+cuDNN", amp=True, cudnn_benchmark=True, description="16 bits, cuDNN tries"),
    Way("AMP+TF32", amp=True, tf32=True, description="16 bits, else TF32"),
    Way("all", amp=True, cudnn_benchmark=True, tf32=True, description="all three"),
)


@dataclass(frozen=True)
class Timed:
    """How fast one way was."""

    way: Way
    seconds: float | None
    """The mean of the runs that count; none where it failed."""
    trouble: str = ""


@dataclass(frozen=True)
class Found:
    """The best way, and when and on what it was found."""

    way: Way
    when: datetime
    gpu: dict[str, Any]
    timed: tuple[Timed, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The section `performance_cache`."""
        return {
            "last_test": self.when.isoformat(timespec="seconds"),
            "best_config": asdict(self.way),
            "gpu": self.gpu,
        }

    def applied(self, chosen: Chosen) -> Chosen:
        """What is computed on, in this way."""
        way = self.way
        return replace(chosen, amp=way.amp, cudnn_benchmark=way.cudnn_benchmark, tf32=way.tf32)


def ways_for(chosen: Chosen) -> list[Way]:
    """The ways that this device knows."""
    can = chosen.capability if chosen.vendor == "NVIDIA" and chosen.is_gpu else 0
    has_amp = not chosen.is_gpu or can >= AMP_FROM
    return [
        way
        for way in WAYS
        if (has_amp or not way.amp)
        and (can >= CUDNN_FROM or not way.cudnn_benchmark)
        and (can >= TF32_FROM or not way.tf32)
    ]


def device_facts(chosen: Chosen) -> dict[str, Any]:
    """What must be the same for an earlier result to count."""
    capability = f"{chosen.capability // 10}.{chosen.capability % 10}" if chosen.capability else ""
    return {"name": chosen.name, "vendor": chosen.vendor, "compute_capability": capability}


def known(settings: ServeConfig, chosen: Chosen, now: datetime | None = None) -> Found | None:
    """What an earlier search found, if it is not too old and was on this device."""
    kept = settings.performance_cache
    if kept.last_test is None or not kept.best_config or kept.gpu != device_facts(chosen):
        return None
    when = kept.last_test if kept.last_test.tzinfo else kept.last_test.replace(tzinfo=UTC)
    age = (now or datetime.now(UTC)) - when
    if not timedelta(0) <= age < VALID_FOR:
        return None
    way = next((way for way in WAYS if way.name == kept.best_config.get("name")), None)
    return Found(way, when, kept.gpu) if way else None


def search(settings: ServeConfig, chosen: Chosen) -> Found:
    """Time every way, and take the fastest; the first where none can be timed."""
    ways = ways_for(chosen)
    timed = _timed(settings, chosen, ways)
    for one in timed:
        if one.seconds is None:
            log.warning("auto-tune: %s failed: %s", one.way.name, one.trouble)
        else:
            rate = 1 / one.seconds if one.seconds else 0.0
            log.info("auto-tune: %s %.3f s, %.2f a second", one.way.name, one.seconds, rate)
    finished = [one for one in timed if one.seconds is not None]
    best = min(finished, key=lambda one: one.seconds or 0.0).way if finished else ways[0]
    return Found(best, datetime.now(UTC), device_facts(chosen), tuple(timed))


def _timed(settings: ServeConfig, chosen: Chosen, ways: Sequence[Way]) -> list[Timed]:
    asked = {
        "engine": engine(settings, chosen),
        "device": chosen.device,
        "size": settings.auto_tune.test_size,
        "warmup_runs": settings.auto_tune.warmup_runs,
        "test_runs": settings.auto_tune.test_runs,
        "ways": [asdict(way) for way in ways],
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fovea.service.photo.timing"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        said = [json.loads(line) for line in done.stdout.splitlines()]
        trouble = (done.stderr.splitlines() or ["its process was ended"])[-1]
    except subprocess.TimeoutExpired:
        said, trouble = [], f"it took longer than {WITHIN_S:.0f} s"
    missing: list[dict[str, Any]] = [{"seconds": None, "trouble": trouble}] * len(ways)
    return [Timed(way, **one) for way, one in zip(ways, [*said, *missing], strict=False)]
