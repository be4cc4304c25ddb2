"""Predicting with the folder that `photo.export` made: onnxruntime and NumPy, no torch.

    scene = OnnxNetwork(folder).predict(pixels, focal_px=1200.0)

A part is loaded when its turn comes and given back after it, so that only one part's weights are in
memory at a time. `predictor.py` wraps this for the rest of the room, which speaks torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from jaxtyping import Float32, UInt8

from fovea.errors import ArtifactError
from fovea.photo.arrays import (
    NdcArrays,
    all_crops,
    composed,
    depth_from_disparity,
    initialized,
    merged,
    stretched,
)

Array = np.ndarray
FORMAT = 1
TENSORRT = "TensorrtExecutionProvider"


@dataclass(frozen=True)
class ArrayScene:
    """Metric Gaussians in the photograph's camera, as arrays; colours are linear."""

    means: Float32[np.ndarray, "N 3"]
    quats: Float32[np.ndarray, "N 4"]
    scales: Float32[np.ndarray, "N 3"]
    opacities: Float32[np.ndarray, " N"]
    colors: Float32[np.ndarray, "N 3"]
    depth_m: Float32[np.ndarray, "2 S S"]


class OnnxNetwork:
    """The exported network.

    Args:
        folder: of `photo.export`.
        crops: in the transformer at a time.
        threads: of onnxruntime; 0 takes OMP_NUM_THREADS, or all cores.

    Raises:
        ArtifactError: the folder is not one of `photo.export`, or a part is missing.
    """

    def __init__(self, folder: Path, *, crops: int = 5, threads: int = 0) -> None:
        self.folder, self.crops = folder, crops
        self.about = _described(folder)
        self.size = int(self.about["network_size"])
        self._threads = threads or int(os.environ.get("OMP_NUM_THREADS", "0"))

    def predict(
        self,
        pixels: UInt8[np.ndarray, "H W 3"],
        *,
        focal_px: float,
        watch: Callable[[int, int], None] = lambda done, total: None,
    ) -> ArrayScene:
        """The scene of an sRGB photograph with this focal length in its own pixels."""
        from fovea.photo.unprojection import mapped, ndc_to_metric

        height, width = pixels.shape[:2]
        ndc, depth_m = self.ndc(pixels, focal_px / width, watch)
        affine = ndc_to_metric(
            focal_px=focal_px, height=height, width=width, network_size=self.size
        )
        shapes = mapped(ndc.means, ndc.quats, ndc.scales, affine)
        return ArrayScene(*shapes, opacities=ndc.opacities, colors=ndc.colors, depth_m=depth_m)

    def ndc(
        self,
        pixels: UInt8[np.ndarray, "H W 3"],
        disparity_factor: float,
        watch: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[NdcArrays, Array]:
        """Gaussians in the network's space, and the depth of two layers in metres."""
        image = stretched(pixels, size=self.size)
        maps = self._run("encoder_maps", self._tokens(2 * image - 1, watch))
        watch(30, 40)
        disparity = self._run("disparity", maps)["disparity"]
        watch(36, 40)
        depth_m = depth_from_disparity(disparity, disparity_factor)
        base = initialized(image, depth_m)
        delta = self._run("deltas", maps | {"features": base.features})["delta"]
        watch(40, 40)
        return composed(base, delta), depth_m

    def _tokens(self, image: Array, watch: Callable[[int, int], None]) -> dict[str, Array]:
        trims: Sequence[int] = self.about["trims"]
        patch, crop_px = int(self.about["patch_px"]), int(self.about["crop_px"])
        overlaps = 2 * trims[0] * patch, 2 * trims[1] * patch
        crops = all_crops(image, crop_px=crop_px, overlaps_px=overlaps)
        session = self._session("patch_encoder")
        found: list[list[Array]] = []
        for first in range(0, len(crops), self.crops):
            group = {"crops": crops[first : first + self.crops]}
            found.append(cast("list[Array]", session.run(["early", "middle", "final"], group)))
            watch(min(first + self.crops, len(crops)) * 26 // len(crops), 40)
        del session
        early, middle, final = (np.concatenate(parts) for parts in zip(*found, strict=True))
        whole = self._run("image_encoder", {"crop": crops[-1:]})["whole_tokens"]
        count = (-(-3 * crop_px // (crop_px - overlaps[0])) + 1) ** 2
        return {
            "latent0": merged(early[:count], trim=trims[0]),
            "latent1": merged(middle[:count], trim=trims[0]),
            "full": merged(final[:count], trim=trims[0]),
            "half": merged(final[count:-1], trim=trims[1]),
            "quarter": merged(final[-1:], trim=0),
            "whole": merged(whole, trim=0),
        }

    def _run(self, part: str, given: Mapping[str, Array]) -> dict[str, Array]:
        outputs: list[str] = self.about["parts"][part][1]
        found = self._session(part).run(outputs, dict(given))
        return dict(zip(outputs, cast("list[Array]", found), strict=True))

    def _session(self, part: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # What is freed is given back at once, and nothing is kept for a next run that never comes.
        options.enable_cpu_mem_arena = False
        path = self.folder / f"{part}.onnx"
        return onnxruntime.InferenceSession(path, options, providers=providers(self.folder))


def providers(folder: Path) -> list[Any]:
    """What computes: the processor, or TensorRT where `FOVEA_TENSORRT` is fp16 or fp32.

    The engines that TensorRT builds are kept beside the network.
    """
    wanted, processor = os.environ.get("FOVEA_TENSORRT", ""), "CPUExecutionProvider"
    if not wanted or TENSORRT not in onnxruntime.get_available_providers():
        return [processor]
    engines = {
        "trt_fp16_enable": wanted == "fp16",
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder / "tensorrt"),
    }
    return [(TENSORRT, engines), "CUDAExecutionProvider", processor]


def _described(folder: Path) -> dict[str, Any]:
    path = folder / "network.json"
    if not path.is_file():
        raise ArtifactError(
            f"an exported network is a folder with a network.json, and {folder} has none. Give the"
            " folder that photo.export made."
        )
    try:
        about = json.loads(path.read_text())
        found = about.get("format")
    except (ValueError, AttributeError) as error:
        raise ArtifactError(
            f"{path} describes an exported network in JSON, and cannot be read: {error}. Run"
            " photo.export again."
        ) from error
    if found != FORMAT:
        raise ArtifactError(
            f"this version reads exported networks of format {FORMAT}, and {path} is of format"
            f" {found}. Run photo.export again."
        )
    missing = [name for name in about["parts"] if not (folder / f"{name}.onnx").is_file()]
    if missing:
        raise ArtifactError(
            f"the exported network in {folder} lacks {', '.join(missing)}.onnx. Copy the whole"
            " folder, the .onnx.data files too, or run photo.export again."
        )
    return about
