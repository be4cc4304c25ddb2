"""Rectified stereo pairs with known disparities: the other eye is the true novel view.

A point at depth Z lies at column x in the left picture and x - d in the right one, with
d = f b / Z - offset. Where neither focal length f nor baseline b is known, depth is right up to a
scale, or to scale and shift of its inverse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from fovea.errors import DataError
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.scene.image import read_image, to_uint8

Picture = UInt8[np.ndarray, "height width 3"]

LEFT = ("im0.*", "view1.*", "*left*", "*L.jpg", "*L.png")
RIGHT = ("im1.*", "view5.*", "*right*", "*R.jpg", "*R.png")
DISPARITY = ("disp0.*", "disp1.*", "*disp*", "*GT.*")
"""Names in a folder, the first that is found: Middlebury 2014, 2006, and how people name theirs."""
PICTURES = (".png", ".jpg", ".jpeg", ".ppm")
MAPS = (".pfm", ".npz", ".npy", ".png")
STEPS_OF_16_BITS = 256.0
"""A pixel of disparity in a 16-bit PNG, as KITTI writes them."""


@dataclass(frozen=True)
class StereoPair:
    """Two photographs of one scene, and how far each pixel moves from one to the other.

    Attributes:
        name: for tables.
        left: the photograph a scene is made of, sRGB.
        right: the other one.
        disparity: of the left pixels in px; NaN where unknown.
        focal_px: of both cameras; 0 where unknown.
        baseline_m: distance of the cameras; 0 where unknown.
        offset_px: of the right principal point against the left.
    """

    name: str
    left: Picture
    right: Picture
    disparity: Float[np.ndarray, "height width"]
    focal_px: float = 0.0
    baseline_m: float = 0.0
    offset_px: float = 0.0

    @property
    def is_metric(self) -> bool:
        """Whether depths are known in metres."""
        return self.focal_px > 0 and self.baseline_m > 0

    @property
    def scale(self) -> float:
        """Depth = scale / (disparity + offset): f b, or the width without calibration."""
        return self.focal_px * self.baseline_m if self.is_metric else float(self.left.shape[1])

    def depth(self) -> Float[np.ndarray, "height width"]:
        """True depth of the left pixels, in metres where these are known; NaN where unknown."""
        moved = self.disparity + self.offset_px
        with np.errstate(invalid="ignore"):
            return np.where(moved > 0, self.scale / np.where(moved > 0, moved, 1.0), np.nan)

    def seen_by_both(self) -> Bool[np.ndarray, "height width"]:
        """Right pixels whose surface the left camera sees too, by the true disparities."""
        height, width = self.disparity.shape
        rows, columns = np.nonzero(np.isfinite(self.disparity))
        at = np.rint(columns - self.disparity[rows, columns]).astype(np.int64)
        inside = (at >= 0) & (at < width)
        seen = np.zeros((height, width), np.uint8)
        seen[rows[inside], at[inside]] = 1
        # Slanted surfaces are stretched in the other view: cracks of a pixel belong to them.
        return cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8)).astype(bool)


def read_pair(config: EvaluateConfig) -> StereoPair:
    """The pair that the settings name.

    Raises:
        DataError: a file is missing or cannot be read, or sizes differ.
    """
    left = config.left or _found(config.data, "left", LEFT, PICTURES)
    right = config.right or _found(config.data, "right", RIGHT, PICTURES)
    disparity = config.disparity or _found(config.data, "disparity", DISPARITY, MAPS)
    known = _calibration(left.parent / "calib.txt")
    pair = StereoPair(
        name=config.data.name if config.data else left.stem,
        left=_picture(left),
        right=_picture(right),
        disparity=read_disparity(disparity),
        focal_px=config.focal_px or known.get("focal_px", 0.0),
        baseline_m=config.baseline_mm / 1000 or known.get("baseline_m", 0.0),
        offset_px=config.offset_px or known.get("offset_px", 0.0),
    )
    sizes = [array.shape[:2] for array in (pair.left, pair.right, pair.disparity)]
    if len(set(sizes)) > 1:
        raise DataError(
            f"a pair and its disparities have one size; {left.name}, {right.name} and "
            f"{disparity.name} have {', '.join(f'{w}x{h}' for h, w in sizes)} px. Take all three "
            "from one resolution of the data set."
        )
    return pair


def read_disparity(path: Path) -> Float[np.ndarray, "height width"]:
    """Disparities in px, NaN where they are unknown.

    `.pfm` and arrays mark the unknown by a value that is not finite, `.png` by 0; PNGs of 16 bits
    hold 256 steps a pixel.

    Raises:
        DataError: it is no such file, or holds no map.
    """
    match path.suffix.lower():
        case ".npz":
            with np.load(path, allow_pickle=False) as file:
                values = np.asarray(file[file.files[0]])
        case ".npy":
            values = np.load(path, allow_pickle=False)
        case ".pfm" | ".png":
            values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        case suffix:
            raise DataError(
                f"{path} ends in '{suffix}'; disparities are read from {', '.join(MAPS)}. Convert "
                "it to one of these."
            )
    if values is None or values.ndim not in (2, 3):
        raise DataError(f"{path} holds no map of disparities. Fetch or export it again.")
    values = values[..., 0] if values.ndim == 3 else values
    if values.dtype.kind == "u":
        steps = STEPS_OF_16_BITS if values.dtype == np.uint16 else 1.0
        return np.where(values > 0, values / steps, np.nan)
    values = values.astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _found(folder: Path | None, what: str, names: tuple[str, ...], kinds: tuple[str, ...]) -> Path:
    if folder is None:
        raise DataError(
            f"photo.evaluate needs the {what} of a stereo pair, and neither data= nor {what}= was "
            "given. Give data=FOLDER, or left=, right= and disparity=."
        )
    for name in names:
        for path in sorted(folder.glob(name)):
            if path.suffix.lower() in kinds:
                return path
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise DataError(
        f"{folder} holds no {what} of a stereo pair ({', '.join(names)}); it holds {held}. Name it "
        f"by {what}=FILE."
    )


def _picture(path: Path) -> Picture:
    return to_uint8(read_image(path)[..., :3])


def _calibration(path: Path) -> dict[str, float]:
    """Middlebury's calib.txt: `cam0=[f 0 cx; ...]`, `doffs=`, `baseline=` in mm."""
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    patterns = {"focal_px": r"cam0=\[([\d.]+)", "offset_px": r"doffs=([-\d.]+)"}
    patterns["baseline_m"] = r"baseline=([\d.]+)"
    found = {name: re.search(pattern, text) for name, pattern in patterns.items()}
    values = {name: float(match[1]) for name, match in found.items() if match}
    if "baseline_m" in values:
        values["baseline_m"] /= 1000
    return values
