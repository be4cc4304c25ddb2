# pyright: basic
"""Blend splats tile by tile, and the way back.

This source is written for one channel. Lines marked `each channel` are repeated for every channel,
`_0` and `0 *` counting up, before it is compiled.

A tile's pixels lie in one flat float32 array, a plane of 256 for each quantity, ordered as 4x4
blocks of 4x4 pixels: the blocks of one row that a splat touches are then one run. Planes start at
constant offsets and indices are unsigned, without which the compiler guards against overlaps and
negative indices and the loops run several times slower.
"""

import numpy as np
from numba import njit

CHANNELS = 1
f4, u8 = np.float32, np.uint64

TILE = 16
PIXELS = 256
RECORD = 8  # floats of a packed splat
MOMENTS = 6
STRIDE = 7919  # a prime: neighbouring tiles go to different parts
CHECK = 16  # splats between two looks at whether a tile is finished

LOG2_ALPHA_MIN = f4(-7.994353436858858)
ALPHA_MAX = f4(0.99)
TRANSMITTANCE_MIN = f4(1e-4)

# 2^f for f in [-1/2, 1/2]: the polynomial of degree 5 with the least relative error, 2.3e-7 in
# float32.
P0, P1, P2 = f4(1.000000072), f4(0.6931469671), f4(0.2402211972)
P3, P4, P5 = f4(0.05550713274), f4(0.009675541385), f4(0.001327647205)

# Planes of a tile's array.
X, Y, LEFT, LAST, AFTER = u8(0), u8(256), u8(512), u8(768), u8(1024)
PLANES = 5
V_0 = u8((5 + 0 * 1) * 256)  # each channel
LENGTH = (PLANES + CHANNELS) * PIXELS
FEATURE_0 = u8(0 * 1)  # each channel


@njit(nogil=True, inline="always")
def _start_tile(s, tile_x, tile_y, height, width):
    """Lay out the pixels of a tile; those outside the image are finished from the start."""
    for p in range(PIXELS):
        block, lane = p >> 4, p & 15
        column = (block & 3) * 4 + (lane & 3)
        row = (block >> 2) * 4 + (lane >> 2)
        s[X + u8(p)] = f4(column) + f4(0.5)
        s[Y + u8(p)] = f4(row) + f4(0.5)
        inside = (tile_x * TILE + column < width) & (tile_y * TILE + row < height)
        s[LEFT + u8(p)] = f4(1.0) if inside else f4(-1.0)
        s[LAST + u8(p)] = f4(0.0)


@njit(nogil=True, inline="always")
def _block(at_px):
    """The row or column of 4x4 blocks a tile coordinate lies in, cut to 0..3."""
    return min(max(int(at_px * f4(0.25)), 0), 3)


@njit(nogil=True, inline="always")
def _power_of_two(e):
    """2^e for e in [-8, 0]."""
    whole = np.int32(e - f4(0.5))
    f = e - f4(whole)
    value = P0 + f * (P1 + f * (P2 + f * (P3 + f * (P4 + f * P5))))
    return value * np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(
    "void(i8, i8, i8, i8, i8[::1], i4[::1], f4[::1], f4[::1], i8, i8, f4[::1], f4[::1], f4[::1])",
    nogil=True,
    cache=True,
    fastmath=True,
    error_model="numpy",
)
def forward(
    part,
    parts,
    height,
    width,
    starts,
    members,
    packed,
    features,
    pitch,
    first_channel,
    image,
    left,
    last,
):
    """Fill image, transmittance and the place of each pixel's last contributor.

    `pitch` floats lie between two rows of features and two pixels of the image; this pass draws
    CHANNELS of them from `first_channel` on.
    """
    tiles_x, tiles = (width + TILE - 1) // TILE, len(starts) - 1
    s = np.empty(LENGTH, np.float32)
    for turn in range(part, tiles, parts):
        tile = turn * STRIDE % tiles
        tile_x, tile_y = tile % tiles_x, tile // tiles_x
        _start_tile(s, tile_x, tile_y, height, width)
        for p in range(u8(PIXELS)):
            s[V_0 + p] = f4(0.0)  # each channel
        origin_x, origin_y = f4(tile_x * TILE), f4(tile_y * TILE)
        begin = starts[tile]
        for at in range(begin, starts[tile + 1]):
            if (at - begin) % CHECK == CHECK - 1:
                most = f4(-1.0)
                for p in range(u8(PIXELS)):
                    most = s[LEFT + p] if s[LEFT + p] > most else most
                if most < f4(0.0):
                    break
            splat = u8(members[at]) * u8(RECORD)
            x, y = packed[splat] - origin_x, packed[splat + u8(1)] - origin_y
            a, b, c = packed[splat + u8(2)], packed[splat + u8(3)], packed[splat + u8(4)]
            level = packed[splat + u8(5)]
            half_x, half_y = packed[splat + u8(6)], packed[splat + u8(7)]
            row = u8(members[at]) * u8(pitch) + u8(first_channel)
            f_0 = features[row + FEATURE_0]  # each channel
            place = f4(at - begin + 1)
            first_column, last_column = _block(x - half_x), _block(x + half_x)
            for block_row in range(_block(y - half_y), _block(y + half_y) + 1):
                run = u8((block_row * 4 + first_column) * 16)
                run_end = u8((block_row * 4 + last_column + 1) * 16)
                for p in range(run, run_end):
                    dx, dy = s[X + p] - x, s[Y + p] - y
                    e = level - (a * dx * dx + b * dx * dy + c * dy * dy)
                    alpha = _power_of_two(e if e > f4(-8.0) else f4(-8.0))
                    alpha = alpha if alpha < ALPHA_MAX else ALPHA_MAX
                    before = s[LEFT + p]
                    weight = alpha * before
                    after = before - weight
                    hit = (e >= LOG2_ALPHA_MIN) & (before > f4(0.0))
                    full = after < TRANSMITTANCE_MIN
                    weight = weight if hit & (not full) else f4(0.0)
                    s[LAST + p] = place if hit & (not full) else s[LAST + p]
                    after = -before if full else after
                    s[LEFT + p] = after if hit else before
                    s[V_0 + p] += weight * f_0  # each channel
        for p in range(u8(PIXELS)):
            column = tile_x * TILE + int(s[X + p])
            line = tile_y * TILE + int(s[Y + p])
            if column < width and line < height:
                pixel = u8(line * width + column)
                left[pixel] = abs(s[LEFT + p])
                last[pixel] = s[LAST + p]
                at_image = pixel * u8(pitch) + u8(first_channel)
                image[at_image + FEATURE_0] = s[V_0 + p]  # each channel


@njit(
    "void(i8, i8, i8, i8, i8[::1], i4[::1], i4[::1], f4[::1], f4[::1], f4[::1], i8, i8, "
    "f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])",
    nogil=True,
    cache=True,
    fastmath=True,
    error_model="numpy",
)
def backward(
    part,
    parts,
    height,
    width,
    starts,
    members,
    slots,
    packed,
    features,
    attached,
    pitch,
    first_channel,
    left,
    last,
    v_image,
    v_left,
    records,
):
    """Write a gradient record for each (splat, tile) pair.

    A record is six moments of dL/dlog(alpha), then the features' gradients. Going back to front,
    one number a pixel, AFTER, carries everything behind: the sum over later splats of
    weight * (features . v_image), and the background's share.
    """
    tiles_x, tiles = (width + TILE - 1) // TILE, len(starts) - 1
    s = np.empty(LENGTH, np.float32)
    length = u8(MOMENTS + CHANNELS)
    t_0 = attached[u8(first_channel) + FEATURE_0]  # each channel
    for turn in range(part, tiles, parts):
        tile = turn * STRIDE % tiles
        tile_x, tile_y = tile % tiles_x, tile // tiles_x
        _start_tile(s, tile_x, tile_y, height, width)
        deepest = f4(0.0)
        for p in range(u8(PIXELS)):
            column = tile_x * TILE + int(s[X + p])
            line = tile_y * TILE + int(s[Y + p])
            s[AFTER + p] = f4(0.0)
            s[V_0 + p] = f4(0.0)  # each channel
            if column < width and line < height:
                pixel = u8(line * width + column)
                s[LEFT + p] = left[pixel]
                s[LAST + p] = last[pixel]
                s[AFTER + p] = left[pixel] * v_left[pixel]
                deepest = max(deepest, last[pixel])
                at_image = pixel * u8(pitch) + u8(first_channel)
                s[V_0 + p] = v_image[at_image + FEATURE_0]  # each channel
        origin_x, origin_y = f4(tile_x * TILE), f4(tile_y * TILE)
        begin = starts[tile]
        for at in range(begin + int(deepest), starts[tile + 1]):
            record = u8(slots[at]) * length
            for j in range(length):
                records[record + j] = f4(0.0)
        for back in range(int(deepest)):
            at = begin + int(deepest) - 1 - back
            splat = u8(members[at]) * u8(RECORD)
            x, y = packed[splat] - origin_x, packed[splat + u8(1)] - origin_y
            a, b, c = packed[splat + u8(2)], packed[splat + u8(3)], packed[splat + u8(4)]
            level = packed[splat + u8(5)]
            half_x, half_y = packed[splat + u8(6)], packed[splat + u8(7)]
            row = u8(members[at]) * u8(pitch) + u8(first_channel)
            f_0 = features[row + FEATURE_0] * t_0  # each channel
            place = f4(at - begin + 1)
            m1 = mx = my = mxx = mxy = myy = f4(0.0)
            v_0 = f4(0.0)  # each channel
            first_column, last_column = _block(x - half_x), _block(x + half_x)
            for block_row in range(_block(y - half_y), _block(y + half_y) + 1):
                run = u8((block_row * 4 + first_column) * 16)
                run_end = u8((block_row * 4 + last_column + 1) * 16)
                for p in range(run, run_end):
                    dx, dy = s[X + p] - x, s[Y + p] - y
                    e = level - (a * dx * dx + b * dx * dy + c * dy * dy)
                    uncapped = _power_of_two(e if e > f4(-8.0) else f4(-8.0))
                    alpha = uncapped if uncapped < ALPHA_MAX else ALPHA_MAX
                    hit = (e >= LOG2_ALPHA_MIN) & (place <= s[LAST + p])
                    inverse = f4(1.0) / (f4(1.0) - alpha)
                    before = s[LEFT + p] * inverse
                    weight = alpha * before
                    g = f4(0.0)
                    g += f_0 * s[V_0 + p]  # each channel
                    v = uncapped * (before * g - s[AFTER + p] * inverse)
                    v = v if hit else f4(0.0)
                    weight = weight if hit else f4(0.0)
                    s[LEFT + p] = before if hit else s[LEFT + p]
                    s[AFTER + p] += weight * g
                    m1 += v
                    mx += v * dx
                    my += v * dy
                    mxx += v * dx * dx
                    mxy += v * dx * dy
                    myy += v * dy * dy
                    v_0 += weight * s[V_0 + p]  # each channel
            record = u8(slots[at]) * length
            records[record] = m1
            records[record + u8(1)] = mx
            records[record + u8(2)] = my
            records[record + u8(3)] = mxx
            records[record + u8(4)] = mxy
            records[record + u8(5)] = myy
            records[record + u8(MOMENTS) + FEATURE_0] = v_0  # each channel


@njit(
    "void(i8, i8, i8[::1], f4[::1], f4[:, ::1], f4[::1], i8, i8, "
    "f4[::1], f4[::1], f4[::1], f4[::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def gather(
    part,
    parts,
    slots_before,
    records,
    conics,
    opacities,
    pitch,
    first_channel,
    v_means2d,
    v_conics,
    v_opacities,
    v_features,
):
    """Add each splat's records up, always in the same order, onto its gradients."""
    total = len(slots_before) - 1
    length = MOMENTS + CHANNELS
    for i in range(total * part // parts, total * (part + 1) // parts):
        if slots_before[i] == slots_before[i + 1]:
            continue
        m1 = mx = my = mxx = mxy = myy = f4(0.0)
        v_0 = f4(0.0)  # each channel
        for slot in range(slots_before[i], slots_before[i + 1]):
            record = slot * length
            m1 += records[record]
            mx += records[record + 1]
            my += records[record + 2]
            mxx += records[record + 3]
            mxy += records[record + 4]
            myy += records[record + 5]
            v_0 += records[record + MOMENTS + int(FEATURE_0)]  # each channel
        a, b, c = conics[i, 0], conics[i, 1], conics[i, 2]
        v_means2d[2 * i] += a * mx + b * my
        v_means2d[2 * i + 1] += b * mx + c * my
        v_conics[3 * i] -= f4(0.5) * mxx
        v_conics[3 * i + 1] -= mxy
        v_conics[3 * i + 2] -= f4(0.5) * myy
        v_opacities[i] += m1 / max(opacities[i], f4(1e-12))
        row = i * pitch + first_channel
        v_features[row + int(FEATURE_0)] = v_0  # each channel
