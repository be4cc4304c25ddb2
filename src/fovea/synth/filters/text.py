"""Filters of texts that need no network. Each measures all texts of a batch at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from fovea.config import setting
from fovea.errors import BackendError
from fovea.synth.batch import Batch, Column
from fovea.synth.characters import ALNUM, SPECIAL
from fovea.synth.models.loading import PIECES, TOKENIZER, network
from fovea.synth.operator import RangeFilter
from fovea.synth.thresholds import Limit
from fovea.synth.wordlists import word_list
from fovea.synth.words import Codes, Words, hashes_of

INF = float("inf")


class TextFilter(RangeFilter):
    """A filter by one number of each text."""

    strip_special_tokens: bool = setting(
        False, "measure without special tokens; data-juicer's thresholds count them as text"
    )

    @abstractmethod
    def values(self, batch: Batch) -> Column:
        """The number of every text."""

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Measure every text."""
        return {self.measured()[0]: self.values(batch)}

    def codes(self, batch: Batch, *, lower: bool = False) -> Codes:
        """The texts to measure."""
        return batch.codes(self.text_field, lower=lower, bare=self.strip_special_tokens)


class LengthFilter(TextFilter):
    """A filter by characters."""

    low: ClassVar[str] = "min_len"
    high: ClassVar[str] = "max_len"
    min_len: Limit = setting(10, "fewest characters")
    max_len: Limit = setting(INF, "most characters")


class TextLength(LengthFilter):
    """Keeps texts of so many characters."""

    metrics: ClassVar[tuple[str, ...]] = ("text_len",)

    def values(self, batch: Batch) -> Column:
        """Count characters."""
        return self.codes(batch).lengths


class AverageLineLength(LengthFilter):
    """Keeps texts whose lines have so many characters on average."""

    metrics: ClassVar[tuple[str, ...]] = ("avg_line_length",)

    def values(self, batch: Batch) -> Column:
        """Divide characters by lines."""
        codes = self.codes(batch)
        return codes.lengths / np.maximum(codes.lines[0], 1)


class MaximumLineLength(LengthFilter):
    """Keeps texts whose longest line has so many characters."""

    metrics: ClassVar[tuple[str, ...]] = ("max_line_length",)

    def values(self, batch: Batch) -> Column:
        """Find the longest line."""
        return self.codes(batch).lines[1]


class Alphanumeric(TextFilter):
    """Keeps texts of which so large a part is letters and digits; or of so many letters a token."""

    metrics: ClassVar[tuple[str, ...]] = ("alnum_ratio",)
    tokenization: bool = setting(
        False, "letters by tokens instead of letters and digits by characters: alpha_token_ratio"
    )
    hf_tokenizer: str = setting(
        "EleutherAI/pythia-6.9b-deduped",
        "of tokenization: local:FOLDER, hf:NAME, module:FACTORY or a name",
        local_only=True,
    )
    allow_download: bool = setting(False, "whether the tokenizer may be fetched from the hub")
    min_ratio: Limit = setting(0.25, "least part of characters")
    max_ratio: Limit = setting(INF, "largest part of characters")

    def measured(self) -> tuple[str, ...]:
        """By characters or by tokens."""
        return ("alpha_token_ratio",) if self.tokenization else self.metrics

    def load(self) -> None:
        """Load the tokenizer where it is asked for."""
        if self.tokenization:
            network(TOKENIZER, self.hf_tokenizer, download=self.allow_download)

    def values(self, batch: Batch) -> Column:
        """Count letters and digits."""
        codes = self.codes(batch)
        if not self.tokenization:
            return codes.ratio(ALNUM)
        tokenizer = network(TOKENIZER, self.hf_tokenizer, download=self.allow_download)
        letters = [sum(map(str.isalpha, text)) for text in codes.texts]
        tokens = map(len, tokenizer.tokens(codes.texts))
        return [count / most if most else 0.0 for count, most in zip(letters, tokens, strict=True)]


class SpecialCharacters(TextFilter):
    """Keeps texts of which so large a part is punctuation, digits, white space, symbols, emoji."""

    metrics: ClassVar[tuple[str, ...]] = ("special_char_ratio",)
    min_ratio: Limit = setting(0.0, "least part of characters")
    max_ratio: Limit = setting(0.25, "largest part of characters")

    def values(self, batch: Batch) -> Column:
        """Count special characters."""
        return self.codes(batch).ratio(SPECIAL)


class CharacterRepetition(TextFilter):
    """Keeps texts that do not repeat runs of characters too often."""

    metrics: ClassVar[tuple[str, ...]] = ("char_rep_ratio",)
    rep_len: int = setting(10, "characters of a run", gt=0)
    min_ratio: Limit = setting(0.0, "least repeated part")
    max_ratio: Limit = setting(0.5, "largest repeated part")

    def values(self, batch: Batch) -> Column:
        """Count repeated runs."""
        return self.codes(batch).char_repetition(self.rep_len)


class WordFilter(TextFilter):
    """A filter that looks at words."""

    lang: str = setting("en", "language of the texts, en or zh")
    tokenization: bool = setting(False, "split into SentencePiece's pieces, not at white space")
    tokenizer_model: str = setting(
        "", "SentencePiece's model of tokenization: local:FILE or module:FACTORY", local_only=True
    )

    def load(self) -> None:
        """Load the pieces where they are asked for.

        Raises:
            BackendError: there is no model of them.
        """
        if self.tokenization and not self.tokenizer_model:
            raise BackendError(
                f"{self.name} with tokenization=true splits by a model of SentencePiece, and "
                f"tokenizer_model names none. Give tokenizer_model: local:{self.lang}.sp.model."
            )
        if self.tokenization:
            network(PIECES, self.tokenizer_model)

    def words(self, batch: Batch, *, lower: bool = True) -> Words:
        """The words of the texts."""
        if not self.tokenization:
            return self.codes(batch, lower=lower).words
        pieces = network(PIECES, self.tokenizer_model).tokens(self.codes(batch).texts)
        joined = [" ".join(of_one) for of_one in pieces]
        return Codes([text.lower() for text in joined] if lower else joined).words


class WordsNum(WordFilter):
    """Keeps texts of so many words."""

    metrics: ClassVar[tuple[str, ...]] = ("num_words",)
    low: ClassVar[str] = "min_num"
    high: ClassVar[str] = "max_num"
    min_num: Limit = setting(10, "fewest words")
    max_num: Limit = setting(INF, "most words")

    def values(self, batch: Batch) -> Column:
        """Count words."""
        return self.words(batch, lower=False).counts


class WordRepetition(WordFilter):
    """Keeps texts that do not repeat runs of words too often."""

    metrics: ClassVar[tuple[str, ...]] = ("word_rep_ratio",)
    rep_len: int = setting(10, "words of a run", gt=0)
    min_ratio: Limit = setting(0.0, "least repeated part")
    max_ratio: Limit = setting(0.5, "largest repeated part")

    def values(self, batch: Batch) -> Column:
        """Count repeated runs."""
        return self.words(batch).repetition(self.rep_len)


class ListedWords(WordFilter):
    """A filter by the part of words that a list has."""

    kind: ClassVar[str]
    """Of the list; a folder of the person's own ones is in the parameter `KIND_dir`."""
    use_words_aug: bool = setting(False, "count joined neighbours as words, too; for Chinese")
    words_aug_group_sizes: list[int] = setting([2], "how many neighbours are joined")
    words_aug_join_char: str = setting("", "what stands between joined neighbours")

    _listed: np.ndarray | None = PrivateAttr(default=None)
    _words: frozenset[str] = PrivateAttr(default=frozenset())

    def load(self) -> None:
        """Read the list."""
        super().load()
        if self._listed is None:
            self._words = word_list(self.kind, self.lang, getattr(self, f"{self.kind}_dir"))
            self._listed = hashes_of(self._words)

    def values(self, batch: Batch) -> Column:
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


class FlaggedWords(ListedWords):
    """Keeps texts with few words of a list that nobody wants to read."""

    metrics: ClassVar[tuple[str, ...]] = ("flagged_words_ratio",)
    kind: ClassVar[str] = "flagged_words"
    flagged_words_dir: str | None = setting(None, "folder of lists *flagged_words*.json")
    min_ratio: Limit = setting(0.0, "least part of words")
    max_ratio: Limit = setting(0.045, "largest part of words")
