"""The colour of a class, the same in all pictures and plots."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fovea.events.draw import CLASS_COLORS, Color
from fovea.events.labels import IGNORE

GREY: Color = (140, 140, 140)


def rgb(class_id: int) -> Color:
    """Of a class; grey for boxes of none."""
    return GREY if class_id >= IGNORE else CLASS_COLORS[class_id % len(CLASS_COLORS)]


def color(class_id: int) -> str:
    """The same as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb(class_id))


def legend(classes: Sequence[str]) -> str:
    """The names of the classes, each in its colour, as markup."""
    names = "".join(
        f'<span style="color:{color(number)}">\u25a0 {escape(name)}</span> &nbsp;'
        for number, name in enumerate(classes)
    )
    return f"<p>{names}</p>"
