"""How long results and uploads are kept."""

from __future__ import annotations

from fovea.config import Config


class RetentionConfig(Config):
    """How long results and uploads are kept."""
