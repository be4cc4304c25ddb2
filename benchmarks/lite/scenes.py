"""Random scenes that a camera might have met: rooms, streets, tables, one thing near a wall.

Everything stands on something, as things do: that the ground is near below and far above, that
things hide each other and that light falls from above are the cues a single photograph has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from render import (
    BALL,
    BOX,
    CLOTH,
    CONE,
    CYLINDER,
    LEAF,
    RECTANGLE,
    RING,
    Solids,
    View,
)

Rng = np.random.Generator
UPRIGHT = np.eye(3)


def turn(axis: int, angle: float) -> np.ndarray:
    """Rotation about one axis."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def any_rotation(rng: Rng) -> np.ndarray:
    """A rotation drawn evenly."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


@dataclass
class Stage:
    """Solids so far, and how the next ones are skinned."""

    rng: Rng
    textures: int
    rows: list[tuple] = field(default_factory=list)
    group: int = 0

    def skin(self, tile_m: float | None = None, texture: int | None = None) -> np.ndarray:
        """A random skin; `tile_m` metres of surface to a texture."""
        rng = self.rng
        tile = tile_m if tile_m else float(np.exp(rng.uniform(np.log(0.15), np.log(2.0))))
        tint = np.clip(rng.normal(1.0, 0.1, 3), 0.4, 1.4) * rng.uniform(0.5, 1.15)
        gloss = rng.random() ** 3 * 0.6
        index = rng.integers(self.textures) if texture is None else texture
        return np.array([index, tile, rng.random(), rng.random(), *tint, gloss])

    def add(self, shape, centre, size, rotation=UPRIGHT, skin=None, group=None):
        """One solid; its group is the last one opened unless given."""
        size = np.maximum(np.asarray(size, float), 1e-3)
        flat = shape <= LEAF
        inverse = rotation.T / size[:, None]
        extent = size * [1, 1, 0] if flat else size
        radius = np.linalg.norm(extent)
        if shape == BALL:
            radius = size.max()
        skin = self.skin() if skin is None else skin
        group = self.group if group is None else group
        self.rows.append((shape, group, np.asarray(centre, float), inverse, size, radius, skin))

    def open(self) -> None:
        """Opens the next group."""
        self.group += 1

    def tube(self, a, b, radius, skin=None):
        """A thin cylinder from `a` to `b`."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        axis = b - a
        length = np.linalg.norm(axis) + 1e-6
        y = axis / length
        x = np.cross(y, [0.0, 0.0, 1.0] if abs(y[2]) < 0.9 else [1.0, 0.0, 0.0])
        x /= np.linalg.norm(x)
        rotation = np.stack([x, y, np.cross(x, y)], 1)
        self.add(CYLINDER, (a + b) / 2, [radius, length / 2, radius], rotation, skin)

    def solids(self) -> Solids:
        """As arrays."""
        shape, group, centre, inverse, size, radius, skin = zip(*self.rows, strict=True)
        return Solids(
            np.array(shape, np.int32), np.array(group, np.int32), np.stack(centre),
            np.stack(inverse), np.stack(size), np.array(radius), np.stack(skin),
        )  # fmt: skip


def block(s: Stage, p, h):
    """A crate, a book, a cupboard."""
    w, d = h * s.rng.uniform(0.3, 1.6, 2)
    yaw = turn(1, s.rng.uniform(-1, 1))
    s.add(BOX, p - [0, h / 2, 0], [w / 2, h / 2, d / 2], yaw, s.skin(s.rng.uniform(0.5, 2) * h))


def ball(s: Stage, p, h):
    """A ball, an egg, a stone."""
    size = h / 2 * s.rng.uniform(0.6, 1.3, 3)
    size[1] = h / 2
    s.add(BALL, p - [0, h / 2, 0], size, turn(1, s.rng.uniform(0, 6)), s.skin(h * 2))


def can(s: Stage, p, h):
    """A can, a barrel, a column, a pot or a bucket."""
    r = h * s.rng.uniform(0.15, 0.6)
    shape = CYLINDER if s.rng.random() < 0.5 else CONE
    way = np.diag([1.0, -1.0, -1.0]) if s.rng.random() < 0.6 else UPRIGHT
    s.add(shape, p - [0, h / 2, 0], [r, h / 2, r], way, s.skin(h * s.rng.uniform(0.5, 2)))


def plant(s: Stage, p, h):
    """A pot with leaves to all sides."""
    rng = s.rng
    pot = h * rng.uniform(0.1, 0.35)
    s.add(CONE, p - [0, pot / 2, 0], [pot * 0.6, pot / 2, pot * 0.6], np.diag([1.0, -1.0, -1.0]))
    leaf, top = s.skin(h), p - [0, pot, 0]
    thin, long_ = rng.uniform(0.06, 0.5), h * rng.uniform(0.15, 0.5)
    tall = rng.random() < 0.5
    for _ in range(rng.integers(12, 45)):
        yaw, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 1.4)
        out = np.array([np.cos(yaw) * np.cos(lift), -np.sin(lift), np.sin(yaw) * np.cos(lift)])
        at = top - [0, (h - pot) * rng.random() * tall, 0]
        length = long_ * rng.uniform(0.6, 1.4)
        side = np.cross(out, rng.normal(size=3))
        side /= np.linalg.norm(side) + 1e-9
        rotation = np.stack([out, side, np.cross(out, side)], 1)
        tinted = leaf.copy()
        tinted[2:4] = rng.random(2)
        tinted[4:7] *= rng.uniform(0.6, 1.2)
        s.add(LEAF, at + out * length, [length, length * thin, 1], rotation, tinted)
    if tall:
        s.tube(p, top - [0, h - pot, 0], h * 0.015)


def tree(s: Stage, p, h):
    """A trunk under a few clouds of leaves."""
    rng = s.rng
    s.tube(p, p - [h * rng.normal() * 0.03, h * 0.6, 0], h * rng.uniform(0.015, 0.04))
    leaf = s.skin(h * rng.uniform(0.1, 0.4))
    for _ in range(rng.integers(3, 9)):
        at = p - [rng.normal() * h * 0.15, h * rng.uniform(0.45, 0.95), rng.normal() * h * 0.15]
        s.add(BALL, at, h * rng.uniform(0.08, 0.25, 3), UPRIGHT, leaf)


def furniture(s: Stage, p, h):
    """A table or a chair: board on four legs, perhaps a back."""
    rng = s.rng
    w, d = h * rng.uniform(0.3, 1.0, 2)
    yaw = turn(1, rng.uniform(-1.5, 1.5))
    wood = s.skin(h)
    seat = h * (0.5 if rng.random() < 0.5 else 1.0)
    s.add(BOX, p - [0, seat, 0], [w, h * 0.02, d], yaw, wood)
    for i in (-1, 1):
        for j in (-1, 1):
            foot = p + yaw @ np.array([0.93 * i * w, 0, 0.93 * j * d])
            s.tube(foot, foot - [0, seat, 0], h * 0.02, wood)
    if seat < h:
        s.add(BOX, p + yaw @ np.array([0, -0.75 * h, d]), [w, h / 4, h * 0.02], yaw, s.skin(h))


def machine(s: Stage, p, h):
    """Two wheels, tubes and tanks: bicycles, motorcycles, engines."""
    rng = s.rng
    yaw = turn(1, rng.uniform(-1.2, 1.2) + np.pi * rng.integers(2))
    r, reach = h * rng.uniform(0.25, 0.36), h * rng.uniform(0.55, 0.85)
    black = s.skin(h)
    black[4:7] *= 0.25

    def at(x, y, z=0.0):
        return p + yaw @ np.array([x * h, -y * h, z * h])

    for side in (-1, 1):
        hub = p + yaw @ np.array([side * reach, -r, 0])
        steer = yaw @ turn(1, rng.normal() * 0.25)
        for depth in (-0.04, 0.0, 0.04):
            s.add(RING, hub + yaw @ np.array([0, 0, depth * h]), [r, r, 1], steer, black)
        rim = s.skin(h)
        s.add(CYLINDER, hub, [r * 0.25, h * 0.04, r * 0.25], steer @ turn(0, np.pi / 2), rim)
        for k in range(rng.integers(3, 9)):
            angle = 2.4 * k
            end = hub + steer @ np.array([np.cos(angle) * r * 0.9, np.sin(angle) * r * 0.9, 0])
            s.tube(hub, end, h * 0.008, rim)
    paint = s.skin(h)
    for _ in range(rng.integers(8, 26)):
        a = at(rng.uniform(-0.7, 0.7), rng.uniform(0.15, 0.95), rng.normal() * 0.1)
        b = at(rng.uniform(-0.7, 0.7), rng.uniform(0.15, 0.8), rng.normal() * 0.1)
        s.tube(a, b, h * rng.uniform(0.008, 0.04), paint if rng.random() < 0.4 else s.skin(h))
    for _ in range(rng.integers(2, 8)):
        centre = at(rng.uniform(-0.5, 0.5), rng.uniform(0.2, 0.8), rng.normal() * 0.05)
        size = h * rng.uniform(0.05, 0.25, 3) * [1.3, 0.8, 0.5]
        s.add(rng.choice([BALL, BOX, CYLINDER]), centre, size, yaw @ turn(2, rng.normal() * 0.4))
    s.tube(at(0.35, 0.95, -0.3), at(0.35, 0.95, 0.3), h * 0.015)


def figure(s: Stage, p, h):
    """A standing figure of rounded parts."""
    rng = s.rng
    coat, skin_, yaw = s.skin(h / 2), s.skin(h), turn(1, rng.uniform(-3, 3))

    def at(x, y, z=0.0):
        return p + yaw @ np.array([x * h, -y * h, z * h])

    s.add(BALL, at(0, 0.92), h * np.array([0.055, 0.075, 0.065]), yaw, skin_)
    s.add(BALL, at(0, 0.68), h * np.array([0.13, 0.19, 0.08]), yaw, coat)
    legs = s.skin(h / 2)
    for side in (-1, 1):
        s.tube(at(0.06 * side, 0.5), at(0.1 * side, 0, rng.normal() * 0.05), h * 0.05, legs)
        hand = at(side * rng.uniform(0.1, 0.3), rng.uniform(0.4, 0.9), -rng.uniform(0, 0.2))
        s.tube(at(0.13 * side, 0.8), hand, h * 0.035, coat)


def shelf(s: Stage, p, h):
    """Boards with things on them."""
    rng = s.rng
    w, d, floors = h * rng.uniform(0.3, 0.8), h * 0.12, rng.integers(2, 6)
    yaw, wood = turn(1, rng.normal() * 0.3), s.skin(h)
    for k in range(floors + 1):
        y = h * (k + 0.02) / floors
        s.add(BOX, p - [0, y, 0], [w, h * 0.012, d], yaw, wood)
        for _ in range(rng.integers(0, 6) if k < floors else 0):
            tall = h / floors * rng.uniform(0.3, 0.85)
            foot = p + yaw @ np.array([rng.uniform(-0.9, 0.9) * w, -y, rng.uniform(-0.5, 0.5) * d])
            kind = rng.choice([BOX, CYLINDER, BALL])
            size = np.array([tall * rng.uniform(0.1, 0.5), tall / 2, d * 0.5])
            s.add(kind, foot - [0, tall / 2, 0], size, yaw, s.skin(tall * 2))
    for side in (-1, 1):
        s.add(BOX, p + yaw @ np.array([side * w, -h / 2, 0]), [h * 0.012, h / 2, d], yaw, wood)


def post(s: Stage, p, h):
    """A lamp, a sign, a railing."""
    s.tube(p, p - [h * s.rng.normal() * 0.03, h, 0], h * s.rng.uniform(0.008, 0.03))
    size = h * s.rng.uniform(0.04, 0.2, 3)
    s.add(s.rng.choice([BALL, BOX, CONE, CYLINDER]), p - [0, h, 0], size, any_rotation(s.rng))


def rubble(s: Stage, p, h):
    """A heap of anything."""
    for _ in range(s.rng.integers(4, 14)):
        at = p + h * s.rng.normal(size=3) * [0.4, 0, 0.4] - [0, h * s.rng.random() ** 2 * 0.9, 0]
        size = h * s.rng.uniform(0.05, 0.3, 3)
        s.add(s.rng.choice([BALL, BOX, CYLINDER, CONE]), at, size, any_rotation(s.rng))


THINGS = [block, ball, can, plant, tree, furniture, machine, figure, shelf, post, rubble]


def scatter(s: Stage, spots, heights, kinds=None):
    """One thing of a random kind at each spot."""
    for spot, height in zip(spots, heights, strict=True):
        s.open()
        things = kinds or THINGS
        things[s.rng.integers(len(things))](s, np.asarray(spot, float), float(height))


def plane(s: Stage, centre, half, rotation, skin=None, shape=RECTANGLE):
    """A wall, a floor, a backdrop; a group of its own."""
    s.open()
    s.add(shape, centre, [half[0], half[1], half[2] if len(half) > 2 else 1.0], rotation, skin)


FLAT = turn(0, np.pi / 2)
"""Lays a rectangle down."""


def _room(s: Stage) -> tuple[np.ndarray, float]:
    rng = s.rng
    deep, left, right = rng.uniform(2.0, 9), rng.uniform(1, 4), rng.uniform(1, 4)
    tall, high = rng.uniform(2.2, 4), rng.uniform(0.5, 1.8)
    yaw = turn(1, rng.normal() * 0.35)
    mid, half = (right - left) / 2, (right + left) / 2
    walls = s.skin(rng.uniform(0.5, 4))
    plane(s, yaw @ [mid, 0, 0], [15, 15], yaw @ FLAT, s.skin(rng.uniform(0.3, 3)))
    plane(s, yaw @ [mid, -tall, 0], [15, 15], yaw @ FLAT)
    plane(s, yaw @ [mid, -tall / 2, deep], [half, tall / 2], yaw, walls)
    for x in (-left, right):
        plane(s, yaw @ [x, -tall / 2, 0], [deep + 2, tall / 2], yaw @ turn(1, np.pi / 2), walls)
    for _ in range(rng.integers(0, 4)):  # pictures, doors, windows
        at = [rng.uniform(-left, right), -rng.uniform(0.8, tall - 0.4), deep - 0.02]
        plane(s, yaw @ at, rng.uniform(0.15, 0.8, 2), yaw, s.skin(rng.uniform(0.8, 2)))
    n = rng.integers(2, 9)
    depth = rng.uniform(0.9, deep, n)
    side = rng.uniform(-left, right, n) * np.minimum(depth / 2, 1)
    spots = np.stack([side, 0 * depth, depth], 1) @ yaw.T
    scatter(s, spots, rng.uniform(0.3, 1.9, n))
    if rng.random() < 0.5:
        _hero(s, np.array([rng.normal() * 0.3, 0, rng.uniform(1.2, 3.5)]), rng.uniform(0.7, 1.6))
    return np.array([0, -high, 0]), rng.normal() * 0.12 + 0.1


def _hero(s: Stage, spot: np.ndarray, height: float) -> None:
    kinds = [machine, machine, plant, figure, furniture, block, rubble, tree]
    scatter(s, [spot], [height], kinds)


def _outdoors(s: Stage) -> tuple[np.ndarray, float]:
    rng = s.rng
    ground = s.skin(rng.uniform(0.5, 6))
    plane(s, [0, 0, 0], [300, 300], FLAT, ground)
    far = rng.uniform(8, 80)
    for _ in range(rng.integers(0, 6)):
        yaw, tall = turn(1, rng.normal() * 0.5), far * rng.uniform(0.08, 0.5)
        at = [rng.uniform(-1, 1) * far, -tall / 2, far * rng.uniform(0.6, 2)]
        s.open()
        half = [far * rng.uniform(0.1, 0.8), tall / 2, far * 0.2]
        s.add(BOX, at, half, yaw, s.skin(tall * rng.uniform(0.3, 2)))
    n = rng.integers(3, 14)
    depth = np.exp(rng.uniform(np.log(1.5), np.log(far), n))
    spots = np.stack([rng.uniform(-0.7, 0.7, n) * depth, 0 * depth, depth], 1)
    scatter(s, spots, rng.uniform(0.4, 2.2, n) * (1 + depth / 20))
    if rng.random() < 0.4:
        _hero(s, np.array([rng.normal() * 0.3, 0, rng.uniform(1.5, 5)]), rng.uniform(0.8, 1.8))
    return np.array([0, -rng.uniform(0.6, 2.2), 0]), rng.normal() * 0.1 + 0.04


def _table(s: Stage) -> tuple[np.ndarray, float]:
    rng = s.rng
    back = rng.uniform(0.8, 4.0)
    plane(
        s,
        [0, 0, 0],
        [rng.uniform(0.5, 6), rng.uniform(0.8, 6)],
        FLAT,
        s.skin(rng.uniform(0.2, 1.5)),
    )
    plane(s, [0, 0.75, 0], [20, 20], FLAT)
    yaw = turn(1, rng.normal() * 0.25)
    if rng.random() < 0.5:
        skin = s.skin(rng.uniform(0.4, 1.5))
        plane(s, [0, -1, back], [4, 3, rng.uniform(0.02, 0.12)], yaw, skin, CLOTH)
    else:
        plane(s, [0, -1, back], [6, 4], yaw, s.skin(rng.uniform(0.5, 3)))
    n = rng.integers(1, 9)
    depth = rng.uniform(0.45, min(back, 1.8), n)
    spots = np.stack([rng.normal(0, 0.3, n) * depth, 0 * depth, depth], 1)
    small = [block, ball, can, plant, plant, rubble, machine, post, shelf]
    scatter(s, spots, rng.uniform(0.08, 0.45, n), small)
    if rng.random() < 0.6:
        scatter(
            s, [[rng.normal() * 0.08, 0, rng.uniform(0.5, 1.2)]], [rng.uniform(0.25, 0.6)], small
        )
    return np.array([0, -rng.uniform(0.15, 0.7), 0]), rng.uniform(0.0, 0.5)


def _close(s: Stage) -> tuple[np.ndarray, float]:
    """One thing fills the picture before a far or blurred ground: portraits, animals, flowers."""
    rng = s.rng
    near = rng.uniform(0.5, 1.6)
    back = near + np.exp(rng.uniform(np.log(0.8), np.log(14)))
    plane(s, [0, rng.uniform(0.3, 1.5), 0], [40, 40], FLAT)
    plane(s, [0, 0, back], [40, 20], turn(1, rng.normal() * 0.2), s.skin(rng.uniform(1, 8)))
    s.open()
    r = near * rng.uniform(0.12, 0.3)
    coat = s.skin(r * rng.uniform(1, 3))
    centre = np.array([rng.normal() * 0.12 * near, rng.normal() * 0.08 * near, near + r])
    s.add(BALL, centre, r * rng.uniform(0.7, 1.2, 3), any_rotation(rng), coat)
    below = centre + r * np.array([rng.normal(), 2.2, 0.3])
    s.add(
        rng.choice([BALL, BALL, BOX]), below, r * np.array([2.0, 1.5, 1.0]), turn(1, rng.normal())
    )
    for _ in range(rng.integers(2, 10)):
        at = centre + any_rotation(rng)[0] * r * 0.9
        s.add(
            rng.choice([BALL, CONE, LEAF]),
            at,
            r * rng.uniform(0.1, 0.6, 3),
            any_rotation(rng),
            coat,
        )
    n = rng.integers(0, 6)
    depth = rng.uniform(near + 0.5, back, n)
    spots = np.stack([rng.uniform(-0.5, 0.5, n) * depth, 0 * depth + 0.4, depth], 1)
    scatter(s, spots, rng.uniform(0.3, 1.5, n))
    return np.zeros(3), rng.normal() * 0.1


FAMILIES = {"room": _room, "outdoors": _outdoors, "table": _table, "close": _close}


def scene(
    rng: Rng, *, family: str, textures: int, panoramas: int, height: int, width: int
) -> tuple[Solids, View]:
    """One random scene of a family, and the camera before it.

    Args:
        rng: the only source of chance.
        family: a key of `FAMILIES`.
        textures: in the atlas.
        panoramas: pictures of the surroundings; the first is none.
        height, width: of the picture, in pixels.
    """
    stage = Stage(rng, textures)
    eye, pitch = FAMILIES[family](stage)
    around = -1
    if family == "outdoors" and panoramas > 1 and rng.random() < 0.45:
        around = int(rng.integers(1, panoramas))
        if rng.random() < 0.7:
            shape, group, centre, inverse, size, radius, skin = stage.rows[0]
            skin = skin.copy()
            skin[0] = -around - 1
            stage.rows[0] = (shape, group, centre, inverse, size, radius, skin)
            stage.rows = [r for r in stage.rows if r[0] != BOX or r[4].max() < 3] or stage.rows
            eye = np.array([0, -rng.uniform(1.2, 2.0), 0])
    field_of_view = np.deg2rad(rng.uniform(28, 85))
    focal = max(height, width) / 2 / np.tan(field_of_view / 2)
    rotation = turn(1, rng.normal() * 0.12) @ turn(0, -pitch) @ turn(2, rng.normal() * 0.03)
    light = np.array([rng.normal(), -rng.uniform(0.5, 2.0), rng.normal() - 0.4])
    warm = np.array([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.65, 1.05)])
    horizon = rng.uniform(0.6, 1.0) * np.array([rng.uniform(0.85, 1), rng.uniform(0.9, 1), 1.0])
    zenith = horizon * np.array([rng.uniform(0.4, 1), rng.uniform(0.6, 1), 1.0])
    fog = float(rng.uniform(0.002, 0.03)) if family == "outdoors" and rng.random() < 0.4 else 0.0
    view = View(
        height, width, float(focal), eye, rotation, light / np.linalg.norm(light),
        warm * rng.uniform(0.4, 2.2), np.full(3, rng.uniform(0.35, 1.2)) * warm[::-1] ** 0.3,
        np.stack([zenith, horizon]), around, fog, int(rng.integers(2**31)),
    )  # fmt: skip
    return stage.solids(), view
