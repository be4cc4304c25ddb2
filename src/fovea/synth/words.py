"""Texts of a batch measured together: characters, lines, words and repetitions, without a loop.

The texts stand behind one another in one array of code points, a newline after each. Sequences are
compared by 64-bit hashes: polynomials over a random number for each character, so that two that
differ agree once in 10^19 pairs.

Notation: `starts[k]` is the place of text k's first character, `lengths[k]` its characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fovea.synth.characters import BREAKS, SPECIAL, SPLITS, flags_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64, UInt8, UInt32, UInt64

    Hashes = UInt64[np.ndarray, " n"]

_BASE = np.uint64(0x9E3779B97F4A7C15)


def mixed(values: Hashes) -> Hashes:
    """A random-looking number for each number (the finaliser of splitmix64)."""
    values = (values + _BASE).astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def windows(hashes: Hashes, length: int) -> Hashes:
    """The hash of every `length` neighbours; as many as there are windows."""
    count = max(0, len(hashes) - length + 1)
    total = np.zeros(count, np.uint64)
    for place in range(length):
        total = total * _BASE + hashes[place : place + count]
    return total


class Codes:
    """The characters of a batch of texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.lengths: Int64[np.ndarray, " n"] = np.fromiter(map(len, texts), np.int64, len(texts))
        self.starts = np.cumsum(self.lengths + 1) - self.lengths - 1
        raw = ("\n".join(texts) + "\n" if len(texts) else "").encode("utf-32-le", "surrogatepass")
        self.codes: UInt32[np.ndarray, " c"] = np.frombuffer(raw, np.uint32)

    @cached_property
    def flags(self) -> UInt8[np.ndarray, " c"]:
        """What each character is; the newlines between texts are nothing."""
        flags = flags_of(self.codes).copy()
        flags[self.starts + self.lengths] = 0
        return flags

    @cached_property
    def random(self) -> Hashes:
        """A random number for each character."""
        distinct = self.codes.astype(np.uint64)
        if int(self.codes.max(initial=0)) < 1 << 16:
            table = mixed(np.arange(int(self.codes.max(initial=0)) + 1, dtype=np.uint64))
            return table[self.codes]
        return mixed(distinct)

    def count(self, flag: int) -> Int64[np.ndarray, " n"]:
        """The characters of each text that have the flag."""
        if not len(self.starts):
            return np.zeros(0, np.int64)
        return np.add.reduceat((self.flags & flag) != 0, self.starts, dtype=np.int64)

    def ratio(self, flag: int) -> Float64[np.ndarray, " n"]:
        """The part of each text's characters that have the flag; 0 of an empty text."""
        return _divided(self.count(flag), self.lengths)

    @cached_property
    def lines(self) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """How many lines each text has, as `splitlines` counts, and the longest one's length."""
        count = (self.lengths > 0).astype(np.int64)
        longest = self.lengths.copy()
        is_broken = self.count(BREAKS) > 0
        for number in np.flatnonzero(is_broken).tolist():
            lines = self.texts[number].splitlines()
            count[number], longest[number] = len(lines), max(map(len, lines))
        return count, longest

    @cached_property
    def words(self) -> Words:
        """The words, special characters stripped from their ends."""
        return Words.of(self)

    def char_repetition(self, length: int) -> Float64[np.ndarray, " n"]:
        """The part of the n-grams of characters that the most frequent ones make up.

        Of the distinct n-grams the square root is looked at, but only those found twice or more.
        """
        grams = windows(self.random, length)
        owner = np.repeat(np.arange(len(self.lengths)), np.maximum(self.lengths - length + 1, 0))
        inside = self._inside(length)
        return repetition(grams[inside], owner, len(self.lengths), most_frequent=True)

    def _inside(self, length: int) -> Int64[np.ndarray, " g"]:
        """The starts of all windows that lie in one text."""
        counts = np.maximum(self.lengths - length + 1, 0)
        return _spread(self.starts, counts)


class Words:
    """The refined words of a batch: split at blank, newline and tab, stripped, none empty."""

    def __init__(self, hashes: Hashes, counts: Int64[np.ndarray, " n"]) -> None:
        self.hashes = hashes
        self.counts = counts

    @classmethod
    def of(cls, codes: Codes) -> Words:
        """Find the words of texts."""
        if not len(codes.codes):
            return cls(np.zeros(0, np.uint64), np.zeros(len(codes.lengths), np.int64))
        splits = (codes.flags & SPLITS) != 0
        splits[codes.starts + codes.lengths] = True
        is_inside = ~splits
        before = np.concatenate(([True], splits[:-1]))
        first = np.flatnonzero(is_inside & before)
        past = np.flatnonzero(splits & np.concatenate(([False], is_inside[:-1])))
        kept = np.flatnonzero(is_inside & ((codes.flags & SPECIAL) == 0))
        if not len(kept):
            return cls(np.zeros(0, np.uint64), np.zeros(len(codes.lengths), np.int64))
        low = np.searchsorted(kept, first)
        high = np.searchsorted(kept, past) - 1
        is_word = high >= low
        low, high = kept[low[is_word]], kept[high[is_word]] + 1
        owner = np.searchsorted(codes.starts, low, side="right") - 1
        counts = np.bincount(owner, minlength=len(codes.lengths))
        return cls(_range_hashes(codes.random, low, high), counts.astype(np.int64))

    def part_in(self, listed: Hashes) -> Float64[np.ndarray, " n"]:
        """The part of each text's words whose hashes are in a sorted list."""
        found = self.is_in(listed)
        owner = np.repeat(np.arange(len(self.counts)), self.counts)
        hits = np.bincount(owner, weights=found, minlength=len(self.counts))
        return _divided(hits, self.counts)

    def is_in(self, listed: Hashes) -> Bool[np.ndarray, " w"]:
        """Which words are in a sorted list of hashes."""
        if not len(listed):
            return np.zeros(len(self.hashes), bool)
        place = np.minimum(np.searchsorted(listed, self.hashes), len(listed) - 1)
        return listed[place] == self.hashes

    def repetition(self, length: int) -> Float64[np.ndarray, " n"]:
        """The part of the n-grams of words that stand more than once in their text."""
        counts = np.maximum(self.counts - length + 1, 0)
        starts = np.cumsum(self.counts) - self.counts
        grams = windows(self.hashes, length)[_spread(starts, counts)]
        owner = np.repeat(np.arange(len(counts)), counts)
        return repetition(grams, owner, len(counts), most_frequent=False)


def hashes_of(words: Iterable[str]) -> Hashes:
    """The sorted hashes of words, comparable with those of `Words`."""
    codes = Codes(sorted(set(words)))
    if not len(codes.lengths):
        return np.zeros(0, np.uint64)
    return np.unique(_range_hashes(codes.random, codes.starts, codes.starts + codes.lengths))


def repetition(
    grams: Hashes, owner: Int64[np.ndarray, " g"], count: int, *, most_frequent: bool
) -> Float64[np.ndarray, " n"]:
    """How much of each text's n-grams is repeated.

    Args:
        grams: the hash of every n-gram.
        owner: the number of its text.
        count: of the texts.
        most_frequent: whether only the most frequent ones count, as many as the square root of the
            distinct ones.
    """
    result = np.zeros(count)
    keys = grams ^ mixed(owner.astype(np.uint64))
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return result
    place = np.minimum(np.searchsorted(twice, keys), len(twice) - 1)
    is_twice = twice[place] == keys
    often = np.bincount(place[is_twice], minlength=len(twice))
    text = np.zeros(len(twice), np.int64)
    text[place[is_twice]] = owner[is_twice]
    totals = np.bincount(owner, minlength=count)
    if not most_frequent:
        repeated = np.bincount(text, weights=often, minlength=count)
        return _divided(repeated, totals)
    order = np.lexsort((-often, text))
    text, often = text[order], often[order]
    firsts = np.flatnonzero(np.concatenate(([True], text[1:] != text[:-1])))
    for first, past in zip(firsts, [*firsts[1:], len(text)], strict=True):
        number, counts = int(text[first]), often[first:past]
        distinct = int(totals[number]) - int(counts.sum()) + len(counts)
        most = min(math.isqrt(distinct), len(counts))
        result[number] = int(counts[:most].sum()) / int(totals[number])
    return result


def _range_hashes(
    random: Hashes, first: Int64[np.ndarray, " w"], past: Int64[np.ndarray, " w"]
) -> Hashes:
    """The hash of every range of characters, independent of where it stands."""
    lengths = past - first
    total = np.zeros(len(first), np.uint64)
    for place in range(int(lengths.max(initial=0))):
        has = np.flatnonzero(lengths > place)
        total[has] = total[has] * _BASE + random[first[has] + place]
    return mixed(total ^ mixed(lengths.astype(np.uint64)))


def _spread(starts: Int64[np.ndarray, " n"], counts: Int64[np.ndarray, " n"]) -> np.ndarray:
    """`starts[k], starts[k] + 1, ...`, `counts[k]` of each."""
    total = int(counts.sum())
    offsets = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(starts, counts) + offsets


def _divided(part: np.ndarray, whole: np.ndarray) -> Float64[np.ndarray, " n"]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
