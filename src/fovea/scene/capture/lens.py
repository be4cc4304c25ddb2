"""COLMAP's camera models, which other programs write too: what their parameters mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fovea.errors import DataError
from fovea.scene.distortion import Distortion
from fovea.scene.lenses import Model

Intrinsics = list[list[float]]


class Lens(NamedTuple):
    """A camera model of COLMAP."""

    number: int
    """Its id in `cameras.bin`."""
    focals: int
    """1 where fx = fy; then come cx, cy and the coefficients."""
    coefficients: int
    model: Model | None
    """In which the coefficients are counted; None for a pinhole."""


LENSES: dict[str, Lens] = {
    "SIMPLE_PINHOLE": Lens(0, 1, 0, None),
    "PINHOLE": Lens(1, 2, 0, None),
    "SIMPLE_RADIAL": Lens(2, 1, 1, "simple_radial"),
    "RADIAL": Lens(3, 1, 2, "simple_radial"),
    "OPENCV": Lens(4, 2, 4, "opencv"),
    "OPENCV_FISHEYE": Lens(5, 2, 4, "fisheye"),
    "FULL_OPENCV": Lens(6, 2, 8, "opencv"),
    "FOV": Lens(7, 2, 1, "fov"),
    "SIMPLE_RADIAL_FISHEYE": Lens(8, 1, 1, "fisheye"),
    "RADIAL_FISHEYE": Lens(9, 1, 2, "fisheye"),
    "THIN_PRISM_FISHEYE": Lens(10, 2, 8, "thin_prism_fisheye"),
    "RAD_TAN_THIN_PRISM_FISHEYE": Lens(11, 2, 12, "fisheye624"),
    "SIMPLE_DIVISION": Lens(12, 1, 1, "division"),
    "DIVISION": Lens(13, 2, 1, "division"),
    "SIMPLE_FISHEYE": Lens(14, 1, 0, "fisheye"),
    "FISHEYE": Lens(15, 2, 0, "fisheye"),
    "EUCM": Lens(16, 2, 2, "unified"),
}
NAMES = {lens.number: name for name, lens in LENSES.items()}
NAMES[17] = PANORAMA = "EQUIRECTANGULAR"
"""The one model of COLMAP that no pinhole can take the place of."""


def parameter_count(name: str) -> int:
    """How many parameters a model has."""
    lens = LENSES[name]
    return lens.focals + 2 + lens.coefficients


def intrinsics_of(name: str, parameters: Sequence[float]) -> tuple[Intrinsics, Distortion | None]:
    """The intrinsics in px and the bending of a lens; None where there is none."""
    lens = LENSES[name]
    *focals, cx, cy = parameters[: lens.focals + 2]
    matrix = [[focals[0], 0.0, cx], [0.0, focals[-1], cy], [0.0, 0.0, 1.0]]
    return matrix, distortion_of(lens.model, parameters[lens.focals + 2 :])


def distortion_of(model: Model | None, coefficients: Sequence[float]) -> Distortion | None:
    """The bending of a lens, or None where its coefficients are those of a pinhole."""
    if model is None:
        return None
    if model == "fisheye":
        return Distortion(model, tuple([*coefficients, 0.0, 0.0, 0.0, 0.0][:4]))
    no_bending = (0.0, 1.0) if model == "unified" else (0.0,) * len(coefficients)
    is_none = model not in ("thin_prism_fisheye", "fisheye624") and coefficients == no_bending
    return None if is_none else Distortion(model, tuple(coefficients))


def refused(name: str, *, where: Path, photographs: Path) -> DataError:
    """What to say to a camera model that cannot be made straight here."""
    remedy = (
        f"Make the photographs straight first: colmap image_undistorter --image_path {photographs}"
        f" --input_path {where} --output_path {where.parent.parent}_straight"
    )
    if name == PANORAMA:
        remedy = (
            "Cut each panorama into views, ffmpeg -i PANORAMA -vf"
            " v360=e:flat:h_fov=90:v_fov=90:yaw=0 VIEW.png with several yaws, and let fovea relight"
            " poses find theirs"
        )
    return DataError(
        f"{where} has the camera model {name}, which cannot be made a pinhole here; these can:"
        f" {', '.join(LENSES)}. {remedy}."
    )
