"""The contact sheet: every photograph beside a view of its scene from a little to the side."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from fovea.photo.batch import Outcome
from fovea.photo.engine import Prediction
from fovea.photo.focal import with_film
from fovea.photo.photograph import Photograph
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.image import to_uint8
from fovea.scene.rasterize import rasterize

HALF_PX = (480, 360)
"""Width and height into which a photograph, and the view beside it, is fitted on the page."""
CELL_PX = (520, 200)
"""Width and height of a pair on the sheet; words come below."""
MARGIN_PX, LINE_PX, LINES = 14, 18, 4
COLUMNS = 3
MOST_CELLS = 240
LETTERS = 72
"""In a line of the words below a pair."""
PAPER, INK, FAINT, RED = (250, 250, 248), (30, 30, 30), (110, 110, 110), (176, 32, 32)
NEAR_M = 0.02

Picture = UInt8[np.ndarray, "height width 3"]
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def beside(prediction: Prediction, *, aside: float, device: torch.device) -> Picture:
    """A photograph, and beside it the view from `aside` times the distance to its right."""
    photograph = prediction.photograph
    height, width = _fitted(photograph.height, photograph.width, HALF_PX)
    camera = _camera_aside(prediction, aside).resized(height=height, width=width)
    gaussians = prediction.gaussians.to(device)
    with torch.no_grad():
        drawn = rasterize(gaussians, camera, near=NEAR_M).features.clamp(0, 1)
    if gaussians.color_space == "linear":
        drawn = linear_to_srgb(drawn)
    return np.concatenate([_small(photograph, height, width), to_uint8(drawn)], axis=1)


def contact_sheet(outcomes: Sequence[Outcome], folder: Path) -> Picture:
    """All outcomes on one sheet, those that failed among them with their sentence.

    Args:
        outcomes: in the order of the sheet; what is beyond 240 is only counted.
        folder: to which the pictures of the outcomes are relative.
    """
    shown = outcomes[:MOST_CELLS]
    columns = min(COLUMNS, len(shown)) if len(shown) > 1 else 1
    rows = -(-len(shown) // columns)
    wide, high = CELL_PX[0] + MARGIN_PX, CELL_PX[1] + LINES * LINE_PX + MARGIN_PX
    left_out = len(outcomes) - len(shown)
    size = (columns * wide + MARGIN_PX, rows * high + MARGIN_PX + LINE_PX * bool(left_out))
    sheet = Image.new("RGB", size, PAPER)
    pen = _Pen(ImageDraw.Draw(sheet))
    for number, outcome in enumerate(shown):
        left, top = MARGIN_PX + number % columns * wide, MARGIN_PX + number // columns * high
        _put_pair(sheet, folder / outcome.picture if outcome.picture else None, left, top)
        pen.write(_words(outcome), left, top + CELL_PX[1] + 4)
    if left_out:
        pen.write([(f"and {left_out} more, see table.csv", FAINT)], MARGIN_PX, size[1] - LINE_PX)
    return np.asarray(sheet)


def _camera_aside(prediction: Prediction, aside: float) -> Camera:
    """Moved to the right and turned back, so that what is at the middle distance stays in place."""
    photograph = prediction.photograph
    seen = prediction.depth_m[0]
    seen = seen[np.isfinite(seen) & (seen > 0)]
    distance = float(np.median(seen)) if seen.size else 1.0
    # A long lens sees little, and a step to the side should stay as small as that.
    step = aside * distance * min(1.0, photograph.width / photograph.focal_px)
    return Camera.look_at(
        (step, 0.0, 0.0),
        (0.0, 0.0, distance),
        fov_x=2 * math.atan(photograph.width / (2 * photograph.focal_px)),
        height=photograph.height,
        width=photograph.width,
        up=(0.0, -1.0, 0.0),
    )


def _fitted(height: int, width: int, box: tuple[int, int], *, most: float = 1.0) -> tuple[int, int]:
    scale = min(box[0] / width, box[1] / height, most)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _small(photograph: Photograph, height: int, width: int) -> Picture:
    whole = Image.fromarray(photograph.pixels)
    return np.asarray(whole.resize((width, height), Image.Resampling.BOX, reducing_gap=3.0))


def _put_pair(sheet: Image.Image, path: Path | None, left: int, top: int) -> None:
    if path is None or not path.is_file():
        frame = (left, top, left + CELL_PX[0] - 1, top + CELL_PX[1] - 1)
        ImageDraw.Draw(sheet).rectangle(frame, outline=RED, width=1)
        return
    with Image.open(path) as pair:
        height, width = _fitted(pair.height, pair.width, CELL_PX, most=4.0)
        sheet.paste(pair.resize((width, height), Image.Resampling.LANCZOS), (left, top))


def _words(outcome: Outcome) -> list[tuple[str, tuple[int, int, int]]]:
    """What stands below a pair: lines with their colours."""
    lines = [(textwrap.shorten(outcome.file, LETTERS, placeholder=" ..."), INK)]
    if outcome.problem:
        return [*lines, *((line, RED) for line in _wrapped(outcome.problem, LINES - 1))]
    lens = with_film(outcome.focal_source, outcome.film_mm)
    facts = f"{outcome.width} x {outcome.height}, {lens}"
    lines += [(line, FAINT) for line in _wrapped(facts, 2)]
    notes = _wrapped("; ".join(outcome.notes), LINES - len(lines)) if outcome.notes else []
    return [*lines, *((line, FAINT) for line in notes)]


def _wrapped(text: str, lines: int) -> list[str]:
    return textwrap.wrap(text, LETTERS, max_lines=lines, placeholder=" ...") if lines else []


@dataclass(frozen=True)
class _Pen:
    draw: ImageDraw.ImageDraw

    def write(self, lines: Sequence[tuple[str, tuple[int, int, int]]], left: int, top: int) -> None:
        """Lines one below the other."""
        font = ImageFont.load_default(size=14)
        for number, (line, color) in enumerate(lines):
            said = writable(line, font)
            self.draw.text((left, top + number * LINE_PX), said, fill=color, font=font)


def writable(text: str, font: Font) -> str:
    """The text with letters that the font lacks by their numbers, `U+732B`: a box says nothing."""
    nothing = _ink(font, "\uffff")
    return "".join(
        letter if letter.isascii() or _ink(font, letter) != nothing else f"U+{ord(letter):04X}"
        for letter in text
    )


def _ink(font: Font, letter: str) -> bytes:
    cell = Image.new("L", (2 * LINE_PX, 2 * LINE_PX))
    ImageDraw.Draw(cell).text((4, 4), letter, fill=255, font=font)
    return cell.tobytes()
