"""Cleaning beside py-data-juicer: CPU, start-up and memory of whole commands on the same rows.

    python benchmarks/synth/beside_data_juicer.py captions images startup memory million \
        --reference /path/of/an/environment/with/py-data-juicer/bin/dj-process

Both read the same recipe and the same files, one process each (np=1), their caches off; what is
counted is the CPU of the command and all its children (user and system, by getrusage), after a run
of each that is not counted. Without --reference ours runs alone.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))
from record import write_record

TEXT = [
    {"text_length_filter": {"min_len": 20, "max_len": 200}},
    {"words_num_filter": {"min_num": 4, "max_num": 40}},
    {"alphanumeric_filter": {"min_ratio": 0.6}},
    {"special_characters_filter": {"min_ratio": 0.1, "max_ratio": 0.5}},
    {"character_repetition_filter": {"rep_len": 10, "max_ratio": 0.2}},
    {"word_repetition_filter": {"rep_len": 3, "max_ratio": 0.2}},
    {"average_line_length_filter": {"min_len": 10}},
    {"maximum_line_length_filter": {"min_len": 10, "max_len": 200}},
]
GEOMETRY = [
    {"image_aspect_ratio_filter": {"min_ratio": 0.4, "max_ratio": 2.5}},
    {"image_shape_filter": {"min_width": 200, "min_height": 200}},
    {"image_size_filter": {"max_size": "124KB"}},
    {"image_shape_filter": {"max_width": 727, "max_height": 606}},
]
WORDS = [
    "the",
    "a",
    "of",
    "in",
    "on",
    "with",
    "red",
    "blue",
    "green",
    "dog",
    "cat",
    "car",
    "house",
    "tree",
    "man",
    "woman",
    "child",
    "sticker",
    "vintage",
    "photo",
    "poster",
    "wedding",
    "dress",
    "leather",
    "bag",
    "black",
    "white",
    "new",
    "old",
    "shirt",
    "design",
    "logo",
    "art",
    "print",
    "canvas",
    "wall",
    "home",
    "kitchen",
    "garden",
    "flower",
    "summer",
    "winter",
    "beach",
    "mountain",
    "city",
    "night",
    "light",
    "water",
    "food",
    "cake",
    "coffee",
    "recipe",
    "free",
    "vector",
    "stock",
    "image",
    "illustration",
    "background",
    "pattern",
    "modern",
    "luxury",
    "hotel",
    "room",
    "table",
]


def captions(path: Path, count: int) -> Path:
    """Rows like those of web captions: 3 to 23 words, a token before and one behind."""
    rng = random.Random(1)
    with path.open("w") as file:
        for number in range(count):
            text = " ".join(rng.choices(WORDS, k=rng.randint(3, 23)))
            row = {"id": f"{number:09d}", "text": f"<__dj__image>\n{text} <|__dj__eoc|>",
                   "images": ["none.jpg"]}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path


def pictures(folder: Path, count: int) -> Path:
    """Rows with a JPEG each, about as large as those of a web set."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(count):
            height, width = (int(side) for side in rng.integers(240, 700, 2))
            small = rng.integers(0, 256, (height // 24, width // 24, 3), dtype=np.uint8)
            image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
            image.save(folder / f"images/{number:05d}.jpg", quality=88)
            row = {"id": str(number), "text": "<__dj__image>\na picture <|__dj__eoc|>",
                   "images": [f"images/{number:05d}.jpg"]}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return folder / "rows.jsonl"


class Run:
    """One command: its CPU, its time, the most memory of its largest process, the rows it kept."""

    def __init__(self, command: list[str], result: str, folder: Path) -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        env = os.environ | {"OMP_NUM_THREADS": "1", "HF_DATASETS_OFFLINE": "1"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # or every run would compile its modules anew
        with (folder / "log.txt").open("w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=folder
            )
            watch = threading.Thread(target=self._watch, args=(process,), daemon=True)
            self.peak_mb = 0.0
            watch.start()
            code = process.wait()
            watch.join()
        self.wall_s = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if code:
            raise SystemExit((folder / "log.txt").read_text()[-3000:])
        (file,) = folder.glob(result)
        with file.open() as opened:
            self.kept = sum(1 for _ in opened)

    def _watch(self, process: subprocess.Popen) -> None:
        peaks: dict[int, float] = {}
        while process.poll() is None:
            try:
                main = psutil.Process(process.pid)
                for one in [main, *main.children(recursive=True)]:
                    peaks[one.pid] = _peak_mb(one.pid)
            except (psutil.Error, OSError, StopIteration):
                pass
            self.peak_mb = max(peaks.values(), default=0.0)
            time.sleep(0.05)


def _peak_mb(pid: int) -> float:
    """The most memory that a process has held so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def recipe(folder: Path, data: Path, process: list) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "dataset_path": str(data),
                "export_path": str(folder / "theirs" / "out.jsonl"),
                "np": 1,
                "use_cache": False,
                "open_tracer": False,
                "process": process,
            }
        )
    )
    return path


def ours(folder: Path, data: Path, process: list) -> Run:
    shutil.rmtree(folder / "run", ignore_errors=True)
    path = recipe(folder, data, process)
    command = [sys.executable, "-m", "fovea", "synth.clean", "--config", str(path)]
    command += ["--run", str(folder / "run"), "--no-reuse", "-q"]
    return Run(command, "run/stages/clean-*/out/dataset/res.jsonl", folder)


def theirs(folder: Path, data: Path, process: list, reference: str) -> Run:
    shutil.rmtree(folder / "theirs", ignore_errors=True)
    command = [reference, "--config", str(recipe(folder, data, process))]
    return Run(command, "theirs/**/out.jsonl", folder)


def compared(name: str, folder: Path, data: Path, process: list, reference: str | None) -> dict:
    runs = {"fovea": ours(folder, data, process)}
    if reference:
        runs["py-data-juicer"] = theirs(folder, data, process, reference)
    row = {
        "what": name,
        "operators": len(process),
        "cpu_s": {who: round(run.cpu_s, 2) for who, run in runs.items()},
        "wall_s": {who: round(run.wall_s, 2) for who, run in runs.items()},
        "peak_mb": {who: round(run.peak_mb) for who, run in runs.items()},
        "kept": {who: run.kept for who, run in runs.items()},
    }
    if reference:
        row["times_ours"] = round(runs["py-data-juicer"].cpu_s / runs["fovea"].cpu_s, 2)
    print(json.dumps(row))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+",
                        choices=["captions", "images", "startup", "memory", "million"])  # fmt: skip
    parser.add_argument("--reference", help="dj-process of an environment with py-data-juicer")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write the record there")
    words = parser.parse_args()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory(prefix="synth-bench-") as name:
        folder = Path(name)
        warm = captions(folder / "warm.jsonl", 10)
        compared("warm-up, not counted", folder, warm, TEXT, words.reference)
        if "startup" in words.parts:
            data = captions(folder / "one.jsonl", 10)
            rows.append(compared("start-up, 10 rows", folder, data, TEXT[:1], words.reference))
        if "captions" in words.parts:
            data = captions(folder / "captions.jsonl", words.rows)
            rows.append(compared(f"{words.rows} captions", folder, data, TEXT, words.reference))
        if "images" in words.parts:
            data = pictures(folder, words.images)
            rows.append(compared(f"{words.images} images", folder, data, GEOMETRY, words.reference))
        if "memory" in words.parts:
            for count in (50_000, 100_000, 200_000, 400_000):
                data = captions(folder / f"{count}.jsonl", count)
                rows.append(compared(f"memory, {count} captions", folder, data, TEXT, None))
        if "million" in words.parts:
            data = captions(folder / "million.jsonl", 1_000_000)
            dedup = [*TEXT, {"document_deduplicator": None}]
            rows.append(compared("1000000 captions, deduplicated", folder, data, dedup, None))
    write_record(words.json, "synth/beside_data_juicer", rows)


if __name__ == "__main__":
    main()
