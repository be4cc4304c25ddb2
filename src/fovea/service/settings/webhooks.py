"""Addresses that are told when a job ends."""

from __future__ import annotations

from fovea.config import Config, setting


class WebhookConfig(Config):
    """Addresses that are told when a job ends."""

    enabled: bool = setting(False, "whether anybody is told")
    task_completed: str | tuple[str, ...] = setting("", "addresses to tell of jobs that succeeded")
    task_failed: str | tuple[str, ...] = setting("", "addresses to tell of jobs that failed")
    allow: tuple[str, ...] = setting(
        (), "names, addresses or networks that may be told although they are not public"
    )
    allow_http: bool = setting(False, "whether addresses without TLS are taken")
    secret: str = setting(
        "",
        "what signs messages to the service's own addresses, whsec_...; empty: made by it",
        pattern=r"^$|^whsec_[A-Za-z0-9+/=]{32,}$",
    )
    former_secret: str = setting(
        "",
        "the secret before it, while receivers change over",
        pattern=r"^$|^whsec_[A-Za-z0-9+/=]{32,}$",
    )
    keep_former_s: float = setting(
        86_400.0, "how long messages carry the former signature too, after a change in s", ge=0
    )
    base_url: str = setting(
        "", "address of this service as receivers reach it, before the links in messages"
    )
    timeout_s: float = setting(10.0, "how long a receiver may take in s", gt=0)
    retry_after_s: tuple[float, ...] = setting(
        (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 57_600.0),
        "how long to wait before each further try in s",
    )
    senders: int = setting(4, "messages sent at the same time", ge=1, le=64)
    keep_days: float = setting(7.0, "how long sent messages are kept in the table in days", gt=0)
