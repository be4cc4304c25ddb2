"""Studies over HTTP: checked, put into folders of their own, run one after the other.

A study is a process, `fovea tune`, in a folder `studies/<id>` among what the service keeps. All
that is known of it stands there, so that a service that comes back goes on with what it had begun.
A request may only tune stages: a command would be any program that a caller likes.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from fovea import catalog, dialect
from fovea.config import about, find
from fovea.errors import ConfigError, Problem
from fovea.runs.device import cores
from fovea.runs.durable import write_json, write_text
from fovea.service import processes
from fovea.service.problems import RefusedError, not_found
from fovea.service.settings import ServeConfig
from fovea.service.submission import NAMES, SOURCE, Lookup, placed
from fovea.tuning.definition import invalid
from fovea.tuning.stopping import StopNote

log = logging.getLogger(__name__)

StudyState = Literal["queued", "running", "finished", "failed", "stopped"]
LOOK_EVERY_S = 0.5
MOST_TRIALS = 10_000
ALLOWED = (
    "study", "target", "objective", "objectives", "space", "derive", "fixed", "constraints",
    "search", "prune", "budget", "trial", "resources", "seeds", "enqueue", "baseline",
)  # fmt: skip
"""What a request may say; where trials are stored and tracked is the service's business."""


@dataclass(frozen=True)
class Place:
    """A study of the service: its folder and what is noted there."""

    id: str
    folder: Path
    note: dict[str, Any]

    @property
    def owner(self) -> str:
        """To whom it belongs."""
        return self.note["owner"]

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be brought to its end."""
        return bool(self.note["wanted"])

    @property
    def is_at_work(self) -> bool:
        """Whether its process lives."""
        return bool(processes.marked(self.id))

    @property
    def state(self) -> StudyState:
        """`queued`, `running`, `finished`, `failed` or `stopped`."""
        if self.is_at_work:
            return "running"
        if self.is_wanted:
            return "queued"
        exit_code = self.note.get("exit_code")
        if exit_code is None or exit_code in (130, 143):
            return "stopped"
        return "finished" if exit_code == 0 else "failed"


class Studies:
    """The studies of one service; one of them is at work at a time."""

    def __init__(self, settings: ServeConfig) -> None:
        self.root = settings.state_folder / "studies"
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._at_work = ""
        self._began = 0.0
        self._noting = threading.Lock()

    # What the service calls

    def start(self) -> None:
        """Go on with what is wanted, in the background."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._work, name="studies", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the study at work save and leave; it goes on when the service comes back."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    # What a caller asks

    def create(self, owner: str, body: Mapping[str, Any], lookup: Lookup) -> Place:
        """Check a study and put it into the queue.

        Raises:
            ConfigError: something in it is wrong, or may not be asked for over HTTP.
        """
        from fovea.tuning.plan import load

        text = dialect.dump(checked(body, lookup))
        id = f"study-{secrets.token_hex(6)}"
        folder = self.root / id
        folder.mkdir(parents=True)
        write_text(folder / "asked.yaml", text)
        try:
            load(folder / "asked.yaml")
        except ConfigError:
            (folder / "asked.yaml").unlink()
            folder.rmdir()
            raise
        note = {"owner": owner, "created": time.time(), "wanted": True}
        write_json(folder / "service.json", note)
        return Place(id, folder, note)

    def list(self, owner: str) -> list[Place]:
        """The studies of a caller, the newest first."""
        found = [place for place in self._places() if place.owner == owner]
        return sorted(found, key=lambda place: -place.note["created"])

    def get(self, id: str, owner: str) -> Place:
        """A study of a caller.

        Raises:
            RefusedError: the caller has none of that id.
        """
        found = next((place for place in self.list(owner) if place.id == id), None)
        if found is None:
            raise not_found("study", id, "GET /v1/studies lists them.")
        return found

    def halt(self, place: Place) -> Place:
        """Let it save and leave, and leave it at that."""
        StopNote(place.folder).ask()
        return self._noted(place, wanted=False)

    def go_on(self, place: Place) -> Place:
        """Put it into the queue again; one that is still leaving is begun when it has left."""
        return self._noted(place, wanted=True, asked=time.time())

    def _places(self) -> Iterator[Place]:
        for path in sorted(self.root.glob("*/service.json")):
            yield Place(path.parent.name, path.parent, json.loads(path.read_text()))

    def _noted(self, place: Place, **changes: Any) -> Place:
        file = place.folder / "service.json"
        with self._noting:  # a caller and the background may both have something to note
            note = json.loads(file.read_text()) | changes
            write_json(file, note)
        return Place(place.id, place.folder, note)

    # What happens in the background

    def _work(self) -> None:
        for place in self._places():  # left by a service that died; its trials go on from the disk
            processes.end(place.id)
        while not self._closing.wait(LOOK_EVERY_S):
            if self._process is None:
                self._begin_next()
            elif self._process.poll() is not None:
                self._end()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None

    def _begin_next(self) -> None:
        waiting = [place for place in self._places() if place.is_wanted]
        if not waiting:
            return
        place = min(waiting, key=lambda one: one.note["created"])
        words = ["asked.yaml", "--folder", str(place.folder.absolute())]
        self._at_work, self._began = place.id, time.time()
        self._process = processes.start(
            [sys.executable, "-m", "fovea", "tune", *words],
            job=place.id,
            console=place.folder / "console.log",
            folder=place.folder,
            environment=os.environ,
        )

    def _end(self) -> None:
        assert self._process is not None, "asked only where one had begun"
        code, self._process = self._process.returncode, None
        processes.end(self._at_work)
        place = next((one for one in self._places() if one.id == self._at_work), None)
        if place is not None:
            again = place.is_wanted and place.note.get("asked", 0.0) > self._began
            self._noted(place, wanted=again, exit_code=code, ended=time.time())


def checked(body: Mapping[str, Any], lookup: Lookup) -> dict[str, Any]:
    """The study file of a request, with names of files replaced by where they stand.

    Raises:
        RefusedError: it is to tune a command.
        ConfigError: it says what may not be said over HTTP; all of it is named.
    """
    found: dict[str, Any] = json.loads(json.dumps(dict(body)))
    target = found.get("target")
    said = cast("dict[str, Any]", target) if isinstance(target, dict) else {}
    if "command" in said:
        raise RefusedError(
            422,
            "command_target",
            "a study over HTTP tunes a stage; a command would be any program of this machine. "
            "Run it there: fovea tune study.yaml.",
        )
    problems = [
        Problem(key, "local_only", f"may not be said over HTTP; a study says {', '.join(ALLOWED)}")
        for key in found
        if key not in ALLOWED
    ]
    problems += list(_target_problems(said))
    problems += list(_budget_problems(found))
    if problems:
        raise invalid(str(found.get("study", "")), problems)
    model = catalog.stage(said["stage"]).config
    flat = dict(_flat(_mapping(found.get("fixed"))))
    fixed, problems = placed(model, flat, lookup)
    searched = [*_mapping(found.get("space")), *_mapping(found.get("derive"))]
    for path in searched:
        _, field, below = find(model, path.split("."))
        if field is not None and not below and about(field).get("local_only"):
            text = f"is a file, and is given under fixed, as {NAMES}"
            problems.append(Problem(f"space.{path}", "local_only", text, None, SOURCE))
    problems += list(_references({k: v for k, v in found.items() if k != "fixed"}))
    if problems:
        raise invalid(str(found.get("study", "")), problems)
    return found | {"fixed": fixed}


def _target_problems(target: Mapping[str, Any]) -> Iterator[Problem]:
    name, config = target.get("stage"), target.get("config")
    known = catalog.stage_names()
    if name not in known:
        near = catalog.nearest(str(name), known).strip()
        text = f"there is no stage {name!r}. {near}".strip()
        yield Problem("target.stage", "unknown", text, str(name), SOURCE)
    if config is not None and (not isinstance(config, str) or not config.isidentifier()):
        text = f"is the name of a preset over HTTP, and never a file; got {config!r}"
        yield Problem("target.config", "local_only", text, str(config), SOURCE)


def _budget_problems(body: Mapping[str, Any]) -> Iterator[Problem]:
    trials = _mapping(body.get("budget")).get("trials")
    if not isinstance(trials, int) or isinstance(trials, bool) or not 1 <= trials <= MOST_TRIALS:
        text = f"is needed over HTTP, 1 to {MOST_TRIALS}; got {trials!r}"
        yield Problem("budget.trials", "missing", text, None, SOURCE)
    resources = _mapping(body.get("resources"))
    workers = resources.get("workers", 1)
    if isinstance(workers, int) and workers > cores():
        text = f"must be at most the {cores()} cores of this machine; got {workers}"
        yield Problem("resources.workers", "less_than_equal", text, workers, SOURCE)
    for key in resources.keys() - {"workers", "gpus_per_trial", "threads"}:
        yield Problem(f"resources.{key}", "local_only", "may not be said over HTTP", None, SOURCE)
    if "isolation" in _mapping(body.get("trial")):
        yield Problem("trial.isolation", "local_only", "may not be said over HTTP", None, SOURCE)


def _references(value: Any, path: str = "") -> Iterator[Problem]:
    """What a study file would read as something else than it says."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _references(inner, f"{path}.{key}".lstrip("."))
            yield from _references(str(key), path) if "${" in str(key) else ()
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _references(inner, path)
    elif isinstance(value, str) and "${" in value:
        text = "may not refer to anything with ${...}; write the value itself"
        yield Problem(path, "reference", text, value, SOURCE)


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
