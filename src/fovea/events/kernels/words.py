# pyright: basic
"""Decode and encode the word formats of event cameras.

Each decoder takes whole words and what it knew at the end of the words before (`state`, int64), and
fills the columns `t x y p` from their start. `state[SEEN]` is 1 once a time is known; `state[BAD]`
becomes the number of the word that names a pixel beyond the sensor, counted within this call. What
else stands in `state` is each decoder's own.

Notation: `high` and `low` are the two parts that a time is sent in, `loops` how often it wrapped.
"""

import numpy as np
from numba import njit, types
from numba.core.types import b1, i8, u1, u2, u4, u8

RO_I8 = types.Array(i8, 1, "C", readonly=True)
RO_U1 = types.Array(u1, 1, "C", readonly=True)
RO_U2 = types.Array(u2, 1, "C", readonly=True)
RO_U4 = types.Array(u4, 1, "C", readonly=True)
RO_U8 = types.Array(u8, 1, "C", readonly=True)

SEEN, BAD, HIGH, LOOPS, LAST, ROW, BASE, BRIGHT, NOW = range(9)
"""Places in `state`; LAST is the time of the latest event, ROW to NOW are EVT3's."""
BITS = np.array([bin(i).count("1") for i in range(4096)], np.uint8)
VECTOR = 32
"""Pixels of a full EVT3 vector, sent as masks of 12, 12 and 8."""
WORTH_A_VECTOR = 5
"""Events from which a base and three masks take less room than a word each."""


@njit(nogil=True, cache=True, inline="always")
def _high(state, high, bits):
    """Note the high part of the time; one far below the last means that it wrapped."""
    if state[SEEN] and state[HIGH] - high >= 1 << (bits - 1):
        state[LOOPS] += 1
    state[HIGH] = high
    state[SEEN] = 1


@njit(i8(RO_U4, i8[::1], i8, i8, i8[::1], u2[::1], u2[::1], u1[::1]), nogil=True, cache=True)
def decode_evt2(words, state, height, width, t, x, y, p):
    """EVT2, 32 bits a word; returns the number of events."""
    n = 0
    last = state[LAST]
    for i in range(len(words)):
        word = np.int64(words[i])
        kind = word >> 28
        if kind == 0x8:
            _high(state, word & 0xFFFFFFF, 28)
        elif kind <= 0x1 and state[SEEN]:
            column, row = (word >> 11) & 0x7FF, word & 0x7FF
            if column >= width or row >= height:
                state[BAD] = i
                break
            now = (state[LOOPS] << 34) | (state[HIGH] << 6) | ((word >> 22) & 0x3F)
            last = max(last, now)
            t[n] = last
            x[n] = column
            y[n] = row
            p[n] = kind
            n += 1
    state[LAST] = last
    return n


@njit(i8(RO_U8), nogil=True, cache=True)
def count_evt21(words):
    """At most how many events these words hold."""
    total = 0
    for i in range(len(words)):
        if words[i] >> np.uint64(60) <= np.uint64(1):
            mask = np.int64(words[i] & np.uint64(0xFFFFFFFF))
            total += BITS[mask & 0xFFF] + BITS[(mask >> 12) & 0xFFF] + BITS[mask >> 24]
    return total


@njit(i8(RO_U8, i8[::1], i8, i8, i8[::1], u2[::1], u2[::1], u1[::1]), nogil=True, cache=True)
def decode_evt21(words, state, height, width, t, x, y, p):
    """EVT2.1, 64 bits a word; returns the number of events."""
    n = 0
    last = state[LAST]
    for i in range(len(words)):
        upper = np.int64(words[i] >> np.uint64(32))
        kind = upper >> 28
        if kind == 0x8:
            _high(state, upper & 0xFFFFFFF, 28)
        elif kind <= 0x1 and state[SEEN]:
            mask = np.int64(words[i] & np.uint64(0xFFFFFFFF))
            column, row = (upper >> 11) & 0x7FF, upper & 0x7FF
            now = (state[LOOPS] << 34) | (state[HIGH] << 6) | ((upper >> 22) & 0x3F)
            last = max(last, now)
            while mask:
                if mask & 1:
                    if column >= width or row >= height:
                        state[BAD] = i
                        state[LAST] = last
                        return n
                    t[n] = last
                    x[n] = column
                    y[n] = row
                    p[n] = kind
                    n += 1
                mask >>= 1
                column += 1
    state[LAST] = last
    return n


@njit(i8(RO_U2), nogil=True, cache=True)
def count_evt3(words):
    """At most how many events these words hold."""
    total = 0
    for i in range(len(words)):
        word = words[i]
        kind = word >> 12
        if kind == 0x2:
            total += 1
        elif kind == 0x4:
            total += BITS[word & 0xFFF]
        elif kind == 0x5:
            total += BITS[word & 0xFF]
    return total


@njit(nogil=True, cache=True)
def _length(mask):
    """The number of pixels up to the last that is set."""
    pixels = 0
    while mask >> pixels:
        pixels += 1
    return pixels


@njit(i8(RO_U2, i8[::1], i8, i8, i8[::1], u2[::1], u2[::1], u1[::1]), nogil=True, cache=True)
def decode_evt3(words, state, height, width, t, x, y, p):
    """EVT3, 16 bits a word; returns the number of events.

    The columns have room for 12 events more than there are.
    """
    n = 0
    row, base, bright = state[ROW], state[BASE], state[BRIGHT]
    last, now, seen = state[LAST], state[NOW], state[SEEN]
    for i in range(len(words)):
        word = np.int64(words[i])
        kind = word >> 12
        if kind == 0x2:
            if seen:
                column = word & 0x7FF
                if column >= width or row >= height:
                    state[BAD] = i
                    break
                last = max(last, now)
                t[n] = last
                x[n] = column
                y[n] = row
                p[n] = (word >> 11) & 1
                n += 1
        elif kind == 0x4 or kind == 0x5:
            mask = word & (0xFFF if kind == 0x4 else 0xFF)
            if seen and mask:
                last = max(last, now)
                if row >= height or (base + 12 > width and base + _length(mask) > width):
                    state[BAD] = i
                    break
                # Every pixel is written, and the next overwrites it where its bit is not set.
                for k in range(12):
                    t[n] = last
                    x[n] = base + k
                    y[n] = row
                    p[n] = bright
                    n += (mask >> k) & 1
            base += 12 if kind == 0x4 else 8
        elif kind == 0x0:
            row = word & 0x7FF
        elif kind == 0x3:
            base, bright = word & 0x7FF, (word >> 11) & 1
        elif kind == 0x6:
            if seen:
                now = (state[LOOPS] << 24) | (state[HIGH] << 12) | (word & 0xFFF)
        elif kind == 0x8:
            high = word & 0xFFF
            if not seen or high != state[HIGH]:
                _high(state, high, 12)
                seen = 1
                now = (state[LOOPS] << 24) | (high << 12)
    state[ROW], state[BASE], state[BRIGHT] = row, base, bright
    state[LAST], state[NOW] = last, now
    return n


@njit(i8(RO_U4, i8[::1], i8, i8, b1, i8[::1], u2[::1], u2[::1], u1[::1]), nogil=True, cache=True)
def decode_dat(words, state, height, width, mends, t, x, y, p):
    """DAT, two words of 32 bits an event; returns the number of events.

    A time that falls by less than half of 2^32 is a bad event, unless `mends` raises it.
    """
    n = 0
    last, raw = state[LAST], state[HIGH]
    for i in range(len(words) // 2):
        stamp, word = np.int64(words[2 * i]), np.int64(words[2 * i + 1])
        column, row = word & 0x3FFF, (word >> 14) & 0x3FFF
        if raw - stamp >= 1 << 31:
            state[LOOPS] += 1
        now = (state[LOOPS] << 32) | stamp
        if column >= width or row >= height or (now < last and not mends):
            state[BAD] = i
            break
        raw = stamp
        last = max(last, now)
        t[n] = last
        x[n] = column
        y[n] = row
        p[n] = (word >> 28) & 1
        n += 1
    state[LAST], state[HIGH] = last, raw
    return n


@njit(i8(RO_I8, RO_U2, RO_U2, RO_U1, i8[::1], u2[::1]), nogil=True, cache=True)
def encode_evt3(t, x, y, p, state, words):
    """EVT3 words of these events in their order; returns the number of words.

    `state[LAST]` is the time that a decoder would be at, -1 at the beginning. A time that jumps is
    reached by high words a quarter of the counter apart, so that no wrap is missed.
    """
    n = 0
    i = 0
    now, row = state[LAST], state[ROW]
    while i < len(t):
        if t[i] != now:
            high, target = now >> 12, t[i] >> 12
            if high != target:
                while target - high > 1024:
                    high = max(high, 0) + 1024
                    words[n] = 0x8000 | (high & 0xFFF)
                    n += 1
                words[n] = 0x8000 | (target & 0xFFF)
                n += 1
            words[n] = 0x6000 | (t[i] & 0xFFF)
            n += 1
            now = t[i]
        if y[i] != row:
            row = np.int64(y[i])
            words[n] = row
            n += 1
        first = np.int64(x[i])
        mask = np.int64(1)
        end = i + 1
        while (
            end < len(t) and t[end] == now and y[end] == row and p[end] == p[i]
            and x[end] > x[end - 1] and x[end] < first + VECTOR
        ):  # fmt: skip
            mask |= np.int64(1) << (np.int64(x[end]) - first)
            end += 1
        bright = np.int64(p[i]) << 11
        if end - i >= WORTH_A_VECTOR:
            words[n] = 0x3000 | bright | first
            words[n + 1] = 0x4000 | (mask & 0xFFF)
            words[n + 2] = 0x4000 | ((mask >> 12) & 0xFFF)
            words[n + 3] = 0x5000 | (mask >> 24)
            n += 4
            i = end
        else:
            words[n] = 0x2000 | bright | first
            n += 1
            i += 1
    state[LAST], state[ROW] = now, row
    return n
