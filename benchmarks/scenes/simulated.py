"""Make the picture of docs/simulate.md again: what made scenes look like, and their events.

    python benchmarks/scenes/simulated.py docs/images/simulate.png

Above the light on the sensor, below the events of 30 ms with the boxes of what is seen.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from fovea.events.draw import Style, class_color, draw_boxes, stream_picture
from fovea.events.settings.simulate import SimulateConfig
from fovea.events.simulate.pixel import PixelArray, events_of
from fovea.events.simulate.scene import make_scene
from fovea.events.stream import EventStream
from fovea.scene.color import linear_to_srgb

HEIGHT, WIDTH, FACTOR = 120, 160, 2
CLASSES = ("car", "pedestrian", "two-wheeler")
SHOTS = ((11, 1.2), (15, 1.2), (18, 1.2), (21, 1.2))
"""Seeds of scenes, and a moment of each in seconds."""


def shot(seed: int, at_s: float) -> np.ndarray:
    config = SimulateConfig()
    rng = np.random.default_rng(seed)
    size = {"height": HEIGHT, "width": WIDTH}
    scene = make_scene(config.scene, classes=CLASSES, seconds=at_s + 0.5, rng=rng, **size)
    pixels = PixelArray(config.pixel, rng=rng, **size)
    events = EventStream.joined(events_of(pixels, scene.moments(at_s, config.render)))
    end_us = round(at_s * 1e6)
    seen = stream_picture(events.between(end_us - 30_000, end_us), factor=FACTOR, look="polarity")
    boxes = scene.boxes(end_us, min_visible=config.min_visible)
    colors = [class_color(int(number)) for number in boxes["class_id"]]
    draw_boxes(seen, boxes, [[]] * len(boxes), colors, Style(FACTOR, thickness=1))
    light = linear_to_srgb(np.clip(scene.light(at_s), 0, 1))
    grey = np.kron((light * 255 + 0.5).astype(np.uint8), np.ones((FACTOR, FACTOR), np.uint8))
    return np.vstack([np.repeat(grey[..., None], 3, axis=2), seen])


def main(path: Path) -> None:
    sheet = np.hstack([np.pad(shot(*each), ((0, 0), (2, 2), (0, 0))) for each in SHOTS])
    Image.fromarray(sheet).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
