"""How fast recordings are decoded, beside expelliarmus.

    OMP_NUM_THREADS=1 python benchmarks/speed/decode.py --expelliarmus SITE_PACKAGES

Made recordings of 5 million events at 1280 x 720 are written as EVT2, EVT3 with and without vectors
and DAT, and read whole. Both give columns in memory; files are in the page cache. Runs are
interleaved and the first is thrown away; times are CPU times of the process, median and quartiles.

Nothing of the peer is part of this project: `--expelliarmus` is a folder of Python packages that
holds it. `same_events` says whether it gives what was written, our decoder always does.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from histogram import HEIGHT, WIDTH
from record import write_record

from fovea.events.formats.door import read_events, write_events
from fovea.events.stream import EventStream

COUNT = 5_000_000
Read = Callable[[Path], Any]


def singles(rng: np.random.Generator) -> EventStream:
    """Events anywhere, 20 million a second."""
    t = np.sort(rng.integers(0, COUNT // 20, COUNT))
    return made(t, rng.integers(0, WIDTH, COUNT), rng.integers(0, HEIGHT, COUNT))


def rows(rng: np.random.Generator) -> EventStream:
    """Events that fill stretches of rows, as a sensor reads out a flash."""
    line = np.arange(COUNT) // 32
    start = rng.integers(0, WIDTH // 32, COUNT // 32 + 1)[line] * 32
    return made(line // 16, start + np.arange(COUNT) % 32, (line * 7) % HEIGHT, line % 2)


def made(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray | None = None) -> EventStream:
    p = (x + y) % 2 if p is None else p
    columns = (x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8))
    return EventStream(t.astype(np.int64), *columns, HEIGHT, WIDTH)


def write_evt2(path: Path, events: EventStream) -> None:
    """EVT2 by hand: a time-high word wherever the high part changes."""
    high = events.t >> 6
    low = (events.t & 63).astype(np.uint32)
    words = (events.p.astype(np.uint32) << 28) | (low << 22)
    words |= (events.x.astype(np.uint32) << 11) | events.y
    at = np.flatnonzero(np.diff(high, prepend=-1))
    text = f"% evt 2.0\n% format EVT2;height={HEIGHT};width={WIDTH}\n% end\n"
    words = np.insert(words, at, (0x8 << 28) | high[at].astype(np.uint32))
    path.write_bytes(text.encode() + words.astype("<u4").tobytes())


def files(folder: Path) -> dict[str, tuple[Path, str, EventStream]]:
    """The recordings by name, with what expelliarmus calls their format."""
    rng = np.random.default_rng(0)
    single, row = singles(rng), rows(rng)
    found = {
        "EVT2": (folder / "evt2.raw", "evt2", single),
        "EVT3": (folder / "evt3.raw", "evt3", single),
        "EVT3, vectors": (folder / "vectors.raw", "evt3", row),
        "DAT": (folder / "a.dat", "dat", single),
    }
    for name, (path, _, events) in found.items():
        if name == "EVT2":
            write_evt2(path, events)
        else:
            write_events(path, [events], height=HEIGHT, width=WIDTH)
    return found


def is_same(found: Any, events: EventStream) -> bool:
    columns = (
        (getattr(found, name) if isinstance(found, EventStream) else found[name]) for name in "txyp"
    )
    wanted = (events.t, events.x, events.y, events.p)
    return all(
        len(a) == len(b) and bool((a == b).all()) for a, b in zip(columns, wanted, strict=True)
    )


def readers(packages: Path | None, encoding: str) -> dict[str, Read]:
    found: dict[str, Read] = {"ours": read_events}
    if packages is not None:
        from expelliarmus import Wizard

        found["expelliarmus"] = lambda path: Wizard(encoding=encoding).read(path)
    return found


def measure(path: Path, reads: dict[str, Read], repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in reads}
    for turn in range(repeats + 1):
        for name, read in reads.items():
            start = time.process_time()
            read(path)
            if turn:
                times[name].append(time.process_time() - start)
    return times


def main() -> int:
    options = arguments()
    if options.expelliarmus is not None and not options.expelliarmus.is_dir():
        options.expelliarmus = None
    if options.expelliarmus is None:
        print("expelliarmus is not measured: no folder given. See the top of this file.")
    else:
        sys.path.append(str(options.expelliarmus))
    made_rows = []
    with tempfile.TemporaryDirectory() as folder:
        for work, (path, encoding, events) in files(Path(folder)).items():
            reads = readers(options.expelliarmus, encoding)
            same = {name: is_same(read(path), events) for name, read in reads.items()}
            times = measure(path, reads, options.repeats)
            ours = statistics.median(times["ours"])
            for name, found in times.items():
                low, middle, high = (COUNT / s / 1e6 for s in statistics.quantiles(found, n=4))
                row = {
                    "work": work,
                    "reader": name,
                    "million_events_a_second": round(middle, 1),
                    "quartiles": [round(high, 1), round(low, 1)],
                    "times_ours": round(statistics.median(found) / ours, 2),
                    "same_events": same[name],
                }
                made_rows.append(row)
                print(
                    f"{work:14} {name:13} {middle:7.1f} M/s {row['times_ours']:6.2f}x"
                    f"   same events: {same[name]}"
                )
    write_record(options.json, "speed/decode", made_rows)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--expelliarmus", type=Path, help="a folder of packages that holds it")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="where to write the record")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
