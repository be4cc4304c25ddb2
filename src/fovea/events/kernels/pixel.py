# pyright: basic
"""The compiled loop of the pixel model: every pixel's turn in one step of time."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def advance(
    first,
    width,
    duration_us,
    refractory_us,
    noise_dark,
    noise_slope,
    light,
    before,
    after,
    change,
    blind_us,
    hazard,
    threshold_on,
    threshold_off,
    leak,
    random,
    out_t,
    out_x,
    out_y,
    out_p,
):
    """Let the pixels from `first` on see brightness go straight from `before` to `after`.

    All of a pixel are [height * width]: `change` of brightness since its last event; `blind_us`,
    how far into this step it sees nothing; `hazard`, what is left until its next event by noise;
    thresholds; `leak`, a drift of `change` per µs. Noise comes at the rate `noise_dark +
    noise_slope * light` per µs. Whatever caused an event, the pixel is blind for `refractory_us`
    and then remembers what it sees.

    Events go to `out_*`, pixel by pixel; `out_t` counts from the start of the step.

    Returns:
        The number of events, and the pixel to go on with when `out_*` is full; the number of
        pixels when all had their turn.
    """
    room = out_t.shape[0]
    count = 0
    for i in range(first, after.shape[0]):
        drift = np.float64(after[i]) - before[i] + leak[i] * duration_us
        noise = noise_dark + noise_slope * light[i]
        now = np.float64(blind_us[i])
        moved = np.float64(change[i])
        left = np.float64(hazard[i])
        # Most pixels stay within their thresholds.
        is_within = -threshold_off[i] < moved + drift < threshold_on[i]
        if is_within and now == 0.0 and noise * duration_us < left:
            change[i] = moved + drift
            hazard[i] = left - noise * duration_us
            continue
        slope = drift / duration_us
        while now < duration_us:
            wait = math.inf
            if slope > 0.0:
                wait = max((threshold_on[i] - moved) / slope, 0.0)
            elif slope < 0.0:
                wait = max((-threshold_off[i] - moved) / slope, 0.0)
            is_noise = noise > 0.0 and noise * wait > left
            if is_noise:
                wait = left / noise
            if now + wait > duration_us:
                moved += slope * (duration_us - now)
                left -= noise * (duration_us - now)
                now = duration_us
                break
            if count == room:
                blind_us[i] = now
                change[i] = moved
                hazard[i] = left
                return count, i
            now += wait
            is_brighter = slope > 0.0
            if is_noise:
                left = -math.log(1.0 - _uniform(random))
                is_brighter = _uniform(random) < 0.5
            else:
                left -= noise * wait
            out_t[count] = int(now)
            out_x[count] = i % width
            out_y[count] = i // width
            out_p[count] = 1 if is_brighter else 0
            count += 1
            now += refractory_us
            moved = 0.0
        blind_us[i] = max(now - duration_us, 0.0)
        change[i] = moved
        hazard[i] = left
    return count, after.shape[0]


@njit(nogil=True, cache=True)
def _uniform(state):
    """The next number in [0, 1) of an xorshift64* generator, whose state is `state[0]`.

    Source: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
    """
    s = state[0]
    s ^= s >> np.uint64(12)
    s ^= s << np.uint64(25)
    s ^= s >> np.uint64(27)
    state[0] = s
    return np.float64((s * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(11)) / 9007199254740992.0
