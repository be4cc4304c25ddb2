"""Duplicates of images: four hashes of what they look like.

A hash has 64 bits, row by row of an 8 x 8 grid, written as 16 hexadecimal digits. Colour images are
shrunk first and turned to grey then.

Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), with
the sizes and orders of the library imagededup, whose hashes these are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fovea.config import setting
from fovea.synth.batch import Batch
from fovea.synth.dedup.documents import digests, hexadecimal, roots_of_digests
from fovea.synth.dedup.groups import near_pairs, roots_of
from fovea.synth.operator import Columns, Cost, Deduplicator

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64
    from PIL import Image


def grey(image: Image.Image, *, height: int, width: int) -> Float64[np.ndarray, "height width"]:
    """An image shrunk with Lanczos' filter, then in grey, 0 to 255."""
    from PIL import Image as Pillow

    small = image.convert("RGB").resize((width, height), Pillow.Resampling.LANCZOS).convert("L")
    return np.asarray(small, np.float64)


def phash(image: Image.Image) -> Bool[np.ndarray, "8 8"]:
    """Low frequencies of the cosine transform against their median."""
    from scipy.fft import dct

    found = np.asarray(dct(dct(grey(image, height=32, width=32), axis=0), axis=1))[:8, :8]
    return found >= np.median(found.ravel()[1:])


def ahash(image: Image.Image) -> Bool[np.ndarray, "8 8"]:
    """Pixels against their mean."""
    found = grey(image, height=8, width=8)
    return found >= found.mean()


def dhash(image: Image.Image) -> Bool[np.ndarray, "8 8"]:
    """Pixels against the one to their left."""
    found = grey(image, height=8, width=9)
    return found[:, 1:] > found[:, :-1]


def whash(image: Image.Image) -> Bool[np.ndarray, "8 8"]:
    """The coarse part of Haar's wavelets against its median."""
    found = grey(image, height=256, width=256)
    for _ in range(5):
        # Haar's low pass of level 1 in both directions: sums of 2 x 2 pixels, halved.
        found = (found[0::2, 0::2] + found[0::2, 1::2] + found[1::2, 0::2] + found[1::2, 1::2]) / 2
    return found >= np.median(found)


HASHES: dict[str, Callable[[Image.Image], Bool[np.ndarray, "8 8"]]] = {
    "phash": phash, "dhash": dhash, "ahash": ahash, "whash": whash,
}  # fmt: skip


def hash_of(image: Image.Image, method: str) -> str:
    """The hash of an image, 16 hexadecimal digits."""
    return np.packbits(HASHES[method](image)).tobytes().hex()


class ImageDeduplicator(Deduplicator):
    """Keeps one of the rows whose images look the same; rows without images stay."""

    cost: ClassVar[Cost] = "pixels"
    method: Literal["phash", "dhash", "ahash", "whash"] = setting("phash", "the hash")
    consider_text: bool = setting(False, "whether the text must be the same, too")
    max_distance: int = setting(0, "bits in which hashes of one image may differ", ge=0, lt=32)

    def keys(self, batch: Batch) -> dict[str, np.ndarray]:
        """The hashes of each row's distinct images behind one another, and the text's digest."""
        hashes = np.empty(len(batch), object)
        for number in range(len(batch)):
            pictures = dict(self.pictures(batch, number))
            hashes[number] = "".join(
                hash_of(batch.pictures.decoded(name, held), self.method)
                for name, held in pictures.items()
            )
        found = {"images": hashes}
        if self.consider_text:
            found["digest"] = digests([text.strip() for text in batch.texts(self.text_field)])
        return found

    def exported(self, keys: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
        """The hashes as data-juicer writes them."""
        found: dict[str, list[Any]] = {"__dj__imagehash": keys["images"].tolist()}
        if "digest" in keys:
            found["__dj__hash"] = [hexadecimal(digest) for digest in keys["digest"]]
        return found

    def groups(self, columns: Columns) -> Int64[np.ndarray, " n"]:
        """Rows with the same hashes, or with as many that are near one by one."""
        images: list[str] = columns.column("images").tolist()
        text = (
            roots_of_digests(columns.column("digest", 0), columns.column("digest", 1))
            if self.consider_text
            else np.zeros(len(images), np.int64)
        )
        has = np.flatnonzero([bool(found) for found in images])
        roots = np.arange(len(images))
        counts = np.asarray([len(images[at]) // 16 for at in has])
        for count in np.unique(counts).tolist():
            rows = has[counts == count]
            hashes = np.asarray(
                [[int(images[at][k * 16 : k * 16 + 16], 16) for k in range(count)] for at in rows],
                np.uint64,
            )
            roots[rows] = rows[self._grouped(hashes, text[rows])]
        return roots

    def _grouped(self, hashes: np.ndarray, text: np.ndarray) -> Int64[np.ndarray, " n"]:
        if self.max_distance == 0:
            return roots_of_digests(*hashes.T, text.astype(np.uint64))

        def near() -> Any:
            for left, right in near_pairs(hashes[:, 0], self.max_distance):
                apart = np.bitwise_count(hashes[left] ^ hashes[right]).max(axis=1, initial=0)
                good = (apart <= self.max_distance) & (text[left] == text[right])
                yield left[good], right[good]

        return roots_of(len(hashes), near())
