"""The focal length a photograph was taken with, in pixels, and where that is known from.

`W` and `H` are the sizes of the upright photograph in pixels. A 35 mm equivalent is the focal
length that sees the same diagonal on film of 36 x 24 mm.

EXIF lies: 0 and 65535 stand for "unknown", editors resize and forget to say so, and lenses without
contacts are written down as anything. So a value counts only when it gives a field of view that
lenses have; else the next best is taken, and `source` and `note` say what was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fovea.photo.settings.photograph import PhotographConfig

FILM_DIAGONAL_MM = math.hypot(36, 24)
ASSUMED_MM = 30.0
"""On 35 mm film, where nothing is known; SHARP's choice."""
REFERENCE_BELOW_MM, REFERENCE_FACTOR = 10.0, 8.4
"""SHARP's guess: a real focal length so short is a phone's."""
SMALL_BELOW_MM, SMALL_FACTOR, LARGE_FACTOR = 18.0, 5.6, 1.5
"""Ours: shorter ones are of small sensors (4.7 to 7.0 times shorter than on film in the phones and
compact cameras that were looked at), longer ones of cameras with APS-C sensors."""
FILM_RANGE_MM = (5.0, 3200.0)
"""From fisheyes (154 degrees of diagonal) to the longest zooms (0.8 degrees)."""
SENSOR_RANGE_MM = (1.5, 80.0)
"""Widths of sensors, from cameras one swallows to medium format."""
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Of EXIF's FocalPlaneResolutionUnit; without one it is an inch."""
ALIASES = ("FocalLengthIn35mmFilm", "FocalLenIn35mmFilm")


@dataclass(frozen=True)
class Focal:
    """A focal length and how it is known."""

    px: float
    source: str
    """`EXIF 35 mm equivalent 28 mm`, `given 900 px`, `assumed 30 mm`."""
    note: str = ""
    """What was not believed."""


def focal_length(
    exif: Mapping[str, Any], *, width: int, height: int, settings: PhotographConfig
) -> Focal:
    """The focal length of a photograph, from the settings or from its EXIF.

    Args:
        exif: tags by name.
        width: of the upright photograph, in pixels.
        height: likewise.
        settings: what was given by hand goes before EXIF; `mode` says whose rules count.
    """
    if settings.focal_px is not None:
        return Focal(settings.focal_px, f"given {settings.focal_px:g} px")
    if settings.focal_mm is not None:
        px = film_to_pixels(settings.focal_mm, width=width, height=height)
        return Focal(px, f"given {settings.focal_mm:g} mm")
    if settings.fov_deg is not None:
        px = width / (2 * math.tan(math.radians(settings.fov_deg) / 2))
        return Focal(px, f"given {settings.fov_deg:g} degrees of width")
    if settings.mode == "reference":
        return reference_focal(exif, width=width, height=height)
    return _believable(exif, width=width, height=height)


def film_to_pixels(film_mm: float, *, width: int, height: int) -> float:
    """Pixels of a 35 mm equivalent, by the diagonal: `f * sqrt(W^2 + H^2) / 43.2666 mm`."""
    return film_mm * math.hypot(width, height) / FILM_DIAGONAL_MM


def pixels_to_film(focal_px: float, *, width: int, height: int) -> float:
    """The 35 mm equivalent of a focal length in pixels."""
    return focal_px * FILM_DIAGONAL_MM / math.hypot(width, height)


def with_film(source: str, film_mm: float) -> str:
    """Where a focal length is known from, with its 35 mm equivalent where that does not say it."""
    is_said = f"{film_mm:.3g} mm" in source
    return source if is_said else f"{source} ({film_mm:.3g} mm on 35 mm film)"


def reference_focal(exif: Mapping[str, Any], *, width: int, height: int) -> Focal:
    """The focal length by SHARP's own rules, which believe whatever stands there.

    A 35 mm equivalent of 1 or more counts. Else the real focal length is taken for one, times 8.4
    where it is below 10 mm; else 30 mm.
    """
    film = next((value for name in ALIASES if (value := _number(exif.get(name)))), None)
    if film is not None and film >= 1:
        source = f"EXIF 35 mm equivalent {film:g} mm"
    elif (real := _number(exif.get("FocalLength"))) is not None:
        film = real * REFERENCE_FACTOR if real < REFERENCE_BELOW_MM else real
        source = f"EXIF {real:g} mm taken for {film:g} mm on 35 mm film"
    else:
        film, source = ASSUMED_MM, f"assumed {ASSUMED_MM:g} mm"
    return Focal(film_to_pixels(film, width=width, height=height), source)


def _believable(exif: Mapping[str, Any], *, width: int, height: int) -> Focal:
    """The best of what EXIF says that can be true."""
    doubts: list[str] = []
    candidates = (
        _film_equivalent(exif, width, height, doubts),
        _by_sensor(exif, width, height, doubts),
        _by_guess(exif, width, height),
    )
    low, high = FILM_RANGE_MM
    for found in candidates:
        if found is None:
            continue
        film = pixels_to_film(found.px, width=width, height=height)
        if low <= film <= high:
            return Focal(found.px, found.source, "; ".join(doubts))
        doubts.append(f"{with_film(found.source, film)} is not believed")
    px = film_to_pixels(ASSUMED_MM, width=width, height=height)
    return Focal(px, f"assumed {ASSUMED_MM:g} mm", "; ".join(doubts))


def _film_equivalent(
    exif: Mapping[str, Any], width: int, height: int, doubts: list[str]
) -> Focal | None:
    said = next((exif[name] for name in ALIASES if name in exif), None)
    film = _number(said)
    if said is None or film == 0:  # 0 is EXIF's word for "unknown"
        return None
    if film is None or film in (65535, 2**32 - 1):
        doubts.append(f"EXIF's 35 mm equivalent {said} is no length")
        return None
    px = film_to_pixels(film, width=width, height=height)
    return Focal(px, f"EXIF 35 mm equivalent {film:g} mm")


def _by_sensor(exif: Mapping[str, Any], width: int, height: int, doubts: list[str]) -> Focal | None:
    """The real focal length over the sensor's width, which the density of its pixels gives."""
    real = _number(exif.get("FocalLength"))
    per_unit = _number(exif.get("FocalPlaneXResolution"))
    if not real or not per_unit:
        return None
    unit = _number(exif.get("FocalPlaneResolutionUnit", 2))
    mm = MM_PER_UNIT.get(int(unit or 2), 25.4)
    then = _number(exif.get("ExifImageWidth")), _number(exif.get("ExifImageHeight"))
    taken_px = max((side for side in then if side), default=max(width, height))
    sensor_mm = taken_px / per_unit * mm
    low, high = SENSOR_RANGE_MM
    if not low <= sensor_mm <= high:
        doubts.append(f"EXIF's sensor would be {sensor_mm:.3g} mm wide and is not believed")
        return None
    px = real * max(width, height) / sensor_mm
    return Focal(px, f"EXIF {real:g} mm on a sensor {sensor_mm:.3g} mm wide")


def _by_guess(exif: Mapping[str, Any], width: int, height: int) -> Focal | None:
    real = _number(exif.get("FocalLength"))
    if not real or real == 65535:
        return None
    film = real * (SMALL_FACTOR if real < SMALL_BELOW_MM else LARGE_FACTOR)
    px = film_to_pixels(film, width=width, height=height)
    return Focal(px, f"EXIF {real:g} mm on a guessed sensor, {film:.3g} mm on 35 mm film")


def _number(value: Any) -> float | None:
    """A tag's value as a finite number that is not negative; None where it is none."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None  # pyright: ignore[reportUnknownVariableType]
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
