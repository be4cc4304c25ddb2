"""Duplicates of texts: the same, nearly the same by shared runs, near by a hash of all runs."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import regex
from pydantic import PrivateAttr, model_validator

from fovea.config import setting
from fovea.errors import BackendError
from fovea.synth.batch import Batch
from fovea.synth.dedup.groups import equal_pairs, near_pairs, roots_of
from fovea.synth.models.loading import PIECES, network
from fovea.synth.operator import Columns, Deduplicator, Quirk
from fovea.synth.words import mixed

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64, UInt32, UInt64

PRIME = (1 << 61) - 1
LARGEST = (1 << 32) - 1
SEED = 42
"""Of the permutations, as in the published ones."""
SHINGLES_AT_ONCE = 4096
Tokenization = Literal["space", "punctuation", "character", "sentencepiece"]


def digests(texts: Sequence[str]) -> np.ndarray:
    """The md5 of texts as two numbers each."""
    raw = b"".join(
        hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
        for text in texts
    )
    return np.frombuffer(raw, ">u8").reshape(-1, 2).astype(np.uint64)


def hexadecimal(digest: UInt64[np.ndarray, " 2"]) -> str:
    """A digest as md5 is written."""
    return f"{int(digest[0]):016x}{int(digest[1]):016x}"


class DocumentDeduplicator(Deduplicator):
    """Keeps one of the rows whose texts are the same."""

    lowercase: bool = setting(False, "whether case makes no difference")
    ignore_non_character: bool = setting(
        False, "whether white space, digits and ASCII punctuation make no difference"
    )

    _other: Any = PrivateAttr(
        default=regex.compile(f"\\s+|\\d+|[{regex.escape(string.punctuation)}]")
    )

    def keys(self, batch: Batch) -> dict[str, np.ndarray]:
        """The digest of each text."""
        return {"digest": digests([self._plain(text) for text in batch.texts(self.text_field)])}

    def _plain(self, text: str) -> str:
        text = text.lower() if self.lowercase else text
        text = self._other.sub("", text) if self.ignore_non_character else text
        return text.strip()

    def exported(self, keys: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
        """The hash as data-juicer writes it."""
        return {"__dj__hash": [hexadecimal(digest) for digest in keys["digest"]]}

    def groups(self, columns: Columns) -> Int64[np.ndarray, " n"]:
        """Rows with the same digest."""
        return roots_of_digests(columns.column("digest", 0), columns.column("digest", 1))


def roots_of_digests(*columns: np.ndarray) -> Int64[np.ndarray, " n"]:
    """Rows that agree in all columns."""
    _, first, inverse = np.unique(
        np.stack(columns, 1), axis=0, return_index=True, return_inverse=True
    )
    return first[inverse.ravel()].astype(np.int64)


class ShingleDeduplicator(Deduplicator):
    """A deduplicator that compares runs of neighbouring tokens."""

    quirks: ClassVar[tuple[Quirk, ...]] = ("short_texts",)
    tokenization: Tokenization = setting("space", "what a token is")
    window_size: int = setting(5, "tokens of a run", gt=0)
    lowercase: bool = setting(True, "whether case makes no difference")
    ignore_pattern: str | None = setting(None, "regular expression of what is left out")
    tokenizer_model: str | None = setting(
        None, "SentencePiece's model of tokenization: local:FILE or module:FACTORY",
        local_only=True,
    )  # fmt: skip

    _ignored: Any = PrivateAttr(default=None)
    _punctuation: Any = PrivateAttr(default=regex.compile(r"\p{P}"))

    def load(self) -> None:
        """Compile the pattern, and load the pieces where they are asked for.

        Raises:
            BackendError: there is no model of them.
        """
        if self.tokenization == "sentencepiece":
            if not self.tokenizer_model:
                raise BackendError(
                    f"{self.name} with tokenization=sentencepiece splits by a model of it, and "
                    "tokenizer_model names none. Give tokenizer_model: local:en.sp.model."
                )
            network(PIECES, self.tokenizer_model)
        self._ignored = regex.compile(self.ignore_pattern) if self.ignore_pattern else None

    def shingles(self, text: str) -> list[bytes]:
        """The runs of a text; one shorter than a run is one run, unless `short_texts` is odd."""
        text = text.lower() if self.lowercase else text
        text = self._ignored.sub("", text) if self._ignored else text
        size = self.window_size
        if self.tokenization == "character":
            found = [text[at : at + size] for at in range(len(text) - size + 1)]
        else:
            tokens = self._tokens(text)
            found = [" ".join(tokens[at : at + size]) for at in range(len(tokens) - size + 1)]
        if not found and not self.is_odd("short_texts"):
            found = [text]
        return [shingle.encode("utf-8", "surrogatepass") for shingle in found]

    def _tokens(self, text: str) -> list[str]:
        if self.tokenization == "punctuation":
            return self._punctuation.split(text)
        if self.tokenization == "sentencepiece":
            return network(PIECES, str(self.tokenizer_model)).tokens([text])[0]
        return [word for word in text.split(" ") if word]


class DocumentMinhashDeduplicator(ShingleDeduplicator):
    """Keeps one of the rows whose texts share most of their runs of words.

    Texts that agree in one band of minima are taken for duplicates; the bands are chosen so that
    texts above the threshold mostly do.
    """

    num_permutations: int = setting(256, "minima of each text", gt=0)
    jaccard_threshold: float = setting(0.7, "shared part of runs from which on", ge=0, le=1)
    num_bands: int | None = setting(None, "bands; chosen by the threshold", gt=0)
    num_rows_per_band: int | None = setting(None, "minima of a band; chosen", gt=0)

    @property
    def bands(self) -> tuple[int, int]:
        """Bands, and minima of each."""
        if self.num_bands and self.num_rows_per_band:
            return self.num_bands, self.num_rows_per_band
        return optimal_bands(self.jaccard_threshold, self.num_permutations)

    @model_validator(mode="after")
    def _fits(self) -> DocumentMinhashDeduplicator:
        if (self.num_bands or 0) * (self.num_rows_per_band or 0) > self.num_permutations:
            raise ValueError(
                f"num_bands x num_rows_per_band must be at most num_permutations; found"
                f" {self.num_bands} x {self.num_rows_per_band} and {self.num_permutations}"
            )
        return self

    def minima(self, texts: Sequence[str]) -> UInt32[np.ndarray, "n permutations"]:
        """The least of each permutation over the runs of each text."""
        found = np.full((len(texts), self.num_permutations), LARGEST, np.uint32)
        a, b = permutations(self.num_permutations)
        for rows, hashes, starts in self._hashed(texts):
            mapped = (hashes[:, None] * a + b) % np.uint64(PRIME) & np.uint64(LARGEST)
            least = np.minimum.reduceat(mapped, starts, axis=0).astype(np.uint32)
            np.minimum.at(found, rows, least)
        return found

    def _hashed(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[np.ndarray, UInt64[np.ndarray, " s"], np.ndarray]]:
        """Rows, hashes of their runs and where each row's start, not too many at once."""
        rows: list[int] = []
        starts: list[int] = []
        held: list[bytes] = []
        for row, text in enumerate(texts):
            hashes = [
                hashlib.sha1(shingle, usedforsecurity=False).digest()[:4]
                for shingle in set(self.shingles(text))
            ]
            for at in range(0, len(hashes), SHINGLES_AT_ONCE):
                rows.append(row)
                starts.append(len(held))
                held += hashes[at : at + SHINGLES_AT_ONCE]
                if len(held) >= SHINGLES_AT_ONCE:
                    yield _packed(rows, held, starts)
                    rows, starts, held = [], [], []
        if held:
            yield _packed(rows, held, starts)

    def keys(self, batch: Batch) -> dict[str, np.ndarray]:
        """A hash of each band."""
        count, size = self.bands
        minima = self.minima(batch.texts(self.text_field)).astype(np.uint64)
        found = np.zeros((len(minima), count), np.uint64)
        for band in range(count):
            for place in range(size):
                found[:, band] = mixed(found[:, band] ^ minima[:, band * size + place])
        return {"bands": found}

    def groups(self, columns: Columns) -> Int64[np.ndarray, " n"]:
        """Rows that agree in a band."""
        first = columns.column("bands", 0)
        pairs = (
            equal_pairs(columns.column("bands", band) if band else first)
            for band in range(self.bands[0])
        )
        return roots_of(len(first), pairs)


def _packed(
    rows: list[int], held: list[bytes], starts: list[int]
) -> tuple[np.ndarray, UInt64[np.ndarray, " s"], np.ndarray]:
    hashes = np.frombuffer(b"".join(held), "<u4").astype(np.uint64)
    return np.asarray(rows), hashes, np.asarray(starts)


@cache
def permutations(count: int) -> tuple[UInt64[np.ndarray, " p"], UInt64[np.ndarray, " p"]]:
    """Factor and summand of each permutation, drawn in turn."""
    # The published numbers come from numpy's old generator; this one is no global state.
    rng = np.random.RandomState(SEED)
    drawn = [
        (rng.randint(1, PRIME, dtype=np.uint64), rng.randint(0, PRIME, dtype=np.uint64))
        for _ in range(count)
    ]
    a, b = np.asarray(drawn, np.uint64).T
    return a, b


@cache
def optimal_bands(threshold: float, permutations: int) -> tuple[int, int]:
    """Bands and minima of each for which wrong decisions around the threshold are fewest.

    A pair of similarity s is found with probability 1 - (1 - s^r)^b. The area of that below the
    threshold and of its complement above it are weighted alike.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    below, above = threshold * (nodes + 1) / 2, threshold + (1 - threshold) * (nodes + 1) / 2
    best, least = (1, 1), np.inf
    for bands in range(1, permutations + 1):
        for rows in range(1, permutations // bands + 1):
            found = 1 - (1 - below**rows) ** bands
            missed = (1 - above**rows) ** bands
            area = float((found * threshold + missed * (1 - threshold)) @ weights)
            if area < least - 1e-12:
                best, least = (bands, rows), area
    return best


class DocumentSimhashDeduplicator(ShingleDeduplicator):
    """Keeps one of the rows whose texts have nearly the same hash of all runs of words."""

    window_size: int = setting(6, "tokens of a run", gt=0)
    num_blocks: int = setting(6, "blocks of the hash; more than hamming_distance", gt=0)
    hamming_distance: int = setting(4, "bits that may differ", ge=0, lt=64)

    @model_validator(mode="after")
    def _fits(self) -> DocumentSimhashDeduplicator:
        if self.hamming_distance >= self.num_blocks:
            raise ValueError(
                f"hamming_distance must be less than num_blocks; found {self.hamming_distance}"
                f" and {self.num_blocks}"
            )
        return self

    def keys(self, batch: Batch) -> dict[str, np.ndarray]:
        """The hash of each text."""
        return {"simhash": self.hashes(batch.texts(self.text_field))}

    def hashes(self, texts: Sequence[str]) -> UInt64[np.ndarray, " n"]:
        """For each bit whether most runs have it."""
        return np.asarray([simhash(self.shingles(text)) for text in texts], np.uint64)

    def exported(self, keys: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
        """The hash as data-juicer writes it."""
        return {"__dj__simhash": [str(int(value)) for value in keys["simhash"]]}

    def groups(self, columns: Columns) -> Int64[np.ndarray, " n"]:
        """Rows joined by near pairs."""
        hashes = columns.column("simhash")
        return roots_of(len(hashes), near_pairs(hashes, self.hamming_distance))


def simhash(shingles: Sequence[bytes]) -> int:
    """A hash of 64 bits in which near sets of shingles differ little."""
    if not shingles:
        return 0
    raw = b"".join(hashlib.md5(s, usedforsecurity=False).digest()[:8] for s in shingles)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(-1, 8), axis=1)
    most: Bool[np.ndarray, " 64"] = bits.sum(axis=0, dtype=np.int64) * 2 > len(shingles)
    return int.from_bytes(np.packbits(most).tobytes(), "big")
