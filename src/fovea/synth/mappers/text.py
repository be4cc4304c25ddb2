"""Mappers of texts: what is taken out, and what is made uniform.

Special tokens stay whole whatever a mapper deletes, unless `compat` asks for data-juicer's way.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import Any, ClassVar, Literal

import regex
from pydantic import PrivateAttr, field_validator, model_validator

from fovea.config import setting
from fovea.errors import BackendError
from fovea.synth.characters import strip_special
from fovea.synth.mappers.splitting import kept_words
from fovea.synth.models.abilities import Splitter
from fovea.synth.models.loading import SPLITTER, network
from fovea.synth.operator import Quirk, TextMapper

TOKENS: tuple[Quirk, ...] = ("special_tokens",)
WHITESPACES = (
    "\t \xa0\x84\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c"
    "\u200d\u202f\u205f\u2060\u3000\ufffc"
)
PUNCTUATION = {
    "，": ",", "。": ".", "、": ",", "„": '"', "”": '"', "“": '"', "«": '"', "»": '"', "」": '"',
    "「": '"', "《": '"', "》": '"', "´": "'", "∶": ":", "：": ":", "？": "?", "！": "!", "（": "(",
    "）": ")", "；": ";", "–": "-", "—": " - ", "．": ". ", "～": "~", "’": "'", "…": "...",
    "━": "-", "〈": "<", "〉": ">", "【": "[", "】": "]", "％": "%", "►": "-",
}  # fmt: skip
EMAIL = r"[A-Za-z0-9.\-+_]+@[a-z0-9.\-+_]+\.[a-z]+"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])"
_GROUP = r"[\da-fA-F]{1,4}"
ADDRESS = rf"(?:(?:{_OCTET}\.){{3}}{_OCTET}|(?:{_GROUP}:){{7}}{_GROUP})"
_INSIDE = r"(?:[^\s()<>]+|\((?:[^\s()<>]+|\([^\s()<>]+\))*\))"
_LAST = r"(?:\((?:[^\s()<>]+|\([^\s()<>]+\))*\)|[^\s`!()\[\]{};:'\".,<>?«»“”‘’])"
_HEAD = r"(?:[a-z][\w-]+:(?:/{1,3}|[a-z0-9%])|www\d{0,3}[.]|[a-z0-9.\-]+[.][a-z]{2,4}/)"
LINK = rf"(?i)\b{_HEAD}{_INSIDE}+{_LAST}"
_IPV6 = regex.compile(rf"(?:{_GROUP}:){{7}}{_GROUP}")


class FixUnicode(TextMapper):
    """Mends text whose bytes were read in the wrong encoding, and normalises it."""

    normalization: Literal["NFC", "NFKC", "NFD", "NFKD"] = setting("NFC", "form of Unicode")

    _odd: Any = PrivateAttr(default=regex.compile(r"[\x00-\x08\x0b-\x1f\x7f&]"))

    @field_validator("normalization", mode="before")
    @classmethod
    def _default(cls, value: Any) -> Any:
        return (value or "NFC").upper() if isinstance(value, str | None) else value

    def change(self, text: str) -> str:
        """Mend one text; plain ASCII is well as it is."""
        if text.isascii() and not self._odd.search(text):
            return text
        import ftfy

        return unicodedata.normalize(self.normalization, ftfy.fix_text(text))


class PunctuationNormalization(TextMapper):
    """Turns Chinese and typographic punctuation into ASCII."""

    quirks: ClassVar[tuple[Quirk, ...]] = ("full_width_digits",)

    _table: dict[int, str] = PrivateAttr(default_factory=dict)

    def load(self) -> None:
        """Make the table."""
        extra = {"１": '"'} if self.is_odd("full_width_digits") else {}
        self._table = str.maketrans(PUNCTUATION | extra)

    def change(self, text: str) -> str:
        """Replace characters."""
        return text if text.isascii() else text.translate(self._table)


class WhitespaceNormalization(TextMapper):
    """Takes white space from the ends and turns every kind of it, but newlines, into blanks."""

    _table: dict[int, str] = PrivateAttr(default=str.maketrans(dict.fromkeys(WHITESPACES, " ")))

    def change(self, text: str) -> str:
        """Replace characters."""
        return text.strip().translate(self._table)


class PatternMapper(TextMapper):
    """Replaces what matches a pattern."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    default: ClassVar[str] = ""
    hint: ClassVar[str] = ""
    """A character that every match of the default pattern holds."""
    pattern: str | None = setting(None, "regular expression; by default a fitting one")
    repl: str = setting("", "what stands in its place")

    _compiled: Any = PrivateAttr(default=None)

    @field_validator("pattern")
    @classmethod
    def _valid(cls, value: str | None) -> str | None:
        if value is not None:
            compiled(value)
        return value

    def load(self) -> None:
        """Compile the pattern."""
        self._compiled = compiled(self.pattern or self.default)

    def change(self, text: str) -> str:
        """Replace every match."""
        if self.pattern is None and self.hint and self.hint not in text:
            return text
        return self.around_tokens(text, lambda part: self._compiled.sub(self.repl, part))


def compiled(pattern: str) -> Any:
    """A pattern, also one written as Python source, `r'...'`.

    Raises:
        ValueError: it is not valid.
    """
    if len(pattern) > 2 and pattern[0] == "r" and pattern[1] in "'\"" and pattern[-1] == pattern[1]:
        pattern = pattern[2:-1]
    try:
        return regex.compile(pattern, flags=regex.DOTALL)
    except regex.error as error:
        raise ValueError(f"is no regular expression: {error}") from error


class CleanEmail(PatternMapper):
    """Takes addresses of e-mail out."""

    default: ClassVar[str] = EMAIL
    hint: ClassVar[str] = "@"


class CleanIp(PatternMapper):
    """Takes IPv4 and IPv6 addresses out."""

    default: ClassVar[str] = ADDRESS


class CleanLinks(PatternMapper):
    """Takes links out."""

    quirks: ClassVar[tuple[Quirk, ...]] = (*TOKENS, "links_in_addresses")
    default: ClassVar[str] = LINK

    def change(self, text: str) -> str:
        """Replace links; an IPv6 address, which looks like one, stays."""
        if self.pattern is None and not any(sign in text for sign in ("/", ":", "www", "WWW")):
            return text
        if self.pattern is not None or self.is_odd("links_in_addresses"):
            return super().change(text)

        def part(piece: str) -> str:
            return self._compiled.sub(
                lambda match: match[0] if _IPV6.fullmatch(match[0]) else self.repl, piece
            )

        return self.around_tokens(text, part)


class CleanCopyright(TextMapper):
    """Takes a copyright comment, or the comment lines at the start, out of source code."""

    _block: Any = PrivateAttr(default=regex.compile(r"/\*.*?\*/", flags=regex.DOTALL))

    def change(self, text: str) -> str:
        """Cut the comment."""
        if match := self._block.search(text):
            is_copyright = "copyright" in match[0].lower()
            return text[: match.start()] + text[match.end() :] if is_copyright else text
        lines = text.split("\n")
        first = next(
            (n for n, line in enumerate(lines) if line and not line.startswith(("//", "#", "--"))),
            len(lines),
        )
        return "\n".join(lines[first:])


class CleanHtml(TextMapper):
    """Takes the tags out of HTML; items of lists begin a line with a star."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS

    def change(self, text: str) -> str:
        """Parse and read the text."""
        return self.around_tokens(text, self._plain) if "<" in text or "&" in text else text

    def _plain(self, text: str) -> str:
        if "<" not in text and "&" not in text:
            return text
        from selectolax.lexbor import LexborHTMLParser

        for tag in ("<li>", "<ol>"):
            text = text.replace(tag, "\n*").replace(tag.replace("<", "</"), "")
        # The parser drops white space at the start of a document.
        head = text[: len(text) - len(text.lstrip())] if not self.is_odd("special_tokens") else ""
        return head + LexborHTMLParser(text).text() if text.strip() else text


class RemoveSpecificChars(TextMapper):
    """Takes characters out."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    chars_to_remove: str | list[str] = setting("◆●■►▼▲▴∆▻▷❖♡□", "the characters")

    def change(self, text: str) -> str:
        """Delete them."""
        if not any(letter in text for letter in self.chars_to_remove):
            return text
        table = str.maketrans("", "", "".join(self.chars_to_remove))
        return self.around_tokens(text, lambda part: part.translate(table))


class RemoveLongWords(TextMapper):
    """Takes words out that are too long or too short."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    min_len: int = setting(1, "fewest characters")
    max_len: int = setting(sys.maxsize, "most characters, special ones at the ends not counted")

    def change(self, text: str) -> str:
        """Keep the words that fit."""
        return kept_words(text, self._keeps)

    def _keeps(self, word: str) -> bool:
        if len(word) > self.max_len:
            return self.min_len <= len(strip_special(word)) <= self.max_len or self.holds_token(
                word
            )
        return len(word) >= self.min_len or self.holds_token(word)


class RemoveWordsWithIncorrectSubstrings(TextMapper):
    """Takes words out that hold what no word holds, such as http."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    lang: str = setting("en", "language of the texts")
    tokenization: bool = setting(False, "split by a tokenizer's model instead of at white space")
    substrings: list[str] = setting(["http", "www", ".com", "href", "//"], "what no word holds")

    def load(self) -> None:
        """Refuse what needs a model."""
        if self.tokenization:
            raise BackendError(
                f"{self.name} with tokenization=true needs a sentencepiece model, which is not"
                " part of fovea. Leave tokenization at false."
            )

    def change(self, text: str) -> str:
        """Keep the words without them."""
        return kept_words(text, self._keeps)

    def _keeps(self, word: str) -> bool:
        bare = strip_special(word)
        return not any(part in bare for part in self.substrings) or self.holds_token(word)


class RemoveRepeatSentences(TextMapper):
    """Takes sentences out that the text has said before."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    lowercase: bool = setting(False, "whether case makes no difference")
    ignore_special_character: bool = setting(True, "compare Chinese, letters and digits alone")
    min_repeat_sentence_length: int = setting(2, "shorter ones may be repeated")

    _ends: Any = PrivateAttr(default=regex.compile(r"([.。！!？?])([^’”])"))
    _dots: Any = PrivateAttr(default=regex.compile(r"(\.{6}|…{2})([^’”])"))
    _quoted: Any = PrivateAttr(default=regex.compile(r"([.。！!？?{6}…2][’”])([^’”])"))
    _other: Any = PrivateAttr(default=regex.compile(r"[^a-zA-Z0-9\u4e00-\u9fa5\n\t ]"))

    def change(self, text: str) -> str:
        """Keep the first of each."""
        seen: set[str] = set()
        return "\n".join(self._line(line, seen) for line in text.split("\n"))

    def _line(self, line: str, seen: set[str]) -> str:
        kept: list[str] = []
        for sentence in self._sentences(line) if line else ():
            bare = sentence.strip()
            bare = bare.lower() if self.lowercase else bare
            bare = self._other.sub("", bare) if self.ignore_special_character else bare
            is_short = len(bare) < self.min_repeat_sentence_length
            if is_short or bare not in seen or self.holds_token(sentence):
                kept.append(sentence)
            if not is_short:
                seen.add(bare)
        return "".join(kept)

    def _sentences(self, line: str) -> list[str]:
        for pattern in (self._ends, self._dots, self._quoted):
            line = pattern.sub(r"\1\n\2", line)
        return line.split("\n")


class ReplaceContent(TextMapper):
    """Replaces what matches patterns, one after the other."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    pattern: str | list[str] | None = setting(None, "regular expressions")
    repl: str | list[str] = setting("", "one for all, or one for each")

    _compiled: list[Any] = PrivateAttr(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> ReplaceContent:
        patterns = [self.pattern] if isinstance(self.pattern, str) else self.pattern or []
        for pattern in patterns:
            compiled(pattern)
        if isinstance(self.repl, list) and len(self.repl) != len(patterns):
            raise ValueError(
                f"repl must be one text or one for each pattern; found {len(self.repl)} for"
                f" {len(patterns)} patterns"
            )
        return self

    def load(self) -> None:
        """Compile the patterns."""
        patterns = [self.pattern] if isinstance(self.pattern, str) else self.pattern or []
        repl = self.repl if isinstance(self.repl, list) else [self.repl] * len(patterns)
        self._compiled = [(compiled(p), r, p) for p, r in zip(patterns, repl, strict=True)]

    def change(self, text: str) -> str:
        """Replace all matches; tokens stay unless a pattern names one."""
        for pattern, repl, source in self._compiled:
            if any(token in source for token in self._fields.tokens):
                text = pattern.sub(repl, text)
            else:
                text = self.around_tokens(text, lambda p, a=pattern, b=repl: a.sub(b, p))
        return text


class RemoveNonChineseCharacter(TextMapper):
    """Takes everything but Chinese out, and what else is to stay."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    keep_alphabet: bool = setting(True, "letters stay")
    keep_number: bool = setting(True, "digits stay")
    keep_punc: bool = setting(True, "punctuation stays")

    _compiled: Any = PrivateAttr(default=None)

    def load(self) -> None:
        """Compile the pattern."""
        kept = "\u4e00-\u9fa5"
        kept += "A-Za-z" if self.keep_alphabet else ""
        kept += "0-9" if self.keep_number else ""
        kept += r".， ,\-。%《*》/•、&＆(—)（+）：？!！“”·" if self.keep_punc else ""
        self._compiled = regex.compile(f"[^{kept}]+")

    def change(self, text: str) -> str:
        """Delete the rest."""
        return self.around_tokens(text, lambda part: self._compiled.sub("", part))


class ChineseConvert(TextMapper):
    """Converts between kinds of Chinese."""

    mode: Literal[
        "s2t", "t2s", "s2tw", "tw2s", "s2hk", "hk2s", "s2twp", "tw2sp", "t2tw", "tw2t", "hk2t",
        "t2hk", "t2jp", "jp2t",
    ] = setting("s2t", "from simplified to traditional, and so on, as OpenCC calls it")  # fmt: skip

    _converter: Any = PrivateAttr(default=None)

    def load(self) -> None:
        """Read the tables."""
        if self._converter is None:
            try:
                import opencc
            except ModuleNotFoundError as error:
                raise BackendError(
                    "chinese_convert_mapper needs opencc. Install it: pip install"
                    " 'fovea-vision[synth]'."
                ) from error
            self._converter = opencc.OpenCC(self.mode)

    def change(self, text: str) -> str:
        """Convert one text."""
        return text if text.isascii() else self._converter.convert(text)


class SentenceSplit(TextMapper):
    """Puts each sentence on a line of its own, by NLTK's Punkt."""

    quirks: ClassVar[tuple[Quirk, ...]] = TOKENS
    extras: ClassVar[tuple[str, ...]] = ("nltk",)
    lang: str = setting("en", "language of the texts: en, fr, de, es, it, nl, pt and others")
    tokenizer: str = setting(
        "", "local:FOLDER of nltk_data, or module:FACTORY; else where NLTK looks", local_only=True
    )

    def load(self) -> None:
        """Read the model."""
        self._splitter()

    def _splitter(self) -> Splitter:
        is_made = self.tokenizer.startswith("module:")
        return network(SPLITTER, self.tokenizer if is_made else f"{self.tokenizer}?{self.lang}")

    def change(self, text: str) -> str:
        """Split one text; white space around tokens stays."""
        return self.around_tokens(text, self._split)

    def _split(self, part: str) -> str:
        inside = part.strip()
        if not inside:
            return part
        before, after = part.split(inside, 1)
        return before + "\n".join(self._splitter().sentences(inside)) + after
