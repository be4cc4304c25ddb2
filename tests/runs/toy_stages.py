"""Small stages with checkpoints and items, for runs of real child processes.

Each adds up numbers that depend on every step before, so that a resumed run that lost or repeated a
step ends with another result.
"""

import json
import os
import time
from pathlib import Path
from typing import Literal

from fovea.config import Config, artifact, setting
from fovea.errors import DataError
from fovea.runs.stage import Context, Output, Stage


class CountConfig(Config):
    steps: int = setting(20, "how many steps", ge=1)
    seed: int = setting(0, "of the random numbers")
    rate: float = setting(0.1, "how far each step goes", gt=0)
    pause_s: float = setting(0.0, "how long a step takes", in_fingerprint=False)
    every: int = setting(5, "steps between checkpoints", in_fingerprint=False)
    start: Path | None = artifact("file", "a number to start from", optional=True)


def count(config: CountConfig, context: Context) -> dict[str, float]:
    """A number driven by random steps, with its generator in the checkpoint."""
    rng = context.rng("steps")
    value = json.loads(config.start.read_text())["value"] if config.start else 1.0
    first = 0
    if latest := context.checkpoints.latest():
        first, folder = latest
        saved = json.loads((folder / "state.json").read_text())
        value, rng.bit_generator.state = saved["value"], saved["rng"]
        context.resumed(first)

    def save(folder: Path) -> None:
        state = {"value": value, "rng": rng.bit_generator.state}
        (folder / "state.json").write_text(json.dumps(state))

    for step in range(first + 1, config.steps + 1):
        value = value * (1 + config.rate * rng.standard_normal()) + config.rate
        time.sleep(config.pause_s)
        context.log(step, {"train/value": value})
        context.progress(step, config.steps, "steps", value=value)
        is_stopping = context.should_stop()
        if step % config.every == 0 or is_stopping:
            context.checkpoints.save(step, save)
        if is_stopping and step < config.steps:
            context.stop()
    context.output("number").write_text(json.dumps({"value": value}))
    return {"value": value}


class ListConfig(Config):
    number: Path = artifact("file", "what to spread out")
    items: int = setting(8, "how many files", ge=1)
    pause_s: float = setting(0.0, "how long an item takes", in_fingerprint=False)


def spread(config: ListConfig, context: Context) -> dict[str, float]:
    """A folder of files, one an item."""
    value = json.loads(config.number.read_text())["value"]
    folder = context.output("files")
    folder.mkdir(exist_ok=True)
    for key in context.each([f"{n:02d}" for n in range(config.items)]):
        time.sleep(config.pause_s)
        (folder / f"{key}.txt").write_text(f"{value * int(key)!r}\n")
    return {"files": float(len(list(folder.iterdir())))}


class BreakConfig(Config):
    how: Literal["data", "bug", "memory", "disk", "kill", "deaf", "nothing", "exit", "chance"] = (
        setting("data", "the way it fails")
    )


def break_down(config: BreakConfig, context: Context) -> dict[str, float]:
    """Fail in one of the ways that stages fail."""
    if config.how == "data":
        raise DataError("photo.png is text, and an image was wanted. Give an image.")
    if config.how == "bug":
        return {"never": 1 / 0}
    if config.how == "memory":
        raise MemoryError
    if config.how == "disk":
        raise OSError(28, "No space left on device", str(context.output("number")))
    if config.how == "kill":
        os.kill(os.getpid(), 9)
    if config.how == "exit":
        os._exit(7)
    if config.how == "chance":
        import torch

        # What is put into one place twice depends on who comes last.
        torch.zeros(2).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    if config.how == "deaf":
        context.note("asleep")
        time.sleep(60)
    return {}


NUMBER = {"number": Output("file", "number.json", "the number")}
COUNT = Stage(
    name="toy.count",
    summary="Count.",
    config=CountConfig,
    implementation="toy_stages:count",
    outputs=NUMBER,
    resumable="checkpoint",
    metrics={"value": "max"},
)
SPREAD = Stage(
    name="toy.spread",
    summary="Spread.",
    config=ListConfig,
    implementation="toy_stages:spread",
    outputs={"files": Output("folder", "files", "the files")},
    resumable="items",
)
BREAK = Stage(
    name="toy.break",
    summary="Break.",
    config=BreakConfig,
    implementation="toy_stages:break_down",
    outputs=NUMBER,
)


class PartConfig(Config):
    bad: int = setting(2, "how many items cannot be done", ge=0)


def do_part(config: PartConfig, context: Context) -> dict[str, float]:
    """Make an output, and say what could not be done."""
    context.output("number").write_text(json.dumps({"value": 1.0}))
    context.partly([f"item {n} is broken. Mend it." for n in range(config.bad)])
    return {"value": 1.0}


PART = Stage(
    name="toy.part",
    summary="Do a part.",
    config=PartConfig,
    implementation="toy_stages:do_part",
    outputs=NUMBER,
)


class SumConfig(Config):
    numbers: tuple[Path, ...] = artifact("file", "numbers to add up")


def add_up(config: SumConfig, context: Context) -> dict[str, float]:
    """The sum of several inputs of one kind."""
    total = sum(json.loads(path.read_text())["value"] for path in config.numbers)
    context.output("number").write_text(json.dumps({"value": total}))
    return {"value": total}


SUM = Stage(
    name="toy.sum",
    summary="adds numbers up",
    config=SumConfig,
    implementation="toy_stages:add_up",
    outputs={"number": Output("file", "number.json", "the sum")},
)
