"""The exported network as a predictor like any other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fovea.photo.engine import Prediction, Watch, unwatched
from fovea.photo.onnx.runtime import OnnxNetwork
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import from_colors

if TYPE_CHECKING:
    from fovea.photo.photograph import Photograph
    from fovea.photo.settings.engine import EngineConfig


class OnnxPredictor:
    """SHARP on onnxruntime; torch only carries the result."""

    limits = ""

    def __init__(self, network: OnnxNetwork) -> None:
        self.name = f"sharp, onnxruntime, {network.about['precision']}"
        self._network = network

    def predict(self, photograph: Photograph, *, watch: Watch = unwatched) -> Prediction:
        """Turn a photograph into a scene of metric Gaussians."""
        start = time.perf_counter()
        found = self._network.predict(photograph.pixels, focal_px=photograph.focal_px, watch=watch)
        gaussians = Gaussians(
            means=torch.from_numpy(found.means),
            quats=torch.from_numpy(found.quats),
            scales=torch.from_numpy(found.scales),
            opacities=torch.from_numpy(found.opacities),
            harmonics=from_colors(torch.from_numpy(found.colors)),
            color_space="linear",
        )
        seconds = {"network": time.perf_counter() - start}
        return Prediction(gaussians, found.depth_m, photograph, seconds)


def load_onnx(folder: Path, settings: EngineConfig) -> OnnxPredictor:
    """The predictor for a folder of `photo.export`.

    Raises:
        ArtifactError: it is not one.
    """
    return OnnxPredictor(OnnxNetwork(folder, crops=settings.crops))
