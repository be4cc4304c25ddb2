"""How photographs are read from a capture; what reads one inherits this."""

from __future__ import annotations

from fovea.config import Config, setting


class CaptureConfig(Config):
    """How photographs are read from a capture."""

    resolution: int = setting(
        0,
        "divide the photographs' size by 1, 2, 4 or 8; any larger number is the width in px; -1"
        " keeps up to 1600 px; 0 is the first of 1, 2, 4, 8 that brings the longer side to 512 px",
        ge=-1,
    )
    hold_out: int = setting(
        8,
        "every n-th view is for testing where the capture has no test split; 0 trains on all",
        ge=0,
    )
    images: str = setting(
        "images",
        "folder of the photographs in a COLMAP capture",
        pattern=r"^\w[\w.\- ]*(/\w[\w.\- ]*)*$",
    )
