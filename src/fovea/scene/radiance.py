"""Maps of light: Radiance .hdr and OpenEXR .exr files as linear float32 [height, width, 3].

Values are radiance, without an upper bound, and stand in the file as they are used: there is no
curve to undo. A map of a whole surrounding is twice as wide as high.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32

from fovea.errors import ArtifactError, BackendError, DataError

HDR_MAGIC, EXR_MAGIC = b"#?", b"\x76\x2f\x31\x01"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MOST_NEGATIVE_SHARE = 0.25
"""Of a file's light. Published .exr maps in lossy compression have up to 0.11 beside a bright sun;
half of a normal map is negative."""

_log = logging.getLogger(__name__)


def read_radiance(
    path: str | Path, *, is_panorama: bool = True
) -> Float32[np.ndarray, "height width 3"]:
    """Read a .hdr or .exr file; grey becomes three equal channels, alpha is left out.

    Negative values, as lossy compression leaves them beside a bright sun, count as 0; the log says
    how many there were.

    Args:
        path: of the file; what is in it decides, not its name.
        is_panorama: it must be twice as wide as high.

    Raises:
        ArtifactError: there is no such file.
        DataError: it is a picture of 8 or 16 bits, is damaged, has another shape, or holds values
            that are no light.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No map of light {path}: there is no such file. Check the name.")
    with path.open("rb") as file:
        start = file.read(24)
    if start.startswith(HDR_MAGIC):
        values = _read_hdr(path)
    elif start.startswith(EXR_MAGIC):
        values = _read_exr(path)
    elif path.suffix.lower() in PICTURES or start.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")):
        raise DataError(
            f"{path} is a picture: what is brighter than its white was cut off, so it cannot light"
            " a scene. Give the same place as .hdr or .exr."
        )
    else:
        raise DataError(
            f"{path} is neither Radiance .hdr nor OpenEXR .exr: it starts with {start!r}. Convert"
            " it to one of them."
        )
    _check_shape(path, values.shape, is_panorama=is_panorama)
    return _checked_light(path, values)


def write_radiance(
    path: str | Path,
    image: Float[np.ndarray, "height width 3"] | Float[torch.Tensor, "height width 3"],
) -> None:
    """Write linear radiance, whole or not at all; the suffix says the format.

    .exr keeps float32 as it is. .hdr keeps 8 bits of a pixel's brightest channel, to the nearest
    step.

    Raises:
        DataError: the suffix is another, or values are negative or not finite.
    """
    path = Path(path)
    values = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else image
    values = np.ascontiguousarray(values, dtype=np.float32)
    suffix = path.suffix.lower()
    if suffix not in (".hdr", ".exr"):
        raise DataError(
            f"{path.name}: maps of light are written as .hdr or .exr, not '{suffix}'. Change the"
            " name."
        )
    _check_shape(path, values.shape, is_panorama=False)
    bad = int((~np.isfinite(values) | (values < 0)).sum())
    if bad:
        raise DataError(
            f"{path.name}: {bad} of {values.size} radiances are negative or not finite, the lowest"
            f" {np.nanmin(values):g}; find their source."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.draft{suffix}")
    try:
        (_write_hdr if suffix == ".hdr" else _write_exr)(draft, values)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check_shape(path: Path, shape: tuple[int, ...], *, is_panorama: bool) -> None:
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise DataError(f"{path}: a map of light is [height, width, 3]; found {shape}.")
    height, width = shape[:2]
    if is_panorama and width != 2 * height:
        raise DataError(
            f"{path} is {width} x {height}; a map of a whole surrounding is twice as wide as high"
            f" ({2 * height} x {height}). Give the latitude-longitude version of it."
        )


def _checked_light(path: Path, values: np.ndarray) -> np.ndarray:
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad.any(axis=2))[0]
        raise DataError(
            f"{path}: {int(bad.sum())} of {values.size} radiances are not finite, the first in row"
            f" {row}, column {column}: {values[row, column].tolist()}. Export it again, or repair"
            " those pixels."
        )
    negative = -np.minimum(values, 0).sum(dtype=np.float64)
    if negative > 0:
        positive = np.maximum(values, 0).sum(dtype=np.float64)
        count, lowest = int((values < 0).sum()), float(values.min())
        if negative > MOST_NEGATIVE_SHARE * positive:
            raise DataError(
                f"{path}: {count} of {values.size} radiances are negative, the lowest {lowest:g};"
                " light is not. Give a map of radiance, not a difference or a normal map."
            )
        _log.warning(
            "%s: %d of %d radiances are negative, as lossy compression leaves them, the lowest %g;"
            " they count as 0",
            *(path.name, count, values.size, lowest),
        )
    return np.maximum(values, 0)


def _read_hdr(path: Path) -> np.ndarray:
    import cv2

    data = np.fromfile(path, np.uint8)
    with _quiet_opencv():
        values = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if values is None or values.dtype != np.float32:
        raise _damaged(path, "its pixels cannot be decoded")
    return np.ascontiguousarray(values[..., ::-1])


def _read_exr(path: Path) -> np.ndarray:
    try:
        import OpenEXR
    except ImportError:
        raise BackendError(
            f"reading {path.name} needs the package OpenEXR, which is not installed. Run: pip"
            " install 'fovea-vision[scene]', or give a .hdr."
        ) from None
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            planes = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, OSError) as error:
        raise _damaged(path, str(error)) from None
    names = [name for name in "RGB" if name in planes] or [name for name in "Y" if name in planes]
    if len(names) not in (1, 3):
        raise DataError(
            f"{path} has the channels {', '.join(sorted(planes))}; light needs R, G and B, or Y."
            " Export the beauty pass alone."
        )
    picked = [np.asarray(planes[name], dtype=np.float32) for name in names]
    return np.stack(picked if len(picked) == 3 else picked * 3, axis=2)


def _write_hdr(path: Path, values: np.ndarray) -> None:
    import cv2

    is_written, data = cv2.imencode(".hdr", np.ascontiguousarray(_rounded(values)[..., ::-1]))
    assert is_written, "a checked array of radiances is always a .hdr"
    path.write_bytes(data.tobytes())


def _rounded(values: np.ndarray) -> np.ndarray:
    """Each value in the middle of the step that is nearest to it, since the encoder cuts off."""
    _, exponent = np.frexp(values.max(axis=2, keepdims=True))
    step = np.ldexp(np.float32(1), exponent - 8)
    steps = np.minimum(np.floor(values / step + 0.5), 255)
    return ((steps + 0.25 * (steps > 0)) * step).astype(np.float32)


def _write_exr(path: Path, values: np.ndarray) -> None:
    try:
        import OpenEXR
    except ImportError:
        raise BackendError(
            f"writing {path.name} needs the package OpenEXR, which is not installed. Run: pip"
            " install 'fovea-vision[scene]', or name it .hdr."
        ) from None
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"RGB": values}) as file:
        file.write(str(path))


@contextmanager
def _quiet_opencv() -> Generator[None]:
    """OpenCV tells of a damaged file on its own; our sentence is enough."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _damaged(path: Path, why: str) -> DataError:
    size = path.stat().st_size
    return DataError(
        f"{path} ({size} bytes) is a damaged map of light: {why}. Fetch or export it again."
    )
