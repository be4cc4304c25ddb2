"""All benchmarks that need nothing but this repository, one after the other, a line each.

    python benchmarks/run.py                 all of them; wants a quiet machine, and some 40 minutes
    python benchmarks/run.py tuning load     those whose names have one of these words
    python benchmarks/run.py --list          what there is, and what the others need

What each of them says stands in a file of its own under `runs/bench`, and beside it the record
where it makes one. Several stand beside a peer when they are given a folder of it: see their heads.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DATA = Path(os.environ.get("FOVEA_DATA", HERE.parent.parent / "shared" / "data"))


@dataclass(frozen=True)
class Benchmark:
    """A command, and what it is about."""

    what: str
    words: tuple[str, ...]
    record: str = "--json"
    """The option that names the file of its record; empty where there is none."""
    data: str = ""
    """Real data that it reads, below the folder of data."""
    programs: tuple[str, ...] = ()
    """Servers that it starts."""

    @property
    def name(self) -> str:
        """Of its files: `speed-tuning`, `service-load-shared`."""
        path, *rest = self.words
        named = [*Path(path).with_suffix("").parts, *(word.strip("-") for word in rest)]
        return "-".join(named)

    def lacks(self) -> str:
        """What it needs and is not here; empty where nothing is."""
        if self.data and not (DATA / self.data).exists():
            return f"{DATA / self.data}, real data"
        missing = [one for one in self.programs if _program(one) is None]
        return f"the program {missing[0]}" if missing else ""


ALONE = (
    Benchmark("the CPU rasteriser", ("speed/rasterize.py",), data="multiview/garden_3views.npz"),
    Benchmark("a step of relight.fit", ("speed/fit_step.py",), record=""),
    Benchmark("SSIM and its gradient", ("speed/ssim.py",), record=""),
    Benchmark("a scene after SHARP's network", ("speed/photo_scene.py",)),
    Benchmark("recordings decoded", ("speed/decode.py",)),
    Benchmark("events into histograms", ("speed/histogram.py",)),
    Benchmark("batches of a training", ("speed/sampling.py",)),
    Benchmark("scenes seen by an event camera", ("speed/simulate.py",)),
    Benchmark("the detector", ("speed/detector.py",)),
    Benchmark("boxes scored", ("speed/coco.py",)),
    Benchmark("labels filtered by tracks", ("speed/tracker.py",)),
    Benchmark("captions cleaned", ("synth/beside_data_juicer.py", "captions", "startup")),
    Benchmark("a trial beside plain Optuna", ("speed/tuning.py",), record="--out"),
    Benchmark("100 kills in a study", ("speed/tuning_kill.py",), record="--out"),
    Benchmark("200 uploads, nothing killed", ("service/load.py", "--no-kill"), record="--out"),
    Benchmark("200 uploads, the service killed", ("service/load.py",), record="--out"),
    Benchmark(
        "200 uploads, several machines, two kills",
        ("service/load.py", "--shared"),
        record="--out",
        programs=("redis-server", "postgres"),
    ),
)
WITH_ARGUMENTS = {
    "service/beside_mlsharp.py FOLDER": "a checkout of MLSharp-3D-Maker",
    "speed/photo.py --weights FILE --picture FILE": "a checkpoint of SHARP's form, a photograph",
    "quality/formats.py SCENE.ply": "a scene",
    "quality/gltf.py OBJECT.glb CAPTURE": "an exported object, and Blender's bpy",
    "quality/occlusion.py SURFACE.ply OCCLUSION.npz": "what relight.bake made",
    "quality/thinning.py FOLDER": "a photograph with its depth",
    "synth/beside_data_juicer.py images memory million --reference DJ": "py-data-juicer",
    "lite/score.py --data DATA": "real stereo pairs",
}


def main() -> int:
    """Run them, and say how each of them ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("only", nargs="*", help="words of names")
    parser.add_argument("--list", action="store_true", help="say what there is, run nothing")
    parser.add_argument("--into", type=Path, default=Path("runs/bench"))
    asked = parser.parse_args()
    chosen = [one for one in ALONE if not asked.only or any(w in one.name for w in asked.only)]
    failed = 0
    for one in chosen:
        ended = "" if asked.list else _run(one, asked.into)
        failed += ended.startswith("failed")
        _say(one.name, ended or one.what)
    if asked.list or not asked.only:
        _say("", "")
        for words, needed in WITH_ARGUMENTS.items():
            _say(words, f"needs {needed}")
    return 1 if failed else 0


def _run(one: Benchmark, into: Path) -> str:
    """How it ended, in a few words."""
    if lack := one.lacks():
        return f"left out: it needs {lack}"
    into.mkdir(parents=True, exist_ok=True)
    console = (into / f"{one.name}.txt").absolute()
    path, *rest = one.words
    record = [one.record, str(console.with_suffix(".json"))] if one.record else []
    began = time.monotonic()
    with console.open("wb") as output:
        done = subprocess.run(
            [sys.executable, str(HERE / path), *rest, *record],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    how = "done" if done.returncode == 0 else f"failed with {done.returncode}"
    return f"{how} in {time.monotonic() - began:.0f} s: {one.what}, {os.path.relpath(console)}"


def _program(name: str) -> str | None:
    """Where a program is; Debian keeps PostgreSQL's out of the way."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(beside[-1]) if beside else None)


def _say(left: str, right: str) -> None:
    sys.stdout.write(f"{left:<44} {right}\n".rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
