"""Make the sample recording again: a car and two people cross before a small event camera.

    python benchmarks/scenes/crossing.py src/fovea/samples/events/crossing.raw

A made scene of `events.simulate`: figures from formulas, with photographs of scikit-image on them
and behind them that their makers gave away (CC0). Beside the recording stand its boxes.
"""

import sys
from pathlib import Path

import numpy as np

from fovea.events.formats.door import write_events
from fovea.events.settings.simulate import PixelConfig, RenderConfig, SceneConfig
from fovea.events.simulate.pixel import PixelArray, events_of
from fovea.events.simulate.scene import make_scene
from fovea.events.simulation import write_boxes
from fovea.events.stream import EventStream

HEIGHT, WIDTH, SECONDS = 96, 128, 1.5
SEED = 8
GRID_US = 200
SCENE = SceneConfig(
    photographs=("brick", "grass", "gravel"), objects=(3, 3), pan=0.02, shake=0.001, whims=0
)
# Few events make a small file: a dull camera in the quiet of good light.
PIXEL = PixelConfig(threshold_on=0.45, threshold_off=0.45, shot_noise_hz=0.1, leak_hz=0.02)


def on_grid(events: EventStream) -> EventStream:
    """The events at times of a coarse grid, row by row: EVT3 then says many with few words."""
    t = events.t // GRID_US * GRID_US
    order = np.lexsort((events.x, events.p, events.y, t))
    columns = (column[order] for column in (t, events.x, events.y, events.p))
    return EventStream(*columns, events.height, events.width)


def main(path: Path, seed: int = SEED) -> None:
    rng = np.random.default_rng(seed)
    scene = make_scene(
        SCENE,
        classes=("car", "pedestrian"),
        height=HEIGHT,
        width=WIDTH,
        seconds=SECONDS,
        rng=rng,
    )
    pixels = PixelArray(PIXEL, height=HEIGHT, width=WIDTH, rng=rng)
    events = events_of(pixels, scene.moments(SECONDS, RenderConfig()))
    write_events(path, map(on_grid, events), height=HEIGHT, width=WIDTH)
    times = range(100_000, round(SECONDS * 1e6) + 1, 100_000)
    boxes = np.concatenate([scene.boxes(time, min_visible=0.3) for time in times])
    write_boxes(path.with_name(f"{path.stem}_bbox.npy"), boxes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
