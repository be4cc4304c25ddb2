"""Pages that work from a disk: headings, tables and pictures in one file.

Such a page fetches nothing and runs nothing: style and pictures stand in it, small. Charts are
those of `fovea.tuning.charts`; their lines take the classes `s0` to `s7`, a colour each.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fovea.scene.image import to_uint8

STYLE = Path(__file__).with_name("page.css")
PICTURE_PX = 200
"""Width to which larger pictures are brought."""
QUALITY = 82

Columns = Mapping[str, tuple[str, str]]
"""Key of a value -> heading of its column and how it is written, `("PSNR", "{:.2f}")`."""


def page(title: str, *parts: str, lead: str = "") -> str:
    """The whole file.

    Args:
        title: of the page, plain text.
        parts: what the functions below give.
        lead: a sentence below the title, plain text.
    """
    head = f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{head}{''.join(parts)}</main></body></html>\n"
    )


def section(heading: str, body: str, note: str = "") -> str:
    """A card with a heading; `body` is markup, the other two plain text."""
    said = f"<p>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(heading)}</h2>{said}{body}</section>"


def tiles(values: Mapping[str, str]) -> str:
    """A few large numbers, what they are -> how they are written."""
    each = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
        for what, value in values.items()
    )
    return f'<div class="tiles">{"".join(each)}</div>'


def table(
    rows: Mapping[str, Mapping[str, Any]], columns: Columns, *, corner: str = "", marked: str = ""
) -> str:
    """A row each; columns that no row has are left out, and so are cells.

    Args:
        rows: what each is called -> its values.
        columns: in order.
        corner: what the rows are.
        marked: the row that stands out.
    """
    used = {
        name: what for name, what in columns.items() if any(name in row for row in rows.values())
    }
    heads = "".join(f"<th>{escape(heading)}</th>" for heading, _ in used.values())
    body = ""
    for label, values in rows.items():
        cells = "".join(
            f"<td>{escape(form.format(values[name])) if name in values else ''}</td>"
            for name, (_, form) in used.items()
        )
        mark = ' class="marked"' if label == marked else ""
        body += f"<tr{mark}><td>{escape(label)}</td>{cells}</tr>"
    return f'<div class="wide"><table><tr><th>{escape(corner)}</th>{heads}</tr>{body}</table></div>'


def listing(heads: Sequence[str], rows: Iterable[Sequence[str]], *, is_text: bool = False) -> str:
    """A table whose cells are markup; of sentences rather than numbers when `is_text`."""
    top = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    kind = ' class="said"' if is_text else ""
    return f'<div class="wide"><table{kind}><tr>{top}</tr>{body}</table></div>'


def folded(body: str, summary: str = "show") -> str:
    """Markup that is hidden until it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def legend(names: Iterable[tuple[str, str]]) -> str:
    """The lines of a chart: the class of each, and its name, plain text."""
    inner = "".join(f'<span class="{kind}"><i></i>{escape(name)}</span>' for kind, name in names)
    return f'<div class="legend">{inner}</div>'


def strip(figures: Iterable[str], *, is_wide: bool = False) -> str:
    """Pictures side by side, as many as there is room for; wide ones have words on them."""
    kind = "wide strip" if is_wide else "strip"
    return f'<div class="{kind}">{"".join(figures)}</div>'


def figure(picture: Any, caption: str, *, width_px: int = PICTURE_PX) -> str:
    """A picture, [height, width, 3] in 0..1 or uint8, at most `width_px` wide, and its caption."""
    return (
        f'<figure><img alt="{escape(caption)}" src="{data_url(picture, width_px=width_px)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def data_url(picture: Any, *, width_px: int = PICTURE_PX) -> str:
    """A picture as an address that holds it."""
    is_stepped = isinstance(picture, np.ndarray) and picture.dtype == np.uint8
    image = Image.fromarray(picture if is_stepped else to_uint8(picture))
    if image.width > width_px:
        height = max(1, round(image.height * width_px / image.width))
        image = image.resize((width_px, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
