"""A Run: one folder that tells what was done, and from which it can be gone on with.

    runs/2026-03-14_1012_bear-relight_k3f9/
      run.json         the manifest: state, stages, scores, outputs; written whole at each change
      recipe.yaml      the recipe as its author wrote it
      config.yaml      the recipe with everything filled in; it is what `fovea resume` reads
      events.jsonl     what happened, line by line
      env.json         versions, machine, command
      stages/          a folder a stage (`fovea.runs.record`)
      stop.requested   make this file to have the run save and stop

`execute` brings a recipe to its end: what is done is reused, what was interrupted goes on, what
changed is done in a new folder beside the old one. Nothing is ever deleted by it.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fovea.errors import (
    ArtifactError,
    BackendError,
    BusyError,
    ConfigError,
    DataError,
    FoveaError,
    JobError,
    RecipeError,
    StoppedError,
)
from fovea.runs.cache import Cache
from fovea.runs.durable import sweep, write_json, write_text
from fovea.runs.environment import environment
from fovea.runs.events import read_events, read_metrics
from fovea.runs.lock import RunLock, is_held, me
from fovea.runs.plan import PlannedStage, plan
from fovea.runs.recipe import Recipe
from fovea.runs.record import Failure, StageRecord
from fovea.runs.stage import Event

ROOT = Path("runs")
SCHEMA = 1
DONE_IN_PART = 4
"""The exit status when a stage that may fail did, or some of a stage's items could not be done."""
STOP_FILE = "stop.requested"
ERRORS: dict[str, type[FoveaError]] = {
    kind.code: kind
    for kind in (
        ArtifactError,
        BackendError,
        BusyError,
        ConfigError,
        DataError,
        RecipeError,
        StoppedError,
    )
}


@dataclass(frozen=True)
class StageState:
    """One stage as the manifest of its run lists it."""

    key: str
    use: str
    folder: Path
    state: str
    fingerprint: str
    seconds: float
    scores: dict[str, float]
    outputs: dict[str, dict[str, Any]]
    """name -> {kind, path relative to the run's folder, size, sha256}."""
    error: Failure | None = None
    problems: tuple[str, ...] = ()
    """What it could not do although it is done, a sentence each."""
    reused_from: str = ""


class Run:
    """A run's folder, read anew at each question, whoever works in it meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """The run in a folder.

        Raises:
            ArtifactError: there is none.
        """
        folder = Path(folder)
        if not (folder / "run.json").is_file():
            raise ArtifactError(
                f"a run was wanted, and {folder} has no run.json. 'fovea runs ls' lists the runs."
            )
        return cls(folder)

    @property
    def manifest(self) -> dict[str, Any]:
        """What run.json says."""
        return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.manifest["name"]

    @property
    def state(self) -> str:
        """`running`, `done`, `failed`, `cancelled`, or `interrupted`, as if its owner died."""
        said = self.manifest["state"]
        return "interrupted" if said == "running" and not is_held(self.folder) else said

    @property
    def stages(self) -> list[StageState]:
        """The stages in order."""
        return [
            StageState(
                **stage
                | {
                    "folder": self.folder / stage["folder"],
                    "error": Failure(**stage["error"]) if stage["error"] else None,
                    "problems": tuple(stage.get("problems", ())),
                }
            )
            for stage in self.manifest["stages"]
        ]

    def stage(self, key: str) -> StageState:
        """The stage of that key.

        Raises:
            RecipeError: there is none.
        """
        found = {stage.key: stage for stage in self.stages}
        if key not in found:
            raise RecipeError(f"{self.folder} has no stage '{key}'. Stages: {', '.join(found)}.")
        return found[key]

    def outputs(self, key: str) -> dict[str, Path]:
        """Where the outputs of a finished stage are."""
        made = self.stage(key).outputs
        return {name: self.folder / output["path"] for name, output in made.items()}

    def scores(self, key: str) -> dict[str, float]:
        """The final scores of a finished stage."""
        return self.stage(key).scores

    def metrics(self, key: str) -> list[dict[str, Any]]:
        """The curve of a stage: points `{time, step, epoch, metrics}`."""
        return read_metrics(self.stage(key).folder / "metrics.jsonl")

    def events(self, since: int = 0) -> Iterator[Event]:
        """What happened, after the event numbered `since`."""
        return read_events(self.folder / "events.jsonl", since=since)

    @property
    def failures(self) -> list[StageState]:
        """The stages that did not finish, with why."""
        return [stage for stage in self.stages if stage.state == "failed"]

    @property
    def exit_code(self) -> int:
        """0 done, 4 done but for a part, 130 or 143 stopped, else the failure's."""
        manifest, failures = self.manifest, self.failures
        if manifest["state"] == "done":
            return DONE_IN_PART if failures or any(stage.problems for stage in self.stages) else 0
        if manifest["state"] == "failed" and failures and failures[0].error:
            return ERRORS.get(failures[0].error.code, JobError).exit_code
        return {15: 143}.get(manifest.get("signal") or 2, 130)

    def raise_failure(self) -> None:
        """Raise what ended the run, if anything did, as the error it was."""
        if self.state == "failed" and self.failures[0].error:
            failure = self.failures[0].error
            raise ERRORS.get(failure.code, JobError)(failure.message)


def execute(
    recipe: Recipe,
    *,
    root: Path = ROOT,
    folder: Path | None = None,
    new: bool = False,
    reuse: bool = True,
    jobs: int | None = None,
    device: str = "auto",
    isolation: Literal["process", "inline"] = "process",
    deterministic: bool = False,
    track: Sequence[str] = (),
    watch: Callable[[Event], None] = lambda event: None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Bring a recipe to its end, going on with what was begun before.

    Args:
        recipe: what to do.
        root: the folder of runs, in which the newest unfinished run of this recipe goes on.
        folder: the run's own folder, when it is to be a certain one.
        new: start a run of its own in `root`, whatever is there.
        reuse: whether finished stages of other runs may be taken over.
        jobs: how many stages may work at once, 0 one a core; by itself what the recipe says.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        isolation: `process` gives each stage a child process; `inline` works here.
        deterministic: use only operations that give the same numbers each time, and fail at others.
        track: trackers besides metrics.jsonl: `tensorboard`, `wandb`, `mlflow`.
        watch: called with each event, as it is read from the run's log.
        asked_to_stop: asked often; once it says yes, the stages save and the run is interrupted.

    Returns:
        The run, also when a stage failed: see its `state`, `exit_code` and `raise_failure()`.

    Raises:
        BusyError: another process holds the run.
        RecipeError: the folder holds a run of another recipe.
    """
    from fovea.runs import tracking
    from fovea.runs.device import cores
    from fovea.runs.schedule import Orders, Schedule

    tracking.check(track)
    root = folder.absolute().parent if folder else root
    folder = (
        folder or (None if new else unfinished(root, recipe)) or fresh_folder(root, recipe.name)
    )
    with RunLock(folder) as lock:
        _refuse_another(folder, recipe)
        cache = Cache(root)
        planned = plan(recipe, folder, cache, reuse=reuse, before=newest_of(root, recipe.name))
        _begin(folder, recipe)
        tracks = tracking.Tracking(tracking.trackers(track, Run(folder))) if track else None

        def see(event: Event) -> None:
            watch(event)
            if tracks:
                tracks.put(event)

        many = (recipe.jobs if jobs is None else jobs) or cores()
        is_inline = isolation == "inline"
        orders = Orders(many, device, is_inline, deterministic, see, asked_to_stop)

        def save(state: str, records: Mapping[str, StageRecord], number: int | None) -> None:
            listed = [_listed(folder, stage, records[stage.step.key]) for stage in planned]
            _write_manifest(folder, recipe, listed, state, lock.token, number)

        try:
            Schedule(folder, planned, cache, lock.token, orders, save).work()
        finally:
            if tracks:
                tracks.close()
    return Run(folder)


def unfinished(root: Path, recipe: Recipe) -> Path | None:
    """The newest run of this recipe that has not come to its end."""
    found = [
        run.folder
        for run in all_runs(root)
        if (m := run.manifest)["recipe_id"] == recipe.id
        and m["name"] == recipe.name
        and m["state"] not in ("done", "cancelled")
    ]
    return found[-1] if found else None


def newest_of(root: Path, name: str) -> Path | None:
    """The newest run of the recipe of that name, finished or not."""
    found = [run.folder for run in all_runs(root) if run.name == name]
    return found[-1] if found else None


def all_runs(root: Path) -> list[Run]:
    """The runs in a folder, oldest first."""
    runs = [Run(path.parent) for path in root.glob("*/run.json")]
    return sorted(runs, key=lambda run: (run.manifest["started"], run.folder.name))


def fresh_folder(root: Path, name: str) -> Path:
    """A new folder for a run: when, what, and four letters."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    tag = "".join(secrets.choice(letters) for _ in range(4))
    return root / f"{time.strftime('%Y-%m-%d_%H%M')}_{name}_{tag}"


def _write_manifest(
    folder: Path,
    recipe: Recipe,
    stages: list[dict[str, Any]],
    state: str,
    token: str,
    number: int | None,
) -> None:
    path = folder / "run.json"
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    owner = me()
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "id": folder.name,
        "name": recipe.name,
        "recipe_id": recipe.id,
        "state": state,
        "started": before.get("started") or time.time(),
        "ended": None if state == "running" else time.time(),
        "host": owner["host"],
        "pid": owner["pid"],
        "boot_id": owner["boot_id"],
        "token": token,
        "signal": number,
        "stages": stages,
    }
    write_json(path, manifest, what="the run's manifest")


def _listed(folder: Path, planned: PlannedStage, record: StageRecord) -> dict[str, Any]:
    place = planned.folder.relative_to(folder).as_posix()
    return {
        "key": record.key,
        "use": record.use,
        "folder": place,
        "state": record.state,
        "fingerprint": record.fingerprint,
        "seconds": record.seconds,
        "scores": record.scores,
        "outputs": {
            name: dataclasses.asdict(made) | {"path": f"{place}/{made.path}"}
            for name, made in record.outputs.items()
        },
        "error": dataclasses.asdict(record.error) if record.error else None,
        "problems": record.problems,
        "reused_from": record.reused_from,
    }


def _refuse_another(folder: Path, recipe: Recipe) -> None:
    if not (folder / "run.json").is_file():
        return
    there = Run(folder).manifest
    if there["recipe_id"] != recipe.id:
        stages = ", ".join(stage["use"] for stage in there["stages"])
        raise RecipeError(
            f"{folder} holds a run of '{there['name']}' ({stages}), and '{recipe.name}' has other "
            "stages or joins. Give another --run FOLDER, or --new."
        )


def _begin(folder: Path, recipe: Recipe) -> None:
    sweep(folder)
    if not (folder / "env.json").is_file():
        write_json(folder / "env.json", environment())
    (folder / STOP_FILE).unlink(missing_ok=True)
    write_text(folder / "recipe.yaml", recipe.given or recipe.to_yaml())
    write_text(folder / "config.yaml", recipe.to_yaml())
    write_json(
        folder / "config.sources.json", {step.key: dict(step.sources) for step in recipe.steps}
    )
