"""Ray casting of random scenes: colour and exact depth of the first and of the second surface.

A scene is a table of solids. Each is a unit shape under an affine map, so that one ray test a shape
is enough: the ray goes through the inverse map and keeps its parameter. y points down, z forward,
metres. Textures live in one atlas, their smaller copies under them, so that far surfaces do not
flicker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

RECTANGLE, ELLIPSE, RING, LEAF, BALL, CYLINDER, BOX, CONE, CLOTH = range(9)
FAR_M = 1000.0
TEXTURE = 256
"""Side of a texture in the atlas; the copies of half the side and less stand under it."""
HIDDEN_LIT, HIDDEN_OPEN = 0.8, 0.9
"""How much light reaches the second surface; no ray is sent for it."""


@dataclass(frozen=True)
class Solids:
    """Solids as arrays: shape, group (what belongs together), centre, inverse map, skin."""

    shape: np.ndarray  # (n,) int32
    group: np.ndarray  # (n,) int32
    centre: np.ndarray  # (n, 3)
    inverse: np.ndarray  # (n, 3, 3) world -> unit shape
    size: np.ndarray  # (n, 3) half sizes in metres
    radius: np.ndarray  # (n,) of the bounding ball
    skin: np.ndarray  # (n, 8): texture, metres a tile, shift u, shift v, tint rgb, gloss


@dataclass(frozen=True)
class View:
    """Where the camera is and what light there is."""

    height: int
    width: int
    focal_px: float
    position: np.ndarray  # (3,)
    rotation: np.ndarray  # (3, 3) camera -> world
    light: np.ndarray  # (3,) towards the light
    sun: np.ndarray  # (3,) colour
    ambient: np.ndarray  # (3,) colour
    sky: np.ndarray  # (2, 3) colours at the zenith and at the horizon
    panorama: int
    fog_per_m: float
    seed: int


@njit(cache=True, fastmath=True)
def _hit(shape, o, d, size):
    """Parameter, unit normal and texture place of a ray's first hit with a unit shape."""
    t = 1e9
    nx = ny = nz = u = v = 0.0
    if shape <= LEAF:
        if abs(d[2]) > 1e-9:
            s = -o[2] / d[2]
            if s > 1e-3:
                x, y = o[0] + s * d[0], o[1] + s * d[1]
                inside = abs(x) <= 1 and abs(y) <= 1
                if shape == ELLIPSE:
                    inside = x * x + y * y <= 1
                elif shape == RING:
                    r = x * x + y * y
                    inside = r <= 1 and r > 0.72
                elif shape == LEAF:
                    inside = inside and abs(y) <= (1 - x * x) * (0.75 - 0.25 * x)
                if inside:
                    t, nz, u, v = s, 1.0, x * size[0], y * size[1]
    elif shape == CLOTH:
        if abs(d[2]) > 1e-9:
            low, high = (-1.0 - o[2]) / d[2], (1.0 - o[2]) / d[2]
            if low > high:
                low, high = high, low
            low = max(low, 1e-3)
            before = 0.0
            for k in range(19):
                s = low + (high - low) * k / 18
                x, y, z = o[0] + s * d[0], o[1] + s * d[1], o[2] + s * d[2]
                gap = z - _fold(x, y, size)
                if k > 0 and gap * before <= 0:
                    s -= (high - low) / 18 * gap / (gap - before + 1e-9)
                    x, y = o[0] + s * d[0], o[1] + s * d[1]
                    if abs(x) <= 1 and abs(y) <= 1:
                        e = 1e-3
                        nx = -(_fold(x + e, y, size) - _fold(x - e, y, size)) / (2 * e)
                        ny = -(_fold(x, y + e, size) - _fold(x, y - e, size)) / (2 * e)
                        t, nz, u, v = s, 1.0, x * size[0], y * size[1]
                    break
                before = gap
    elif shape == BOX:
        near, far, axis = -1e9, 1e9, 0
        for k in range(3):
            inverse = 1.0 / (d[k] if abs(d[k]) > 1e-9 else 1e-9)
            a, b = (-1 - o[k]) * inverse, (1 - o[k]) * inverse
            if a > b:
                a, b = b, a
            if a > near:
                near, axis = a, k
            far = min(far, b)
        if near <= far and near > 1e-3:
            t = near
            x, y, z = (
                (o[0] + t * d[0]) * size[0],
                (o[1] + t * d[1]) * size[1],
                (o[2] + t * d[2]) * size[2],
            )
            if axis == 0:
                nx, u, v = 1.0, z, y
            elif axis == 1:
                ny, u, v = 1.0, x, z
            else:
                nz, u, v = 1.0, x, y
    elif shape == BALL:
        a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
        b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
        c = o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - 1
        root = b * b - a * c
        if root > 0:
            s = (-b - np.sqrt(root)) / a
            if s > 1e-3:
                t = s
                nx, ny, nz = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
                u, v = np.arctan2(nx, nz) * size[0], ny * 1.3 * size[1]
    else:  # upright cylinder or cone: y from -1 (top) to 1
        k = 0.0 if shape == CYLINDER else 0.35
        m = 1.0 if shape == CYLINDER else 0.65
        rad, slope = m + k * o[1], k * d[1]
        a = d[0] * d[0] + d[2] * d[2] - slope * slope
        b = o[0] * d[0] + o[2] * d[2] - rad * slope
        c = o[0] * o[0] + o[2] * o[2] - rad * rad
        root = b * b - a * c
        if root > 0 and abs(a) > 1e-9:
            s = (-b - np.sqrt(root)) / a
            y = o[1] + s * d[1]
            if s > 1e-3 and abs(y) <= 1:
                t = s
                nx, nz = o[0] + t * d[0], o[2] + t * d[2]
                ny = -k
                u, v = np.arctan2(nx, nz) * size[0], y * size[1]
        if abs(d[1]) > 1e-9:
            for end in (-1.0, 1.0):
                s = (end - o[1]) / d[1]
                x, z = o[0] + s * d[0], o[2] + s * d[2]
                r = m + k * end
                if s > 1e-3 and s < t and x * x + z * z <= r * r:
                    t, nx, ny, nz, u, v = s, 0.0, end, 0.0, x * size[0], z * size[2]
    return t, nx, ny, nz, u, v


@njit(cache=True, fastmath=True)
def _fold(x, y, size):
    f = 3.0 + 5.0 * abs(np.sin(size[0] * 57.0))
    g = 2.0 + 5.0 * abs(np.sin(size[1] * 91.0))
    return (
        0.5 * np.sin(f * x + 1.7 * np.sin(g * y))
        + 0.3 * np.sin(g * y + f * x * 0.7)
        + 0.2 * np.sin(2.3 * f * x - 1.9 * g * y)
    )


@njit(cache=True, fastmath=True)
def _look_up(atlas, index, u, v, texels):
    level, side, start = 0, TEXTURE, 0
    while texels > 1.5 and side > 4:
        start += side
        side //= 2
        texels *= 0.5
        level += 1
    x, y = (u - np.floor(u)) * side, (v - np.floor(v)) * side
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    i, j = i % side, j % side
    i1, j1 = (i + 1) % side, (j + 1) % side
    out = np.empty(3)
    for c in range(3):
        top = atlas[index, start + j, i, c] * (1 - fx) + atlas[index, start + j, i1, c] * fx
        low = atlas[index, start + j1, i, c] * (1 - fx) + atlas[index, start + j1, i1, c] * fx
        out[c] = (top * (1 - fy) + low * fy) / 255.0
    return out


@njit(cache=True, fastmath=True)
def _panorama(panoramas, index, d):
    n = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    rows, columns = panoramas.shape[1], panoramas.shape[2]
    x = (np.arctan2(d[0], d[2]) / (2 * np.pi) + 0.5) * columns
    y = (np.arcsin(d[1] / n) / np.pi + 0.5) * (rows - 1)
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    j1 = min(j + 1, rows - 1)
    i, i1 = i % columns, (i + 1) % columns
    out = np.empty(3)
    for c in range(3):
        top = panoramas[index, j, i, c] * (1 - fx) + panoramas[index, j, i1, c] * fx
        low = panoramas[index, j1, i, c] * (1 - fx) + panoramas[index, j1, i1, c] * fx
        out[c] = (top * (1 - fy) + low * fy) / 255.0
    return out


@njit(cache=True, fastmath=True)
def _blocked(p, d, reach, shape, centre, inverse, size, radius, skip):
    for k in range(len(shape)):
        wx, wy, wz = centre[k, 0] - p[0], centre[k, 1] - p[1], centre[k, 2] - p[2]
        along = wx * d[0] + wy * d[1] + wz * d[2]
        r = radius[k]
        if k == skip or r > 50 or along < -r or along > reach + r:
            continue
        if wx * wx + wy * wy + wz * wz - along * along > r * r:
            continue
        o, e = np.empty(3), np.empty(3)
        for i in range(3):
            o[i] = -(inverse[k, i, 0] * wx + inverse[k, i, 1] * wy + inverse[k, i, 2] * wz)
            e[i] = inverse[k, i, 0] * d[0] + inverse[k, i, 1] * d[1] + inverse[k, i, 2] * d[2]
        t = _hit(shape[k], o, e, size[k])[0]
        if t > 0.004 and t < reach:
            return True
    return False


@njit(cache=True, fastmath=True)
def _shade(p, d, n, t, k, u, v, pixel, atlas, panoramas, skin, light, sun, ambient, visible, open_):
    if skin[k, 0] < 0:  # the ground under a panorama shows the panorama
        e = np.array([p[0], p[1] + 1.6, p[2]])
        base = _panorama(panoramas, int(-skin[k, 0]) - 1, e)
        return base * (0.45 + 0.55 * visible)
    cosine = abs(n[0] * d[0] + n[1] * d[1] + n[2] * d[2])
    texels = TEXTURE * t * pixel / (skin[k, 1] * max(cosine, 0.12))
    base = _look_up(
        atlas, int(skin[k, 0]), u / skin[k, 1] + skin[k, 2], v / skin[k, 1] + skin[k, 3], texels
    )
    facing = n[0] * light[0] + n[1] * light[1] + n[2] * light[2]
    lit = max(facing, 0.0) * visible
    up = 0.65 - 0.35 * n[1]
    along = d[0] * light[0] + d[1] * light[1] + d[2] * light[2]
    seen = n[0] * d[0] + n[1] * d[1] + n[2] * d[2]
    mirror = max(along - 2 * facing * seen, 0.0)
    gloss = skin[k, 7] * mirror**30 * visible
    out = np.empty(3)
    for c in range(3):
        linear = (base[c] * skin[k, 4 + c]) ** 2.2
        value = linear * (sun[c] * lit + ambient[c] * up * open_) + gloss * sun[c]
        out[c] = max(value, 0.0) ** (1 / 2.2)
    return out


@njit(cache=True, fastmath=True)
def _smooth(values, owner):
    height, width = values.shape
    out = np.empty_like(values)
    for y in range(height):
        for x in range(width):
            total, count = 0.0, 0
            for j in range(max(y - 2, 0), min(y + 3, height)):
                for i in range(max(x - 2, 0), min(x + 3, width)):
                    if owner[j, i] == owner[y, x]:
                        total += values[j, i]
                        count += 1
            out[y, x] = total / count
    return out


@njit(cache=True, fastmath=True)
def _surfaces(
    height, width, focal, eye, rotation, shape, group, centre, inverse, size, bounds
):  # fmt: skip
    """Depth along z, solid, and place and normal in it, of the first two things on each ray."""
    depth = np.full((2, height, width), FAR_M, np.float32)
    owner = np.full((2, height, width), -1, np.int32)
    places = np.zeros((2, height, width, 5), np.float32)
    d, o, e = np.empty(3), np.empty(3), np.empty(3)
    for y in range(height):
        for x in range(width):
            _ray(x, y, height, width, focal, rotation, d)
            for k in range(len(shape)):
                if x < bounds[k, 0] or x > bounds[k, 1] or y < bounds[k, 2] or y > bounds[k, 3]:
                    continue
                wx, wy, wz = eye[0] - centre[k, 0], eye[1] - centre[k, 1], eye[2] - centre[k, 2]
                for i in range(3):
                    o[i] = inverse[k, i, 0] * wx + inverse[k, i, 1] * wy + inverse[k, i, 2] * wz
                    e[i] = (
                        inverse[k, i, 0] * d[0] + inverse[k, i, 1] * d[1] + inverse[k, i, 2] * d[2]
                    )
                t, nx, ny, nz, u, v = _hit(shape[k], o, e, size[k])
                if t >= depth[1, y, x]:
                    continue
                into = 1
                if t < depth[0, y, x]:
                    into = 0
                    first = owner[0, y, x]
                    if first >= 0 and group[first] != group[k]:
                        depth[1, y, x] = depth[0, y, x]
                        owner[1, y, x] = first
                        places[1, y, x] = places[0, y, x]
                elif group[owner[0, y, x]] == group[k]:
                    continue
                depth[into, y, x] = t
                owner[into, y, x] = k
                places[into, y, x, 0], places[into, y, x, 1] = u, v
                places[into, y, x, 2], places[into, y, x, 3], places[into, y, x, 4] = nx, ny, nz
    return depth, owner, places


@njit(cache=True, fastmath=True, inline="always")
def _ray(x, y, height, width, focal, rotation, d):
    """The ray through a pixel into `d`, its share along z being 1; returns its length."""
    cx, cy = (x + 0.5 - width / 2) / focal, (y + 0.5 - height / 2) / focal
    for i in range(3):
        d[i] = rotation[i, 0] * cx + rotation[i, 1] * cy + rotation[i, 2]
    return np.sqrt(cx * cx + cy * cy + 1)


@njit(cache=True, fastmath=True, inline="always")
def _place(t, d, eye, inverse, place, p, n):
    """Point and unit normal, facing the eye, where a unit ray `d` meets a solid at `t`."""
    norm = 0.0
    for i in range(3):
        p[i] = eye[i] + t * d[i]
        n[i] = inverse[0, i] * place[2] + inverse[1, i] * place[3] + inverse[2, i] * place[4]
        norm += n[i] * n[i]
    sign = 1.0 if n[0] * d[0] + n[1] * d[1] + n[2] * d[2] < 0 else -1.0
    for i in range(3):
        n[i] *= sign / np.sqrt(norm + 1e-12)
        p[i] += n[i] * 0.003


@njit(cache=True, fastmath=True)
def _shadows(
    focal, eye, rotation, light, random, shape, centre, inverse, size, radius,
    depth, owner, places,
):  # fmt: skip
    """How much light, and how much of what is around, reaches each first surface: smoothed."""
    height, width = owner.shape
    visible = np.ones((height, width), np.float32)
    opened = np.ones((height, width), np.float32)
    d, n, p, ray = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for y in range(height):
        for x in range(width):
            length = _ray(x, y, height, width, focal, rotation, d)
            k = owner[y, x]
            if k < 0:
                continue
            for i in range(3):
                d[i] /= length
            t = depth[y, x] * length
            _place(t, d, eye, inverse[k], places[y, x], p, n)
            for i in range(3):
                ray[i] = light[i] + 0.12 * (random.random() - 0.5)
            if _blocked(p, ray, 20.0, shape, centre, inverse, size, radius, -1):
                visible[y, x] = 0.0
            for i in range(3):
                ray[i] = n[i] + 1.3 * (random.random() - 0.5)
            if _blocked(p, ray, 0.1 * t, shape, centre, inverse, size, radius, -1):
                opened[y, x] = 0.25
    return _smooth(visible, owner), _smooth(opened, owner)


@njit(cache=True, fastmath=True)
def _colors(
    focal, eye, rotation, light, sun, ambient, sky, panorama, fog, inverse, skin, atlas, panoramas,
    depth, owner, places, visible, opened,
):  # fmt: skip
    """Display values of one layer; `visible` and `opened` are how much light reaches it."""
    height, width = owner.shape
    color = np.zeros((height, width, 3), np.float32)
    d, n, p = np.empty(3), np.empty(3), np.empty(3)
    for y in range(height):
        for x in range(width):
            length = _ray(x, y, height, width, focal, rotation, d)
            for i in range(3):
                d[i] /= length
            k = owner[y, x]
            if k < 0:
                if panorama >= 0:
                    color[y, x] = _panorama(panoramas, panorama, d)
                else:
                    w = min(max(-d[1] * 2.0, 0.0), 1.0)
                    color[y, x] = sky[0] * w + sky[1] * (1 - w)
                continue
            t = depth[y, x] * length
            _place(t, d, eye, inverse[k], places[y, x], p, n)
            c = _shade(
                p, d, n, t, k, places[y, x, 0], places[y, x, 1], 1.0 / focal,
                atlas, panoramas, skin, light, sun, ambient, visible[y, x], opened[y, x],
            )  # fmt: skip
            w = np.exp(-fog * t)
            for i in range(3):
                color[y, x, i] = c[i] * w + sky[1, i] * (1 - w)
    return color


def _bounds(solids: Solids, view: View) -> np.ndarray:
    """Columns and rows that a solid's bounding ball may cover; everything where it is near."""
    local = (solids.centre - view.position) @ view.rotation
    x, y, z = local.T
    radius = solids.radius
    near = z - radius < 0.05
    reach = np.where(near, 1e6, view.focal_px * radius / np.maximum(z - radius, 0.05))
    depth = np.maximum(z, 0.05)
    u, v = view.focal_px * x / depth + view.width / 2, view.focal_px * y / depth + view.height / 2
    bounds = np.stack([u - reach, u + reach, v - reach, v + reach], 1)
    bounds[z + radius < 0.05] = 1e9
    bounds[near & (z + radius >= 0.05)] = [-1, 1e9, -1, 1e9]
    return bounds


def render(
    solids: Solids, view: View, atlas: np.ndarray, panoramas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (2, h, w, 3) in display values, depths (2, h, w) along z, the solid of each pixel."""
    eye, rotation, focal, shape = view.position, view.rotation, view.focal_px, solids.shape
    depth, owner, places = _surfaces(
        view.height, view.width, focal, eye, rotation,
        shape, solids.group, solids.centre, solids.inverse, solids.size, _bounds(solids, view),
    )  # fmt: skip
    visible, opened = _shadows(
        focal, eye, rotation, view.light, _random(view.seed),
        shape, solids.centre, solids.inverse, solids.size, solids.radius,
        depth[0], owner[0], places[0],
    )  # fmt: skip
    lit = np.stack([visible, np.full(visible.shape, HIDDEN_LIT)])
    free = np.stack([opened, np.full(opened.shape, HIDDEN_OPEN)])
    color = [
        _colors(
            focal, eye, rotation, view.light, view.sun, view.ambient, view.sky, view.panorama,
            view.fog_per_m, solids.inverse, solids.skin, atlas, panoramas,
            depth[layer], owner[layer], places[layer], lit[layer], free[layer],
        )
        for layer in range(2)
    ]  # fmt: skip
    return np.stack(color), depth, owner


def _random(seed: int) -> np.random.Generator:
    """Mersenne's numbers as the seed of NumPy's old generator gives them: views stay the same."""
    twister = np.random.MT19937()
    twister.state = np.random.RandomState(seed).get_state(legacy=False)
    return np.random.Generator(twister)
