# pyright: basic
"""The first convolution, 7x7 at stride 4, for histograms that are mostly zeros.

Every count is spread to the two by two outputs it reaches. Of two neighbours in a row the channels
follow each other, in the output as in the taps, so that one loop over them serves both; a tap that
falls out of the kernel is zero.

Notation: `words` are histograms [N, bins, rows, columns / 8], eight counts in each, first the
lowest byte. `taps` is flat [bins, 7, 4, 2, C]: kernel row, column modulo 4, output to the left and
to the right. Outputs are [N, H, W, C]; `plane` is one of them with a row and a column more.
"""

import numpy as np
from numba import njit

f4, u8 = np.float32, np.uint64


@njit(nogil=True, inline="always")
def _counts(words, image, bin, row, columns, values):
    """Gather the counts of a row that are not zero, without a branch for each."""
    found = u8(0)
    for q in range(words.shape[3]):
        word = words[image, bin, row, q]
        if word != 0:
            for byte in range(8):
                value = (word >> u8(8 * byte)) & u8(255)
                columns[found] = u8(q * 8 + byte)
                values[found] = f4(value)
                found += u8(value != 0)
    return found


@njit(nogil=True, cache=True)
def forward(part, parts, words, taps, outputs):
    """Fill the outputs of this part's images."""
    images, bins, rows, _ = words.shape
    _, height, width, channels = outputs.shape
    both, line = u8(2 * channels), u8((width + 1) * channels)
    columns = np.empty(words.shape[3] * 8 + 1, np.uint64)
    values = np.empty(words.shape[3] * 8 + 1, np.float32)
    plane = np.empty((height + 1) * (width + 1) * channels, np.float32)
    for image in range(part, images, parts):
        plane[:] = f4(0)
        for bin in range(bins):
            for row in range(rows):
                found = _counts(words, image, bin, row, columns, values)
                for below in range(2 if row & 3 else 1):
                    tap = u8(bin * 7 + (row & 3) + 3 - 4 * below) * u8(4) * both
                    start = u8((row >> 2) + below) * line
                    for i in range(found):
                        column, value = columns[u8(i)], values[u8(i)]
                        of_taps = tap + (column & u8(3)) * both
                        of_plane = start + (column >> u8(2)) * u8(channels)
                        for c in range(both):
                            plane[of_plane + u8(c)] += value * taps[of_taps + u8(c)]
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    outputs[image, y, x, c] = plane[(y * (width + 1) + x) * channels + c]


@njit(nogil=True, cache=True)
def backward(part, parts, words, gradients, of_taps):
    """Add up the gradient of the taps over this part's images, in `of_taps[part]`."""
    images, bins, rows, _ = words.shape
    _, height, width, channels = gradients.shape
    both, line = u8(2 * channels), u8((width + 1) * channels)
    columns = np.empty(words.shape[3] * 8 + 1, np.uint64)
    values = np.empty(words.shape[3] * 8 + 1, np.float32)
    plane = np.zeros((height + 1) * (width + 1) * channels, np.float32)
    sums = of_taps[part]
    for image in range(part, images, parts):
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    plane[(y * (width + 1) + x) * channels + c] = gradients[image, y, x, c]
        for bin in range(bins):
            for row in range(rows):
                found = _counts(words, image, bin, row, columns, values)
                for below in range(2 if row & 3 else 1):
                    tap = u8(bin * 7 + (row & 3) + 3 - 4 * below) * u8(4) * both
                    start = u8((row >> 2) + below) * line
                    for i in range(found):
                        column, value = columns[u8(i)], values[u8(i)]
                        to = tap + (column & u8(3)) * both
                        of_plane = start + (column >> u8(2)) * u8(channels)
                        for c in range(both):
                            sums[to + u8(c)] += value * plane[of_plane + u8(c)]
