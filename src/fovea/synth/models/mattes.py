"""What is in front of a picture, by networks of the U2-Net family in ONNX.

Source: Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection"
(2020); the files that rembg publishes. A picture is scaled to the network's square, divided by its
largest value, standardised by ImageNet's mean and deviation; the first output is stretched to 0..1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fovea.synth.models.language import file_of
from fovea.synth.models.loading import importable

if TYPE_CHECKING:
    from jaxtyping import UInt8

MEAN = np.asarray([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.asarray([0.229, 0.224, 0.225], np.float32)
SIDE = 320


class U2Net:
    """A network in a file of ONNX.

    Args:
        place: the file, u2net.onnx or one like it.
        download: taken as of any network, and without effect: a file is there or not.
        device: taken as of any network, and without effect.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        onnxruntime = importable("onnxruntime", "image_remove_background_mapper", "onnx")
        self.session: Any = onnxruntime.InferenceSession(
            file_of(place, "a network of the U2-Net family in ONNX, u2net.onnx,"),
            providers=["CPUExecutionProvider"],
        )
        self.input = self.session.get_inputs()[0]

    def mattes(self, picture: Image.Image) -> UInt8[np.ndarray, "height width"]:
        """How opaque each pixel is, 255 in front."""
        sides = self.input.shape[2:]
        high, wide = (side if isinstance(side, int) else SIDE for side in sides)
        small = np.asarray(picture.resize((wide, high), Image.Resampling.LANCZOS), np.float32)
        given = (small / max(float(small.max()), 1e-6) - MEAN) / DEVIATION
        (found, *_rest) = self.session.run(None, {self.input.name: given.transpose(2, 0, 1)[None]})
        matte = np.asarray(found)[0, 0]
        low, top = float(matte.min()), float(matte.max())
        stretched = (matte - low) / max(top - low, 1e-6) * 255
        mask = Image.fromarray(stretched.astype(np.uint8))
        return np.asarray(mask.resize(picture.size, Image.Resampling.LANCZOS))
