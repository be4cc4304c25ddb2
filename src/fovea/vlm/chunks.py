"""A benchmark's questions answered by several processes, a chunk each.

Chunks are consecutive questions, `ceil(questions / chunks)` in each but the last, and their answers
stand in `{chunks}_{number}.jsonl`, as LLaVA's and MGM's scripts cut and name them. A process that
was ended goes on in its own chunk; the first one puts all answers together and scores them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from fovea.errors import ConfigError
from fovea.runs.durable import write_text
from fovea.runs.fingerprint import digest, settings_that_count
from fovea.runs.stage import Context
from fovea.vlm.evaluate import asked, concluded, items_of, model_name
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.tasks.item import read_answers

LOOK_EVERY_S = 0.5

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """Which of how many processes this one is."""

    number: int
    of: int


def split(items: Sequence[T], chunks: int) -> list[Sequence[T]]:
    """Consecutive items, equally many in each chunk but the last; fewer chunks where few items."""
    size = -(-len(items) // chunks)
    return [items[start : start + size] for start in range(0, len(items), max(1, size))]


def evaluate_chunk(config: EvaluateConfig, context: Context, share: Share) -> dict[str, float]:
    """Answer this process's chunk; the first process waits for the others, and scores.

    Args:
        config: the same in all processes.
        context: of the first process's folder, in all of them.
        share: of this process.

    Returns:
        The first process's scores; nothing from the others.

    Raises:
        ConfigError: answers are given, of which there is nothing to share out.
    """
    if config.answers is not None:
        raise ConfigError(
            f"several processes share out the asking; answers={config.answers} are there already. "
            "Score them with one: fovea vlm evaluate."
        )
    folder = context.folder / "chunks" / _identity(config)
    own = folder / f"{share.of}_{share.number}"
    at_own = replace(context, folder=own)
    items = items_of(config, at_own)
    pieces = split(items, share.of)
    if share.number < len(pieces):
        piece = pieces[share.number]
        answers = asked(config, at_own, piece, own / "answers.jsonl")
        lines = [answer.line(model_name(config)) for answer in answers]
        write_text(_file(folder, share.number, share.of), "\n".join(lines) + "\n")
    if share.number > 0:
        return {}
    files = [_file(folder, number, share.of) for number in range(len(pieces))]
    while not all(file.is_file() for file in files):
        if context.should_stop():
            context.stop()
        time.sleep(LOOK_EVERY_S)
    answers = [answer for file in files for answer in read_answers(file)]
    return concluded(config, context, items, answers, folder)


def _identity(config: EvaluateConfig) -> str:
    """Of the settings, and of when what they name was written: a new model is asked anew."""
    named = [path for path in (config.model, config.questions, config.prompts) if path]
    files = [inner for path in named for inner in (path, *sorted(path.rglob("*")))]
    written = [file.stat().st_mtime_ns for file in files if file.is_file()]
    return digest(settings_that_count(config) | {"written": written})[:8]


def _file(folder: Path, number: int, of: int) -> Path:
    return folder / f"{of}_{number}.jsonl"
