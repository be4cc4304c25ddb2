"""Mappers that write captions: beside the old ones, or in place of those that do not fit.

Source: data-juicer's image_captioning_mapper for rows and texts; BLIP's bootstrapping (Li et al.,
2022) for `recaption_below`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import PrivateAttr

from fovea.config import setting
from fovea.synth.batch import Batch, Column
from fovea.synth.dedup.documents import simhash
from fovea.synth.models.abilities import Matcher
from fovea.synth.models.loading import CAPTIONER, CLIP, ITM, Kind
from fovea.synth.models.operator import NAMED, Asking
from fovea.synth.operator import Mapper, Operator, Scout
from fovea.synth.thresholds import Limit, is_place

SYNTH = "synth"
"""The field that says of a made caption how it came about."""
PROMPT_ECHO = re.compile(r"^(?:answer|caption|description)\s*:\s*", re.IGNORECASE)
LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
STOCK = re.compile(r"[\s,.|-]*\bstock (?:photo|image|photography)\b[\s.]*$", re.IGNORECASE)


class ImageCaptioning(Asking, Mapper):
    """Writes captions of the pictures, as rows behind the old one or in its place."""

    changes: ClassVar[tuple[str, ...]] = ("text",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_img2seq": CAPTIONER}
    hf_img2seq: str = setting("Salesforce/blip2-opt-2.7b", NAMED, local_only=True)
    caption_num: int = setting(1, "captions a picture", ge=1)
    keep_candidate_mode: Literal["random_any", "similar_one_simhash", "all"] = setting(
        "random_any", "which of them stay: one by chance, the one nearest to the old text, or all"
    )
    keep_original_sample: bool = setting(True, "whether the old row stays before the new ones")
    prompt: str | None = setting(None, "what the network is asked")
    prompt_key: str | None = setting(None, "field of a row with a prompt of its own")
    gpu_batch_size: int = setting(8, "pictures asked about at once", ge=1)
    clean: bool = setting(
        False, "take away list marks, echoes of the prompt and 'stock photo' at the end"
    )
    retries: int = setting(2, "times an empty caption is asked for again", ge=0)

    def map(self, batch: Batch) -> Batch:
        """Rows without a picture make no new one."""
        where: list[int] = []
        texts: list[str | None] = []
        for number in range(len(batch)):
            if self.keep_original_sample:
                where.append(number)
                texts.append(None)
            for text in self._new_texts(batch, number):
                where.append(number)
                texts.append(text)
        made = batch.taken(np.asarray(where, np.int64))
        for place, text in enumerate(texts):
            if text is not None:
                row = made.rows[place]
                told = {"op": self.name, "model": self.hf_img2seq, "prompt": self._prompt(row)}
                values = {SYNTH: told | {"parent_id": row.get("id")}}
                made.change(place, {self.text_field: text} | values)
        return made

    def _new_texts(self, batch: Batch, number: int) -> list[str]:
        """The texts of the new rows of one row."""
        row = batch.rows[number]
        chunks = [(chunk, places) for chunk, places in self._fields.pairs(row)]
        if not any(places for _, places in chunks):
            return []
        images = [batch.pictures.decoded(*picture) for picture in self.pictures(batch, number)]
        rng = self.rng(int(batch.numbers[number]))
        drawn = self._captions(images, self._prompt(row), int(rng.integers(2**31)))
        candidates = list(zip(*drawn, strict=True))
        texts = ["".join(self._text(chunks, captions)) for captions in candidates]
        if self.keep_candidate_mode == "all":
            return texts
        if self.keep_candidate_mode == "random_any":
            return [texts[int(rng.integers(len(texts)))]]
        return [_nearest(row.get(self.text_field) or "", texts)]

    def _captions(self, images: list[Any], prompt: str | None, seed: int) -> list[list[str]]:
        """`caption_num` captions of each picture; an empty one is asked for again."""
        network = self.asked(CAPTIONER, self.hf_img2seq)
        found: list[list[str]] = []
        for image in images:
            captions: list[str] = []
            for attempt in range(self.retries + 1):
                (captions,) = network.captions(
                    [image], [prompt], count=self.caption_num, seed=seed + 7919 * attempt
                )
                captions = [cleaned(c) if self.clean else c for c in captions]
                if all(c.strip() for c in captions):
                    break
            found.append(captions)
        return found

    def _text(
        self, chunks: list[tuple[str, list[int]]], captions: tuple[str, ...]
    ) -> Iterator[str]:
        """Each chunk's special tokens with a caption behind every image token."""
        for chunk, places in chunks:
            left = iter(places)
            for token in self._fields.any_token.findall(chunk):
                yield token
                if token == self._fields.image_token:
                    yield f" {captions[next(left)]} "
            yield self._fields.eoc_token

    def _prompt(self, row: dict[str, Any]) -> str | None:
        own = row.get(self.prompt_key) if self.prompt_key else None
        return str(own) if own else self.prompt


class Scoring(Asking):
    """An operator that scores captions."""

    matcher: str = setting(
        "openai/clip-vit-base-patch32", f"what scores: {NAMED}", local_only=True, min_length=1
    )
    scores_by: Literal["clip", "itm"] = setting(
        "clip", "of a network of the hub: similarity, or BLIP's matching head"
    )

    def load(self) -> None:
        """Load the network, once in each process."""
        self._matcher()

    def scores(self, images: list[Any], texts: list[str]) -> list[float]:
        """How well each text fits its picture."""
        network, scores = self._matcher(), list[float]()
        for some in self.in_batches(list(zip(images, texts, strict=True))):
            scores += network.agreement([image for image, _ in some], [text for _, text in some])
        return scores

    def _matcher(self) -> Matcher:
        return self.asked(CLIP if self.scores_by == "clip" else ITM, self.matcher)


class RecaptionBelow(Scoring, Mapper):
    """Scores captions, writes those anew that fit badly, and keeps whichever fits better."""

    changes: ClassVar[tuple[str, ...]] = ("text",)
    captioner: str = setting("Salesforce/blip2-opt-2.7b", NAMED, local_only=True, min_length=1)
    min_score: Limit = setting(0.28, "captions under it are written anew; q0.25: a quarter is")
    prompt: str | None = setting(None, "what the captioner is asked")
    clean: bool = setting(True, "take away list marks, echoes and 'stock photo' at the end")
    stat: str = setting("recaption_score", "statistic that keeps the final score", min_length=1)

    _is_scored: bool = PrivateAttr(default=False)

    def scout(self) -> Scout | None:
        """What scores all rows first, where the limit is a place among the scores."""
        if not is_place(self.min_score):
            return None
        told = self.model_dump(include=set(RecaptionScores.model_fields))
        return RecaptionScores(**told)

    def settled_by(self, limits: Mapping[str, float]) -> Operator:
        """Itself with a number for its limit; the rows it gets are scored."""
        found = super().settled_by(limits)
        assert isinstance(found, RecaptionBelow), "it is a copy"
        found._is_scored = True
        return found

    def load(self) -> None:
        """Load both networks, once in each process."""
        super().load()
        self.asked(CAPTIONER, self.captioner)

    def map(self, batch: Batch) -> Batch:
        """Rows of one picture and one text each; with a limit that is not known none is new."""
        pairs = [self.only_picture(batch, number) for number in range(len(batch))]
        if self._is_scored:
            before = [float(score) for score in batch.stats[self.stat]]
        else:
            before = self.scores([image for _, image in pairs], [text for text, _ in pairs])
        least = float("-inf") if isinstance(self.min_score, str) else self.min_score
        low = [number for number, score in enumerate(before) if score < least]
        images = [pairs[number][1] for number in low]
        written = self._written(images)
        after = self.scores(images, written)
        final = list(before)
        for number, text, score in zip(low, written, after, strict=True):
            if text.strip() and score > before[number]:
                final[number] = score
                self._put(batch, number, text, before[number], score)
        batch.put(self.stat, final)
        return batch

    def _put(self, batch: Batch, number: int, text: str, before: float, after: float) -> None:
        row = batch.rows[number]
        told = {"op": self.name, "model": self.captioner, "prompt": self.prompt}
        told |= {"parent_id": row.get("id"), "score": [round(before, 6), round(after, 6)]}
        whole = f"{self._fields.image_token}\n{text} {self._fields.eoc_token}"
        batch.change(number, {self.text_field: whole, SYNTH: told})

    def _written(self, images: list[Any]) -> list[str]:
        network = self.asked(CAPTIONER, self.captioner)
        texts: list[str] = []
        for some in self.in_batches(images):
            for (text,) in network.captions(some, [self.prompt] * len(some)):
                texts.append(cleaned(text) if self.clean else text)
        return texts


class RecaptionScores(Scoring, Scout):
    """Scores captions for `recaption_below`, which then knows where its limit lies."""

    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = ""
    min_score: Limit = setting("q0.25", "captions under it will be written anew")
    stat: str = setting("recaption_score", "statistic of the score", min_length=1)

    def measured(self) -> tuple[str, ...]:
        """The score."""
        return (self.stat,)

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Score every row."""
        pairs = [self.only_picture(batch, number) for number in range(len(batch))]
        return {self.stat: self.scores([i for _, i in pairs], [text for text, _ in pairs])}


def cleaned(caption: str) -> str:
    """A caption without list marks, echoes of a prompt, and 'stock photo' at its end."""
    text = LIST_MARK.sub("", caption.strip())
    return STOCK.sub("", PROMPT_ECHO.sub("", text)).strip()


def _nearest(text: str, candidates: list[str]) -> str:
    """The candidate whose simhash is nearest to the text's; the first of equals."""
    own = simhash(_shingles(text))
    return min(candidates, key=lambda one: (own ^ simhash(_shingles(one))).bit_count())


def _shingles(text: str) -> list[bytes]:
    words = text.lower().split(" ")
    return [" ".join(words[i : i + 2]).encode() for i in range(max(1, len(words) - 1))]
