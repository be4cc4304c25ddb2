"""`lite`: the predictor that ships with the package.

It does what SHARP does, roughly: metric depth of the visible surface and of what lies close behind
its borders, as Gaussians. It knows the world from rendered pictures only; see `LIMITS`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from fovea.errors import ArtifactError
from fovea.photo.engine import Prediction, Watch, unwatched
from fovea.photo.lite.edges import JUMP, far_side, guided, sharpened, without_spikes
from fovea.photo.lite.network import WEIGHTS, LiteNetwork
from fovea.photo.lite.surfaces import Grid, discs, joined
from fovea.training.device import torch_device

if TYPE_CHECKING:
    from fovea.photo.photograph import Photograph

LIMITS = (
    "lite gives the rough layout of a scene: what is near, the ground, a thing before its"
    " background. It was trained on rendered scenes only, so faces, fine structure, glass, mirrors,"
    " pictures of pictures and sizes in metres are guesses. Take weights=sharp for more."
)
"""What the predictor cannot do, for help and pages."""
NETWORK_AREA = 192 * 256
"""Pixels of the picture that the network sees, about; it was trained on so many."""
MOST_CELLS = 768 * 768
"""Of the grid of Gaussians: SHARP's number."""
FARTHEST_M = 300.0
HIDDEN = 0.04
"""How far behind a border the hidden surface is drawn, in sides of the picture."""


class LitePredictor:
    """A small network and a few filters.

    Args:
        network: trained.
        device: where it runs.
        load_s: seconds that loading took; told with the first prediction.
    """

    def __init__(
        self, network: LiteNetwork, device: torch.device | None = None, *, load_s: float = 0.0
    ) -> None:
        self.name, self.limits = "lite", LIMITS
        self._device = device or torch.device("cpu")
        self._network = network.eval().to(self._device)
        self._load_s = load_s

    def predict(self, photograph: Photograph, *, watch: Watch = unwatched) -> Prediction:
        """Turn a photograph into a scene of metric Gaussians."""
        start = time.perf_counter()
        watch(0, 2)
        focal = float(photograph.focal_px) / (photograph.height * photograph.width) ** 0.5
        log_inverse, log_behind, color_behind = self._surfaces(photograph.pixels, focal)
        between = time.perf_counter()
        watch(1, 2)
        grid, picture = _grid(photograph)
        side = (grid.height * grid.width) ** 0.5
        sharp = guided(without_spikes(log_inverse), picture, radius=max(round(side / 40), 2))
        sharp = sharpened(sharp, radius=max(round(side / 120), 1))
        low, far_color, share = far_side(sharp, picture, radius=max(round(HIDDEN * side), 2))
        size = (grid.width, grid.height)
        behind = sharp - cv2.resize(log_behind, size, interpolation=cv2.INTER_LINEAR)
        said_color = cv2.resize(color_behind, size, interpolation=cv2.INTER_LINEAR)
        known = np.clip(share * 20, 0, 1)
        behind = np.minimum(behind * (1 - known) + low * known, sharp)
        hidden_color = said_color * (1 - known[..., None]) + far_color * known[..., None]
        depth = np.minimum(focal / np.exp(np.stack([sharp, behind])), FARTHEST_M)
        depth = depth.astype(np.float32, copy=False)
        hides = sharp - low > JUMP
        gaussians = joined(
            [discs(grid, depth[0], picture), discs(grid, depth[1], hidden_color, keep=hides)]
        )
        end = time.perf_counter()
        watch(2, 2)
        seconds = {"load": self._load_s, "network": between - start, "after": end - between}
        self._load_s = 0.0
        return Prediction(gaussians, depth, photograph, seconds)

    def _surfaces(
        self, pixels: np.ndarray, focal: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log inverse depth, log depth ratio, hidden colours; mean with the mirrored picture's."""
        height, width = network_size(*pixels.shape[:2])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        image = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
        both = torch.cat([image, image.flip(3)]).to(self._device)
        with torch.inference_mode():
            said = self._network(
                both.contiguous(memory_format=torch.channels_last),
                torch.full((2,), focal, device=self._device),
            )
        maps = torch.cat(
            [said.log_inverse[:, None], said.log_behind[:, None], said.color_behind], 1
        )
        mean = ((maps[0] + maps[1].flip(2)) / 2).cpu().numpy()
        return mean[0], mean[1], np.ascontiguousarray(mean[2:].transpose(1, 2, 0))


def network_size(height: int, width: int) -> tuple[int, int]:
    """Sides that the network takes: multiples of 32, near the photograph's shape."""
    factor = (NETWORK_AREA / (height * width)) ** 0.5
    return max(round(height * factor / 32), 2) * 32, max(round(width * factor / 32), 2) * 32


def _grid(photograph: Photograph) -> tuple[Grid, np.ndarray]:
    """The cells of the Gaussians, and the photograph in them."""
    factor = min(1.0, (MOST_CELLS / (photograph.height * photograph.width)) ** 0.5)
    height = max(round(photograph.height * factor), 1)
    width = max(round(photograph.width * factor), 1)
    pixels = photograph.pixels
    if factor < 1:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    picture = pixels.astype(np.float32) / 255
    focal = float(photograph.focal_px)
    grid = Grid(height, width, focal * width / photograph.width, focal * height / photograph.height)
    return grid, picture


def load_lite(path: Path = WEIGHTS, *, device: str = "cpu") -> LitePredictor:
    """The predictor with the weights of the package, or of another training.

    Raises:
        ArtifactError: the file is not of this network.
        BackendError: the device is not there.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    start = time.perf_counter()
    where = torch_device(device)
    with torch.device("meta"):
        network = LiteNetwork()
    try:
        state = {key: value.float() for key, value in load_file(path).items()}
        network.load_state_dict(state, assign=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(
            f"lite needs the weights of its network, and {path} does not hold them:"
            f" {str(error).splitlines()[0]} Install the package again, or train them"
            " (benchmarks/lite)."
        ) from error
    return LitePredictor(network, where, load_s=time.perf_counter() - start)
