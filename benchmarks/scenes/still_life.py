"""The still life of the demo: a jug, a glazed bird, a pear, an orange and a brass ball on a board.

Everything is made here from formulas, and everything stands within 1.1 of the origin, z up. The
materials are chosen so that each of them asks something else of inverse rendering: painted glaze,
gloss over one colour, waxy skin, pores, rough metal, open wood.
"""

from __future__ import annotations

import numpy as np
from shapes import (
    Solid,
    carved,
    ellipsoid,
    joined,
    mix,
    noise,
    smooth_profile,
    step,
    swept,
    turned,
    vertex_normals,
)

TABLE = -0.36
"""Height of the board's top."""
BALL_CENTRE, BALL_RADIUS = (0.60, -0.02, TABLE + 0.19), 0.19


def board() -> Solid:
    """A board of four planks with rounded corners."""
    edge = 0.035
    top, thickness = 0.0, 0.085
    bend = np.linspace(0, np.pi / 2, 9)
    inner = np.linspace(0, 1, 140)[:-1] * (1 - edge)
    upper = np.stack([1 - edge + edge * np.sin(bend), top - edge + edge * np.cos(bend)], 1)
    lower = np.stack([upper[:, 0], -thickness - upper[:, 1]], 1)
    rows = np.concatenate(
        [
            np.stack([inner, np.full_like(inner, -thickness)], 1),
            lower,
            upper[::-1],
            np.stack([inner[::-1], np.full_like(inner, top)], 1),
        ]
    )
    vertices, faces = turned(rows, 640)
    angle = np.arctan2(vertices[:, 1], vertices[:, 0])
    outline = (np.abs(np.cos(angle) / 0.93) ** 6 + np.abs(np.sin(angle) / 0.70) ** 6) ** (-1 / 6)
    vertices = vertices * np.stack([outline, outline, np.ones_like(outline)], 1)
    return Solid("board", vertices, faces, _wood(vertices), roughness=0.55).moved(0, 0, TABLE)


def _wood(points: np.ndarray) -> np.ndarray:
    plank = np.floor((points[:, 1] + 0.70) / 0.35)
    local = points + plank[:, None] * [3.7, 0.0, 1.9]
    drift = noise(local, (1.1, 0.25, 0.5), seed=3)
    rings = np.sin(50 * (local[:, 1] + 0.30 * drift) + 5 * local[:, 2])
    fibres = noise(local, (0.45, 0.016, 0.05), seed=4, octaves=2)
    tone = 0.5 + 0.16 * rings + 0.42 * fibres + 0.22 * np.sin(plank * 2.4 + 1)
    color = mix((0.25, 0.115, 0.048), (0.55, 0.325, 0.155), tone)
    gap = np.abs((points[:, 1] + 0.70) / 0.35 - np.round((points[:, 1] + 0.70) / 0.35)) * 0.35
    return color * (0.35 + 0.65 * step(0.002, 0.009, gap))[:, None]


def jug() -> list[Solid]:
    """A white jug with cobalt bands, dots and a wave, its lip drawn out to pour."""
    outer = [
        (0, 0), (0.17, 0), (0.195, 0.012), (0.205, 0.04), (0.285, 0.17), (0.315, 0.30),
        (0.285, 0.44),
        (0.205, 0.57), (0.165, 0.66), (0.165, 0.74), (0.205, 0.85), (0.212, 0.862), (0.204, 0.868),
    ]  # fmt: skip
    inner = [
        (0.185, 0.84),
        (0.148, 0.74),
        (0.148, 0.66),
        (0.19, 0.56),
        (0.26, 0.43),
        (0.25, 0.2),
        (0, 0.08),
    ]
    profile = np.concatenate([smooth_profile(outer, 300), smooth_profile(inner, 90)])
    vertices, faces = turned(profile, 384)
    phi = np.arctan2(vertices[:, 1], vertices[:, 0])
    color = _painted(phi, vertices[:, 2], outside=np.repeat(np.arange(390) < 300, 384))
    lip = step(0.68, 0.87, vertices[:, 2]) * np.exp(-((phi / 0.42) ** 2))
    vertices = vertices + lip[:, None] * np.array([0.105, 0, 0.035])
    t = np.linspace(0, 1, 80)[:, None]
    ends = [
        np.array(p)
        for p in ((-0.16, 0, 0.80), (-0.52, 0, 0.92), (-0.50, 0, 0.36), (-0.27, 0, 0.32))
    ]
    curve = sum(
        weight * (1 - t) ** (3 - power) * t**power * end
        for power, (weight, end) in enumerate(zip((1, 3, 3, 1), ends, strict=True))
    )
    grip, grip_faces = swept(curve, 0.030 - 0.006 * np.sin(np.pi * t[:, 0]))
    glaze = mix(
        (0.80, 0.79, 0.74),
        (0.04, 0.10, 0.38),
        1 - step(0.02, 0.03, np.abs(np.abs(t[:, 0] - 0.5) - 0.12)),
    )
    handle = Solid("handle", grip, grip_faces, np.repeat(glaze, 48, axis=0), roughness=0.16)
    body = Solid("jug", vertices, faces, color, roughness=0.16)
    return [part.moved(-0.30, 0.22, TABLE, turned_deg=-28) for part in (body, handle)]


def _painted(phi: np.ndarray, z: np.ndarray, outside: np.ndarray) -> np.ndarray:
    around = np.stack([np.cos(phi), np.sin(phi), 3 * z], axis=1)
    hand = 0.006 * noise(around, 0.5, seed=11)
    height = z + hand

    def band(middle: float, half: float) -> np.ndarray:
        return 1 - step(half - 0.005, half + 0.003, np.abs(height - middle))

    wave = 1 - step(0.010, 0.019, np.abs(height - 0.295 - 0.050 * np.sin(9 * phi)))
    crest = (phi - np.pi / 18) / (np.pi / 9)
    side = np.where(np.round(crest) % 2 == 0, -1, 1)
    across = (crest - np.round(crest)) * np.pi / 9 * 0.31
    dots = 1 - step(0.017, 0.025, np.hypot(across, height - 0.295 - 0.032 * side))
    cobalt = np.max(
        [
            band(0.055, 0.016),
            band(0.195, 0.010),
            band(0.395, 0.010),
            band(0.60, 0.034),
            band(0.86, 0.020),
            wave,
            dots,
        ],
        axis=0,
    )
    thin = 0.80 + 0.20 * noise(around, 0.12, seed=12)
    ochre = np.maximum(band(0.222, 0.005), band(0.368, 0.005))
    color = mix((0.80, 0.79, 0.74), (0.025, 0.085, 0.36), cobalt * thin * outside)
    return color * (1 - ochre * outside)[:, None] + (ochre * outside)[:, None] * [0.62, 0.30, 0.05]


def bird() -> Solid:
    """A small bird, red-glazed, with a cream breast; carved from blended ellipsoids."""

    def distance(p: np.ndarray) -> np.ndarray:
        body = ellipsoid(p, (0, 0, 0), (0.25, 0.19, 0.185))
        body = joined(body, ellipsoid(p, (0.165, 0, 0.175), (0.135, 0.125, 0.125)), 0.09)
        tilt = np.stack(
            [p[..., 0] * 0.93 + p[..., 2] * 0.36, p[..., 1], -p[..., 0] * 0.36 + p[..., 2] * 0.93],
            -1,
        )
        body = joined(body, ellipsoid(tilt, (-0.27, 0, 0.155), (0.19, 0.075, 0.030)), 0.06)
        for side in (-1, 1):
            body = joined(
                body, ellipsoid(p, (-0.05, side * 0.165, 0.02), (0.17, 0.045, 0.10)), 0.02
            )
        body = joined(body, ellipsoid(p, (0.31, 0, 0.165), (0.075, 0.032, 0.028)), 0.012)
        return np.maximum(body, -(p[..., 2] + 0.165))

    vertices, faces = carved(distance, 0.46)
    x, y, z = vertices.T
    breast = step(-0.02, 0.02, 0.55 * x - z - 0.05 - 0.25 * np.abs(y)) * step(-0.18, -0.10, x)
    wing = 1 - step(-0.012, 0.004, ellipsoid(vertices, (-0.05, 0, 0.02), (0.175, 0.3, 0.105)))
    wing = wing * step(0.150, 0.168, np.abs(y))
    beak = 1 - step(-0.004, 0.006, ellipsoid(vertices, (0.325, 0, 0.165), (0.085, 0.045, 0.04)))
    eye_distance = np.linalg.norm(vertices * [1, 0, 1] - [0.215, 0, 0.205], axis=1)
    eye = (1 - step(0.020, 0.026, eye_distance)) * (np.abs(y) > 0.05)
    ring = (1 - step(0.034, 0.040, eye_distance)) * (np.abs(y) > 0.05)
    color = mix((0.56, 0.045, 0.030), (0.80, 0.68, 0.46), breast)
    for paint, amount in (
        ((0.20, 0.012, 0.020), wing),
        ((0.85, 0.42, 0.04), beak),
        ((0.80, 0.68, 0.46), ring),
        ((0.012, 0.012, 0.014), eye),
    ):
        color = mix(color, paint, amount)
    return Solid("bird", vertices, faces, color, roughness=0.12).moved(
        0.20, -0.36, TABLE + 0.163, turned_deg=-38
    )


def pear() -> list[Solid]:
    """A green pear with a blush, leaning a little."""
    points = [
        (0, 0.012), (0.06, 0), (0.15, 0.035), (0.205, 0.13), (0.195, 0.23), (0.135, 0.33),
        (0.095, 0.41),
        (0.075, 0.46), (0.04, 0.488), (0.012, 0.482), (0, 0.475),
    ]  # fmt: skip
    vertices, faces = turned(smooth_profile(points, 160), 200)
    normals = vertex_normals(vertices, faces)
    vertices = vertices + normals * (0.006 * noise(vertices, 0.16, seed=21))[:, None]
    blush = (
        0.5 + 0.5 * normals @ np.array([0.55, -0.80, 0.1]) + 0.35 * noise(vertices, 0.15, seed=22)
    )
    color = mix((0.36, 0.44, 0.045), (0.62, 0.20, 0.055), step(0.62, 1.15, blush))
    color = mix(color, (0.60, 0.56, 0.12), step(0.26, 0.44, vertices[:, 2]) * 0.45)
    freckles = step(0.42, 0.62, noise(vertices, 0.022, seed=23, octaves=1))
    color = mix(color, (0.24, 0.19, 0.05), 0.55 * freckles)
    t = np.linspace(0, 1, 24)
    stalk = np.stack([0.035 * t**2, 0 * t, 0.465 + 0.105 * t], axis=1)
    stem, stem_faces = swept(stalk, 0.011 + 0.004 * t**4)
    brown = np.tile([0.09, 0.045, 0.018], (len(stem), 1))
    parts = [
        Solid("pear", vertices, faces, color, roughness=0.34),
        Solid("stem", stem, stem_faces, brown, roughness=0.6),
    ]
    lean = np.array([[1, 0, 0.13], [0, 1, -0.05], [0, 0, 1]])
    parts = [Solid(p.name, p.vertices @ lean.T, p.faces, p.colors, p.roughness) for p in parts]
    return [part.moved(-0.40, -0.33, TABLE, turned_deg=20) for part in parts]


def orange() -> list[Solid]:
    """An orange with pores and a green calyx."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 220)
    radius = 0.175
    sphere = np.stack([radius * np.cos(angle), 0.93 * radius * np.sin(angle)], axis=1)
    vertices, faces = turned(sphere, 320)
    unit = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    pores = step(0.15, 0.6, noise(vertices, 0.016, seed=31, octaves=1))
    dimple = np.exp(-((np.hypot(vertices[:, 0], vertices[:, 1]) / 0.035) ** 2)) * (
        vertices[:, 2] > 0
    )
    vertices = vertices - unit * (0.0022 * pores + 0.012 * dimple)[:, None]
    tone = 0.5 + 0.5 * noise(vertices, 0.12, seed=32) - 0.25 * pores
    color = mix((0.66, 0.185, 0.008), (0.80, 0.315, 0.018), tone)
    star = np.arctan2(vertices[:, 1], vertices[:, 0])
    reach = 0.020 + 0.009 * np.cos(5 * star)
    calyx = (1 - step(0.0, 0.004, np.hypot(vertices[:, 0], vertices[:, 1]) - reach)) * (
        vertices[:, 2] > 0
    )
    color = mix(color, (0.10, 0.16, 0.03), calyx)
    fruit = Solid("orange", vertices, faces, color, roughness=0.42)
    return [fruit.moved(0.33, 0.36, TABLE + 0.163)]


def ball() -> Solid:
    """A ball of brushed brass."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 160)
    circle = BALL_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices, faces = turned(circle, 256)
    brass = np.tile([0.82, 0.56, 0.22], (len(vertices), 1))
    return Solid("ball", vertices, faces, brass, roughness=0.30, metallic=1.0).moved(*BALL_CENTRE)


def solids() -> list[Solid]:
    """All parts of the scene."""
    return [board(), *jug(), bird(), *pear(), *orange(), ball()]
