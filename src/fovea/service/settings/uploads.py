"""How much is taken in, and how slowly."""

from __future__ import annotations

from fovea.config import Config, setting


class UploadsConfig(Config):
    """How much is taken in, and how slowly."""

    upload_mb: int = setting(200, "largest request in MB", ge=1)
    file_mb: int = setting(200, "largest file of a request in MB", ge=1)
    unpacked_mb: int = setting(2000, "largest archive once unpacked in MB", ge=1)
    archive_entries: int = setting(10_000, "most files in one archive or request", ge=1)
    archive_ratio: int = setting(200, "most bytes of one archived file for each byte packed", ge=1)
    max_pixels: int = setting(50_000_000, "most pixels of a picture", ge=1)
    max_side_px: int = setting(16_384, "longest side of a picture in pixels", ge=1)
    max_frames: int = setting(1, "most frames of a picture; a film in a GIF or TIFF has more", ge=1)
    decode: bool = setting(
        False, "whether pictures are decoded once, in a process with limits, before they are taken"
    )
    decode_mb: int = setting(2000, "memory of that process in MB", ge=100, advanced=True)
    decode_s: int = setting(20, "seconds of that process", ge=1, advanced=True)
    idle_s: float = setting(20.0, "how long a request may send nothing in s", gt=0)
    least_bytes_per_s: int = setting(
        1000, "slower requests are cut off, 10 s after they began; 0: none", ge=0
    )
