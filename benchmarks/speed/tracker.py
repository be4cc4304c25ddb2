"""How fast pseudo labels are filtered by tracks, beside LEOD's own filter.

    python benchmarks/speed/tracker.py --leod LEOD/

Recordings of 300 to 2400 frames, each with 10 to 20 boxes of objects that come, go, hide for a few
frames and are sometimes seen twice; both filters read them forwards and backwards and fill gaps.
What they answer is compared box by box. Runs are interleaved, the first of ours is thrown away (it
compiles), times are CPU times of the process, median and quartiles.

Nothing of the peer is part of this project: `--leod` is a checkout of Wuziyi616/LEOD. Packages that
its modules import and its filter does not use are stood in for.
"""

import argparse
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import write_record

from fovea.events.labelling.filter import filter_labels
from fovea.events.labelling.frames import FrameLabels
from fovea.events.labels import Labels

HEIGHT, WIDTH = 240, 304
MIN_TRACK_LEN = 6
FRAMES = (300, 600, 1200, 2400)


def recording(frames: int, seed: int) -> FrameLabels:
    """Boxes of moving objects, seen with gaps, jitter and false ones between."""
    rng = np.random.default_rng(seed)
    parts = []
    objects: list[dict[str, Any]] = []
    for frame in range(frames):
        objects = [thing for thing in objects if thing["until"] > frame]
        while len(objects) < 15:
            objects.append(
                {
                    "box": np.array([*rng.uniform(0, (WIDTH - 60, HEIGHT - 60)), 45, 40]),
                    "speed": rng.normal(0, 2, 2),
                    "class": rng.integers(2),
                    "until": frame + rng.integers(4, 120),
                }
            )
        rows = []
        for thing in objects:
            thing["box"][:2] += thing["speed"]
            if rng.random() < 0.85:
                box = thing["box"] + rng.normal(0, 0.7, 4)
                rows.append([0, *box, thing["class"], *rng.uniform(0.3, 1, 2)])
        for _ in range(rng.integers(0, 4)):
            corner = rng.uniform(0, (WIDTH - 60, HEIGHT - 60))
            rows.append([0, *corner, 30, 30, rng.integers(2), *rng.uniform(0.3, 1, 2)])
        kept = np.clip(np.array(rows), 0, None)
        kept[:, 3] = np.minimum(kept[:, 3], WIDTH - 1 - kept[:, 1])
        kept[:, 4] = np.minimum(kept[:, 4], HEIGHT - 1 - kept[:, 2])
        kept = kept[(kept[:, 3] > 2) & (kept[:, 4] > 2)]
        if frame % 60 == 10:
            kept[:, 0], kept[:, 6:] = 1_000_000, 1
        parts.append((frame, Labels(kept.astype(np.float32), HEIGHT, WIDTH)))
    return FrameLabels.joined(parts, height=HEIGHT, width=WIDTH)


def ours(boxes: FrameLabels) -> Callable[[], list[tuple[int, np.ndarray]]]:
    def run() -> list[tuple[int, np.ndarray]]:
        found = filter_labels(
            boxes, min_track_len=MIN_TRACK_LEN, method="forward or backward", inpaint=True
        )
        return [(frame, labels.rows) for frame, labels in found.boxes]

    return run


class Absent(types.ModuleType):
    """A package that the peer imports and its filter does not use."""

    __path__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for packages that are not installed, and for parts of the peer that need them."""

    parts = ("modules.detection", "modules.utils", "models", "utils", "nerv")
    packages = ("torchvision", "pytorch_lightning", "omegaconf", "einops", "wandb", "hydra", "cv2")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        head = name.split(".")[0]
        is_part = any(name == part or name.startswith(f"{part}.") for part in self.parts)
        if is_part or head in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def theirs(source: Path) -> Callable[[FrameLabels], Callable[[], list[tuple[int, np.ndarray]]]]:
    """LEOD's filter, loaded from its checkout."""
    import torch

    sys.meta_path.insert(0, StandIn())
    sys.path.insert(0, str(source))
    modules = types.ModuleType("modules")
    modules.__path__ = [str(source / "modules")]
    sys.modules["modules"] = modules
    labeler = importlib.import_module("modules.pseudo_labeler")
    settings = types.SimpleNamespace(
        min_track_len=MIN_TRACK_LEN,
        track_method="forward or backward",
        inpaint=True,
        ignore_label=1024,
    )

    def prepare(boxes: FrameLabels) -> Callable[[], list[tuple[int, np.ndarray]]]:
        def run() -> list[tuple[int, np.ndarray]]:
            data = labeler.EventSeqData("", 1, settings, None)
            data.frame_idx = [frame for frame, _ in boxes]
            data.labels = [
                labeler.ObjectLabels(torch.from_numpy(labels.rows.copy()), (HEIGHT, WIDTH))
                for _, labels in boxes
            ]
            data._track_filter()
            rows = [copy.copy(labels.object_labels) for labels in data.labels]
            return [
                (frame, np.asarray(row)) for frame, row in zip(data.frame_idx, rows, strict=True)
            ]

        return run

    return prepare


def same(one: list[tuple[int, np.ndarray]], other: list[tuple[int, np.ndarray]]) -> int:
    """Boxes that differ by more than 1e-3 in any column, or are missing on one side."""
    left, right = dict(one), dict(other)
    wrong = 0
    for frame in left.keys() | right.keys():
        a, b = left.get(frame), right.get(frame)
        if a is None or b is None or a.shape != b.shape:
            wrong += abs((0 if a is None else len(a)) - (0 if b is None else len(b))) or 1
        else:
            wrong += int((np.abs(a - b) > 1e-3).any(axis=1).sum())
    return wrong


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    found = run()
    return 1000 * (time.process_time() - started), found


def summary(values: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {"median_ms": round(middle, 3), "quartiles_ms": [round(low, 3), round(high, 3)]}


def measure(frames: int, repeats: int, peer: Any) -> dict[str, Any]:
    boxes = recording(frames, seed=frames)
    mine = ours(boxes)
    mine()
    yours = peer(boxes) if peer else None
    times: dict[str, list[float]] = {"fovea": [], "LEOD": []}
    wrong = 0
    for number in range(repeats):
        spent, found = timed(mine)
        times["fovea"].append(spent)
        if yours and number < 3:
            spent, other = timed(yours)
            times["LEOD"].append(spent)
            wrong = same(found, other)
    row: dict[str, Any] = {"frames": frames, "boxes": len(boxes)}
    row["fovea"] = summary(times["fovea"])
    if yours:
        row["LEOD"] = summary(times["LEOD"])
        row["times_faster"] = round(row["LEOD"]["median_ms"] / row["fovea"]["median_ms"], 1)
        row["boxes_that_differ"] = wrong
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leod", type=Path, help="a checkout of Wuziyi616/LEOD")
    parser.add_argument("--repeats", type=int, default=9, help="runs of ours; of theirs 3")
    parser.add_argument("--json", type=Path, help="where to write the record")
    options = parser.parse_args()
    peer = theirs(options.leod) if options.leod else None
    rows = []
    for frames in FRAMES:
        row = measure(frames, options.repeats, peer)
        rows.append(row)
        line = f"{frames:5} frames {row['boxes']:6} boxes"
        line += f": fovea {row['fovea']['median_ms']:8.2f} ms"
        if peer:
            line += f", LEOD {row['LEOD']['median_ms']:9.1f} ms, {row['times_faster']:6.1f} times"
            line += f", {row['boxes_that_differ']} boxes differ"
        print(line, flush=True)
    write_record(options.json, "speed/tracker", rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
