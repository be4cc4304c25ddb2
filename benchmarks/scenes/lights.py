"""Lat-long environment lights, drawn rather than photographed, so that they carry nobody's rights.

Convention: row 0 looks to +z (up), the centre column to +x, columns to the right turn towards -y:
`u = 0.5 - atan2(y, x) / 2pi`, `v = acos(z) / pi`. Values are linear radiance.
"""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH = 128, 256


def directions(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Unit directions [height, width, 3] of the texels' centres."""
    v, u = np.meshgrid(
        (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij"
    )
    azimuth, polar = 2 * np.pi * (0.5 - u), np.pi * v
    return np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1
    )


def _toward(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    return np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )


def _panel(azimuth_deg: float, elevation_deg: float, width: float, height: float) -> np.ndarray:
    """How much of a soft lamp each direction sees, 0..1; sizes are tangents of half angles."""
    centre = _toward(azimuth_deg, elevation_deg)
    right = np.cross([0.0, 0.0, 1.0], centre)
    right /= np.linalg.norm(right)
    up = np.cross(centre, right)
    d = directions()
    ahead = np.maximum(d @ centre, 1e-6)
    across, along = np.abs(d @ right) / ahead / width, np.abs(d @ up) / ahead / height
    edge = np.maximum(across, along)
    return np.where(d @ centre > 0, np.clip((1.12 - edge) / 0.24, 0, 1), 0.0)


def _glow(azimuth_deg: float, elevation_deg: float, sharpness: float) -> np.ndarray:
    """A round lobe of peak 1."""
    return np.exp(sharpness * (directions() @ _toward(azimuth_deg, elevation_deg) - 1))


def _gradient(below: tuple, horizon: tuple, above: tuple) -> np.ndarray:
    """A backdrop that runs from the ground over the horizon to the zenith."""
    z = directions()[..., 2:]
    up = np.clip(z, 0, 1) ** 0.6
    down = np.clip(-z, 0, 1) ** 0.5
    return (1 - up - down * (z < 0)).clip(0, 1) * np.array(horizon) + up * above + down * below


def studio() -> np.ndarray:
    """A photographer's table: a large warm key lamp, a cool fill, a thin rim light, a pale room."""
    light = _gradient((0.10, 0.08, 0.07), (0.17, 0.17, 0.18), (0.22, 0.24, 0.28))
    for lamp, color, power in (
        (_panel(35, 48, 0.55, 0.45), (1.0, 0.91, 0.78), 4.6),
        (_panel(-75, 24, 0.5, 0.6), (0.72, 0.86, 1.0), 1.0),
        (_panel(170, 34, 0.16, 0.7), (1.0, 0.97, 0.92), 2.4),
    ):
        light = light + power * lamp[..., None] * np.array(color)
    return light.astype(np.float32)


def dusk() -> np.ndarray:
    """A low orange sun under a violet sky."""
    light = _gradient((0.07, 0.055, 0.07), (0.46, 0.27, 0.30), (0.13, 0.16, 0.42))
    light = light + 13.0 * _glow(-40, 14, 60.0)[..., None] * np.array((1.0, 0.52, 0.20))
    light = light + 0.9 * _glow(-40, 6, 5.0)[..., None] * np.array((1.0, 0.45, 0.30))
    return light.astype(np.float32)


def garden() -> np.ndarray:
    """Green all round, bright sky through a gap overhead, a high sun."""
    leaves = 0.75 + 0.25 * np.sin(9 * directions()[..., :1] + 4) * np.sin(
        11 * directions()[..., 1:2]
    )
    light = _gradient((0.10, 0.16, 0.05), (0.16, 0.30, 0.09), (0.55, 0.85, 1.25)) * leaves
    light = light + 20.0 * _glow(120, 58, 90.0)[..., None] * np.array((1.0, 0.96, 0.86))
    return light.astype(np.float32)


LIGHTS = {"studio": studio, "dusk": dusk, "garden": garden}
