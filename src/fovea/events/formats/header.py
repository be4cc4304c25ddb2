"""The text at the beginning of .raw and .dat files: lines that begin with `% `.

Some files close it with `% end`, some do not; it then ends at the first line that begins otherwise.
What is read of it: which words follow, and how large the sensor is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fovea.errors import DataError

Format = Literal["dat", "evt2", "evt21", "evt3"]
Order = Literal["low-first", "high-first"]
"""Which half of a 64-bit word is sent first."""
LONGEST = 1 << 16
"""Bytes up to which a header is looked for."""
GENERATIONS: tuple[tuple[str, int, int], ...] = (
    # In older files only the name of the camera's plugin tells the sensor: name, height, width.
    ("genx320", 320, 320),
    ("imx636", 720, 1280),
    ("imx646", 720, 1280),
    ("gen4", 720, 1280),
    ("gen3", 480, 640),
)


@dataclass(frozen=True)
class Header:
    """What stands before the events."""

    keys: Mapping[str, str]
    """Values by key, keys in small letters."""
    size: int
    """Bytes, the closing line included."""

    @property
    def format(self) -> Format:
        """Which words follow.

        Raises:
            DataError: words that are not known.
        """
        named = self._parts.get("", "") or self.keys.get("evt", "")
        if not named:
            return "dat"
        digits = re.sub(r"\D", "", named).removesuffix("0")
        match digits:
            case "2":
                return "evt2"
            case "21":
                return "evt21"
            case "3":
                return "evt3"
            case _:
                raise DataError(
                    f"a recording is of EVT 2.0, 2.1 or 3.0, and its header says '{named}'. Export"
                    " it again in one of these."
                )

    @property
    def geometry(self) -> tuple[int | None, int | None]:
        """Height and width of the sensor, None where the header does not say."""
        height = self._parts.get("height") or self.keys.get("height")
        width = self._parts.get("width") or self.keys.get("width")
        if height and width and height.isdigit() and width.isdigit():
            return int(height), int(width)
        if size := re.fullmatch(r"(\d+)\s*x\s*(\d+)", self.keys.get("geometry", "")):
            return int(size[2]), int(size[1])
        plugin = self.keys.get("plugin_name", "").lower()
        for name, rows, columns in GENERATIONS:
            if name in plugin:
                return rows, columns
        return None, None

    @property
    def order(self) -> Order | None:
        """Which half of a 64-bit word is sent first; None where the header does not say."""
        match self._parts.get("endianness", self.keys.get("endianness", "")).lower():
            case "":
                return None
            case "little":
                return "low-first"
            case _:
                return "high-first"

    @property
    def _parts(self) -> dict[str, str]:
        """`EVT3;height=720;width=1280` as a mapping; the format itself stands under no name."""
        parts = [part.partition("=") for part in self.keys.get("format", "").split(";")]
        return {
            (key.strip() if sign else ""): (value if sign else key) for key, sign, value in parts
        }


def read_header(data: bytes, *, is_all: bool) -> Header | None:
    """Read the header at the beginning of `data`; None where more bytes are needed to tell.

    Args:
        data: the first bytes of a recording.
        is_all: whether nothing follows, so that the header ends where the bytes do.

    Raises:
        DataError: there is a header, and it does not end.
    """
    keys: dict[str, str] = {}
    at = 0
    while data[at : at + 2] == b"% ":
        end = data.find(b"\n", at)
        if end < 0 and not is_all:
            return _unless_endless(data)
        end = len(data) - 1 if end < 0 else end
        line = data[at + 2 : end].decode("latin-1").strip()
        at = end + 1
        if line == "end":
            return Header(keys, at)
        key, _, value = line.partition(" ")
        keys[key.lower()] = value.strip()
    if len(data) < at + 2 and not is_all and b"% ".startswith(data[at:]):
        return _unless_endless(data)
    return Header(keys, at)


def _unless_endless(data: bytes) -> None:
    if len(data) > LONGEST:
        raise DataError(
            f"a header of lines that begin with '% ' was wanted, and it has not ended after"
            f" {LONGEST} bytes. The file is damaged or not a recording: fetch it again."
        )
