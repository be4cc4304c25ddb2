"""What the routes of the photograph service share: the device, the network, who waits for what."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fovea.service.photo.devices import Allowed, Chosen, choose
from fovea.service.photo.model import Loaded, load_once
from fovea.service.photo.recipe import engine
from fovea.service.problems import RefusedError
from fovea.service.settings import ServeConfig

if TYPE_CHECKING:
    from fovea.service.metrics import Metrics

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10


class PhotoDesk:
    """One for a service; a part of it that is started and stopped with it."""

    def __init__(self, settings: ServeConfig, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self.metrics = metrics
        self.began = time.monotonic()
        self.chosen = chosen_device(settings)
        self.loaded: Loaded | None = None
        """The network, once it could be loaded; or why it cannot be."""
        self._waiting = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Say what is computed on, and see in the background whether the network can be loaded."""
        asked = self.settings.mode != "auto"
        for note in self.chosen.notes:
            log.log(logging.WARNING if asked or self.chosen.is_gpu else logging.INFO, note)
        log.info("computes on %s (%s)", self.chosen.name, self.chosen.device)
        os.environ.update(self.chosen.environment)
        if self.settings.model.preload:
            threading.Thread(target=self._load, name="model", daemon=True).start()

    def stop(self) -> None:
        """Nothing is left to do: the network was loaded by another process, which is over."""

    @property
    def uptime_s(self) -> float:
        """Since the service began."""
        return round(time.monotonic() - self.began, 3)

    @property
    def waiting(self) -> int:
        """Predictions that are waited for in open requests."""
        return self._waiting

    @contextmanager
    def wait(self) -> Generator[None]:
        """While a request waits for its prediction.

        Raises:
            RefusedError: as many requests wait as may.
        """
        most = self.settings.performance.max_concurrency
        with self._lock:
            if self._waiting >= most:
                raise RefusedError(
                    503,
                    "too_many_waiting",
                    f"{most} predictions are waited for already. Come back in {RETRY_AFTER_S} s, or"
                    " send it to /v1/tasks, which does not wait.",
                    headers={"Retry-After": str(RETRY_AFTER_S)},
                )
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _load(self) -> None:
        self.loaded = load_once(engine(self.settings, self.chosen), self.chosen.device)
        if self.loaded.trouble:
            log.error("the network cannot be loaded: %s", self.loaded.trouble)
        else:
            if self.metrics is not None:
                self.metrics.model_load_s.set(self.loaded.seconds)
            log.info("%s loads in %.1f s", self.loaded.name, self.loaded.seconds)


def chosen_device(settings: ServeConfig) -> Chosen:
    """What to compute on, by the settings."""
    gpu = settings.gpu
    allowed = Allowed(gpu.enable_amp, gpu.enable_cudnn_benchmark, gpu.enable_tf32)
    return choose(settings.mode, wanted=gpu.device, allowed=allowed)
