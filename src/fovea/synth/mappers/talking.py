"""Mappers that ask what is to be seen: answers to questions, tags, boxes."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from fovea.config import setting
from fovea.synth.batch import Batch
from fovea.synth.mappers.captioning import SYNTH
from fovea.synth.models.abilities import Drawing, Find
from fovea.synth.models.loading import DETECTOR, TAGGER, TALKER, Kind
from fovea.synth.models.operator import NAMED, Asking
from fovea.synth.operator import Mapper
from fovea.synth.sample import META

BETWEEN_TAGS = re.compile(r"[,;\n]")
AROUND_TAG = " \t\"'`.*-[]{}()"
ASK_FOR_TAGS = (
    "Name what is to be seen in the picture: objects, scene, actions, colours. Answer with single "
    "words or short phrases, separated by commas, and with nothing else."
)


class Talking(Asking):
    """An operator that asks a vision-language model."""

    max_new_tokens: int = setting(256, "tokens of an answer at most", ge=1)
    temperature: float = setting(0.2, "how freely tokens are drawn; 0 takes the likeliest", ge=0)
    top_p: float | None = setting(None, "tokens are drawn of this much probability", gt=0, le=1)
    num_beams: int = setting(1, "beams that are searched", ge=1)

    def how(self, batch: Batch, number: int) -> Drawing:
        """How a row's answers are drawn: its own seed, the same in every run."""
        seed = int(self.rng(int(batch.numbers[number])).integers(2**31))
        return Drawing(
            seed, self.max_new_tokens, self.temperature, top_p=self.top_p, beams=self.num_beams
        )


class Mllm(Talking, Mapper):
    """Asks a vision-language model the question of each row, and writes its answer as the text.

    A row without pictures stays as it is.
    """

    changes: ClassVar[tuple[str, ...]] = ("text",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_model": TALKER}
    hf_model: str = setting("llava-hf/llava-v1.6-vicuna-7b-hf", NAMED, local_only=True)
    query_key: str = setting("query", "field of a row with its question", min_length=1)
    prompt: str | None = setting(None, "asked where a row has no question of its own")
    keep_tokens: bool = setting(
        True, "put the image tokens before the answer; data-juicer writes the answer alone"
    )

    def map(self, batch: Batch) -> Batch:
        """Ask row by row.

        Raises:
            DataError: an image cannot be read.
        """
        network = self.asked(TALKER, self.hf_model)
        for number in range(len(batch)):
            row = batch.rows[number]
            question = row.get(self.query_key) or self.prompt
            pictures = self.decoded(batch, number)
            if not (question and pictures):
                continue
            answer = network.answer(pictures, str(question), self.how(batch, number))
            told = {"op": self.name, "model": self.hf_model, "prompt": question}
            values = {SYNTH: told | {"parent_id": row.get("id")}}
            batch.change(number, {self.text_field: self._text(answer, len(pictures))} | values)
        return batch

    def _text(self, answer: str, pictures: int) -> str:
        if not self.keep_tokens:
            return answer
        tokens = f"{self._fields.image_token}\n" * pictures
        return f"{tokens}{answer} {self._fields.eoc_token}"


class TagMapper(Asking, Mapper):
    """Notes something of each picture in the row's `__dj__meta__`."""

    changes: ClassVar[tuple[str, ...]] = ()
    tag_field_name: str = setting("", "name in __dj__meta__", min_length=1)

    @abstractmethod
    def noted(self, batch: Batch, number: int, pictures: list[Any]) -> list[Any]:
        """What is noted, an entry a picture."""

    def map(self, batch: Batch) -> Batch:
        """Note it, unless a row has it already; one without pictures gets an empty list."""
        for number in range(len(batch)):
            meta = dict(batch.rows[number].get(META) or {})
            if self.tag_field_name not in meta:
                pictures = self.decoded(batch, number)
                meta[self.tag_field_name] = self.noted(batch, number, pictures)
                batch.change(number, {META: meta})
        return batch


class ImageTagging(TagMapper):
    """Tags pictures by an image classifier that knows several labels at once.

    data-juicer asks RAM, which transformers does not have; one can be brought by a factory.
    """

    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_tagger": TAGGER}
    hf_tagger: str = setting("", f"the classifier: {NAMED}", local_only=True)
    tag_field_name: str = setting("image_tags", "name in __dj__meta__", min_length=1)

    def noted(self, batch: Batch, number: int, pictures: list[Any]) -> list[Any]:
        """The tags of each picture, the surest first."""
        network = self.asked(TAGGER, self.hf_tagger)
        return [tags for some in self.in_batches(pictures) for tags in network.tags(some)]


class ImageTaggingVlm(Talking, TagMapper):
    """Tags pictures by what a vision-language model lists, separated by commas."""

    asks: ClassVar[Mapping[str, Kind[Any]]] = {"api_or_hf_model": TALKER}
    api_or_hf_model: str = setting("Qwen/Qwen2.5-VL-7B-Instruct", NAMED, local_only=True)
    prompt: str = setting(ASK_FOR_TAGS, "what the network is asked", min_length=1)
    tag_field_name: str = setting("image_tags", "name in __dj__meta__", min_length=1)

    def noted(self, batch: Batch, number: int, pictures: list[Any]) -> list[Any]:
        """The tags of each picture in the order they are said."""
        network, how = self.asked(TALKER, self.api_or_hf_model), self.how(batch, number)
        return [tags_of(network.answer([one], self.prompt, how)) for one in pictures]


class ImageSegment(TagMapper):
    """Notes the boxes of the things in a picture, those that overlap a surer one left out.

    data-juicer asks FastSAM of ultralytics; here it is any object detector of transformers.
    """

    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_detector": DETECTOR}
    hf_detector: str = setting("hustvl/yolos-tiny", NAMED, local_only=True)
    conf: float = setting(0.05, "least score of a box", ge=0, le=1)
    iou: float = setting(0.5, "a box that overlaps a surer one by more is left out", ge=0, le=1)
    tag_field_name: str = setting("bbox_tag", "name in __dj__meta__", min_length=1)

    def noted(self, batch: Batch, number: int, pictures: list[Any]) -> list[Any]:
        """The boxes of each picture, left, top, right and bottom in pixels, the surest first."""
        network = self.asked(DETECTOR, self.hf_detector)
        found = [finds for some in self.in_batches(pictures)
                 for finds in network.things(some, self.conf)]  # fmt: skip
        return [[list(find.box) for find in apart(finds, self.iou)] for finds in found]


def apart(finds: list[Find], most: float) -> list[Find]:
    """The surest finds, those left out that overlap a surer one by more than `most`."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda one: -one.score):
        if all(find.overlap(other) <= most for other in kept):
            kept.append(find)
    return kept


def tags_of(answer: str) -> list[str]:
    """The tags of an answer in small letters, each once."""
    found = (part.strip(AROUND_TAG).lower() for part in BETWEEN_TAGS.split(answer))
    return list(dict.fromkeys(tag for tag in found if tag))
