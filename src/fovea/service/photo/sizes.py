"""How large a scene is asked for: the rule of input sizes, and a size chosen by the photograph.

The network has a size of its own and always works at that. The size that is asked for says how
dense the scene is: a side of `s` has a grid of `(s / 2)^2` cells, two Gaussians deep. 1536, the
largest, is what the network makes, untouched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LARGEST = 1536
MULTIPLE = 64
THRESHOLDS = ((0.15, 512), (0.30, 768), (0.50, 1024))
"""Up to so much complexity, so large a side; above the last one the largest."""
LOOKED_AT_PX = 256
"""Longer side of the picture whose complexity is measured."""
EDGE = 0.1
"""Least step of brightness between neighbours that counts as an edge."""


@dataclass(frozen=True)
class Settled:
    """A size, and how it came about."""

    size: int
    steps: tuple[str, ...] = ()
    """What was changed on the way from what was asked for."""

    @property
    def gaussians(self) -> int:
        """How many a scene of that size may have; 0 for all that the network makes."""
        return 0 if self.size >= LARGEST else (self.size // 2) ** 2 * 2


def settled(width: int, height: int) -> Settled:
    """The size for what was asked: square, a multiple of 64, at most 1536."""
    steps: list[str] = []
    size = max(width, height)
    if width != height:
        steps.append(f"{width} x {height} is not square: {size}")
    if size > LARGEST:
        steps.append(f"{size} is more than {LARGEST}: {LARGEST}")
        size = LARGEST
    if size % MULTIPLE:
        rounded = min(LARGEST, -(-size // MULTIPLE) * MULTIPLE)
        steps.append(f"{size} is no multiple of {MULTIPLE}: {rounded}")
        size = rounded
    return Settled(size, tuple(steps))


def size_by_complexity(complexity: float, *, smallest: int = 512, largest: int = LARGEST) -> int:
    """The size for a photograph in which there is so much to see, 0 to 1."""
    found = next((size for limit, size in THRESHOLDS if complexity < limit), LARGEST)
    return settled(*(min(max(found, smallest), largest),) * 2).size


def complexity(path: Path) -> float:
    """How much there is to see in a picture, 0 to 1: edges 0.4, entropy 0.4, colours 0.2.

    Looked at with a longer side of 256 px, so that the same picture larger is not more complex.
    Edges are the share of places where brightness steps by a tenth or more; entropy is that of
    brightness in 8 bits; colours are counted in steps of 16, against the number of places.
    """
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        opened.draft("RGB", (2 * LOOKED_AT_PX, 2 * LOOKED_AT_PX))
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture.thumbnail((LOOKED_AT_PX, LOOKED_AT_PX))
    colors = np.asarray(picture)
    brightness = np.asarray(picture.convert("L"))
    values = brightness.astype(np.float64) / 255
    down = np.abs(np.diff(values, axis=0))[:, :-1]
    right = np.abs(np.diff(values, axis=1))[:-1]
    edges = float((np.maximum(down, right) >= EDGE).mean()) if down.size else 0.0
    share = np.bincount(brightness.ravel(), minlength=256) / brightness.size
    entropy = float(-(share[share > 0] * np.log2(share[share > 0])).sum())
    coarse = (colors.reshape(-1, 3) // 16).astype(np.int64) @ np.array([256, 16, 1])
    different = len(np.unique(coarse)) / min(4096, len(coarse))
    return 0.4 * edges + 0.4 * entropy / 8 + 0.2 * different
