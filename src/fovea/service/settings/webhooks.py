"""Addresses that are told when a job ends."""

from __future__ import annotations

from fovea.config import Config, setting


class WebhookConfig(Config):
    """Addresses that are told when a job ends."""

    enabled: bool = setting(False, "whether anybody is told")
    task_completed: str | tuple[str, ...] = setting("", "address to tell of a job that succeeded")
    task_failed: str | tuple[str, ...] = setting("", "address to tell of a job that failed")
