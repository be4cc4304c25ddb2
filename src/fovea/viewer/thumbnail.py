"""The small picture that stands for a run in a list."""

from __future__ import annotations

import io
from pathlib import Path

from fovea.viewer.describe import describe, locate

SIDE_PX = 320
WIDEST = 4 / 3
"""A wider picture is a row of several; its first part says enough."""


def thumbnail(folder: Path) -> bytes | None:
    """The latest picture of a run's last stage that has one, as a small JPEG; None where none is.

    Raises:
        ArtifactError: `folder` holds no run.
    """
    from PIL import Image

    page = describe(folder)
    posters = [video["poster"] for video in page["videos"] if video["poster"]]
    groups = page["pictures"]
    last = [group for group in groups if group["stage"] == groups[-1]["stage"]]
    addresses = [*posters[-1:], *(group["frames"][-1]["path"] for group in last[:1])]
    file = locate(folder, addresses[0]) if addresses else None
    if file is None:
        return None
    with Image.open(file) as picture:
        height = picture.height
        picture = picture.crop((0, 0, min(picture.width, round(height * WIDEST)), height))
        picture.thumbnail((SIDE_PX, SIDE_PX))
        shown = Image.new("RGB", picture.size, "white")
        has_alpha = picture.mode in ("RGBA", "LA", "P")
        opaque = picture.convert("RGBA")
        shown.paste(opaque, mask=opaque if has_alpha else None)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=84)
    return buffer.getvalue()
