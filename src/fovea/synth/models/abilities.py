"""What operators ask of networks, whoever made them.

A factory of one's own (`module:PACKAGE.MODULE:FACTORY`) makes an object with the method that is
asked for; nothing needs to be inherited.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32, UInt8
    from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


class Captioner(Protocol):
    """Says what is to be seen."""

    def captions(
        self,
        pictures: Sequence[Image.Image],
        prompts: Sequence[str | None] | None = None,
        count: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """`count` captions of each picture; one is the likeliest, several are drawn."""
        ...


class Matcher(Protocol):
    """Says how well a text fits a picture."""

    def agreement(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        """How well each text fits its picture; more is better."""
        ...


class Judge(Protocol):
    """Gives a picture a number: how probable it is that it has a property, or how good it is."""

    def judged(self, pictures: Sequence[Image.Image]) -> list[float]:
        """One number a picture."""
        ...


class Embedder(Protocol):
    """Turns a picture into a direction."""

    def directions(self, pictures: Sequence[Image.Image]) -> Float32[np.ndarray, "n d"]:
        """One a picture, of length 1."""
        ...


@dataclass(frozen=True)
class Find:
    """Something found in a picture: how sure, which of the phrases or labels it is, where."""

    score: float
    label: int
    box: Box

    @property
    def area(self) -> float:
        """In pixels."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)

    def overlap(self, other: Find) -> float:
        """What two boxes share, over what they cover together."""
        (l1, t1, r1, b1), (l2, t2, r2, b2) = self.box, other.box
        shared = max(0.0, min(r1, r2) - max(l1, l2)) * max(0.0, min(b1, b2) - max(t1, t2))
        whole = self.area + other.area - shared
        return shared / whole if whole > 0 else 0.0


class Finder(Protocol):
    """Finds what phrases name."""

    def found(
        self, pictures: Sequence[Image.Image], phrases: Sequence[str], least: float
    ) -> list[list[Find]]:
        """What is found in each picture with a score above `least`, in any order."""
        ...


class Detector(Protocol):
    """Finds things, whatever they are."""

    def things(self, pictures: Sequence[Image.Image], least: float) -> list[list[Find]]:
        """What is found in each picture with a score above `least`, in any order."""
        ...


class Tagger(Protocol):
    """Names what is to be seen in single words."""

    def tags(self, pictures: Sequence[Image.Image]) -> list[list[str]]:
        """The tags of each picture, the surest first."""
        ...


@dataclass(frozen=True)
class Drawing:
    """How answers and pictures are drawn by chance."""

    seed: int = 0
    most_tokens: int = 256
    temperature: float = 0.0
    """0 takes the likeliest token every time."""
    top_p: float | None = None
    beams: int = 1


class Talker(Protocol):
    """Answers questions about pictures."""

    def answer(self, pictures: Sequence[Image.Image], question: str, how: Drawing) -> str:
        """The answer to one question about some pictures."""
        ...


@dataclass(frozen=True)
class Repainting:
    """How far a picture may go from the old one, and by how many steps."""

    strength: float
    guidance: float
    steps: int
    seed: int
    side: int
    """The network works on squares of so many pixels."""


class Repainter(Protocol):
    """Paints a picture anew after a text."""

    def repainted(self, picture: Image.Image, prompt: str, how: Repainting) -> Image.Image | None:
        """A picture of the old one's size; None where a checker lets none of them pass."""
        ...


class Matter(Protocol):
    """Tells what is in front from what is behind."""

    def mattes(self, picture: Image.Image) -> UInt8[np.ndarray, "height width"]:
        """How opaque each pixel is, 255 in front."""
        ...


class Tokenizer(Protocol):
    """Cuts texts into tokens."""

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text, special ones left out."""
        ...


class LanguageModel(Protocol):
    """Says how surprising a text is."""

    def perplexities(self, texts: Sequence[str]) -> list[float]:
        """The perplexity of each text; less is plainer."""
        ...


class Linguist(Protocol):
    """Tells languages apart."""

    def languages(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The language of each text as a code of two or three letters, and how sure it is."""
        ...


class Parser(Protocol):
    """Says what part each word plays: a pipeline of spaCy, or what gives documents like its."""

    def pipe(self, texts: Iterable[str]) -> Iterable[Any]:
        """Documents whose tokens have `pos_`, `tag_`, `dep_`, `head` and `i`."""
        ...


class Phraser(Protocol):
    """Finds noun phrases."""

    def phrases(self, text: str) -> list[str]:
        """The noun phrases of a text in order, in small letters."""
        ...


class Splitter(Protocol):
    """Cuts texts into sentences."""

    def sentences(self, text: str) -> list[str]:
        """The sentences of a text in order."""
        ...
