"""How long results and uploads are kept."""

from __future__ import annotations

from fovea.config import Config, setting


class RetentionConfig(Config):
    """How long results and uploads are kept. Jobs that wait or work are never removed."""

    days: float = setting(0.0, "days for which results of ended jobs are kept; 0 is for ever", ge=0)
    total_mb: float = setting(0.0, "MB of all results; the oldest go first; 0 is any", ge=0)
    owner_mb: float = setting(0.0, "MB of the results of one caller; 0 is any", ge=0)
    uploads_days: float = setting(
        0.0, "days for which uploads are kept that no open job uses; 0 is for ever", ge=0
    )
    every_s: float = setting(300.0, "how often that is looked at in s", gt=0, advanced=True)
