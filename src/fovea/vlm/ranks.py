"""One process of several that work together: `torchrun --nproc-per-node 4 -m fovea.vlm.ranks`.

    torchrun --nproc-per-node 4 -m fovea.vlm.ranks vlm.finetune FOLDER model=... data=... batch=128
    torchrun --nproc-per-node 4 -m fovea.vlm.ranks vlm.evaluate FOLDER model=... questions=...

do what `fovea vlm finetune` and `fovea vlm evaluate` do, on four GPUs of a machine, with the
settings of their command lines. Process 0 writes into FOLDER; the same command goes on from the
last checkpoint, or the last answer. Without GPUs the processes share the processor.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from fovea import console
from fovea.config import resolve
from fovea.errors import ConfigError, FoveaError
from fovea.runs.recipe import find_stage
from fovea.runs.stage import Context, Event
from fovea.vlm.chunks import Share, evaluate_chunk
from fovea.vlm.settings.evaluate import EvaluateConfig

STAGES = ("vlm.pretrain", "vlm.finetune", "vlm.evaluate")


def main(words: list[str]) -> int:
    """Train or answer, as one of the processes."""
    try:
        _work(words)
    except FoveaError as error:
        console.say(f"{type(error).__name__}: {error}")
        return error.exit_code
    return 0


def _work(words: list[str]) -> None:
    if len(words) < 2 or words[0] not in STAGES:
        raise ConfigError(
            f"torchrun ... -m fovea.vlm.ranks wants one of {', '.join(STAGES)}, a folder and "
            f"settings; found {' '.join(words[:2]) or 'nothing'}. Give them in this order."
        )
    rank, place = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
    stage = find_stage(words[0])
    config = resolve(stage.config, name=stage.name, arguments=words[2:]).config
    main_folder = Path(words[1])
    shares_out = isinstance(config, EvaluateConfig)
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGTERM, ask)
    context = Context.local(
        stage,
        config,
        main_folder if rank == 0 or shares_out else main_folder / "ranks" / str(rank),
        device=f"cuda:{place}" if torch.cuda.is_available() else "cpu",
        emit=_said if rank == 0 else _silent,
        asked_to_stop=lambda: bool(asked),
    )
    if shares_out:
        share = Share(rank, int(os.environ.get("WORLD_SIZE", "1")))
        for name, value in evaluate_chunk(config, context, share).items():
            console.say(f"{name} {value:.6g}")
        return
    # Every process reads the checkpoints of the first.
    context.checkpoints.folder = main_folder / "ckpt"
    stage.load()(config, context)


def _said(event: Event) -> None:
    if event["kind"] == "metric":
        shown: dict[str, Any] = event["metrics"]
        told = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
        console.say(f"step {event['step']}: {told}")
    elif event["kind"] == "log":
        console.say(str(event["message"]))


def _silent(event: Event) -> None:
    del event


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main(sys.argv[1:]))
