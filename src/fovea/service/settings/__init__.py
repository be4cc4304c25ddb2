"""Settings of `fovea serve`: groups of a Config, hence flags, file and environment like a stage's.

One file a group. The names of keys are public: whoever wrote them into a file may keep them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from fovea.config import Config, setting
from fovea.errors import Problem
from fovea.service.settings.access import AccessConfig, is_loopback
from fovea.service.settings.auto_tune import AutoTuneConfig, PerformanceCacheConfig
from fovea.service.settings.browser import BrowserConfig
from fovea.service.settings.cache import CacheConfig
from fovea.service.settings.gpu import GpuConfig
from fovea.service.settings.inference import InferenceConfig
from fovea.service.settings.logging import LoggingConfig
from fovea.service.settings.model import ModelConfig
from fovea.service.settings.monitoring import MonitoringConfig
from fovea.service.settings.optimization import OptimizationConfig
from fovea.service.settings.performance import PerformanceConfig
from fovea.service.settings.queue import QueueConfig
from fovea.service.settings.redis import RedisConfig
from fovea.service.settings.retention import RetentionConfig
from fovea.service.settings.server import ServerConfig
from fovea.service.settings.uploads import UploadsConfig
from fovea.service.settings.webhooks import WebhookConfig

__all__ = ["MEGABYTE", "Mode", "ServeConfig", "is_loopback"]

MEGABYTE = 1_000_000

Mode = Literal["auto", "gpu", "cpu", "nvidia", "amd", "intel", "qualcomm", "mps"]


class ServeConfig(Config):
    """Where the service listens, what it computes on, what it keeps and how much it takes in."""

    mode: Mode = setting("auto", "what to compute on; without a usable GPU it is the processor")
    runs: Path = setting(Path("runs"), "folder of the runs; jobs and uploads are kept in it, too")
    server: ServerConfig = setting(ServerConfig(), "where the service listens")
    browser: BrowserConfig = setting(BrowserConfig(), "whether the page opens by itself")
    gpu: GpuConfig = setting(GpuConfig(), "how a GPU is used")
    logging: LoggingConfig = setting(LoggingConfig(), "what is logged, and where")
    model: ModelConfig = setting(ModelConfig(), "the network that predicts")
    inference: InferenceConfig = setting(InferenceConfig(), "how dense predicted scenes are")
    optimization: OptimizationConfig = setting(OptimizationConfig(), "memory and speed")
    cache: CacheConfig = setting(CacheConfig(), "the cache of results")
    redis: RedisConfig = setting(RedisConfig(), "a Redis that several services share")
    webhook: WebhookConfig = setting(WebhookConfig(), "addresses that are told when a job ends")
    monitoring: MonitoringConfig = setting(MonitoringConfig(), "figures for Prometheus")
    performance: PerformanceConfig = setting(PerformanceConfig(), "how much is answered at a time")
    auto_tune: AutoTuneConfig = setting(AutoTuneConfig(), "the search for the fastest way")
    performance_cache: PerformanceCacheConfig = setting(
        PerformanceCacheConfig(), "what that search found; written by it"
    )
    queue: QueueConfig = setting(QueueConfig(), "how jobs wait, and who works on them")
    access: AccessConfig = setting(AccessConfig(), "who may call")
    uploads: UploadsConfig = setting(UploadsConfig(), "how much is taken in")
    retention: RetentionConfig = setting(RetentionConfig(), "how long things are kept")
    plugins: dict[str, dict[str, Any]] = setting({}, "settings of plugins by their names")

    @model_validator(mode="after")
    def _static_needs_a_folder(self) -> ServeConfig:
        wanted, given = self.optimization, self.model.checkpoint
        is_static = wanted.enable_quantization and wanted.quantization_mode == "static"
        if is_static and not Path(given).is_dir():
            raise ValueError(
                f"quantization_mode static wants model.checkpoint to be a folder, and it is"
                f" '{given}'. Make one: `fovea photo.export CHECKPOINT precision=int8`, or take"
                " quantization_mode dynamic"
            )
        return self

    @property
    def state_folder(self) -> Path:
        """What the service keeps beside the runs: its table, uploads, recipes, consoles."""
        return self.runs / ".service"

    @property
    def database_url(self) -> str:
        """The job table as SQLAlchemy wants it named."""
        return self.queue.database or f"sqlite:///{self.state_folder / 'jobs.sqlite'}"

    def refuse_open_address(self) -> Problem | None:
        """What is wrong with the address, if people on other machines could reach it."""
        host, access = self.server.host, self.access
        if is_loopback(host) or access.insecure or access.mode in ("keys", "keys+jwt", "auto"):
            return None
        return Problem(
            loc="access.mode",
            code="open_address",
            message=f"{host} can be reached from other machines, and with access.mode=none"
            " everybody may do everything. Leave access.mode out, so that callers need a key"
            " (fovea keys create), or say --insecure if that is what you want",
            input=access.mode,
        )
