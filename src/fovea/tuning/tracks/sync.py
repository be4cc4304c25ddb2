"""Telling the trackers of a study what they have missed: `fovea track sync`.

Each trial is told from its own metrics.jsonl, as one whole record: pieces of records, as a broken
network or a killed process leaves them, are never joined. What was told is noted in the trial's
folder and not told again, unless the trial has changed since.
"""

from __future__ import annotations

import importlib.util
import json
import netrc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fovea.errors import BackendError, ConfigError
from fovea.tuning.tracks.card import Card, End
from fovea.tuning.tracks.follow import (
    PACKAGES,
    Lines,
    card_of,
    digest_of,
    maker,
    note_told,
    told_of,
)  # fmt: skip
from fovea.tuning.tracks.settings import TRACKERS, Track, WandbTrack

if TYPE_CHECKING:
    from fovea.tuning.plan import Plan
    from fovea.tuning.study import Study


def sync(study: Study, plan: Plan, name: str, *, online: bool = False, anew: bool = False) -> int:
    """Tell one tracker every trial that it has not whole; says how many it was told.

    Args:
        study: whose trials.
        plan: its study file, checked.
        name: of the tracker.
        online: send to Weights & Biases, where its records are only files otherwise.
        anew: also what it was told before.

    Raises:
        ConfigError: there is no such tracker.
        BackendError: its package, or the key to an account, is missing.
    """
    track, mark = _track(plan.file.track, name, online=online), name + (" online" * online)
    count = 0
    for record in study.records:
        folder = study.trial_folder(record) if record.folder else None
        if folder is None or not (folder / "result.json").is_file():
            continue
        digest = digest_of(folder)
        if not anew and told_of(folder).get(mark) == digest:
            continue
        about: dict[str, Any] = json.loads((folder / "trial.json").read_text())
        card = card_of(plan, folder, about)
        _tell(card, track, name)
        note_told(card, {mark: digest})
        count += 1
    return count


def _tell(card: Card, track: Track, name: str) -> None:
    result: dict[str, Any] = json.loads((card.folder / "result.json").read_text())
    sink = maker(name, track, card)()
    for point in Lines(card.folder / "metrics.jsonl").new():
        sink.take(point)
    sink.close(End(result["state"], result["values"], result["failure"], result["seconds"]))


def _track(track: Track, name: str, *, online: bool) -> Track:
    """How the study wants the tracker, with W&B's mode as asked."""
    if name not in TRACKERS:
        raise ConfigError(f"'{name}' is not a tracker. Trackers: {', '.join(TRACKERS)}.")
    if importlib.util.find_spec(PACKAGES[name]) is None:
        raise BackendError(
            f"tracking with {name} needs the package {PACKAGES[name]}, which is not there. "
            f"pip install 'fovea-vision[{name}]'."
        )
    if online and name != "wandb":
        raise ConfigError(f"--online is for wandb; {name} writes where the study file says.")
    if online and not has_key():
        raise BackendError(
            "sending to Weights & Biases needs a key, and there is none in WANDB_API_KEY or in "
            "~/.netrc. Run 'wandb login', or leave out --online to write files."
        )
    wanted = (track.wandb or WandbTrack()).model_copy(
        update={"mode": "online" if online else "offline"}
    )
    return track.model_copy(update={"wandb": wanted})


def has_key() -> bool:
    """Whether W&B has a key without asking a person."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return path.is_file() and netrc.netrc(str(path)).authenticators(host) is not None
