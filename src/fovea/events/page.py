"""The parts of a page that works from a disk: it fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fovea.events.draw import CLASS_COLORS, Color
from fovea.events.labels import IGNORE

STYLE = Path(__file__).with_name("page.css")
GREY: Color = (140, 140, 140)


def rgb(class_id: int) -> Color:
    """The colour of a class, the same in all pictures and plots; grey for boxes of none."""
    return GREY if class_id >= IGNORE else CLASS_COLORS[class_id % len(CLASS_COLORS)]


def colour(class_id: int) -> str:
    """The same as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb(class_id))


def page(title: str, note: str, body: Iterable[str]) -> str:
    """The whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{escape(title)}</title>"
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main><header><h1>{escape(title)}</h1><p>{escape(note)}</p></header>"
        f"{''.join(body)}</main></body></html>\n"
    )


def tiles(numbers: Mapping[str, str]) -> str:
    """Large numbers, each with what it counts."""
    inner = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in numbers.items()
    )
    return f'<div class="tiles">{inner}</div>'


def section(heading: str, note: str, body: str) -> str:
    """A card with a heading."""
    said = f"<p>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(heading)}</h2>{said}{body}</section>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, is_text: bool = False) -> str:
    """A table; cells are HTML already."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    kind = ' class="said"' if is_text else ""
    return f'<div class="wide"><table{kind}><tr>{heads}</tr>{body}</table></div>'


def legend(classes: Sequence[str]) -> str:
    """The names of the classes, each in its colour."""
    names = "".join(
        f'<span style="color:{colour(number)}">\u25a0 {escape(name)}</span> &nbsp;'
        for number, name in enumerate(classes)
    )
    return f"<p>{names}</p>"


def strip(pictures: Iterable[tuple[str, UInt8[np.ndarray, "h w 3"]]]) -> str:
    """Pictures in a row or several, each with a line under it."""
    inner = "".join(
        f'<figure><img alt="{escape(caption)}" src="{data_url(picture)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, picture in pictures
    )
    return f'<div class="strip">{inner}</div>'


def data_url(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """A picture as the address of itself."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
