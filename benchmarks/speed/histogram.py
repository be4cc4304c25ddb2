"""How fast windows of events become stacked histograms, beside RVT's own PyTorch function.

    OMP_NUM_THREADS=1 python benchmarks/speed/histogram.py --rvt RVT/

Windows of 50 ms at 1280 x 720: events of moving edges, events anywhere, and, where the folder of
real data is at hand, the busiest recording of it. Both functions count the same events and must
give the same bytes. Runs are interleaved and the first is thrown away; times are CPU times of the
process on one thread, median and quartiles. `ours, reused` is `Histogrammer`, which counts window
after window in the same memory.

Nothing of the peer is part of this project: `--rvt` is a checkout of uzh-rpg/RVT, of which
`data/utils/representations.py` is run.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import write_record

from fovea.events.formats.door import read_events
from fovea.events.representation import Histogrammer, stacked_histogram
from fovea.events.stream import EventStream

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH, WINDOW_US = 720, 1280, 50_000
COUNTS = (200_000, 1_000_000, 4_000_000)


def anywhere(count: int, rng: np.random.Generator) -> EventStream:
    """Events on any pixel, as noise is."""
    x, y = rng.integers(0, WIDTH, count), rng.integers(0, HEIGHT, count)
    return stream(rng, x, y, rng.integers(0, 2, count))


def edges(count: int, rng: np.random.Generator) -> EventStream:
    """Events along 60 upright edges that move, each of one polarity, with a tenth of noise."""
    t = np.sort(rng.integers(0, WINDOW_US, count))
    edge = rng.integers(0, 60, count)
    start, speed = rng.uniform(0, WIDTH, 60)[edge], rng.uniform(-1e-3, 1e-3, 60)[edge]
    top, length = rng.uniform(0, HEIGHT - 40, 60)[edge], rng.uniform(40, 300, 60)[edge]
    x = (start + speed * t + rng.normal(0, 1, count)) % WIDTH
    y = np.minimum(top + length * rng.random(count), HEIGHT - 1)
    noise = rng.random(count) < 0.1
    x[noise], y[noise] = rng.uniform(0, WIDTH, noise.sum()), rng.uniform(0, HEIGHT, noise.sum())
    return stream(rng, x, y, edge % 2, t)


def stream(
    rng: np.random.Generator,
    x: np.ndarray,
    y: np.ndarray,
    p: np.ndarray,
    t: np.ndarray | None = None,
) -> EventStream:
    t = np.sort(rng.integers(0, WINDOW_US, len(x))) if t is None else t
    columns = x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8)
    return EventStream(t.astype(np.int64), *columns, HEIGHT, WIDTH)


def works(data: Path) -> dict[str, EventStream]:
    """The windows by name."""
    rng = np.random.default_rng(0)
    made = {
        f"{name}, {count / 1e6:g} M": make(count, rng)
        for count in COUNTS
        for name, make in (("moving edges", edges), ("anywhere", anywhere))
    }
    real = data / "events" / "prophesee" / "evt3_sample.raw"
    if real.is_file():
        events = read_events(real)
        made[f"evt3_sample.raw, {len(events) / 1e6:.2g} M"] = events
    return made


def rvt(checkout: Path) -> Callable[[EventStream], np.ndarray]:
    """RVT's stacked histogram of a window."""
    path = checkout / "data" / "utils" / "representations.py"
    spec = importlib.util.spec_from_file_location("rvt_representations", path)
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    histogram = module.StackedHistogram(
        bins=10, height=HEIGHT, width=WIDTH, count_cutoff=10, fastmode=True
    )

    def run(events: EventStream) -> np.ndarray:
        columns = (events.x.astype(np.int16), events.y.astype(np.int16))
        x, y = (torch.from_numpy(column) for column in columns)
        p, t = torch.from_numpy(events.p), torch.from_numpy(events.t)
        return histogram.construct(x, y, p, t).numpy()

    return run


def measure(
    runs: dict[str, Callable[[EventStream], np.ndarray]], events: EventStream, repeats: int
) -> dict[str, list[float]]:
    """CPU ms of every run, the functions taking turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            run(events)
            if turn:
                times[name].append(1e3 * (time.process_time() - start))
    return times


def rows(runs: dict[str, Callable[[EventStream], np.ndarray]], data: Path, repeats: int) -> list:
    made = []
    for work, events in works(data).items():
        answers = {name: run(events).copy() for name, run in runs.items()}
        times = measure(runs, events, repeats)
        ours = statistics.median(times["ours"])
        for name in runs:
            low, middle, high = statistics.quantiles(times[name], n=4)
            row = {
                "work": work,
                "function": name,
                "median_ms": round(middle, 2),
                "quartiles_ms": [round(low, 2), round(high, 2)],
                "million_events_a_second": round(len(events) / middle / 1e3, 1),
                "times_ours": round(middle / ours, 2),
                "same_bytes": bool((answers[name] == answers["ours"]).all()),
            }
            made.append(row)
            print(
                f"{work:24} {name:13} {middle:8.2f} ms {row['million_events_a_second']:7.1f} M/s"
                f" {row['times_ours']:6.2f}x   same bytes: {row['same_bytes']}"
            )
    return made


def main() -> int:
    options = arguments()
    torch.set_num_threads(1)
    again = Histogrammer(HEIGHT, WIDTH)
    runs: dict[str, Callable[[EventStream], np.ndarray]] = {
        "ours": stacked_histogram,
        "ours, reused": lambda events: again.window(events.t, events.x, events.y, events.p),
    }
    if options.rvt is not None and options.rvt.is_dir():
        runs["RVT torch"] = rvt(options.rvt)
    else:
        print(f"RVT is not measured: no {options.rvt or 'path given'}. See the top of this file.")
    write_record(options.json, "speed/histogram", rows(runs, options.data, options.repeats))
    return 0


def arguments() -> argparse.Namespace:
    data = Path(os.environ.get("FOVEA_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rvt", type=Path, help="a checkout of uzh-rpg/RVT")
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="where to write the record")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
