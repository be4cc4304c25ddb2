"""How much time and memory a photograph costs, beside the public SHARP predictor.

    python benchmarks/speed/photo.py --weights FILE --picture FILE \
        --reference SRC --reference-python PYTHON --json benchmarks/results/photo-MACHINE.json

`--reference` is the `src` folder of a checkout of apple/ml-sharp, `--reference-python` a Python
that runs it; nothing of it is part of this project. `--weights` is the public checkpoint, or one
that `filled_checkpoint.py` wrote, which costs the same. `--onnx` takes folders of photo.export.

Each row is a process of its own, one after another, with the same number of threads and the same
passive waiting (a spinning thread would count its idling as work on a busy machine): CPU and wall
seconds of its parts, of the whole process, and the most memory it held. Then the scenes are drawn
from the photograph's place and from a step to the side, and held against the reference's and
against our own float32: PSNR of the sRGB pictures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from record import write_record

from fovea.metrics.image import psnr
from fovea.photo.engine import load_predictor
from fovea.photo.photograph import PhotographConfig, read_photograph
from fovea.photo.settings.engine import EngineConfig
from fovea.photo.sharp_ply import read_sharp_ply, write_sharp_ply
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.rasterize import rasterize

HERE = Path(__file__).parent
PRECISIONS = ("float32", "bfloat16", "int8")
STEP = 0.05
"""How far to the side the second view stands, as a part of the median depth."""
Row = dict[str, Any]


def one(options: argparse.Namespace) -> Row:
    """What a child does: one prediction, in parts."""
    torch.set_num_threads(options.threads)
    parts: dict[str, dict[str, float]] = {}
    before = time.process_time(), time.perf_counter()

    def part(name: str) -> None:
        nonlocal before
        now = time.process_time(), time.perf_counter()
        parts[name] = {"cpu_s": now[0] - before[0], "wall_s": now[1] - before[1]}
        before = now

    photograph = read_photograph(options.picture, PhotographConfig(mode="reference"))
    settings = EngineConfig(weights=str(options.weights), precision=options.one)
    predictor = load_predictor(settings)
    part("load")

    def watch(done: int, total: int) -> None:
        if done == total:
            part("network")

    found = predictor.predict(photograph, watch=watch)
    part("after")
    path = options.folder / "ours.ply"
    write_sharp_ply(
        path,
        found.gaussians,
        focal_px=photograph.focal_px,
        height=photograph.height,
        width=photograph.width,
    )
    part("write")
    return {"parts": parts, "scene": str(path), "predictor": predictor.name}


def measured(command: list[str], folder: Path, threads: int, **variables: str) -> Row:
    """Run a child and note what it says and what the system says of it."""
    folder.mkdir(parents=True)
    quiet = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    start = time.perf_counter()
    with (folder / "said").open("wb") as said, (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            command, stdout=said, stderr=log, env=os.environ | quiet | variables
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(folder / 'log').read_text()[-3000:]}")
    row = json.loads((folder / "said").read_text().splitlines()[-1])
    return row | {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.perf_counter() - start,
        "peak_gib": usage.ru_maxrss / 2**20,
    }


def views(path: Path) -> list[torch.Tensor]:
    """The scene from the photograph's place and from a step to the right of it, sRGB."""
    scene = read_sharp_ply(path)
    gaussians, camera = scene.gaussians, scene.camera()
    assert gaussians.color_space == "linear", "the reader gives linear colours"
    aside = torch.eye(4)
    aside[0, 3] = -STEP * float(gaussians.means[:, 2].median())
    moved = Camera(aside, camera.intrinsics, height=camera.height, width=camera.width)
    with torch.no_grad():
        return [
            linear_to_srgb(rasterize(gaussians, view).features.clamp(0, 1))
            for view in (camera, moved)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--reference", type=Path, help="src of a checkout of apple/ml-sharp")
    parser.add_argument("--reference-python", type=Path)
    parser.add_argument("--onnx", type=Path, nargs="*", default=[], help="folders of photo.export")
    parser.add_argument("--precisions", nargs="*", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(one(options)) + "\n")
        return
    with tempfile.TemporaryDirectory() as scratch:
        rows: list[Row] = []
        for row in all_rows(options, Path(scratch)):
            rows.append(row)
            show(row)
            record(options, rows)
        compare(rows)
    for row in rows:
        show(row)
    record(options, rows)


def record(options: argparse.Namespace, rows: list[Row]) -> None:
    """Write what is known so far; a run takes long, and its first rows count by themselves."""
    kept = [{name: value for name, value in row.items() if name != "scene"} for row in rows]
    noted = {"threads": options.threads}
    write_record(options.json, "speed/photo", kept, noted=noted, picture=options.picture.name)


def all_rows(options: argparse.Namespace, scratch: Path) -> Iterator[Row]:
    """A row for the reference and for each of our engines, measured when asked for."""
    if options.reference:
        command = [
            *(str(options.reference_python), str(HERE / "photo_reference.py")),
            *(str(options.weights), str(options.picture), str(scratch / "reference")),
            str(options.threads),
        ]
        found = measured(
            command, scratch / "reference", options.threads, PYTHONPATH=str(options.reference)
        )
        yield {"name": "reference"} | found
    wanted = [(f"torch {each}", options.weights, each) for each in options.precisions]
    wanted += [(f"onnx {folder.name}", folder, "auto") for folder in options.onnx]
    for name, weights, precision in wanted:
        folder = scratch / name.replace(" ", "-")
        command = [sys.executable, __file__, "--one", precision, "--folder", str(folder)]
        command += ["--weights", str(weights), "--picture", str(options.picture)]
        command += ["--threads", str(options.threads)]
        yield {"name": name} | measured(command, folder, options.threads)


def compare(rows: list[Row]) -> None:
    """Add to each row how its pictures differ from the reference's and from our float32."""
    drawn = {row["name"]: views(Path(row["scene"])) for row in rows}
    for row in rows:
        for name, judge in (("reference", "reference"), ("float32", "torch float32")):
            if judge in drawn and row["name"] not in (judge, "reference"):
                pairs = zip(drawn[row["name"]], drawn[judge], strict=True)
                row[f"psnr_to_{name}_db"] = [float(psnr(a, b)) for a, b in pairs]


def show(row: Row) -> None:
    parts = "  ".join(f"{name} {part['cpu_s']:.2f}" for name, part in row["parts"].items())
    apart = "  ".join(
        f"{key[:-3]} {' '.join(f'{value:.1f}' for value in row[key])}"
        for key in ("psnr_to_reference_db", "psnr_to_float32_db")
        if key in row
    )
    print(
        f"{row['name']:18s} CPU {row['cpu_s']:7.1f} s  wall {row['wall_s']:7.1f} s  peak "
        f"{row['peak_gib']:5.2f} GiB  |  {parts}  |  {apart}",
        flush=True,
    )


if __name__ == "__main__":
    main()
