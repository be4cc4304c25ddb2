"""Make the sample recording again: a car and two people cross before a small event camera.

    python benchmarks/scenes/crossing.py src/fovea/samples/events/crossing.raw

Drawn from formulas at 500 pictures a second and turned into events by a plain contrast threshold;
times between two pictures are interpolated, on a grid of 200 µs that keeps the file small.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fovea.events.formats.door import write_events
from fovea.events.stream import EventStream

HEIGHT, WIDTH = 96, 128
SECONDS, RATE_HZ = 1.5, 500
THRESHOLD = 0.5
GRID_US = 200


def picture(seconds: float) -> np.ndarray:
    """Brightness at a moment, [height, width]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    light = 0.45 + 0.1 * np.sin(0.11 * x + 0.07 * y) + 0.002 * y
    draw_car(light, x, y, left=-34 + 105 * seconds, bottom=72)
    draw_person(light, x, y, middle=104 - 26 * seconds, feet=86, seconds=seconds)
    draw_person(light, x, y, middle=20 + 18 * seconds, feet=56, seconds=seconds + 0.3)
    return light


def cover(light: np.ndarray, inside: np.ndarray, value: float) -> None:
    """Paint where `inside` (px within the outline) is positive, with an edge of one pixel."""
    share = np.clip(inside + 0.5, 0, 1)
    light += share * (value - light)


def box(x: np.ndarray, y: np.ndarray, left: float, top: float, w: float, h: float) -> np.ndarray:
    return np.minimum(np.minimum(x - left, left + w - x), np.minimum(y - top, top + h - y))


def disc(x: np.ndarray, y: np.ndarray, cx: float, cy: float, radius: float) -> np.ndarray:
    return radius - np.hypot(x - cx, y - cy)


def draw_car(
    light: np.ndarray, x: np.ndarray, y: np.ndarray, *, left: float, bottom: float
) -> None:
    cover(light, box(x, y, left, bottom - 14, 36, 10), 0.9)
    cover(light, box(x, y, left + 7, bottom - 21, 20, 8), 0.9)
    cover(light, box(x, y, left + 10, bottom - 19, 14, 5), 0.2)
    for wheel in (7, 29):
        cover(light, disc(x, y, left + wheel, bottom - 4, 4), 0.12)


def draw_person(
    light: np.ndarray, x: np.ndarray, y: np.ndarray, *, middle: float, feet: float, seconds: float
) -> None:
    step = 3.0 * np.sin(2 * np.pi * 1.7 * seconds)
    for side in (-step, step):
        cover(light, box(x, y, middle + side / 2 - 1.5, feet - 11, 3, 11), 0.2)
    cover(light, box(x, y, middle - 3.5, feet - 22, 7, 12), 0.15)
    cover(light, disc(x, y, middle, feet - 25, 3), 0.75)


def events() -> Iterator[EventStream]:
    """The events between each picture and the next."""
    reference = before = np.log(picture(0.0))
    for number in range(1, round(SECONDS * RATE_HZ)):
        now = np.log(picture(number / RATE_HZ))
        found = []
        for polarity, sign in ((0, -1), (1, 1)):
            rise = sign * (now - reference)
            for crossing in range(1, int(max(rise.max(), 0) / THRESHOLD) + 1):
                y, x = np.nonzero(rise >= crossing * THRESHOLD)
                goal = reference[y, x] + sign * crossing * THRESHOLD
                share = (goal - before[y, x]) / (now[y, x] - before[y, x])
                t = (number - 1 + share) * 1e6 / RATE_HZ
                found.append(np.stack([t // GRID_US * GRID_US, y, x, np.full(len(x), polarity)]))
            steps = np.floor(np.maximum(rise, 0) / THRESHOLD)
            reference = reference + sign * steps * THRESHOLD
        before = now
        t, y, x, p = (
            np.concatenate(found, axis=1).astype(np.int64) if found else np.zeros((4, 0), int)
        )
        order = np.lexsort((x, p, y, t))
        columns = (
            c[order].astype(d)
            for c, d in zip((t, x, y, p), (np.int64, *[np.uint16] * 2, np.uint8), strict=True)
        )
        yield EventStream(*columns, HEIGHT, WIDTH)


def main() -> int:
    path = Path(sys.argv[1])
    count = write_events(path, events(), height=HEIGHT, width=WIDTH)
    print(f"{path}: {count} events, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
