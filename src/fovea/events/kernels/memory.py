# pyright: basic
"""The gates of an LSTM, one step forward and one step back, everything but the products.

Notation: all arrays are flat. Gates and their gradients are four planes, forget, input, output,
candidate, of `steps` times `size` floats each; cells are `steps` + 1 times `size`, first those from
before; outputs and their gradients are `size` floats of this one step. A loop touches few arrays
at a time, without which the compiler gives up guarding against overlaps and does not vectorise.
"""

import numpy as np
from numba import njit

f4, i4 = np.float32, np.int32
BLOCK = 1024
LOG2_E = f4(1.4426950408889634)

# 2^f for f in [-1/2, 1/2]: the polynomial of degree 5 with the least relative error, 2.3e-7 in
# float32.
P0, P1, P2 = f4(1.000000072), f4(0.6931469671), f4(0.2402211972)
P3, P4, P5 = f4(0.05550713274), f4(0.009675541385), f4(0.001327647205)


@njit(nogil=True, inline="always")
def _sigmoid(x):
    e = min(max(-x * LOG2_E, f4(-126.0)), f4(126.0))
    whole = np.floor(e + f4(0.5))
    f = e - whole
    power = P0 + f * (P1 + f * (P2 + f * (P3 + f * (P4 + f * P5))))
    scale = i4((i4(whole) + i4(127)) << i4(23)).view(np.float32)
    return f4(1.0) / (f4(1.0) + power * scale)


@njit(nogil=True, inline="always")
def _tanh(x):
    return f4(2.0) * _sigmoid(f4(2.0) * x) - f4(1.0)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def forward(part, parts, gates, cells, outputs, step, steps, size):
    """From sums to gates in place, then the cells after this step and the outputs."""
    plane, now = steps * size, step * size
    for first in range(part * BLOCK, size, parts * BLOCK):
        last = min(first + BLOCK, size)
        count = last - first
        forget = gates[now + first : now + last]
        take = gates[plane + now + first : plane + now + last]
        show = gates[2 * plane + now + first : 2 * plane + now + last]
        candidate = gates[3 * plane + now + first : 3 * plane + now + last]
        before = cells[now + first : now + last]
        after = cells[now + size + first : now + size + last]
        output = outputs[first:last]
        for i in range(count):
            forget[i] = _sigmoid(forget[i])
        for i in range(count):
            take[i] = _sigmoid(take[i])
        for i in range(count):
            show[i] = _sigmoid(show[i])
        for i in range(count):
            candidate[i] = _tanh(candidate[i])
        for i in range(count):
            after[i] = forget[i] * before[i] + take[i] * candidate[i]
        for i in range(count):
            output[i] = show[i] * _tanh(after[i])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def backward(part, parts, gates, cells, of_outputs, of_cells, of_gates, step, steps, size):
    """Gradients of the sums of this step; `of_cells` goes from after the step to before it."""
    plane, now = steps * size, step * size
    level = np.empty(BLOCK, np.float32)
    through = np.empty(BLOCK, np.float32)
    for first in range(part * BLOCK, size, parts * BLOCK):
        last = min(first + BLOCK, size)
        count = last - first
        forget = gates[now + first : now + last]
        take = gates[plane + now + first : plane + now + last]
        show = gates[2 * plane + now + first : 2 * plane + now + last]
        candidate = gates[3 * plane + now + first : 3 * plane + now + last]
        before = cells[now + first : now + last]
        after = cells[now + size + first : now + size + last]
        v_output = of_outputs[first:last]
        v_cell = of_cells[first:last]
        v_forget = of_gates[now + first : now + last]
        v_take = of_gates[plane + now + first : plane + now + last]
        v_show = of_gates[2 * plane + now + first : 2 * plane + now + last]
        v_candidate = of_gates[3 * plane + now + first : 3 * plane + now + last]
        for i in range(count):
            level[i] = _tanh(after[i])
        for i in range(count):
            slope = f4(1.0) - level[i] * level[i]
            through[i] = v_cell[i] + v_output[i] * show[i] * slope
        for i in range(count):
            v_show[i] = v_output[i] * level[i] * show[i] * (f4(1.0) - show[i])
        for i in range(count):
            v_forget[i] = through[i] * before[i] * forget[i] * (f4(1.0) - forget[i])
        for i in range(count):
            v_take[i] = through[i] * candidate[i] * take[i] * (f4(1.0) - take[i])
        for i in range(count):
            v_candidate[i] = through[i] * take[i] * (f4(1.0) - candidate[i] * candidate[i])
        for i in range(count):
            v_cell[i] = through[i] * forget[i]
