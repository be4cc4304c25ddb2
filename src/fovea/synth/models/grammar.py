"""Sentences, parts of speech and noun phrases: pipelines of spaCy, models of NLTK.

Source: noun phrases as GLIP (Li et al., 2022) takes them from captions: an optional determiner,
adjectives, nouns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fovea.errors import BackendError
from fovea.synth.models.language import EXTRA
from fovea.synth.models.loading import importable

PHRASE = "NP: {<DT>?<JJ.*>*<NN.*>+}"
DROPPED = str.maketrans("", "", "|:;@()[]{}^'\"’`?$%#!&*+,.")
LANGUAGES = {
    "en": "english", "fr": "french", "de": "german", "es": "spanish", "it": "italian",
    "nl": "dutch", "pt": "portuguese", "pl": "polish", "ru": "russian", "cs": "czech",
    "da": "danish", "fi": "finnish", "el": "greek", "no": "norwegian", "sv": "swedish",
    "tr": "turkish", "sl": "slovene", "et": "estonian",
}  # fmt: skip


def spacy_pipeline(place: str, *, download: bool, device: str) -> Any:
    """A pipeline of spaCy by folder or by the name of its package.

    Raises:
        BackendError: spaCy or the pipeline is not installed.
    """
    spacy = importable("spacy", "finding actions and entities", EXTRA)
    try:
        return spacy.load(place)
    except (OSError, ImportError) as error:
        raise BackendError(
            f"the pipeline {place} of spaCy could not be had: {str(error).splitlines()[0]} "
            f"Install it (python -m spacy download {Path(place).name}) or give local:FOLDER."
        ) from error


def resource(place: str, path: str) -> Any:
    """A folder of NLTK's data, in the folder `place` or where NLTK looks.

    Raises:
        BackendError: it is not there.
    """
    nltk = importable("nltk", "splitting and tagging texts", EXTRA)
    if place and Path(place).is_dir() and place not in nltk.data.path:
        nltk.data.path.insert(0, place)
    try:
        return nltk.data.find(path)
    except LookupError as error:
        name = path.split("/")[1]
        raise BackendError(
            f"NLTK's data {name} is wanted, and not in {' or '.join(nltk.data.path[:3])}. Fetch it "
            f"once (python -m nltk.downloader {name}) or give local:FOLDER of nltk_data."
        ) from error


class NounPhrases:
    """Noun phrases by NLTK's tagger.

    Args:
        place: a language of the tagger, `eng`, or a folder of nltk_data with the English one.
        download: taken as of any network, and without effect: NLTK's data is there or not.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        lang = "eng" if Path(place).is_dir() else place
        folder = resource(place, f"taggers/averaged_perceptron_tagger_{lang}/")
        from nltk.chunk.regexp import RegexpParser
        from nltk.tag.perceptron import PerceptronTagger
        from nltk.tokenize.destructive import NLTKWordTokenizer

        self.words = NLTKWordTokenizer()
        self.tagger = PerceptronTagger(lang=lang, loc=folder)
        self.parser = RegexpParser(PHRASE)

    def phrases(self, text: str) -> list[str]:
        """The noun phrases of a text in order, without punctuation, none empty."""
        tree: Any = self.parser.parse(self.tagger.tag(self.words.tokenize(text.lower())))
        found = [
            " ".join(word for word, _ in part.leaves()).translate(DROPPED).strip()
            for part in tree.subtrees(lambda part: part.label() == "NP")
        ]
        return [phrase for phrase in found if phrase]


class Punkt:
    """NLTK's splitter of sentences.

    Args:
        place: a language, `en` or `english`, or a folder of nltk_data and a language behind a
            question mark.
        download: taken as of any network, and without effect: NLTK's data is there or not.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        folder, _, lang = place.rpartition("?")
        lang = LANGUAGES.get(lang, lang)
        resource(folder, f"tokenizers/punkt_tab/{lang}/")
        from nltk.tokenize.punkt import PunktTokenizer

        self.splitter = PunktTokenizer(lang)

    def sentences(self, text: str) -> list[str]:
        """The sentences of a text in order."""
        return self.splitter.tokenize(text)
