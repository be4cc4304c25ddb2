"""A sample: one record of text and images, and the names under which its parts stand.

A text is made of chunks, each closed by the end-of-chunk token; an image token marks where an image
belongs, the k-th of the whole text to `images[k]`. What stands in one chunk describes one another.
Measurements of a sample stand in its `__dj__stats__`, tags in `__dj__meta__`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fovea.errors import DataError

STATS = "__dj__stats__"
META = "__dj__meta__"
HASHES = ("__dj__hash", "__dj__minhash", "__dj__simhash", "__dj__imagehash")
IMAGE_TOKEN = "<__dj__image>"
AUDIO_TOKEN = "<__dj__audio>"
VIDEO_TOKEN = "<__dj__video>"
EOC_TOKEN = "<|__dj__eoc|>"

Sample = dict[str, Any]
"""One record as it stands in the file."""


@dataclass(frozen=True)
class Fields:
    """The names of the fields and the special tokens of a data set."""

    text: str = "text"
    images: str = "images"
    image_bytes: str = "image_bytes"
    image_token: str = IMAGE_TOKEN
    audio_token: str = AUDIO_TOKEN
    video_token: str = VIDEO_TOKEN
    eoc_token: str = EOC_TOKEN

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every special token."""
        return (self.image_token, self.audio_token, self.video_token, self.eoc_token)

    @cached_property
    def any_token(self) -> re.Pattern[str]:
        """Matches each special token, as a group, so that a split keeps them."""
        return re.compile("(" + "|".join(map(re.escape, self.tokens)) + ")")

    def without_tokens(self, text: str) -> str:
        """The text without special tokens, white space taken from its ends after each."""
        for token in self.tokens:
            text = text.replace(token, "").strip()
        return text

    def chunks(self, text: str) -> list[str]:
        """The chunks that are not blank."""
        return [chunk for chunk in text.split(self.eoc_token) if chunk.strip()]

    def pairs(self, sample: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
        """Each chunk with the numbers of its images.

        Raises:
            DataError: the text has another number of image tokens than there are images.
        """
        text, count = sample.get(self.text) or "", len(sample.get(self.images) or ())
        found = text.count(self.image_token)
        if found != count:
            raise DataError(
                f"the text has {found} of {self.image_token} and '{self.images}' lists {count}. "
                "Each image needs one token."
            )
        first = 0
        for chunk in self.chunks(text):
            past = first + chunk.count(self.image_token)
            yield chunk, list(range(first, past))
            first = past
