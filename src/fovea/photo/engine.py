"""What turns a photograph into a scene, whichever network and numbers are behind it.

A `Predictor` takes a `Photograph` and gives a `Prediction`; `load_predictor` chooses it by the
settings. Nobody else in this room needs to know whether torch or onnxruntime computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float32

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

    def predict(self, photograph: Photograph, *, watch: Watch = unwatched) -> Prediction:
        """Turn a photograph into a scene of metric Gaussians."""
        ...


def load_predictor(settings: EngineConfig, device: str = "cpu") -> Predictor:
    """The predictor that the settings ask for.

    Raises:
        BackendError: its weights, a package or a device are not there.
        ArtifactError: the weights are not SHARP's.
    """
    raise NotImplementedError
