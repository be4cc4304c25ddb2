"""LLaVA's JSON as training samples: read, encoded, gathered into batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from fovea.dialect import mapping
from fovea.errors import DataError
from fovea.runs.stage import Context
from fovea.vlm.conversation import Encoded, Template, Tokenizer, Turn, encode, encode_plain
from fovea.vlm.picture import Shape, high_resolution, read_picture


@dataclass(frozen=True)
class Sample:
    """One conversation, about one picture or none."""

    id: str
    turns: tuple[Turn, ...]
    image: Path | None

    @property
    def length(self) -> int:
        """Words of all turns, negative without a picture: what samples are grouped by."""
        words = sum(len(turn["value"].split()) for turn in self.turns)
        return words if self.image is not None else -words

    def encoded(self, tokenizer: Tokenizer, template: Template, *, is_plain: bool) -> Encoded:
        """The sample's tokens and labels."""
        if is_plain and self.image is not None:
            return encode_plain(self.turns, tokenizer)
        return encode(self.turns, tokenizer, template, has_image=self.image is not None)


@dataclass(frozen=True)
class Batch:
    """What one step takes."""

    rows: list[Tensor]
    labels: list[Tensor]
    pictures: Float32[Tensor, "B 3 size size"]


def read_samples(path: Path, images: Path | None = None) -> list[Sample]:
    """The samples of a file.

    Args:
        path: a list of `{id, image?, conversations: [{from, value}]}`.
        images: the folder that `image` is below; None for the file's own.

    Raises:
        DataError: the file is not of that form, or has no sample.
    """
    folder = images or path.parent
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} should be LLaVA's JSON, a list of conversations: {error}. Write it with "
            "synth.export."
        ) from error
    samples = [_sample(row, number, path, folder) for number, row in enumerate(_list(rows, path))]
    if not samples:
        raise DataError(f"{path} holds no sample. Give data to learn from.")
    return samples


def texts(samples: Sequence[Sample]) -> Iterator[str]:
    """All turns, as a tokenizer is made from them."""
    for sample in samples:
        for turn in sample.turns:
            yield turn["value"]


class Loader:
    """Batches of samples in a given order; a sample that cannot be read is replaced, and told.

    Args:
        samples: all there are.
        tokenizer, template: of the language model.
        size: of the pictures in pixels.
        shape: how they are made square.
        is_plain: whether only image and caption are used.
        most_broken: part of the samples that may be broken before it is an error.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        tokenizer: Tokenizer,
        template: Template,
        *,
        size: int,
        shape: Shape,
        is_plain: bool = False,
        most_broken: float = 0.01,
    ) -> None:
        self.samples = samples
        self.tokenizer = tokenizer
        self.template = template
        self.size = size
        self.shape: Shape = shape
        self.is_plain = is_plain
        self.most_broken = most_broken
        self.broken: dict[int, str] = {}

    def batch(self, order: Sequence[int]) -> Batch:
        """The samples of these places.

        Raises:
            DataError: too many samples are broken to go on as if nothing were.
        """
        made = [self._usable(place) for place in order]
        return Batch(
            rows=[torch.tensor(encoded.input_ids) for encoded, _ in made],
            labels=[torch.tensor(encoded.labels) for encoded, _ in made],
            pictures=torch.stack([picture for _, picture in made]),
        )

    def tell_broken(self, context: Context) -> None:
        """Say how many samples could not be used, if any."""
        if self.broken:
            first = next(iter(self.broken.values()))
            context.note(
                f"{len(self.broken)} samples could not be used and were replaced; the first: "
                f"{first}",
                level="warning",
            )

    def _usable(self, place: int) -> tuple[Encoded, Tensor]:
        """The sample of a place, or the next one after it that can be used."""
        for step in range(len(self.samples)):
            there = (place + step) % len(self.samples)
            if there in self.broken:
                continue
            try:
                return self._read(self.samples[there])
            except DataError as error:
                self.broken[there] = f"sample {self.samples[there].id}: {error}"
                self._check()
        raise DataError("no sample can be used. Mend the data: synth.clean tells what is wrong.")

    def _read(self, sample: Sample) -> tuple[Encoded, Tensor]:
        encoded = sample.encoded(self.tokenizer, self.template, is_plain=self.is_plain)
        if encoded.trouble:
            raise DataError(f"{encoded.trouble}, so that nothing of it could be trained on")
        if sample.image is None:
            return encoded, torch.zeros(3, self.size, self.size)
        picture = read_picture(sample.image)
        return encoded, high_resolution(picture, shape=self.shape, size=self.size)

    def _check(self) -> None:
        allowed = max(10, self.most_broken * len(self.samples))
        if len(self.broken) > allowed:
            first = next(iter(self.broken.values()))
            raise DataError(
                f"{len(self.broken)} of {len(self.samples)} samples cannot be used, more than "
                f"{self.most_broken:.0%}; the first: {first} Mend the data with synth.clean, or "
                "set most_broken higher."
            )


def _list(rows: Any, path: Path) -> list[Any]:
    if not isinstance(rows, list):
        raise DataError(
            f"{path} should hold a list of conversations, and holds a {type(rows).__name__}. Write "
            "it with synth.export."
        )
    return rows


def _sample(row: Any, number: int, path: Path, folder: Path) -> Sample:
    try:
        data = mapping(row)
        turns = tuple(
            {"from": str(turn["from"]), "value": str(turn["value"])}
            for turn in data["conversations"]
        )
        image = data.get("image")
        where = folder / str(image) if image else None
        return Sample(str(data.get("id", number)), turns, where)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"entry {number} of {path} should have conversations of from and value: "
            f"{type(error).__name__} {error}. Write the file with synth.export."
        ) from error
