"""Mappers that make new pictures by networks: painted anew after their captions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from fovea.config import setting
from fovea.errors import DataError
from fovea.synth.batch import Batch
from fovea.synth.mappers.captioning import SYNTH
from fovea.synth.mappers.image import SOURCE, Produced, encoded_as
from fovea.synth.models.abilities import Repainting
from fovea.synth.models.loading import CAPTIONER, REPAINTER
from fovea.synth.models.operator import NAMED, Asking
from fovea.synth.operator import Mapper

ASKED = "A photo of a "
"""What the captioner goes on from, where rows have no caption of their own."""


class ImageDiffusion(Asking, Produced, Mapper):
    """Paints pictures anew by Stable Diffusion after their captions, as rows behind the old one.

    A row without pictures makes no new one.
    """

    changes: ClassVar[tuple[str, ...]] = ("images",)
    extras: ClassVar[tuple[str, ...]] = ("diffusers",)
    hf_diffusion: str = setting("CompVis/stable-diffusion-v1-4", NAMED, local_only=True)
    torch_dtype: Literal["fp32", "fp16", "bf16"] = setting("fp32", "numbers of the network")
    revision: str = setting("main", "version of the network on the hub")
    strength: float = setting(0.8, "how far from the old picture, 0 to 1", ge=0, le=1)
    guidance_scale: float = setting(7.5, "how closely the caption is followed", ge=0)
    aug_num: int = setting(1, "new pictures of each", ge=1)
    keep_original_sample: bool = setting(True, "whether the old row stays before the new ones")
    caption_key: str | None = setting(
        None, "field of a row with its caption, or a caption a picture; else one is written"
    )
    hf_img2seq: str = setting("Salesforce/blip2-opt-2.7b", f"writes captions: {NAMED}",
                              local_only=True)  # fmt: skip
    steps: int = setting(50, "steps of the whole way; strength says how much of it is gone", ge=1)
    side_px: int = setting(512, "the network works on squares of so many pixels", ge=8)

    def load(self) -> None:
        """Load the networks, once in each process."""
        self.asked(REPAINTER, self._pipeline())
        if not self.caption_key:
            self.asked(CAPTIONER, self.hf_img2seq)

    def _pipeline(self) -> str:
        if self.hf_diffusion.startswith("module:"):
            return self.hf_diffusion
        return f"{self.hf_diffusion}?dtype={self.torch_dtype}&revision={self.revision}"

    def map(self, batch: Batch) -> Batch:
        """Paint row by row."""
        where: list[int] = []
        changes: list[Mapping[str, Any]] = []
        for number in range(len(batch)):
            if self.keep_original_sample:
                where.append(number)
                changes.append({})
            if batch.images(number, self.image_field):
                for copy in range(self.aug_num):
                    where.append(number)
                    changes.append(self._painted(batch, number, copy))
        made = batch.taken(np.asarray(where, np.int64))
        for place, values in enumerate(changes):
            if values:
                made.change(place, values)
        return made

    def _painted(self, batch: Batch, number: int, copy: int) -> dict[str, Any]:
        """What a new row has in place of the old one's."""
        row = batch.rows[number]
        pictures = self.decoded(batch, number)
        names = batch.images(number, self.image_field)
        captions = self._captions(row, pictures, names)
        after: list[str] = []
        held: list[bytes] = []
        for name, picture, caption in zip(names, pictures, captions, strict=True):
            how = Repainting(
                self.strength, self.guidance_scale, self.steps,
                seed=self._of(picture, caption, copy), side=self.side_px,
            )  # fmt: skip
            painted = self.asked(REPAINTER, self._pipeline()).repainted(picture, caption, how)
            if painted is None:
                raise DataError(
                    f"the safety checker of {self.hf_diffusion} let no picture after {name} pass. "
                    "Drop the row, or take another strength."
                )
            held.append(encoded_as(painted, Path(name).suffix))
            after.append(self.saved(batch, name, held[-1]))
        told = {"op": self.name, "model": self.hf_diffusion, "prompt": captions}
        values = {self.image_field: after, SOURCE: list(row.get(SOURCE) or names)}
        held_key = self.image_bytes_key or self._fields.image_bytes
        values |= {held_key: held} if row.get(held_key) else {}
        return values | {SYNTH: told | {"parent_id": row.get("id")}}

    def _captions(self, row: Mapping[str, Any], pictures: list[Any], names: list[str]) -> list[str]:
        if not self.caption_key:
            network = self.asked(CAPTIONER, self.hf_img2seq)
            asked = [ASKED] * len(pictures)
            return [texts[0].strip() for texts in network.captions(pictures, asked)]
        found = row.get(self.caption_key)
        captions = [found] * len(names) if isinstance(found, str) else list(found or ())
        if len(captions) != len(names):
            raise DataError(
                f"'{self.caption_key}' must be a caption, or one for each picture; found "
                f"{len(captions)} for {len(names)} pictures. Mend the row."
            )
        return [self._fields.without_tokens(str(caption)) for caption in captions]

    def _of(self, picture: Any, caption: str, copy: int) -> int:
        """A seed by what is painted and how, so that every run paints the same."""
        how = (self.hf_diffusion, self.strength, self.guidance_scale, self.steps, self.side_px)
        told = f"{self._seed}|{how}|{caption}|{copy}|{picture.size}".encode()
        return int.from_bytes(hashlib.sha256(told + picture.tobytes()).digest()[:4], "little") >> 1
