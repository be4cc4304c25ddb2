"""Mappers of images: blurred whole or where there are faces, freed of their background.

A picture that changes is a new file, named after the old one, what was done and the content: the
same input gives the same name in every run.
"""

from __future__ import annotations

import hashlib
import io
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PrivateAttr

from fovea.config import setting
from fovea.synth.batch import Batch
from fovea.synth.filters.image import cascade, find_faces
from fovea.synth.models.loading import MATTER, Kind
from fovea.synth.models.operator import Asking
from fovea.synth.operator import Cost, Mapper, Operator

if TYPE_CHECKING:
    from PIL import Image

PRODUCED = "__dj__produced_data__"
SOURCE = "__dj__source_file__"
LOSSY = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class Produced(Operator):
    """An operator that writes pictures."""

    save_dir: str | None = setting(
        None, "folder of the new files; else one beside each old file", local_only=True
    )

    def saved(self, batch: Batch, name: str, encoded: bytes, suffix: str = "") -> str:
        """Write a new file beside the old one, or into the folder; give its path.

        Args:
            batch: whose picture it is of.
            name: the path of the old picture.
            encoded: the new one.
            suffix: of the new one, where it is not the old one's.
        """
        old = Path(name)
        told = f"{self.model_dump_json()}|{name}".encode() + encoded
        mark = hashlib.sha256(told).hexdigest()[:16]
        stem = f"{old.stem}__dj_hash_#{mark}#{suffix or old.suffix}"
        folder = self.save_dir or os.environ.get("DJ_PRODUCED_DATA_DIR")
        beside = Path(folder) if folder else old.parent / PRODUCED
        relative = beside / self.name / stem
        target = batch.pictures.path(os.fspath(relative))
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            draft = target.with_name(f".{os.getpid()}-{target.name}")
            draft.write_bytes(encoded)
            draft.replace(target)
        return os.fspath(relative)


class ImageMapper(Produced, Mapper):
    """Changes images of rows, one by one."""

    cost: ClassVar[Cost] = "pixels"
    changes: ClassVar[tuple[str, ...]] = ("images",)
    form: ClassVar[str] = ""
    """Ending of the new files, where it is not the old ones'."""

    @abstractmethod
    def changed(self, picture: Image.Image, number: int, place: int) -> Image.Image | None:
        """The picture after it, or None where it stays as it is."""

    def map(self, batch: Batch) -> Batch:
        """Change the images of every row."""
        for number in range(len(batch)):
            self._map_row(batch, number)
        return batch

    def _map_row(self, batch: Batch, number: int) -> None:
        names, values = batch.images(number, self.image_field), dict[str, Any]()
        held_key = self.image_bytes_key or self._fields.image_bytes
        held: list[Any] = list(batch.rows[number].get(held_key) or ())
        after, done = list(names), dict[str, str]()
        for place, (name, content) in enumerate(self.pictures(batch, number)):
            if name in done:
                after[place] = done[name]
                continue
            found = self.changed(batch.pictures.decoded(name, content), number=int(
                batch.numbers[number]), place=place)  # fmt: skip
            if found is None:
                continue
            encoded = encoded_as(found, self.form or Path(name).suffix)
            after[place] = done[name] = self.saved(batch, name, encoded, self.form)
            if content is not None:
                held[place] = encoded
        if done:
            sources = batch.rows[number].get(SOURCE) or names
            values = {self.image_field: after, SOURCE: list(sources)}
            batch.change(number, values | ({held_key: held} if held else {}))


def encoded_as(picture: Image.Image, suffix: str) -> bytes:
    """A picture as a file of that ending; unknown endings are written as PNG."""
    file = io.BytesIO()
    form = LOSSY.get(suffix.lower(), "PNG")
    picture.save(file, form, **({"quality": 95} if form != "PNG" else {}))
    return file.getvalue()


class BlurMapper(ImageMapper):
    """A mapper that blurs."""

    blur_type: Literal["mean", "box", "gaussian"] = setting("gaussian", "kind of blur")
    radius: float = setting(2.0, "pixels", ge=0)

    def blurred(self, picture: Image.Image) -> Image.Image:
        """The whole picture blurred."""
        from PIL import ImageFilter

        kinds = {
            "mean": ImageFilter.BLUR,
            "box": ImageFilter.BoxBlur(self.radius),
            "gaussian": ImageFilter.GaussianBlur(self.radius),
        }
        return picture.filter(kinds[self.blur_type])


class ImageBlur(BlurMapper):
    """Blurs images by chance, which is the same in every run of a seed."""

    p: float = setting(0.2, "how likely an image is blurred", ge=0, le=1)

    def changed(self, picture: Image.Image, number: int, place: int) -> Image.Image | None:
        """Blur it, or not."""
        draws: Sequence[float] = self.rng(number).random(place + 1).tolist()
        return self.blurred(picture) if draws[place] < self.p else None


class ImageFaceBlur(BlurMapper):
    """Blurs faces."""

    cv_classifier: str = setting("", "the cascade's .xml; by default OpenCV's frontalface_alt")
    scaleFactor: float = setting(1.1, "how much smaller the picture gets from look to look", gt=1)
    minNeighbors: int = setting(3, "finds that a face needs", ge=0)

    _cascade: Any = PrivateAttr(default=None)

    def load(self) -> None:
        """Read the cascade."""
        if self._cascade is None:
            self._cascade = cascade(self.cv_classifier, self.name)

    def changed(self, picture: Image.Image, number: int, place: int) -> Image.Image | None:
        """Blur the boxes of faces; a picture without any stays."""
        import numpy as np

        boxes = find_faces(
            self._cascade, np.asarray(picture), scale=self.scaleFactor,
            neighbours=self.minNeighbors, least=None, most=None,
        )  # fmt: skip
        if not boxes:
            return None
        after = picture.copy()
        for x, y, w, h in boxes:
            box = (x, y, x + w, y + h)
            after.paste(self.blurred(picture.crop(box)), box)
        return after


class ImageRemoveBackground(Asking, ImageMapper):
    """Takes the background away: it becomes transparent, or one colour. The new files are PNG."""

    cost: ClassVar[Cost] = "model"
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"model": MATTER}
    form: ClassVar[str] = ".png"
    model: str = setting(
        "", "a network of the U2-Net family, as rembg publishes them: local:u2net.onnx or "
        "module:FACTORY", local_only=True,
    )  # fmt: skip
    alpha_matting: Literal[False] = setting(False, "fine edges as rembg makes them; not done here")
    bgcolor: list[int] | None = setting(
        None, "colour behind, [r, g, b] or [r, g, b, a], 0 to 255; else nothing",
        min_length=3, max_length=4,
    )  # fmt: skip

    def changed(self, picture: Image.Image, number: int, place: int) -> Image.Image | None:
        """What is in front alone."""
        from PIL import Image

        after = picture.convert("RGB")
        after.putalpha(Image.fromarray(self.asked(MATTER, self.model).mattes(picture)))
        if self.bgcolor is None:
            return after
        behind = Image.new("RGBA", picture.size, tuple((*self.bgcolor, 255)[:4]))
        return Image.alpha_composite(behind, after)
