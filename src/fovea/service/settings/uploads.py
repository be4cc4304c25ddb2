"""How much is taken in."""

from __future__ import annotations

from fovea.config import Config, setting


class UploadsConfig(Config):
    """How much is taken in."""

    upload_mb: int = setting(200, "largest request in MB", ge=1)
    unpacked_mb: int = setting(2000, "largest archive once unpacked in MB", ge=1)
    archive_entries: int = setting(10_000, "most files in one archive or request", ge=1)
    archive_ratio: int = setting(200, "most bytes of one archived file for each byte packed", ge=1)
