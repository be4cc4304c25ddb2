"""What a run would do with each stage, and why, before it does anything.

reuse     this run has finished it with the same fingerprint
link      another run has; its outputs are linked into this one
resume    this run began it with the same fingerprint; it goes on from its checkpoint
run       it is done from the start
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fovea.runs.cache import Cache
from fovea.runs.fingerprint import Identity, differences, digest, identity
from fovea.runs.recipe import Recipe, Step
from fovea.runs.record import StageRecord, folder_name, package_version
from fovea.runs.stage import Checkpoints

Action = Literal["reuse", "link", "resume", "run"]


@dataclass
class PlannedStage:
    """What is to be done with one stage."""

    step: Step
    identity: Identity
    fingerprint: str
    folder: Path
    action: Action
    why: str
    from_step: int | None = None
    source: Path | None = None
    """The folder of another run's stage whose outputs are linked."""
    notes: list[str] = field(default_factory=list[str])

    @property
    def outputs(self) -> dict[str, Path]:
        """Where each declared output stands, or will stand."""
        made = self.step.stage.outputs.items()
        return {name: self.folder / "out" / output.path for name, output in made}


def plan(
    recipe: Recipe,
    folder: Path,
    cache: Cache,
    *,
    reuse: bool = True,
    before: Path | None = None,
) -> list[PlannedStage]:
    """Say for each stage what the run in `folder` would do, changing nothing.

    `before` is an earlier run of the recipe, to say what has changed since.
    """
    planned: list[PlannedStage] = []
    fingerprints: dict[str, str] = {}
    for step in recipe.steps:
        what = identity(step, fingerprints, cache)
        fingerprints[step.key] = digest(what)
        planned.append(_decide(step, what, fingerprints[step.key], folder, cache, reuse=reuse))
        if planned[-1].action == "run" and not planned[-1].why:
            planned[-1].why = _why_anew(step, what, [folder, *([before] if before else [])])
    return planned


def _decide(
    step: Step, what: Identity, fingerprint: str, run_folder: Path, cache: Cache, *, reuse: bool
) -> PlannedStage:
    folder = run_folder / "stages" / folder_name(step.key, fingerprint)
    record = StageRecord.read(folder)
    base = PlannedStage(step, what, fingerprint, folder, "run", "")
    if record and record.is_whole(folder):
        base.action, base.why = "reuse", "done before with the same settings and inputs"
        base.notes = _package_note(record)
        return base
    source = _elsewhere(fingerprint, folder, cache) if reuse and not record else None
    if source:
        made = StageRecord.read(source)
        base.action, base.source = "link", source
        base.why = f"done in {source.parent.parent.name} with the same settings and inputs"
        base.notes = _package_note(made) if made else []
        return base
    if record:
        return _again(base, record)
    return base


def _again(base: PlannedStage, record: StageRecord) -> PlannedStage:
    latest = Checkpoints(base.folder / "ckpt").latest()
    base.from_step = latest[0] if latest else None
    base.notes = _package_note(record)
    if record.state == "done":
        base.why = "its outputs are gone or were changed"
    else:
        base.why = f"{_ended(record)} in attempt {record.attempt}"
    has_items = base.step.stage.resumable == "items" and record.state != "done"
    if latest or (has_items and record.attempt > 0):
        base.action = "resume"
    return base


def _ended(record: StageRecord) -> str:
    if record.state == "failed" and record.error:
        return f"failed ({record.error.code})"
    return {"pending": "was never begun", "running": "was killed"}.get(
        record.state, f"was {record.state}"
    )


def _why_anew(step: Step, what: Identity, run_folders: list[Path]) -> str:
    earlier = [record for folder in run_folders for record in _same_key(step.key, folder)]
    if not earlier:
        return "not done yet"
    newest = max(earlier, key=lambda record: record.started or 0)
    changes = differences(newest.identity, what)
    if not changes:
        return "nothing is to be reused"
    more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
    return f"changed: {', '.join(changes[:4])}{more}"


def _same_key(key: str, run_folder: Path) -> Iterator[StageRecord]:
    for path in (run_folder / "stages").glob("*/stage.json"):
        record = StageRecord.read(path.parent)
        if record and record.key == key:
            yield record


def _elsewhere(fingerprint: str, folder: Path, cache: Cache) -> Path | None:
    for found in cache.finished(fingerprint):
        record = StageRecord.read(found)
        same = record is not None and record.fingerprint == fingerprint
        if found != folder.absolute() and record and same and record.is_whole(found):
            return found
    return None


def _package_note(record: StageRecord) -> list[str]:
    if record.package == package_version():
        return []
    return [f"made by fovea {record.package}, this is {package_version()}"]
