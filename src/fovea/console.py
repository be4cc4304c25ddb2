"""What is said to the person at the keyboard, or to the program that reads along.

The command line calls `configure` once; everybody else just speaks. With `--json` standard output
carries JSON only, with `--quiet` only what was asked for. rich is imported late, to draw a table.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from fovea.errors import ConfigError, FoveaError


@dataclass
class _Style:
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: bool = True


style = _Style()
"""How this process speaks."""


def configure(
    *, as_json: bool = False, quiet: bool = False, verbose: bool = False, color: bool = True
) -> None:
    """Choose how this process speaks; `verbose` also shows what modules log."""
    style.as_json, style.quiet, style.verbose, style.color = as_json, quiet, verbose, color
    if verbose:
        import logging

        from fovea import logs

        logs.begin(logging.DEBUG, "%(levelname)s %(name)s: %(message)s")


def has_color(stream: TextIO | None = None) -> bool:
    """Whether colours may be used: a terminal, and nobody asked for none."""
    is_terminal = (stream or sys.stdout).isatty()
    return style.color and is_terminal and "NO_COLOR" not in os.environ


def say(text: str = "") -> None:
    """Tell something on the way; silent with `--quiet` and `--json`."""
    if not (style.quiet or style.as_json):
        _write(sys.stdout, text)


def answer(text: str, data: Any) -> None:
    """Give what was asked for: `text` to a person, `data` with `--json`."""
    _write(sys.stdout, json.dumps(data, default=str) if style.as_json else text)


def warn(text: str) -> None:
    """Tell what went on but may surprise."""
    _write(sys.stderr, _painted("warning:", "33", sys.stderr) + f" {text}")


def bold(text: str) -> str:
    """The text as a heading, where colours may be used."""
    return _painted(text, "1", sys.stdout)


def fail(error: FoveaError) -> None:
    """Say why it ended: the error's sentence, or with `--json` the error as an object."""
    if not style.as_json:
        _write(sys.stderr, _painted("error:", "31", sys.stderr) + f" {error}")
        return
    body: dict[str, Any] = {"code": error.code, "message": str(error), "exit": error.exit_code}
    if isinstance(error, ConfigError):
        body["problems"] = [vars(problem) for problem in error.problems]
    _write(sys.stdout, json.dumps({"error": body}, default=str))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show rows under headings: drawn on a terminal, aligned in a pipe, objects with `--json`."""
    if style.as_json:
        answer("", [dict(zip(columns, row, strict=True)) for row in rows])
        return
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not has_color():
        _write(sys.stdout, aligned([[column.upper() for column in columns], *texts]))
        return
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in texts:
        drawn.add_row(*row)
    Console().print(drawn)


def aligned(rows: Sequence[Sequence[str]], *, indent: int = 0, gap: int = 2) -> str:
    """Rows of text in columns, each as wide as its widest cell but for the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    lines = (
        (" " * gap).join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(f"{' ' * indent}{line}".rstrip() for line in lines)


def pairs(items: Mapping[str, str], *, indent: int = 2) -> str:
    """Words with what they mean, in two columns."""
    return aligned([[name, meaning] for name, meaning in items.items()], indent=indent, gap=3)


def _painted(text: str, code: str, stream: TextIO) -> str:
    return f"\033[{code}m{text}\033[0m" if has_color(stream) else text


def _write(stream: TextIO, text: str) -> None:
    stream.write(text + "\n")
    stream.flush()
