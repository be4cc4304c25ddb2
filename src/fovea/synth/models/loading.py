"""Networks by name: `module:package.module:factory?key=value`, `local:/folder`, `hf:name`.

A bare name is one of Hugging Face's hub, or a folder. Nothing is downloaded unless it is allowed;
without leave only what lies in the cache is taken. A network is loaded once in each process.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from fovea.errors import BackendError, ConfigError
from fovea.synth.models import abilities

_PACKAGE = "fovea.synth.models"
Able = TypeVar("Able")


@dataclass(frozen=True)
class Kind(Generic[Able]):
    """A kind of network: what it must be able to do, and who loads it when it is no factory's."""

    able: type[Able]
    method: str
    """What operators call."""
    loader: str
    """`module:Class` of this package, made with its place, `download` and `device`."""


CAPTIONER = Kind(abilities.Captioner, "captions", "hub:HubCaptioner")
CLIP = Kind(abilities.Matcher, "agreement", "hub:ClipMatcher")
ITM = Kind(abilities.Matcher, "agreement", "hub:ItmMatcher")
DIRECTIONS = Kind(abilities.Embedder, "directions", "hub:ClipEmbedder")
SECOND_CLASS = Kind(abilities.Judge, "judged", "judges:SecondClass")
AESTHETICS = Kind(abilities.Judge, "judged", "judges:Aesthetics")
FINDER = Kind(abilities.Finder, "found", "detectors:OwlVit")
DETECTOR = Kind(abilities.Detector, "things", "detectors:ObjectDetector")
TAGGER = Kind(abilities.Tagger, "tags", "judges:LabelTagger")
TALKER = Kind(abilities.Talker, "answer", "talkers:HubTalker")
REPAINTER = Kind(abilities.Repainter, "repainted", "diffusion:ImageToImage")
MATTER = Kind(abilities.Matter, "mattes", "mattes:U2Net")
TOKENIZER = Kind(abilities.Tokenizer, "tokens", "language:HubTokenizer")
PIECES = Kind(abilities.Tokenizer, "tokens", "language:SentencePieces")
KENLM = Kind(abilities.LanguageModel, "perplexities", "language:KenLM")
LINGUIST = Kind(abilities.Linguist, "languages", "language:FastText")
PARSER = Kind(abilities.Parser, "pipe", "grammar:spacy_pipeline")
PHRASER = Kind(abilities.Phraser, "phrases", "grammar:NounPhrases")
SPLITTER = Kind(abilities.Splitter, "sentences", "grammar:Punkt")


def network(kind: Kind[Able], model: str, *, download: bool = False, device: str = "cpu") -> Able:
    """The network of that name, loaded when it is first asked for.

    Args:
        kind: what it must be able to do.
        model: its name.
        download: whether it may be downloaded.
        device: that it computes on.

    Raises:
        BackendError: it cannot be had.
        ConfigError: its factory makes something else.
    """
    return _network(kind, model, download, device)


@cache
def _network(kind: Kind[Any], model: str, download: bool, device: str) -> Any:
    found = _made(model)
    if found is None:
        module, _, name = kind.loader.partition(":")
        loader = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name)
        found = loader(place_of(model), download=download, device=device)
    if not callable(getattr(found, kind.method, None)):
        raise ConfigError(
            f"a model that is asked here has a method {kind.method}; {model} made a "
            f"{type(found).__name__} without one. See {kind.able.__name__} in {_PACKAGE}.abilities."
        )
    return found


def forget() -> None:
    """Let go of all networks."""
    _network.cache_clear()


def place_of(model: str) -> str:
    """The folder, the file or the hub's name.

    Raises:
        BackendError: something is named that is not there.
    """
    kind, colon, rest = model.partition(":")
    if colon and kind == "local":
        path = rest.partition("?")[0]
        if not Path(path).exists():
            raise BackendError(
                f"the model {model} is a folder as save_pretrained writes it, or a file, and "
                f"{path} is neither. Give one that exists."
            )
        return rest
    return rest if colon and kind == "hf" else model


def importable(package: str, name: str, extra: str) -> Any:
    """An optional package.

    Args:
        package: to import.
        name: of what needs it.
        extra: of fovea that brings it.

    Raises:
        BackendError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise BackendError(
            f"{name} needs the package {package}, which cannot be imported: {error}. Install it: "
            f"pip install 'fovea-vision[{extra}]'."
        ) from error


def _made(model: str) -> Any:
    """What a factory makes; None where the name is no factory's."""
    kind, colon, rest = model.partition(":")
    if not colon or kind != "module":
        return None
    target, _, query = rest.partition("?")
    module, colon, name = target.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BackendError(
            f"the model {model} is made by a factory, module:PACKAGE.MODULE:FUNCTION, and "
            f"{target!r} cannot be had: {error}. Look at the name."
        ) from error
    return factory(**dict(parse_qsl(query)))
