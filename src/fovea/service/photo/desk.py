"""What the routes of the photograph service share: the device, the network, who waits for what."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.service.photo import tuning
from fovea.service.photo.devices import Allowed, Chosen, choose
from fovea.service.photo.model import Loaded, load_once
from fovea.service.photo.recipe import engine
from fovea.service.plugins.installed import MODEL, strangers
from fovea.service.problems import RefusedError
from fovea.service.settings import ServeConfig
from fovea.service.settings.section import write_section

if TYPE_CHECKING:
    from fovea.service.metrics import Metrics

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10


class PhotoDesk:
    """One for a service; a part of it that is started and stopped with it."""

    def __init__(
        self, settings: ServeConfig, metrics: Metrics | None = None, file: Path | None = None
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.file = file
        """Of the settings; what the search for the fastest way finds is kept in it."""
        self.began = time.monotonic()
        self.chosen = chosen_device(settings)
        self.loaded: Loaded | None = None
        """The network, once it could be loaded; or why it cannot be."""
        self._waiting = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Say what is computed on, and see in the background whether the network can be loaded."""
        asked = self.settings.mode != "auto"
        for note in (*self.chosen.notes, *without_tensorrt(self.settings)):
            log.log(logging.WARNING if asked or self.chosen.is_gpu else logging.INFO, note)
        for note in strangers(self.settings.plugins):
            log.warning(note)
        log.info("computes on %s (%s)", self.chosen.name, self.chosen.device)
        self._apply()
        if self.settings.model.preload or self.settings.auto_tune.enabled:
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
        if self.settings.auto_tune.enabled:
            self._tune()
        checkpoint = self.settings.model.checkpoint
        if not self.settings.model.preload:
            return
        if checkpoint.startswith(MODEL):
            self.loaded = Loaded(checkpoint)  # known by its first task
            return
        self.loaded = load_once(engine(self.settings, self.chosen), self.chosen.device)
        if self.loaded.trouble:
            log.error("the network cannot be loaded: %s", self.loaded.trouble)
            return
        if self.metrics is not None:
            self.metrics.model_load_s.set(self.loaded.seconds)
        log.info("%s loads in %.1f s", self.loaded.name, self.loaded.seconds)

    def _tune(self) -> None:
        """Predict in the fastest way: the one that is known, else one that is searched for now."""
        found = tuning.known(self.settings, self.chosen)
        if found is None:
            found = tuning.search(self.settings, self.chosen)
            if self.file is not None:
                write_section(self.file, "performance_cache", found.as_data())
        log.info("auto-tune: predicts with %s, found at %s", found.way.name, found.when)
        self.chosen = found.applied(self.chosen)
        self._apply()

    def _apply(self) -> None:
        """Let the jobs find what was chosen."""
        wanted = self.settings.optimization
        os.environ.update(self.chosen.environment)
        os.environ.pop("FOVEA_TENSORRT", None)
        if wanted.enable_tensorrt:
            os.environ["FOVEA_TENSORRT"] = "fp16" if wanted.tensorrt_fp16 else "fp32"


def chosen_device(settings: ServeConfig) -> Chosen:
    """What to compute on, by the settings."""
    gpu = settings.gpu
    allowed = Allowed(gpu.enable_amp, gpu.enable_cudnn_benchmark, gpu.enable_tf32)
    return choose(settings.mode, wanted=gpu.device, allowed=allowed)


def without_tensorrt(settings: ServeConfig) -> list[str]:
    """Why TensorRT cannot compute although it was asked to; nothing where it can."""
    if not settings.optimization.enable_tensorrt:
        return []
    if not Path(settings.model.checkpoint).is_dir():
        return [
            "enable_tensorrt is for a folder of photo.export, and model.checkpoint is"
            f" '{settings.model.checkpoint}'. It goes on without TensorRT."
        ]
    try:
        import onnxruntime

        found: list[str] = onnxruntime.get_available_providers()
    except ModuleNotFoundError:
        found = []
    if "TensorrtExecutionProvider" in found:
        return []
    listed = ", ".join(found) or "it is not installed"
    return [
        f"enable_tensorrt needs an onnxruntime with TensorRT, and this one has: {listed}. It goes"
        " on without; `pip install onnxruntime-gpu` brings it."
    ]
