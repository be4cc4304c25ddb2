# pyright: basic
"""Sort Gaussians by depth and list them tile by tile.

Depths are sorted once; the Gaussians are then counted into tiles and scattered in that order, which
keeps every tile's list sorted. `rank` is a Gaussian's place in depth order, `slot` the place of one
(Gaussian, tile) pair in Gaussian order.
"""

import math

import numpy as np
from numba import njit

TILE = 16
LOG2_E = 1.4426950408889634
LOG2_255 = 7.994353436858858
MARGIN = 0.01  # px added to every bound, far above float32 rounding
DIGIT = 11  # bits a radix pass sorts by
RECORD = 8  # floats a packed splat has


@njit("i8(f8, i8)", nogil=True, cache=True, error_model="numpy")
def _tile(at_px, tiles):
    """The tile an image coordinate lies in, cut to 0..tiles."""
    return min(max(int(max(min(at_px / TILE, 1e6), -1.0)), 0), tiles)


@njit("f8(f8, f8, f8, f8, f8, f8)", nogil=True, cache=True, error_model="numpy")
def _edge(a, b, c, level, dy, side):
    """The x at which A x^2 + B x dy + C dy^2 = level, on the left (-1) or right (+1) side."""
    root = math.sqrt(max(b * b * dy * dy - 4 * a * (c * dy * dy - level), 0.0))
    return (-b * dy + side * root) / (2 * a)


@njit("i8(f4[::1], i4[::1], i4[::1])", nogil=True, cache=True)
def order_by_depth(depths, radii, order):
    """Fill `order` with the seen Gaussians front to back, equal depths by index.

    Returns their number.
    """
    total = 0
    for i in range(len(radii)):
        if radii[i] > 0:
            order[total] = i
            total += 1
    keys = np.empty(total, np.uint32)
    for i in range(total):
        keys[i] = np.float32(depths[order[i]]).view(
            np.uint32
        )  # positive floats sort as their bits do
    spare, spare_keys = np.empty(total, np.int32), np.empty(total, np.uint32)
    source, target = order[:total], spare
    source_keys, target_keys = keys, spare_keys
    for digit in range(3):
        shift = np.uint32(digit * DIGIT)
        starts = np.zeros((1 << DIGIT) + 1, np.int64)
        for i in range(total):
            starts[((source_keys[i] >> shift) & np.uint32(0x7FF)) + np.uint32(1)] += 1
        for i in range(1 << DIGIT):
            starts[i + 1] += starts[i]
        for i in range(total):
            bucket = (source_keys[i] >> shift) & np.uint32(0x7FF)
            place = starts[bucket]
            starts[bucket] += 1
            target[place] = source[i]
            target_keys[place] = source_keys[i]
        source, target = target, source
        source_keys, target_keys = target_keys, source_keys
    order[:total] = source
    return total


@njit(
    "void(i8, i8, i4[::1], f4[:, ::1], f4[:, ::1], f4[::1], i4[::1], i8, i8, b1, "
    "f4[:, ::1], i4[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def pack(
    part, parts, order, means2d, conics, opacities, radii, height, width, in_tiles, packed, boxes
):
    """Put what blending reads of a splat into one record, and find the box of tiles it touches.

    A record is: centre x, y; the conic scaled to base 2, so that
    log2(alpha) = log2(opacity) - (A dx^2 + B dx dy + C dy^2); log2(opacity); half width and height
    of the region where alpha reaches 1/255. Records lie in depth order.
    """
    tiles_x, tiles_y = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    total = len(order)
    for rank in range(total * part // parts, total * (part + 1) // parts):
        i = order[rank]
        x, y = float(means2d[i, 0]), float(means2d[i, 1])
        a, b, c = float(conics[i, 0]), float(conics[i, 1]), float(conics[i, 2])
        level = math.log2(float(opacities[i])) if opacities[i] > 0 else -1e3
        reach = max(level + LOG2_255, 0.0) * 2 / LOG2_E / max(a * c - b * b, 1e-30)
        half_x, half_y = math.sqrt(reach * c), math.sqrt(reach * a)
        packed[rank, 0] = x
        packed[rank, 1] = y
        packed[rank, 2] = 0.5 * LOG2_E * a
        packed[rank, 3] = LOG2_E * b
        packed[rank, 4] = 0.5 * LOG2_E * c
        packed[rank, 5] = level
        packed[rank, 6] = half_x + MARGIN
        packed[rank, 7] = half_y + MARGIN
        first_x = _tile(x - half_x - MARGIN, tiles_x)
        first_y = _tile(y - half_y - MARGIN, tiles_y)
        past_x = _tile(x + half_x + MARGIN + TILE, tiles_x)
        past_y = _tile(y + half_y + MARGIN + TILE, tiles_y)
        if in_tiles:
            reach_px = float(radii[i])
            first_x = max(first_x, _tile(x - 0.5 - reach_px, tiles_x))
            first_y = max(first_y, _tile(y - 0.5 - reach_px, tiles_y))
            past_x = min(past_x, _tile(x - 0.5 + reach_px + TILE - 1, tiles_x))
            past_y = min(past_y, _tile(y - 0.5 + reach_px + TILE - 1, tiles_y))
        boxes[rank, 0] = first_x
        boxes[rank, 1] = first_y
        boxes[rank, 2] = max(past_x, first_x)
        boxes[rank, 3] = max(past_y, first_y) if level + LOG2_255 >= 0 else first_y


@njit(
    "void(i8, i8, f4[:, ::1], i4[:, ::1], i8[::1], i8, i8, i2[:, ::1], i4[::1], i4[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def count(part, parts, packed, boxes, rows_before, height, width, spans, per_splat, per_tile):
    """Find, for every splat and row of tiles, the span of tiles its ellipse meets.

    Count by splat and by tile.
    """
    tiles_x = (width + TILE - 1) // TILE
    total = len(packed)
    for rank in range(total * part // parts, total * (part + 1) // parts):
        x, y = float(packed[rank, 0]), float(packed[rank, 1])
        a, b, c = float(packed[rank, 2]), float(packed[rank, 3]), float(packed[rank, 4])
        level = float(packed[rank, 5]) + LOG2_255
        half_x, half_y = float(packed[rank, 6]), float(packed[rank, 7])
        # Where, below the centre, the ellipse is widest to the right.
        slant = -0.5 * b * half_x / c
        found = 0
        for row in range(boxes[rank, 1], boxes[rank, 3]):
            top = max(row * TILE + 0.5 - y, -half_y)
            bottom = min(min(row * TILE + TILE, height) - 0.5 - y, half_y)
            right_at = min(max(slant, top), bottom)
            left_at = min(max(-slant, top), bottom)
            right = _edge(a, b, c, level, right_at, 1.0)
            left = _edge(a, b, c, level, left_at, -1.0)
            first = max(_tile(x + left - MARGIN - 0.5, tiles_x), boxes[rank, 0])
            past = min(_tile(x + right + MARGIN - 0.5 + TILE, tiles_x), boxes[rank, 2])
            if top > bottom:
                past = first
            line = rows_before[rank] + row - boxes[rank, 1]
            spans[line, 0] = first
            spans[line, 1] = max(past, first)
            for column in range(first, past):
                per_tile[part, row * tiles_x + column] += 1
                found += 1
        per_splat[rank] = found


@njit("void(i4[:, ::1], i8[::1])", nogil=True, cache=True)
def offsets(per_tile, starts):
    """Turn counts by part and tile into places.

    Where each part writes next, and where each tile's list starts.
    """
    place = 0
    for tile in range(per_tile.shape[1]):
        starts[tile] = place
        for part in range(per_tile.shape[0]):
            number = per_tile[part, tile]
            per_tile[part, tile] = place
            place += number
    starts[per_tile.shape[1]] = place


@njit(
    "void(i8, i8, i4[:, ::1], i8[::1], i8, i2[:, ::1], i8[::1], i4[:, ::1], i4[::1], i4[::1])",
    nogil=True,
    cache=True,
)
def scatter(part, parts, boxes, rows_before, tiles_x, spans, slots_before, place, ranks, slots):
    """Write every (splat, tile) pair into its tile's list, front to back."""
    total = len(boxes)
    for rank in range(total * part // parts, total * (part + 1) // parts):
        slot = slots_before[rank]
        for row in range(boxes[rank, 1], boxes[rank, 3]):
            line = rows_before[rank] + row - boxes[rank, 1]
            for column in range(spans[line, 0], spans[line, 1]):
                at = place[part, row * tiles_x + column]
                place[part, row * tiles_x + column] += 1
                ranks[at] = rank
                slots[at] = slot
                slot += 1
