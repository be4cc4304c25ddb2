"""Figures for Prometheus."""

from __future__ import annotations

from fovea.config import Config, setting


class MonitoringConfig(Config):
    """Figures for Prometheus."""

    enabled: bool = setting(True, "whether figures are gathered and shown")
    enable_gpu: bool = setting(True, "whether the GPUs are asked every 5 s")
    metrics_path: str = setting("/metrics", "address of the figures", pattern=r"^/[\w./-]+$")
