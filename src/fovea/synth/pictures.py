"""Pictures of a batch: looked at from outside without decoding, and decoded once at most.

Height, width and bytes come from a file's head. What needs pixels asks for the decoded picture; it
is kept until the engine releases the rows it belongs to.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 178_956_970
"""Larger pictures are not decoded: half a gigabyte of pixels."""
HEAD_BYTES = 4096


@dataclass(frozen=True)
class Head:
    """What a picture's file says of it."""

    height: int
    width: int
    bytes: int


class Pictures:
    """The pictures of some rows.

    Args:
        root: folder that relative paths start from.
        allows_truncated: whether what is missing of a cut file is filled with grey.
        most_pixels: of a picture that is decoded.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        allows_truncated: bool = False,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self.root = root or Path()
        self._root = str(self.root)
        self.allows_truncated = allows_truncated
        self.most_pixels = most_pixels
        self._heads: dict[str | bytes, Head] = {}
        self._decoded: dict[str | bytes, Image.Image] = {}
        self.decodes = 0
        """How many pictures were decoded so far."""

    def path(self, name: str) -> Path:
        """Where a picture stands."""
        return self.root / name

    def head(self, name: str, content: bytes | None = None) -> Head:
        """Size in pixels and bytes.

        Raises:
            DataError: nothing is there, or it is no picture.
        """
        key = name if content is None else content
        if key not in self._heads:
            first, size = self._first(name, content)
            sides = sides_of(first)
            if sides is None:
                with self._opened(name, content) as image:
                    sides = image.height, image.width
            self._heads[key] = Head(*sides, size)
        return self._heads[key]

    def _first(self, name: str, content: bytes | None) -> tuple[bytes, int]:
        """The first bytes of a picture, and how many it has."""
        if content is not None:
            return content[:HEAD_BYTES], len(content)
        try:
            number = os.open(os.path.join(self._root, name), os.O_RDONLY)  # noqa: PTH118 -- of each of millions
            try:
                return os.read(number, HEAD_BYTES), os.fstat(number).st_size
            finally:
                os.close(number)
        except (OSError, ValueError) as error:
            raise _absent(self.path(name), error) from error

    def bytes_of(self, name: str, content: bytes | None = None) -> int:
        """The size of the file alone, without looking into it.

        Raises:
            DataError: nothing is there.
        """
        if content is not None:
            return len(content)
        try:
            return self.path(name).stat().st_size
        except (OSError, ValueError) as error:
            raise _absent(self.path(name), error) from error

    def decoded(self, name: str, content: bytes | None = None) -> Image.Image:
        """The picture in RGB; alpha is dropped.

        Raises:
            DataError: nothing is there, it is no picture, or it is cut or too large.
        """
        from PIL import ImageFile

        key = name if content is None else content
        if key in self._decoded:
            return self._decoded[key]
        head = self.head(name, content)
        if head.height * head.width > self.most_pixels:
            raise DataError(
                f"{name} has {head.width} x {head.height} pixels; at most {self.most_pixels} are"
                " decoded. Shrink it, or drop it with image_shape_filter before."
            )
        before, ImageFile.LOAD_TRUNCATED_IMAGES = (
            ImageFile.LOAD_TRUNCATED_IMAGES,
            self.allows_truncated,
        )
        try:
            with self._opened(name, content) as image:
                found = image.convert("RGB")
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise DataError(f"{name} cannot be decoded: {error}. Replace or drop it.") from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before
        self.decodes += 1
        self._decoded[key] = found
        return found

    def release(self) -> None:
        """Forget decoded pictures and heads."""
        self._decoded.clear()
        self._heads.clear()

    def _opened(self, name: str, content: bytes | None) -> Image.Image:
        from PIL import Image

        path = self.path(name)
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path if content is None else io.BytesIO(content))
        except (Image.UnidentifiedImageError, SyntaxError, ValueError, EOFError) as error:
            raise DataError(
                f"{name} is no picture that can be read. Replace or drop it."
            ) from error
        except OSError as error:
            raise _absent(path, error) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def sides_of(first: bytes) -> tuple[int, int] | None:
    """Height and width from the first bytes of a JPEG or PNG; None where they do not say it.

    Source: ITU-T T.81, annex B (frame headers); the PNG specification, section 11 (IHDR).
    """
    if first[:8] == b"\x89PNG\r\n\x1a\n" and first[12:16] == b"IHDR" and len(first) >= 24:
        width, height = struct.unpack(">II", first[16:24])
        return (height, width) if height and width else None
    at = 2 if first[:2] == b"\xff\xd8" else len(first)
    while at + 9 <= len(first) and first[at] == 0xFF:
        marker = first[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", first[at + 5 : at + 9])
            return (height, width) if height and width else None
        at += 2 + int.from_bytes(first[at + 2 : at + 4], "big")
    return None


def _absent(path: Path, error: OSError | ValueError) -> DataError:
    if isinstance(error, ValueError):
        return DataError(f"{str(path)!r} cannot be a path: {error}. Mend it.")
    if isinstance(error, FileNotFoundError):
        return DataError(
            f"{path} does not exist. Relative paths start at the data set's folder; image_root"
            " names another."
        )
    return DataError(f"{path} cannot be read: {error.strerror or error}. Look at the file.")
