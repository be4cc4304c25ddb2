"""Stages of another package, found through its entry points: by the service and by its jobs."""

import json
import subprocess
import sys
import time
from pathlib import Path

from fovea.config import Config, artifact, setting
from fovea.errors import DataError
from fovea.runs.stage import Context, Output, Stage


class PaceConfig(Config):
    pause_s: float = setting(0.0, "how long a step takes in s", ge=0, in_fingerprint=False)


class CountConfig(Config):
    steps: int = setting(5, "how many steps", ge=1)
    start: Path | None = artifact("file", "a file whose size is added", optional=True)
    photographs: Path | None = artifact("folder", "a folder whose files are added", optional=True)
    label: str = setting("", "written into the result")
    command: str = setting("", "a command of the machine", local_only=True)
    fails: bool = setting(False, "whether it fails")
    pace: PaceConfig = setting(PaceConfig(), "how fast it goes")


def count(config: CountConfig, context: Context) -> dict[str, float]:
    """Count steps, with a checkpoint at each."""
    latest = context.checkpoints.latest()
    first = latest[0] if latest else 0
    hurry = context.folder.parent.parent / "hurry"  # a test makes it to have the pauses end
    for step in range(first + 1, config.steps + 1):
        time.sleep(0 if hurry.exists() else config.pace.pause_s)
        context.log(step, {"train/value": step})
        context.progress(step, config.steps, "steps")
        context.checkpoints.save(step, lambda folder: None)
        if context.should_stop() and step < config.steps:
            context.stop()
    if config.fails:
        raise DataError("the toy was told to fail. Tell it not to.")
    total = config.steps
    total += config.start.stat().st_size if config.start else 0
    total += len(list(config.photographs.iterdir())) if config.photographs else 0
    text = json.dumps({"value": total, "label": config.label, "from": first})
    context.output("number").write_text(text)
    return {"value": float(total)}


class FamilyConfig(Config):
    children: int = setting(2, "processes it starts", ge=0)


def family(config: FamilyConfig, context: Context) -> dict[str, float]:
    """Start processes in sessions of their own, then be deaf to all requests to stop."""
    for _ in range(config.children):
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True
        )
    context.progress(1, 2, "steps")
    time.sleep(120)
    return {}


COUNT = Stage(
    name="toy.count",
    summary="count steps",
    config=CountConfig,
    implementation="service_toys:count",
    outputs={"number": Output("file", "number.json", "the number")},
    resumable="checkpoint",
    metrics={"value": "max"},
)
FAMILY = Stage(
    name="toy.family",
    summary="start processes that do not end",
    config=FamilyConfig,
    implementation="service_toys:family",
    outputs={"number": Output("file", "number.json", "never made")},
)
