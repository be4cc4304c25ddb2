"""Texts with the slips that people, keyboards and scanners make, as further rows.

Source: the augmentations and parameters of data-juicer's nlpaug_en_mapper; slips and chances are
ours, drawn from a generator of the row's own, so that every run makes the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from fovea.config import setting
from fovea.synth.batch import Batch
from fovea.synth.operator import Mapper

PART = 0.1
"""Of the words, or of the letters of a text, that one kind of slip changes; one at least."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of the keyboard; neighbours are left, right and nearest above and below."""
LOOKALIKES = {
    "0": "o", "o": "0", "1": "l", "l": "1", "i": "1", "5": "s", "s": "5", "8": "b", "b": "6",
    "6": "b", "g": "9", "9": "g", "q": "9", "2": "z", "z": "2", "e": "c", "c": "e", "n": "h",
    "h": "n", "u": "v", "v": "u", "t": "f", "f": "t",
}  # fmt: skip
SPELLINGS = (
    ("ie", "ei"), ("ei", "ie"), ("ght", "gth"), ("ph", "f"), ("tion", "sion"), ("ence", "ance"),
    ("able", "ible"), ("ou", "uo"), ("ck", "k"), ("ea", "ae"), ("ss", "s"), ("ll", "l"),
    ("tt", "t"), ("mm", "m"), ("nn", "n"), ("pp", "p"), ("rr", "r"), ("cc", "c"), ("ee", "e"),
)  # fmt: skip
Slip = Callable[[str, np.random.Generator], str]


class NlpaugEn(Mapper):
    """Makes rows with slips of English writing: of words, of typing, of reading by machine.

    Every kind that is asked for makes `aug_num` rows; in sequence all kinds make them together.
    """

    changes: ClassVar[tuple[str, ...]] = ("text",)
    sequential: bool = setting(False, "all kinds one after the other on one text, not each alone")
    aug_num: int = setting(1, "rows of each kind", ge=1)
    keep_original_sample: bool = setting(True, "whether the old row stays before the new ones")
    delete_random_word: bool = setting(False, "words go")
    swap_random_word: bool = setting(False, "neighbouring words change places")
    spelling_error_word: bool = setting(False, "words are misspelt")
    split_random_word: bool = setting(False, "words fall in two")
    keyboard_error_char: bool = setting(False, "a neighbouring key is hit")
    ocr_error_char: bool = setting(False, "a letter is taken for one that looks like it")
    delete_random_char: bool = setting(False, "letters go")
    swap_random_char: bool = setting(False, "neighbouring letters change places")
    insert_random_char: bool = setting(False, "letters come in")

    def map(self, batch: Batch) -> Batch:
        """Make the rows."""
        kinds = [slip for name, slip in SLIPS.items() if getattr(self, name)]
        if not kinds:
            return batch
        where: list[int] = []
        texts: list[str | None] = []
        for number, text in enumerate(batch.texts(self.text_field)):
            made = self._made(text, kinds, self.rng(int(batch.numbers[number])))
            found = [None, *made] if self.keep_original_sample else made
            where += [number] * len(found)
            texts += found
        after = batch.taken(np.asarray(where, np.int64))
        for place, text in enumerate(texts):
            if text is not None:
                after.change(place, {self.text_field: text})
        return after

    def _made(self, text: str, kinds: list[Slip], rng: np.random.Generator) -> list[str]:
        if not self.sequential:
            return [self._slipped(text, slip, rng) for slip in kinds for _ in range(self.aug_num)]
        found: list[str] = []
        for _ in range(self.aug_num):
            one = text
            for slip in kinds:
                one = self._slipped(one, slip, rng)
            found.append(one)
        return found

    def _slipped(self, text: str, slip: Slip, rng: np.random.Generator) -> str:
        """The text with one kind of slip between its special tokens."""
        parts = self._fields.any_token.split(text)
        return "".join(part if n % 2 else slip(part, rng) for n, part in enumerate(parts))


def on_words(change: Callable[[list[str], int, np.random.Generator], None], least: int) -> Slip:
    """A slip of words; `change` alters the list at a place."""

    def slip(text: str, rng: np.random.Generator) -> str:
        words = text.split(" ")
        places = [n for n, word in enumerate(words) if word.strip()]
        if len(places) < least:
            return text
        for place in sorted(_drawn(places, rng), reverse=True):
            change(words, place, rng)
        return " ".join(words)

    return slip


def on_letters(change: Callable[[list[str], int, np.random.Generator], None]) -> Slip:
    """A slip of letters; `change` alters the list at a place."""

    def slip(text: str, rng: np.random.Generator) -> str:
        letters = list(text)
        places = [n for n, letter in enumerate(letters) if letter.isalnum()]
        for place in sorted(_drawn(places, rng), reverse=True):
            change(letters, place, rng)
        return "".join(letters)

    return slip


def _drawn(places: list[int], rng: np.random.Generator) -> list[int]:
    count = min(len(places), max(1, round(PART * len(places))))
    return rng.permutation(np.asarray(places, np.int64))[:count].tolist()


def _delete(items: list[str], place: int, rng: np.random.Generator) -> None:
    del items[place]


def _swap(items: list[str], place: int, rng: np.random.Generator) -> None:
    other = place + 1 if place + 1 < len(items) and items[place + 1].strip() else place - 1
    if other >= 0 and items[other].strip():
        items[place], items[other] = items[other], items[place]


def _split(words: list[str], place: int, rng: np.random.Generator) -> None:
    word = words[place]
    if len(word) > 1:
        cut = int(rng.integers(1, len(word)))
        words[place : place + 1] = [word[:cut], word[cut:]]


def _misspell(words: list[str], place: int, rng: np.random.Generator) -> None:
    """One habit that the word gives room to; else two of its inner letters change places."""
    word = words[place]
    fitting = [(old, new) for old, new in SPELLINGS if old in word]
    if fitting:
        old, new = fitting[int(rng.integers(len(fitting)))]
        words[place] = word.replace(old, new, 1)
    elif len(word) > 3:
        at = int(rng.integers(1, len(word) - 2))
        words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _mistype(letters: list[str], place: int, rng: np.random.Generator) -> None:
    near = neighbours(letters[place].lower())
    if near:
        _put(letters, place, near[int(rng.integers(len(near)))])


def _misread(letters: list[str], place: int, rng: np.random.Generator) -> None:
    _put(letters, place, LOOKALIKES.get(letters[place].lower(), letters[place]))


def _insert(letters: list[str], place: int, rng: np.random.Generator) -> None:
    letters.insert(place, LETTERS[int(rng.integers(len(LETTERS)))])


def _put(letters: list[str], place: int, letter: str) -> None:
    letters[place] = letter.upper() if letters[place].isupper() else letter


def neighbours(letter: str) -> str:
    """The keys beside a key; none where it is no letter."""
    found = ""
    for row, keys in enumerate(KEYS):
        if (at := keys.find(letter)) < 0:
            continue
        found += keys[max(0, at - 1) : at] + keys[at + 1 : at + 2]
        for other in (row - 1, row + 1):
            if 0 <= other < len(KEYS):
                found += KEYS[other][at : at + 1]
    return found


SLIPS: dict[str, Slip] = {
    "delete_random_word": on_words(_delete, least=2),
    "swap_random_word": on_words(_swap, least=2),
    "spelling_error_word": on_words(_misspell, least=1),
    "split_random_word": on_words(_split, least=1),
    "keyboard_error_char": on_letters(_mistype),
    "ocr_error_char": on_letters(_misread),
    "delete_random_char": on_letters(_delete),
    "swap_random_char": on_letters(_swap),
    "insert_random_char": on_letters(_insert),
}
"""Each kind of slip by its parameter."""
