"""How fast boxes are scored, beside the evaluation code that RVT and LEOD carry.

    python benchmarks/speed/coco.py --rvt RVT/ --json benchmarks/results/coco-MACHINE.json

`--rvt` is a checkout of RVT or LEOD, of which nothing is part of this project. Theirs matches times
in Python, makes COCO's dictionaries row by row and calls pycocotools; it says six numbers. Both get
the same made boxes: truth on a Gen1 sensor with two classes, and for each frame jittered copies of
it among false alarms, as a detector leaves them at a confidence of 0.001. Frames stand apart in
time, one array a frame, as both projects hand them over. `classes` scores every class by itself as
well, which LEOD does by calling the same function again with the boxes of one class.

Runs alternate, the first is thrown away, medians are of process CPU time on one thread: ratios
survive a busy machine, seconds do not. Results must agree within 1e-6.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from record import write_record

from fovea.metrics.detection import KEYS_OF_A_CLASS, DetectionMetric, DetectionProtocol

SIDES = ("x", "y", "w", "h")
BOXES = np.dtype(
    {
        "names": ("t", *SIDES, "class_id", "track_id", "class_confidence"),
        "formats": ("i8", "f4", "f4", "f4", "f4", "u4", "u4", "f4"),
    }
)
CLASSES = ("car", "pedestrian")
HEIGHT, WIDTH = 240, 304
PROTOCOL = DetectionProtocol(min_diagonal_px=30, min_side_px=10)
Frames = list[np.ndarray]


def made(frames: int, alarms: int, seed: int = 1) -> tuple[Frames, Frames]:
    """Truth and detections of so many frames, with so many false alarms in each."""
    rng = np.random.default_rng(seed)
    truth, detections = Frames(), Frames()
    for number in range(frames):
        boxes = np.zeros(rng.integers(1, 6), BOXES)
        boxes["t"] = 600_000 + 250_000 * number
        boxes["w"], boxes["h"] = rng.uniform(20, 90, (2, len(boxes)))
        boxes["x"] = rng.uniform(0, WIDTH - boxes["w"])
        boxes["y"] = rng.uniform(0, HEIGHT - boxes["h"])
        boxes["class_id"] = rng.integers(0, 2, len(boxes))
        boxes["class_confidence"] = 1
        truth.append(boxes)
        found = np.repeat(boxes, 2)
        for side in SIDES:
            found[side] += rng.normal(0, 4, len(found))
        false = np.repeat(boxes[:1], alarms)
        for side, most in (("x", WIDTH - 60), ("y", HEIGHT - 60), ("w", 80), ("h", 80)):
            false[side] = rng.uniform(10, most, alarms)
        false["class_id"] = rng.integers(0, 2, alarms)
        both = np.concatenate([found, false])
        both["class_confidence"] = rng.beta(1, 3, len(both))
        both["class_confidence"][: len(found)] = rng.uniform(0.1, 1, len(found))
        detections.append(both)
    return truth, detections


def ours(truth: Frames, detections: Frames, *, by_class: bool) -> dict[str, float]:
    metric = DetectionMetric(CLASSES, PROTOCOL)
    for found, wanted in zip(detections, truth, strict=True):
        metric.update(found, wanted)
    return metric.all() if by_class else {"AP": metric.compute()}


def theirs(checkout: Path) -> Callable[..., dict[str, float]]:
    sys.path.insert(0, str(checkout))
    with contextlib.redirect_stdout(io.StringIO()):
        from utils.evaluation.prophesee.evaluation import evaluate_list

    def scores(truth: Frames, detections: Frames) -> dict[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            return evaluate_list(detections, truth, HEIGHT, WIDTH, camera="gen1")

    def evaluate(truth: Frames, detections: Frames, *, by_class: bool) -> dict[str, float]:
        found = scores(truth, detections)
        for number, name in enumerate(CLASSES) if by_class else ():
            own = [[f[f["class_id"] == number] for f in part] for part in (truth, detections)]
            found |= {f"{key}_{name}": value for key, value in scores(*own).items()}
        return found

    return evaluate


def measured(sides: dict[str, Callable[[], dict[str, float]]], repeats: int) -> dict[str, list]:
    """CPU seconds of each side, alternating."""
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            started = time.process_time()
            side()
            spent[name].append(time.process_time() - started)
    return {name: values[1:] for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rvt", type=Path, help="a checkout of RVT or LEOD to stand beside")
    parser.add_argument("--frames", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--alarms", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    evaluate = theirs(options.rvt) if options.rvt else None
    rows = []
    for frames in options.frames:
        truth, detections = made(frames, options.alarms)
        for by_class in (False, True):
            sides = {"fovea": partial(ours, truth, detections, by_class=by_class)}
            if evaluate:
                sides["RVT"] = partial(evaluate, truth, detections, by_class=by_class)
                a, b = (side() for side in sides.values())
                off = max(abs(a[key] - b[key]) for key in b.keys() & a.keys())
                assert off < 1e-6, f"the two disagree by {off}"
            spent = measured(sides, options.repeats)
            median = {name: statistics.median(values) for name, values in spent.items()}
            row = {
                "frames": frames,
                "boxes": sum(map(len, truth)),
                "detections": sum(map(len, detections)),
                "numbers": len(KEYS_OF_A_CLASS) * (1 + by_class * len(CLASSES)),
                "cpu_s": {name: round(value, 4) for name, value in median.items()},
                "spread_s": {n: [round(min(v), 4), round(max(v), 4)] for n, v in spent.items()},
                "times_ours": {n: round(v / median["fovea"], 2) for n, v in median.items()},
            }
            rows.append(row)
            print(json.dumps(row))
    noted = {name: version(name) for name in ("faster-coco-eval", "pycocotools")}
    write_record(options.json, "speed/coco", rows, noted=noted)


if __name__ == "__main__":
    main()
