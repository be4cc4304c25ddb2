"""A sheet of pictures: a row a view, a column a quantity, with its scores written beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from fovea.scene.image import to_uint8

MARGIN_PX = 8
HEADING_PX = 26
CELL_WIDTH_PX, NARROW_PX = 240, 150
"""Of a column; the second where there are more than six."""
WORST_ERROR = 0.25
"""Mean absolute error of a pixel that is drawn in the brightest colour."""

INK, PAPER, FAINT = (30, 30, 34), (250, 250, 248), (120, 120, 126)


@dataclass(frozen=True)
class Row:
    """One view: its pictures, by the heading of their column, and its scores."""

    name: str
    pictures: Mapping[str, Float[np.ndarray, "h w 3"]]
    scores: Mapping[str, float]


def error_colors(
    image: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "h w 3"]:
    """The mean absolute error of each pixel as a colour, from black over red to bright yellow."""
    error = np.abs(image - truth).mean(axis=-1) / WORST_ERROR
    steps = (error.clip(0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(steps, cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32) / 255


def draw_sheet(rows: Sequence[Row]) -> Image.Image:
    """Draw the sheet; every picture is brought to one width."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row.pictures))
    height, width = next(iter(rows[0].pictures.values())).shape[:2]
    across = CELL_WIDTH_PX if len(headings) <= 6 else NARROW_PX
    cell = round(across * height / width)
    pitch = cell + HEADING_PX + MARGIN_PX
    sheet = Image.new(
        "RGB",
        (
            MARGIN_PX + len(headings) * (across + MARGIN_PX),
            HEADING_PX + MARGIN_PX + len(rows) * pitch,
        ),
        PAPER,
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for column, heading in enumerate(headings):
        left = MARGIN_PX + column * (across + MARGIN_PX)
        pen.text((left, MARGIN_PX), heading, fill=INK, font=font)
        for number, row in enumerate(rows):
            if heading not in row.pictures:
                continue
            picture = Image.fromarray(to_uint8(row.pictures[heading]))
            picture = picture.resize((across, cell), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, HEADING_PX + MARGIN_PX + number * pitch))
    for number, row in enumerate(rows):
        below = HEADING_PX + MARGIN_PX + number * pitch + cell + 3
        pen.text((MARGIN_PX, below), f"{row.name}   {_said(row.scores)}", fill=FAINT, font=font)
    return sheet


def _said(scores: Mapping[str, float]) -> str:
    forms = {
        "psnr": "PSNR {:.2f} dB",
        "ssim": "SSIM {:.3f}",
        "normal_deg": "normals {:.1f}° off",
        "pbr_psnr": "shaded {:.2f} dB",
        "wall_psnr": "a wall {:.2f} dB",
    }
    return "   ".join(forms[name].format(value) for name, value in scores.items() if name in forms)
