"""Who may call."""

from __future__ import annotations

import ipaddress

from fovea.config import Config


class AccessConfig(Config):
    """Who may call."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
