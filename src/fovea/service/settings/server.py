"""Where the service listens."""

from __future__ import annotations

from fovea.config import Config, setting


class ServerConfig(Config):
    """Where the service listens."""

    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on; 0 takes a free one", ge=0, le=65_535)
