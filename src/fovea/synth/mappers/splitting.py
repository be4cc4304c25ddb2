"""Texts cut into lines, parts between tabs, and words; and put together again."""

from __future__ import annotations

from collections.abc import Callable

from fovea.synth.characters import strip_special


def words(text: str) -> list[str]:
    """The words: what stands between blanks, newlines and tabs."""
    return [w for w in text.replace("\n", " ").replace("\t", " ").split(" ") if w]


def refined_words(text: str) -> list[str]:
    """The words without special characters at their ends; none empty."""
    return [word for word in map(strip_special, words(text)) if word]


def kept_words(text: str, keeps: Callable[[str], bool]) -> str:
    """The text with only the words that are kept; lines and tabs that hold none go with them."""
    lines: list[str] = []
    for line in text.split("\n"):
        parts = [
            " ".join(word for word in part.split(" ") if word and keeps(word))
            for part in line.split("\t")
        ]
        if full := [part for part in parts if part]:
            lines.append("\t".join(full))
    return "\n".join(lines)
