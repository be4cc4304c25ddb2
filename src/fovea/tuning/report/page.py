"""The page of a study: one file that works from a disk and asks for nothing.

Its pictures are SVG that needs no script. A small script links them: a trial that is pointed at
lights up everywhere, and the table can be sorted. `is_light` leaves the script out.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

from fovea.tuning.report import parts
from fovea.tuning.report.pictures import pictures
from fovea.tuning.report.view import View

HERE = Path(__file__).parent


def page(view: View, *, is_light: bool = False) -> str:
    """The page, whole."""
    shown = [parts.head(view), parts.leaders(view)]
    for picture in pictures(view):
        wide = " class=full" if picture.is_wide else ""
        shown.append(
            f"<section{wide} id={picture.name}><h2>{escape(picture.heading)}</h2>"
            f"<p>{escape(picture.text)}</p>{picture.svg}</section>"
        )
    shown += [parts.table(view), parts.failures(view), parts.foot(view)]
    script = "" if is_light else (HERE / "report.js").read_text(encoding="utf-8")
    # Whatever else may stand in a study, this page fetches nothing and runs nothing else.
    rules = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if script:
        rules += f"; script-src 'sha256-{_digest(script)}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
        f"<title>{escape(view.name)}</title><style>{style()}</style></head>"
        f"<body><main>{''.join(shown)}</main>"
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )


def style() -> str:
    """The style sheet, light and dark."""
    return (HERE / "report.css").read_text(encoding="utf-8")


def standing_alone(markup: str) -> str:
    """A part of the page for a notebook's cell, where it must not touch what is around it."""
    body = f"<style>{style()}</style><main>{markup}</main>"
    # A frame keeps the style to itself; it grows with what it holds.
    grow = "this.style.height=this.contentDocument.documentElement.scrollHeight+'px'"
    return (
        f'<iframe srcdoc="{escape(body)}" onload="{grow}" '
        'style="width:100%;border:0;min-height:340px"></iframe>'
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
