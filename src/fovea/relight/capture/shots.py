"""Photographs whose poses are not known yet: pictures of a folder, or sharp frames of a video."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from fovea.errors import ArtifactError, DataError
from fovea.runs.durable import publish
from fovea.scene.capture.checks import refuse_copies
from fovea.scene.image import write_image
from fovea.scene.video import each_frame

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
SHARPNESS_PX = 640
"""Sharpness is measured on frames shrunk to this width: noise of the sensor is not sharpness."""
FEWEST = 3
EVERYTHING = "**/*"

Watch = Callable[[int, int], None]
"""Told how many of how many are done; it may raise to stop."""


@dataclass(frozen=True)
class Shot:
    """A photograph without a pose."""

    name: str
    """Of the photograph in the capture to come, without an ending; no two are the same."""
    path: Path
    mask: Path | None = None


def find_shots(folder: Path, pattern: str) -> list[Shot]:
    """The pictures of a folder that fit a pattern, by their path; `masks/` holds masks, if any.

    Where all are asked for and there is a folder `images/`, only those in it: beside it often stand
    the same photographs in other sizes, `images_2/`, `images_4/`.

    Raises:
        DataError: there are fewer than 3, or all of them are one picture.
    """
    masks = folder / "masks"
    if pattern == EVERYTHING and (folder / "images").is_dir():
        pattern = "images/**/*"
    paths = [
        path
        for path in sorted(folder.glob(pattern))
        if path.suffix.lower() in PICTURES and path.is_file() and masks not in path.parents
    ]
    if len(paths) < FEWEST:
        inside = sorted({p.suffix or p.name for p in folder.rglob("*") if p.is_file()})
        raise DataError(
            f"poses need at least {FEWEST} photographs, and {folder} has {len(paths)} that fit"
            f" pattern={pattern} ({', '.join(PICTURES)}). Endings there:"
            f" {', '.join(inside) or 'none'}. Take photographs from all around the thing, 30 or"
            " more."
        )
    refuse_copies(paths, folder)
    shots: dict[str, Shot] = {}
    for path in paths:
        inner = path.relative_to(folder)
        name = re.sub(r"[^\w-]+", "_", path.stem)
        if name in shots or sum(other.stem == path.stem for other in paths) > 1:
            name = re.sub(r"[^\w-]+", "_", inner.with_suffix("").as_posix())
        near = [masks / f"{path.name}.png", masks / f"{path.stem}.png"]
        shots[name] = Shot(name, path, next((mask for mask in near if mask.is_file()), None))
    return list(shots.values())


def frames_of_video(path: Path, count: int, folder: Path, watch: Watch) -> list[Shot]:
    """The sharpest frame of each of `count` equal parts of a video, written as PNG to a folder.

    What was written before, by a call with the same arguments, is taken as it is.

    Raises:
        ArtifactError: it holds no video that can be decoded.
        DataError: it has fewer than 3 frames.
    """
    if not folder.is_dir():
        sharpness = []
        for number, frame in enumerate(each_frame(path)):
            sharpness.append(_sharpness(frame))
            watch(number + 1, 2 * number + 2)
        if len(sharpness) < FEWEST:
            raise DataError(
                f"poses need at least {FEWEST} frames, and {path} has {len(sharpness)}. Film for"
                " some seconds while you walk around the thing."
            )
        parts = np.array_split(np.arange(len(sharpness)), min(count, len(sharpness)))
        chosen = {int(part[np.argmax(np.take(sharpness, part))]) for part in parts}
        draft = folder.with_name(f".draft-{folder.name}")
        for number, frame in enumerate(each_frame(path)):
            if number in chosen:
                write_image(draft / f"frame_{number:06d}.png", frame.astype(np.float32) / 255)
            watch(len(sharpness) + number + 1, 2 * len(sharpness))
        publish(draft, folder)
    return [Shot(frame.stem, frame) for frame in sorted(folder.glob("frame_*.png"))]


def is_video(path: Path) -> bool:
    """Whether a path is a video by its name.

    Raises:
        ArtifactError: it is a file of another kind.
    """
    if path.is_file() and path.suffix.lower() not in VIDEOS:
        raise ArtifactError(
            f"poses are found from a folder of photographs or a video ({', '.join(VIDEOS)}), and"
            f" {path} ends in {path.suffix or 'nothing'}. Give the folder it is in."
        )
    return path.is_file()


def _sharpness(frame: UInt8[np.ndarray, "h w 3"]) -> float:
    """The variance of the Laplacian of the shrunk frame.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy" (2000).
    """
    height, width = frame.shape[:2]
    scale = min(1.0, SHARPNESS_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
