"""SHARP on PyTorch, as a predictor: pieces, strips and numbers are those of `staged`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.errors import BackendError
from fovea.photo.engine import Prediction, Watch, unwatched
from fovea.photo.model.picture import resize_to_network
from fovea.photo.precision.numbers import Precision
from fovea.photo.precision.processor import Choice, best_precision
from fovea.photo.settings.engine import EngineConfig
from fovea.photo.staged import Staged
from fovea.photo.unprojection import unproject
from fovea.photo.weights import load_network
from fovea.training.device import torch_device

if TYPE_CHECKING:
    import torch

    from fovea.photo.photograph import Photograph


class TorchPredictor:
    """SHARP in the wanted precision; its weights stay mapped from their file.

    Args:
        staged: the network and how it is run.
        device: where it is.
        why: the precision was chosen.
        load_s: seconds that loading took; told with the first prediction.
    """

    limits = ""

    def __init__(
        self, staged: Staged, device: torch.device, *, why: str = "asked for", load_s: float = 0.0
    ) -> None:
        self.name = f"sharp, torch, {staged.precision} ({why})"
        self.staged = staged
        self._device = device
        self._load_s = load_s

    def predict(self, photograph: Photograph, *, watch: Watch = unwatched) -> Prediction:
        """Turn a photograph into a scene of metric Gaussians."""
        start = time.perf_counter()
        size = self.staged.network.architecture.network_size
        image = resize_to_network(photograph.pixels, size=size).to(self._device)
        ndc = self.staged.ndc(image, photograph.focal_px / photograph.width, watch)
        between = time.perf_counter()
        gaussians = unproject(
            ndc,
            focal_px=photograph.focal_px,
            height=photograph.height,
            width=photograph.width,
            network_size=size,
        )
        depth_m = ndc.depth_m[0].cpu().numpy().astype(np.float32, copy=False)
        end = time.perf_counter()
        seconds = {"load": self._load_s, "network": between - start, "after": end - between}
        self._load_s = 0.0
        return Prediction(gaussians, depth_m, photograph, seconds)


def load_torch(path: Path, settings: EngineConfig, device_name: str) -> TorchPredictor:
    """The predictor for a checkpoint.

    Raises:
        ArtifactError: it is not SHARP's.
        BackendError: the device is not there, or does not compute in this precision.
    """
    start = time.perf_counter()
    device = torch_device(device_name)
    precision, why = chosen(settings, device)
    network = load_network(path, device=device)
    staged = Staged(network, precision, crops=settings.crops, tile=settings.tile)
    return TorchPredictor(staged, device, why=why, load_s=time.perf_counter() - start)


def chosen(settings: EngineConfig, device: torch.device) -> Choice:
    """The precision that is asked for, or what `auto` means on this device.

    Raises:
        BackendError: int8 on anything but a CPU.
    """
    wanted: Precision | str = settings.precision
    if wanted == "int8" and device.type != "cpu":
        raise BackendError(
            f"precision=int8 is for processors, and the device is {device}. Take"
            " precision=bfloat16, or device=cpu."
        )
    if wanted != "auto":
        return Choice(wanted, "asked for")
    if device.type != "cpu":
        return Choice("bfloat16", f"the device is {device.type}")
    return best_precision()
