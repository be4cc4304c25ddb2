"""What turns a photograph into a scene, whichever network and numbers are behind it.

A `Predictor` takes a `Photograph` and gives a `Prediction`; `load_predictor` chooses it by the
settings. Nobody else in this room needs to know whether torch or onnxruntime computes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float32

from fovea.errors import BackendError
from fovea.photo.settings.engine import EngineConfig

if TYPE_CHECKING:
    from fovea.photo.photograph import Photograph
    from fovea.scene.gaussians import Gaussians

Watch = Callable[[int, int], None]
"""Told `(done, total)` of the work inside one prediction; may raise to stop it."""


def unwatched(done: int, total: int) -> None:
    """Nobody looks on."""


@dataclass(frozen=True)
class Prediction:
    """What one photograph became."""

    gaussians: Gaussians
    """Metric, in the photograph's camera; colours are linear."""
    depth_m: Float32[np.ndarray, "2 height width"]
    """Of the visible surface and of the one behind it, as large as the network saw them."""
    photograph: Photograph
    seconds: dict[str, float]
    """Wall time by part: `load`, `network`, `after`."""


class Predictor(Protocol):
    """Makes scenes of photographs."""

    name: str
    """For tables and titles: `sharp, torch, bfloat16`."""
    limits: str
    """What it cannot do, in a sentence or two; empty where there is nothing to say."""

    def predict(self, photograph: Photograph, *, watch: Watch = unwatched) -> Prediction:
        """Turn a photograph into a scene of metric Gaussians."""
        ...


@dataclass
class _Last:
    """What was loaded last, for a process that predicts one photograph after the other."""

    is_kept: bool = False
    wanted: tuple[EngineConfig, str] | None = None
    predictor: Predictor | None = None


_last = _Last()


def load_predictor(settings: EngineConfig, device: str = "cpu") -> Predictor:
    """The predictor that the settings ask for.

    Raises:
        BackendError: its weights, a package or a device are not there.
        ArtifactError: the weights are not SHARP's.
    """
    if _last.predictor is not None and _last.wanted == (settings, device):
        return _last.predictor
    predictor = _load(settings, device)
    if _last.is_kept:
        _last.wanted, _last.predictor = (settings, device), predictor
    return predictor


def keep_loaded() -> None:
    """From now on, give the predictor that was loaded last again to who wants the same next."""
    _last.is_kept = True


def known_weights(wanted: str) -> str:
    """What `weights` means: `auto` is sharp where its file is in the cache, else lite."""
    if wanted != "auto":
        return wanted
    from fovea.photo.weights import cached_weights

    return "sharp" if cached_weights() else "lite"


def _load(settings: EngineConfig, device: str) -> Predictor:
    weights = known_weights(settings.weights)
    if weights == "lite":
        return _load_lite(settings, device)
    if Path(weights).is_dir():
        return _load_onnx(Path(weights), settings)
    if settings.engine == "onnx":
        raise BackendError(
            f"engine=onnx predicts with a folder of photo.export, and weights={weights} is a"
            f" checkpoint. Run `fovea photo export {weights}` and give the folder it makes."
        )
    from fovea.photo.torch_predictor import load_torch
    from fovea.photo.weights import find_weights

    path = find_weights(weights, accept_licence=settings.accept_licence)
    return load_torch(path, settings, device)


def _load_lite(settings: EngineConfig, device: str) -> Predictor:
    if settings.engine == "onnx":
        raise BackendError(
            "engine=onnx predicts with a folder of photo.export, and weights=lite is not one."
            " Leave engine=auto, or export a checkpoint of SHARP."
        )
    try:
        module = importlib.import_module("fovea.photo.lite.predictor")
    except ModuleNotFoundError as error:
        raise BackendError(
            "the built-in network lite is not in this package, and SHARP's weights are not in the"
            " cache. Take weights=sharp to download them, or weights=PATH of a checkpoint."
        ) from error
    return module.load_lite(device=device)


def _load_onnx(folder: Path, settings: EngineConfig) -> Predictor:
    if settings.engine == "torch":
        raise BackendError(
            f"engine=torch predicts with a checkpoint, and weights={folder} is a folder. Give the"
            " .pt or .safetensors it was made of, or leave engine=auto."
        )
    from fovea.photo.onnx.predictor import load_onnx

    return load_onnx(folder, settings)
