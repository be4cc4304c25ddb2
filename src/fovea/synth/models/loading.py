"""Networks by name: `module:package.module:factory?key=value`, `local:/folder`, `hf:name`.

A bare name is one of Hugging Face's hub, or a folder. Nothing is downloaded unless it is allowed;
without leave only what lies in the cache is taken. A network is loaded once in each process.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from fovea.errors import BackendError, ConfigError
from fovea.synth.models.abilities import Captioner, Matcher


@cache
def captioner(model: str, *, download: bool = False, device: str = "cpu") -> Captioner:
    """The captioner of that name.

    Raises:
        BackendError: it cannot be had.
        ConfigError: its factory makes something else.
    """
    found = _made(model)
    if found is None:
        from fovea.synth.models.hub import HubCaptioner

        found = HubCaptioner(place_of(model), download=download, device=device)
    return cast(Captioner, _able(found, "captions", model))


@cache
def matcher(model: str, *, kind: str = "clip", download: bool = False, device: str = "cpu") -> (
    Matcher
):  # fmt: skip
    """The matcher of that name.

    Args:
        model: its name.
        kind: of a network of the hub: `clip` for similarity, `itm` for BLIP's matching head.
        download: whether it may be downloaded.
        device: that it computes on.

    Raises:
        BackendError: it cannot be had.
        ConfigError: its factory makes something else.
    """
    found = _made(model)
    if found is None:
        from fovea.synth.models.hub import ClipMatcher, ItmMatcher

        made = ClipMatcher if kind == "clip" else ItmMatcher
        found = made(place_of(model), download=download, device=device)
    return cast(Matcher, _able(found, "agreement", model))


def place_of(model: str) -> str:
    """The folder or the hub's name.

    Raises:
        BackendError: a folder is named that is not there.
    """
    kind, colon, rest = model.partition(":")
    if colon and kind == "local":
        if not Path(rest).is_dir():
            raise BackendError(
                f"the model {model} is a folder as save_pretrained writes it, and {rest} is none. "
                "Give one that exists."
            )
        return rest
    return rest if colon and kind == "hf" else model


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


def _able(found: Any, ability: str, model: str) -> Any:
    if not callable(getattr(found, ability, None)):
        raise ConfigError(
            f"a model that is asked here has a method {ability}; {model} made a "
            f"{type(found).__name__} without one. See fovea.synth.models.abilities."
        )
    return found
