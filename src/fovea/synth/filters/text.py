"""Filters of texts that need no network. Each measures all texts of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from fovea.config import setting
from fovea.errors import BackendError
from fovea.synth.batch import Batch, Column
from fovea.synth.characters import ALNUM, SPECIAL
from fovea.synth.operator import RangeFilter
from fovea.synth.thresholds import Limit
from fovea.synth.wordlists import word_list
from fovea.synth.words import Codes, Hashes, Words, hashes_of

INF = float("inf")


class TextFilter(RangeFilter):
    """A filter of texts."""

    strip_special_tokens: bool = setting(
        False, "measure without special tokens; data-juicer's thresholds count them as text"
    )

    def codes(self, batch: Batch, *, lower: bool = False) -> Codes:
        """The texts to measure."""
        return batch.codes(self.text_field, lower=lower, bare=self.strip_special_tokens)


class TextLength(TextFilter):
    """Keeps texts of so many characters."""

    metrics: ClassVar[tuple[str, ...]] = ("text_len",)
    low: ClassVar[str] = "min_len"
    high: ClassVar[str] = "max_len"
    min_len: Limit = setting(10, "fewest characters")
    max_len: Limit = setting(INF, "most characters")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count characters."""
        return {"text_len": self.codes(batch).lengths}


class WordFilter(TextFilter):
    """A filter that looks at words."""

    lang: str = setting("en", "language of the texts, en or zh")
    tokenization: bool = setting(False, "split by a tokenizer's model instead of at white space")

    def load(self) -> None:
        """Refuse what needs a model."""
        if self.tokenization:
            raise BackendError(
                f"{self.name} with tokenization=true needs a sentencepiece model, which is not"
                " part of fovea. Leave tokenization at false."
            )

    def words(self, batch: Batch, *, lower: bool = True) -> Words:
        """The words of the texts."""
        return self.codes(batch, lower=lower).words


class WordsNum(WordFilter):
    """Keeps texts of so many words."""

    metrics: ClassVar[tuple[str, ...]] = ("num_words",)
    low: ClassVar[str] = "min_num"
    high: ClassVar[str] = "max_num"
    min_num: Limit = setting(10, "fewest words")
    max_num: Limit = setting(INF, "most words")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count words."""
        return {"num_words": self.words(batch, lower=False).counts}


class Alphanumeric(TextFilter):
    """Keeps texts of which so large a part is letters and digits."""

    metrics: ClassVar[tuple[str, ...]] = ("alnum_ratio",)
    tokenization: bool = setting(False, "letters by tokens of a model instead of characters")
    min_ratio: Limit = setting(0.25, "least part of characters")
    max_ratio: Limit = setting(INF, "largest part of characters")

    def load(self) -> None:
        """Refuse what needs a model."""
        if self.tokenization:
            raise BackendError(
                f"{self.name} with tokenization=true needs a tokenizer, which is not part of"
                " fovea. Leave tokenization at false."
            )

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count letters and digits."""
        return {"alnum_ratio": self.codes(batch).ratio(ALNUM)}


class SpecialCharacters(TextFilter):
    """Keeps texts of which so large a part is punctuation, digits, white space, symbols, emoji."""

    metrics: ClassVar[tuple[str, ...]] = ("special_char_ratio",)
    min_ratio: Limit = setting(0.0, "least part of characters")
    max_ratio: Limit = setting(0.25, "largest part of characters")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count special characters."""
        return {"special_char_ratio": self.codes(batch).ratio(SPECIAL)}


class CharacterRepetition(TextFilter):
    """Keeps texts that do not repeat runs of characters too often."""

    metrics: ClassVar[tuple[str, ...]] = ("char_rep_ratio",)
    rep_len: int = setting(10, "characters of a run", gt=0)
    min_ratio: Limit = setting(0.0, "least repeated part")
    max_ratio: Limit = setting(0.5, "largest repeated part")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count repeated runs."""
        return {"char_rep_ratio": self.codes(batch).char_repetition(self.rep_len)}


class WordRepetition(WordFilter):
    """Keeps texts that do not repeat runs of words too often."""

    metrics: ClassVar[tuple[str, ...]] = ("word_rep_ratio",)
    rep_len: int = setting(10, "words of a run", gt=0)
    min_ratio: Limit = setting(0.0, "least repeated part")
    max_ratio: Limit = setting(0.5, "largest repeated part")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count repeated runs."""
        return {"word_rep_ratio": self.words(batch).repetition(self.rep_len)}


class AverageLineLength(TextFilter):
    """Keeps texts whose lines have so many characters on average."""

    metrics: ClassVar[tuple[str, ...]] = ("avg_line_length",)
    low: ClassVar[str] = "min_len"
    high: ClassVar[str] = "max_len"
    min_len: Limit = setting(10, "fewest characters")
    max_len: Limit = setting(INF, "most characters")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Divide characters by lines."""
        codes = self.codes(batch)
        return {"avg_line_length": codes.lengths / np.maximum(codes.lines[0], 1)}


class MaximumLineLength(TextFilter):
    """Keeps texts whose longest line has so many characters."""

    metrics: ClassVar[tuple[str, ...]] = ("max_line_length",)
    low: ClassVar[str] = "min_len"
    high: ClassVar[str] = "max_len"
    min_len: Limit = setting(10, "fewest characters")
    max_len: Limit = setting(INF, "most characters")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Find the longest line."""
        return {"max_line_length": self.codes(batch).lines[1]}


class ListedWords(WordFilter):
    """A filter that looks words up in a list."""

    kind: ClassVar[str]
    use_words_aug: bool = setting(False, "count joined neighbours as words, too; for Chinese")
    words_aug_group_sizes: list[int] = setting([2], "how many neighbours are joined")
    words_aug_join_char: str = setting("", "what stands between joined neighbours")

    _listed: Hashes | None = PrivateAttr(default=None)
    _words: frozenset[str] = PrivateAttr(default=frozenset())

    def folder(self) -> str | None:
        """Folder of the person's own lists."""
        raise NotImplementedError

    def load(self) -> None:
        """Read the list."""
        super().load()
        if self._listed is None:
            self._words = word_list(self.kind, self.lang, self.folder())
            self._listed = hashes_of(self._words)

    def part(self, batch: Batch) -> np.ndarray:
        """The part of the words that is listed."""
        self.load()
        assert self._listed is not None, "load reads the list"
        if self.use_words_aug:
            texts = self.codes(batch, lower=True).texts
            return np.asarray([self._part_of(text) for text in texts], np.float64)
        return self.words(batch).part_in(self._listed)

    def _part_of(self, text: str) -> float:
        from fovea.synth.mappers.splitting import refined_words

        words = refined_words(text)
        joined = [
            self.words_aug_join_char.join(words[at : at + size])
            for size in self.words_aug_group_sizes
            for at in range(len(words) - size + 1)
        ]
        every = [*words, *joined]
        return sum(word in self._words for word in every) / len(every) if every else 0.0


class Stopwords(ListedWords):
    """Keeps texts with so large a part of the small words that sentences have."""

    metrics: ClassVar[tuple[str, ...]] = ("stopwords_ratio",)
    kind: ClassVar[str] = "stopwords"
    stopwords_dir: str | None = setting(None, "folder of lists *stopwords*.json, {en: [the, ...]}")
    min_ratio: Limit = setting(0.3, "least part of words")
    max_ratio: Limit = setting(1.0, "largest part of words")

    def folder(self) -> str | None:
        """Folder of the person's own lists."""
        return self.stopwords_dir

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count stop words."""
        return {"stopwords_ratio": self.part(batch)}


class FlaggedWords(ListedWords):
    """Keeps texts with few words of a list that nobody wants to read."""

    metrics: ClassVar[tuple[str, ...]] = ("flagged_words_ratio",)
    kind: ClassVar[str] = "flagged_words"
    flagged_words_dir: str | None = setting(None, "folder of lists *flagged_words*.json")
    min_ratio: Limit = setting(0.0, "least part of words")
    max_ratio: Limit = setting(0.045, "largest part of words")

    def folder(self) -> str | None:
        """Folder of the person's own lists."""
        return self.flagged_words_dir

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count flagged words."""
        return {"flagged_words_ratio": self.part(batch)}
