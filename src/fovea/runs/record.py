"""What is written down of a stage in a run: `stage.json`, and the folder it stands in.

stages/fit-9c1e52aa/
  stage.json     this record; `done` is written last, when all else is on the disk
  config.yaml    the settings it ran with
  metrics.jsonl  its numbers; the truth from which any tracker can be made again
  console.log    what it and its libraries printed; begun anew when large, then also console.log.old
  ckpt/          from where it can go on
  out/           its outputs: absent or complete
  tmp/           outputs in the making
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fovea.runs.durable import write_json

SCHEMA = 1
FINISHED = ("done", "failed", "cancelled", "interrupted", "skipped")


@functools.cache
def package_version() -> str:
    """The version of this package."""
    return importlib.metadata.version("fovea-vision")


@dataclass
class OutputFile:
    """One artifact that was made."""

    kind: str
    path: str
    """Relative to the stage's folder."""
    size: int
    sha256: str


@dataclass
class Failure:
    """Why a stage did not finish."""

    code: str
    """`oom`, `disk`, `killed`, `crash`, `stopped`, or that of the FoveaError."""
    message: str
    tail: str = ""
    """The last lines it printed."""


@dataclass
class StageRecord:
    """The manifest of one stage."""

    key: str
    use: str
    fingerprint: str
    identity: dict[str, Any]
    """What the fingerprint is the digest of; kept to say what changed."""
    version: int = 1
    package: str = field(default_factory=package_version)
    state: str = "pending"
    attempt: int = 0
    device: str = ""
    deterministic: bool = False
    """Whether it may only use operations that give the same numbers each time."""
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    """Time at work, over all attempts."""
    host: str = ""
    pid: int = 0
    boot_id: str = ""
    token: str = ""
    error: Failure | None = None
    problems: list[str] = field(default_factory=list[str])
    """What a stage that is done could not do, a sentence each."""
    outputs: dict[str, OutputFile] = field(default_factory=dict[str, OutputFile])
    scores: dict[str, float] = field(default_factory=dict[str, float])
    peak: dict[str, float] = field(default_factory=dict[str, float])
    """`rss_mb`, and `gpu_mb` on a GPU."""
    reused_from: str = ""
    """The folder of the run that first made these outputs."""

    @classmethod
    def read(cls, folder: Path) -> StageRecord | None:
        """The record in a stage's folder, or None where there is none."""
        path = folder / "stage.json"
        if not path.is_file():
            return None
        written = json.loads(path.read_text(encoding="utf-8"))
        data = {item.name: written[item.name] for item in fields(cls) if item.name in written}
        data["error"] = Failure(**data["error"]) if data["error"] else None
        data["outputs"] = {name: OutputFile(**made) for name, made in data["outputs"].items()}
        return cls(**data)

    def write(self, folder: Path) -> None:
        """Put it in the stage's folder, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        what = f"the record of stage '{self.key}'"
        write_json(folder / "stage.json", {"schema": SCHEMA} | asdict(self), what=what)

    def is_whole(self, folder: Path) -> bool:
        """Whether the stage is done and its outputs are all there, by their sizes."""
        return self.state == "done" and all(
            size_of(folder / made.path) == made.size for made in self.outputs.values()
        )


def folder_name(key: str, fingerprint: str) -> str:
    """The name of a stage's folder: `film[path=orbit]` gives `film-path-orbit-9c1e52aa`."""
    words = "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in key)
    return f"{words.strip('-')[:80]}-{fingerprint[:8]}"


def output_paths(folder: Path, record: StageRecord) -> Mapping[str, Path]:
    """Where the outputs of a finished stage are."""
    return {name: folder / made.path for name, made in record.outputs.items()}


def size_of(path: Path) -> int:
    """Bytes in a file, or in all files of a folder; -1 where nothing is."""
    if path.is_dir():
        return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
    return path.stat().st_size if path.is_file() else -1
