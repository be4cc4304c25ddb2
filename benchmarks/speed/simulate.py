"""How fast scenes are made and seen by an event camera: seconds of a scene in a second of one core.

    OMP_NUM_THREADS=1 python benchmarks/speed/simulate.py

Three scenes at each size with the settings of `events.simulate`; CPU times of the process, after
the kernels are compiled and the photographs read. Rendering is what a scene without a camera takes.
The busy ones have a textured photograph that moves behind everything.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
from record import write_record

from fovea.events.settings.simulate import RenderConfig, SimulateConfig
from fovea.events.simulate.pixel import PixelArray, events_of
from fovea.events.simulate.scene import Scene, make_scene

SIZES = ((96, 128, 5.0), (240, 304, 2.0), (480, 640, 1.0), (720, 1280, 0.3))
SEEDS = (0, 1, 2, 3, 4)
CONFIG = SimulateConfig()
IMPORTS_MB = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(height: int, width: int, seconds: float, seed: int) -> dict[str, float]:
    """One scene, rendered alone and then with its camera."""
    scene = made(height, width, seconds, seed)
    started = time.process_time()
    moments = sum(1 for _ in scene.moments(seconds, RenderConfig()))
    rendered = time.process_time() - started
    rng = np.random.default_rng(seed)
    pixels = PixelArray(CONFIG.pixel, height=height, width=width, rng=rng)
    started = time.process_time()
    events = sum(map(len, events_of(pixels, scene.moments(seconds, RenderConfig()))))
    spent = time.process_time() - started
    return {
        "seconds_per_s": seconds / spent,
        "rendering_part": rendered / spent,
        "moments_hz": moments / seconds,
        "million_events_per_s_of_scene": events / seconds / 1e6,
        "million_events_per_s": events / spent / 1e6,
    }


def made(height: int, width: int, seconds: float, seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    size = {"height": height, "width": width, "seconds": seconds}
    return make_scene(CONFIG.scene, classes=CONFIG.classes, rng=rng, **size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write the record")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for seed in SEEDS:
        measure(32, 48, 0.2, seed)
    rows = list[dict[str, object]]()
    for height, width, seconds in SIZES:
        runs = [measure(height, width, seconds, seed) for seed in SEEDS]
        rows.append(
            {"work": f"{width} x {height}"} | {name: spread(runs, name) for name in runs[0]}
        )
        print(json.dumps(rows[-1]))
    peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"peak memory {peak_mb} MB, of which {IMPORTS_MB} MB before the first scene")
    noted = {"opencv": cv2.__version__}
    write_record(options.json, "speed/simulate", rows, noted=noted, peak_memory_mb=peak_mb)


def spread(runs: list[dict[str, float]], name: str) -> dict[str, float]:
    values = [run[name] for run in runs]
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {key: round(value, 3) for key, value in found.items()}


if __name__ == "__main__":
    main()
