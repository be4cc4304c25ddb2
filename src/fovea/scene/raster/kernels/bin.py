# pyright: basic
"""Sort Gaussians by depth and list them tile by tile.

Depths are sorted once; the Gaussians are then counted into tiles and scattered in that order, which
keeps every tile's list sorted. What is known of a Gaussian lies at its own number `i`, not at its
`rank` in depth order: neighbours on the image are often neighbours in the scene, and blending a
tile then reads memory that lies together. `slot` is the place of one (Gaussian, tile) pair in
Gaussian order.
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
    "void(i8, i8, f4[:, ::1], f4[:, ::1], f4[::1], i4[::1], i8, i8, b1, f4[:, ::1], i4[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def pack(part, parts, means2d, conics, opacities, radii, height, width, in_tiles, packed, boxes):
    """Put what blending reads of a splat into one record, and find the box of tiles it touches.

    A record is: centre x, y; the conic scaled to base 2, so that
    log2(alpha) = log2(opacity) - (A dx^2 + B dx dy + C dy^2); log2(opacity); half width and height
    of the region where alpha reaches 1/255. The box of a Gaussian that is not seen is empty.
    """
    tiles_x, tiles_y = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    total = len(radii)
    for i in range(total * part // parts, total * (part + 1) // parts):
        if radii[i] <= 0:
            boxes[i, 0] = boxes[i, 1] = boxes[i, 2] = boxes[i, 3] = 0
            continue
        x, y = float(means2d[i, 0]), float(means2d[i, 1])
        a, b, c = float(conics[i, 0]), float(conics[i, 1]), float(conics[i, 2])
        level = math.log2(float(opacities[i])) if opacities[i] > 0 else -1e3
        reach = max(level + LOG2_255, 0.0) * 2 / LOG2_E / max(a * c - b * b, 1e-30)
        half_x, half_y = math.sqrt(reach * c), math.sqrt(reach * a)
        packed[i, 0] = x
        packed[i, 1] = y
        packed[i, 2] = 0.5 * LOG2_E * a
        packed[i, 3] = LOG2_E * b
        packed[i, 4] = 0.5 * LOG2_E * c
        packed[i, 5] = level
        packed[i, 6] = half_x + MARGIN
        packed[i, 7] = half_y + MARGIN
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
        boxes[i, 0] = first_x
        boxes[i, 1] = first_y
        boxes[i, 2] = max(past_x, first_x)
        boxes[i, 3] = max(past_y, first_y) if level + LOG2_255 >= 0 else first_y


@njit(
    "void(i8, i8, f4[:, ::1], i4[:, ::1], i8[::1], i8, i8, i2[:, ::1], i4[::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def spans(part, parts, packed, boxes, rows_before, height, width, found, per_splat):
    """Find, for every splat and row of tiles, the span of tiles its ellipse meets.

    Of a box its rows stay; its first entry becomes the line in `found` at which its rows begin.
    """
    tiles_x = (width + TILE - 1) // TILE
    total = len(boxes)
    for i in range(total * part // parts, total * (part + 1) // parts):
        per_splat[i] = 0
        if boxes[i, 1] >= boxes[i, 3]:
            continue
        x, y = float(packed[i, 0]), float(packed[i, 1])
        a, b, c = float(packed[i, 2]), float(packed[i, 3]), float(packed[i, 4])
        level = float(packed[i, 5]) + LOG2_255
        half_x, half_y = float(packed[i, 6]), float(packed[i, 7])
        lowest, highest = boxes[i, 0], boxes[i, 2]
        # Where, below the centre, the ellipse is widest to the right.
        slant = -0.5 * b * half_x / c
        line = rows_before[i]
        boxes[i, 0] = line
        for row in range(boxes[i, 1], boxes[i, 3]):
            top = max(row * TILE + 0.5 - y, -half_y)
            bottom = min(min(row * TILE + TILE, height) - 0.5 - y, half_y)
            right_at = min(max(slant, top), bottom)
            left_at = min(max(-slant, top), bottom)
            right = _edge(a, b, c, level, right_at, 1.0)
            left = _edge(a, b, c, level, left_at, -1.0)
            first = max(_tile(x + left - MARGIN - 0.5, tiles_x), lowest)
            past = min(_tile(x + right + MARGIN - 0.5 + TILE, tiles_x), highest)
            if top > bottom:
                past = first
            past = max(past, first)
            found[line, 0] = first
            found[line, 1] = past
            per_splat[i] += past - first
            line += 1


@njit("void(i8, i8, i4[::1], i4[:, ::1], i8, i2[:, ::1], i4[:, ::1])", nogil=True, cache=True)
def count(part, parts, order, boxes, tiles_x, spans, per_tile):
    """Count, for each part of an order of splats, those in every tile."""
    total = len(order)
    for rank in range(total * part // parts, total * (part + 1) // parts):
        i = order[rank]
        line = boxes[i, 0]
        for row in range(boxes[i, 1], boxes[i, 3]):
            for column in range(spans[line, 0], spans[line, 1]):
                per_tile[part, row * tiles_x + column] += 1
            line += 1


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
    "void(i8, i8, i4[::1], i4[:, ::1], i8, i2[:, ::1], i4[:, ::1], i4[::1], i4[::1])",
    nogil=True,
    cache=True,
)
def scatter(part, parts, order, boxes, tiles_x, spans, place, members, slots):
    """Write every (splat, tile) pair into its tile's list, front to back.

    The third entry of a box is the first slot of its splat.
    """
    total = len(order)
    for rank in range(total * part // parts, total * (part + 1) // parts):
        i = order[rank]
        line, slot = boxes[i, 0], boxes[i, 2]
        for row in range(boxes[i, 1], boxes[i, 3]):
            for column in range(spans[line, 0], spans[line, 1]):
                tile = row * tiles_x + column
                at = place[part, tile]
                place[part, tile] = at + 1
                members[at] = i
                slots[at] = slot
                slot += 1
            line += 1
