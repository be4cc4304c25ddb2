"""The log of a training as the published scripts leave it: a line of loss, rate and epoch a step.

The challenge's submission holds it, and its checker reads the losses, the number of steps and the
last epoch from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fovea.errors import DataError
from fovea.runs.durable import write_text

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)"
_LINE = re.compile(
    rf"\{{'loss': '?(?P<loss>{_NUMBER})'?,.*?'learning_rate': '?(?P<rate>{_NUMBER})'?,"
    rf".*?'epoch': '?(?P<epoch>{_NUMBER})"
)


@dataclass(frozen=True)
class LoggedStep:
    """One line of a log."""

    loss: float
    rate: float
    epoch: float


def write_log(path: Path, losses: Sequence[float], rates: Sequence[float], epochs: float) -> None:
    """Write a line a step."""
    lines = [
        f"{{'loss': {loss:.4f}, 'learning_rate': {rate:.6g}, "
        f"'epoch': {epochs * (number + 1) / len(losses):.4g}}}"
        for number, (loss, rate) in enumerate(zip(losses, rates, strict=True))
    ]
    write_text(path, "\n".join(lines) + "\n")


def read_log(path: Path) -> list[LoggedStep]:
    """The steps of a log, ours or the published scripts'.

    Raises:
        DataError: there is none in it.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    found = [
        LoggedStep(*(float(match[name]) for name in ("loss", "rate", "epoch")))
        for match in _LINE.finditer(text)
    ]
    if not found:
        raise DataError(
            f"a training's log has lines {{'loss': ..., 'learning_rate': ..., 'epoch': ...}}; "
            f"{path} has none. Give the log of vlm.pretrain or vlm.finetune."
        )
    return found
