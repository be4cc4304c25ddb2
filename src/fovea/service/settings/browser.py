"""Whether the page opens by itself."""

from __future__ import annotations

from fovea.config import Config, setting


class BrowserConfig(Config):
    """Whether the page opens by itself."""

    auto_open: bool = setting(
        True, "open the page 2 s after the start, where there is a screen to open it on"
    )
