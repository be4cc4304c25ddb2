"""A stage to tune in tests: its score climbs, step by step, to what its settings deserve."""

import math
import os
import time
from pathlib import Path
from typing import Literal

from fovea.config import Config, setting
from fovea.errors import DataError
from fovea.runs.stage import Context, Output, Stage


class Optimizer(Config):
    kind: Literal["adam", "sgd"] = setting("adam", "rule")
    rate: float = setting(0.1, "step size", gt=0, le=1)
    momentum: float = setting(0.0, "only sgd has one", ge=0, lt=1)


class ToyConfig(Config):
    steps: int = setting(4, "how many", ge=1)
    x: float = setting(0.0, "best at 2", ge=-10, le=10)
    depth: int = setting(3, "best at 3", ge=1, le=8)
    optimizer: Optimizer = setting(Optimizer(), "how it moves")
    fate: Literal["well", "nan", "error", "silent", "memory"] = setting("well", "how it ends")
    pause_s: float = setting(0.0, "rest after each step, in s", ge=0)
    layers: tuple[int, ...] = setting((1, 2), "a list")
    seed: int = setting(0, "of the noise", ge=0)
    noise: float = setting(0.0, "how much its score hangs on the seed", ge=0)


def quality(config: ToyConfig) -> float:
    luck = config.noise * math.sin(config.seed)
    off = (config.x - 2.0) ** 2 + abs(config.depth - 3)
    return luck + 30.0 - off - math.log10(config.optimizer.rate)


def work(config: ToyConfig, context: Context) -> dict[str, float]:
    latest = context.checkpoints.latest()
    first = int((latest[1] / "step").read_text()) if latest else 0
    context.output("pids").write_text(f"{os.getpid()}\n")
    for step in range(first + 1, config.steps + 1):
        if context.should_stop():
            context.stop()
        value = quality(config) * step / config.steps
        if config.fate == "nan" and step >= 2:
            value = math.nan
        if config.fate != "silent":
            context.log(step, {"val/score": value, "train/loss": 1 / step})
        context.checkpoints.save(step, lambda folder, step=step: _write(folder, step))
        context.progress(step, config.steps, "steps")
        time.sleep(config.pause_s)
    if config.fate == "error":
        raise DataError("the toy's data is broken. Mend the toy.")
    if config.fate == "memory":
        raise MemoryError
    if config.fate == "silent":
        return {"other": 1.0}
    return {"val/score": math.nan if config.fate == "nan" else quality(config)}


def _write(folder: Path, step: int) -> None:
    (folder / "step").write_text(str(step))


TOY = Stage(
    name="toy.work",
    summary="climbs to what its settings deserve",
    config=ToyConfig,
    implementation="toy_tuning:work",
    outputs={"pids": Output("file", "pids.txt", "who worked")},
    resumable="checkpoint",
    metrics={"val/score": "max", "train/loss": "min"},
)
