"""How fast a training's batches are made, of histograms in memory and of histograms on disk.

    python benchmarks/speed/sampling.py --json benchmarks/results/sampling-MACHINE.json

A data set is made on disk with one pixel in twenty of each histogram counting something, a label at
every second histogram, and the paper's augmentation. `disk` keeps nothing in memory, so every
histogram is read and unpacked each time; `memory` keeps all.

CPU seconds are of the process, without threads that read ahead; the first batches are thrown away.
`wait_s` is the wall time of a batch with `--threads` reading ahead, whatever else the machine does.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from record import write_record

from fovea.events.boxes import BOX_DTYPE
from fovea.events.dataset import EventSet
from fovea.events.dataset.hdf5 import require_filter
from fovea.events.dataset.writer import drafted, growing, write_index
from fovea.events.sampling import TrainingLoader
from fovea.events.sensor import GEN1, Sensor
from fovea.events.settings.sampling import SamplingConfig

SENSORS = {"64x96": replace(GEN1, name="small", height=64, width=96), "gen1": GEN1}
LENGTHS = {"64x96": 10, "gen1": 21}
BATCH = 8


def write(root: Path, sensor: Sensor, recordings: int, histograms: int) -> EventSet:
    """Recordings of random counts, with two boxes at every second histogram."""
    require_filter()
    rng = np.random.default_rng(0)
    shape = (20, sensor.height, sensor.width)
    labelled = np.arange(3, histograms, 2)
    boxes = np.zeros(2 * len(labelled), BOX_DTYPE)
    boxes["t"] = np.repeat(50_000 * (1 + labelled), 2)
    boxes["x"], boxes["y"], boxes["w"], boxes["h"] = 12, 15, 30, 20
    boxes["class_id"], boxes["class_confidence"] = np.arange(len(boxes)) % 2, 1
    for number in range(recordings):
        with drafted(root / "train" / f"{number:03d}") as layout:
            write_index(
                layout,
                labels=boxes,
                objframe_to_label=2 * np.arange(len(labelled)),
                objframe_to_histogram=labelled,
            )
            with growing(layout.histograms(is_halved=False), shape) as append:
                for _ in range(histograms):
                    is_event = rng.random(shape, np.float32) < 0.05
                    append(is_event * rng.integers(1, 5, shape, np.uint8))
    return EventSet(root, sensor)


def measured(data: EventSet, length: int, *, cache_mib: int, threads: int, batches: int) -> dict:
    """Seconds a batch: CPU without threads, wall with them."""
    found: dict[str, float] = {}
    for name, number, clock in (
        ("cpu_s", 0, time.process_time), ("wait_s", threads, time.perf_counter)
    ):  # fmt: skip
        settings = SamplingConfig(cache_mib=cache_mib, threads=number)
        loader = TrainingLoader(
            data.split("train"), data.sensor, settings, batch=BATCH, length=length, seed=0
        )
        spent = []
        for _ in range(batches):
            started = clock()
            next(loader)
            spent.append(clock() - started)
        loader.close()
        found[name] = statistics.median(list(islice(spent, batches // 4, None)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--histograms", type=int, default=60)
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for size, sensor in SENSORS.items():
        with tempfile.TemporaryDirectory() as folder:
            data = write(Path(folder), sensor, options.recordings, options.histograms)
            for place, cache_mib in (("disk", 0), ("memory", 4096)):
                found = measured(
                    data, LENGTHS[size], cache_mib=cache_mib, threads=options.threads,
                    batches=options.batches,
                )  # fmt: skip
                row = {"size": size, "length": LENGTHS[size], "batch": BATCH, "from": place}
                row |= {name: round(value, 4) for name, value in found.items()}
                row |= {"samples_a_cpu_s": round(BATCH / found["cpu_s"], 1)}
                rows.append(row)
                print(json.dumps(row))
    write_record(options.json, "speed/sampling", rows, noted={"threads": options.threads})


if __name__ == "__main__":
    main()
