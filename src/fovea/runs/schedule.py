"""Working through a plan: which stage is next, what is at work, and what becomes of the rest.

One thread starts stages, follows the events they write, passes on a wish to stop, and writes the
manifest at each change. A wish to stop comes as SIGINT or SIGTERM, as a file `stop.requested` in
the run's folder, or from the caller; a second signal kills.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.config import Config, to_yaml
from fovea.runs import device as devices
from fovea.runs.cache import Cache
from fovea.runs.child import STOP_FILE
from fovea.runs.device import Placement
from fovea.runs.durable import discard, publish, write_text
from fovea.runs.events import EventLog, Follower, stage_recorder
from fovea.runs.executor import ChildStage
from fovea.runs.lock import me
from fovea.runs.perform import perform
from fovea.runs.plan import PlannedStage
from fovea.runs.record import StageRecord, output_paths
from fovea.runs.stage import Event

LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Orders:
    """How a run is to be worked through."""

    jobs: int = 1
    device: str = "auto"
    is_inline: bool = False
    is_deterministic: bool = False
    watch: Callable[[Event], None] = lambda event: None
    asked_to_stop: Callable[[], bool] = lambda: False


class Schedule:
    """One session of work on a run, from its plan to its end."""

    def __init__(
        self,
        folder: Path,
        planned: list[PlannedStage],
        cache: Cache,
        token: str,
        orders: Orders,
        save: Callable[[str, dict[str, StageRecord], int | None], None],
    ) -> None:
        self.folder = folder
        self.planned = planned
        self.cache = cache
        self.token = token
        self.orders = orders
        self.save = save
        """Writes the run's manifest: its state, its stages, and the signal that stopped it."""
        self.records = {stage.step.key: _record(stage) for stage in planned}
        self.at_work: dict[str, ChildStage] = {}
        self.settled: set[str] = set()
        self.signals: list[int] = []
        self.is_cancelled = False
        self._is_stopping = False
        self.log = EventLog(folder / "events.jsonl")
        self.follower = Follower.from_end(self.log.path)

    def work(self) -> str:
        """Bring every stage to its end, or the run to a stop; says the state it ended in."""
        self._say_run("running")
        with self._listening_to_signals():
            try:
                while self._start_what_is_ready() or self.at_work:
                    self._look()
                    time.sleep(LOOK_EVERY_S)
            finally:
                for child in self.at_work.values():
                    child.kill()
        state = self._final_state()
        self._say_run(state)
        return state

    # What is next

    def _start_what_is_ready(self) -> bool:
        """Start or settle every stage that can be; says whether one waits for a free GPU."""
        is_waiting = False
        for stage in self.planned:
            if self.should_stop() or self._is_lost():
                return False
            if not self._is_ready(stage) or len(self.at_work) >= self.orders.jobs:
                continue
            if stage.action in ("reuse", "link") and self._take_over(stage):
                continue
            is_waiting |= not self._start(stage)
        return is_waiting

    def _is_ready(self, stage: PlannedStage) -> bool:
        key = stage.step.key
        is_free = key not in self.settled and key not in self.at_work
        return is_free and all(self.records[need].state == "done" for need in stage.step.needs)

    def _is_lost(self) -> bool:
        """Whether a stage has failed without which the run is not to go on."""
        return any(
            self.records[stage.step.key].state == "failed" and not stage.step.goes_on
            for stage in self.planned
        )

    def _final_state(self) -> str:
        for stage in self.planned:
            record = self.records[stage.step.key]
            needed = [self.records[need].state for need in stage.step.needs]
            if record.state == "pending" and {"failed", "skipped"} & set(needed):
                record.state = "skipped"
                self._say_stage(stage, record)
        states = {record.state for record in self.records.values()}
        if self._is_lost():
            return "failed"
        if states <= {"done", "failed", "skipped"}:
            return "done"
        return "cancelled" if self.is_cancelled else "interrupted"

    # Taking over what is done

    def _take_over(self, stage: PlannedStage) -> bool:
        """Use what is done already; says no when it is not there any more."""
        if stage.action == "link" and stage.source and not _link(stage.source, stage):
            return False
        record = StageRecord.read(stage.folder)
        if record is None:
            return False
        self._settle(stage, record, reused=True)
        return True

    # Starting and ending

    def _start(self, stage: PlannedStage) -> bool:
        """Start a stage; says no when it must wait for a GPU."""
        placement = devices.place(self.orders.device, stage.step.gpus)
        if placement is None:
            return False
        record = self._begin(stage, placement)
        config = stage.step.bound(self._input_paths(stage))
        write_text(stage.folder / "config.yaml", to_yaml(config))
        record.write(stage.folder)
        self._say_stage(stage, record)
        if self.orders.is_inline:
            self._work_here(stage, record, config, placement)
        else:
            self.at_work[record.key] = ChildStage(
                stage, record, placement, self.token, share=self.orders.jobs
            )
        return True

    def _begin(self, stage: PlannedStage, placement: Placement) -> StageRecord:
        record, owner = self.records[stage.step.key], me()
        if record.outputs:  # it was done, and its outputs are gone or damaged
            discard(stage.folder / "out")
            (stage.folder / "items.jsonl").unlink(missing_ok=True)
        record.state, record.attempt = "running", record.attempt + 1
        record.started, record.ended = record.started or time.time(), None
        record.host, record.pid, record.boot_id = owner["host"], owner["pid"], owner["boot_id"]
        record.error, record.outputs, record.scores, record.reused_from = None, {}, {}, ""
        record.problems = []
        record.device, record.token = placement.device, self.token
        record.deterministic = self.orders.is_deterministic
        stage.folder.mkdir(parents=True, exist_ok=True)
        (stage.folder / STOP_FILE).unlink(missing_ok=True)
        if placement.note:
            note = {"kind": "log", "level": "warning", "message": placement.note}
            self.log.append(note, stage=record.key)
        return record

    def _input_paths(self, stage: PlannedStage) -> dict[str, Path]:
        found: dict[str, Path] = {}
        by_key = {other.step.key: other for other in self.planned}
        for name, join in stage.step.joins.items():
            made = output_paths(by_key[join.key].folder, self.records[join.key])
            if join.output in made:
                found[name] = made[join.output].absolute()
            else:  # an optional output that was not made: the stage's own check says so
                found[name] = by_key[join.key].outputs[join.output].absolute()
        return found

    def _work_here(
        self, stage: PlannedStage, record: StageRecord, config: Config, placement: Placement
    ) -> None:
        append = stage_recorder(self.folder, stage.folder, record.key)

        def emit(event: Event) -> None:
            append(event)
            self._follow()

        record = perform(
            stage.folder,
            record,
            stage.step.stage,
            config,
            emit=emit,
            asked_to_stop=self.should_stop,
        )
        placement.release()
        self._settle(stage, record)

    def _settle(self, stage: PlannedStage, record: StageRecord, *, reused: bool = False) -> None:
        self.records[record.key] = record
        self.settled.add(record.key)
        if record.state == "done":
            self.cache.remember_finished(record.fingerprint, stage.folder, record.ended or 0.0)
        self._say_stage(stage, record, reused=reused)

    # What happens meanwhile

    def _look(self) -> None:
        self._follow()
        if self.should_stop():
            for child in self.at_work.values():
                child.kill() if len(self.signals) > 1 else child.ask_to_stop()
        for key, child in list(self.at_work.items()):
            if child.ended():
                del self.at_work[key]
                self._settle(child.planned, child.finish())

    def should_stop(self) -> bool:
        """Whether somebody wants the run to stop; once yes, it stays so."""
        if not self._is_stopping:
            file = self.folder / STOP_FILE
            asked_by_file = file.exists()
            self.is_cancelled = asked_by_file and "cancel" in file.read_text()
            self._is_stopping = bool(self.signals) or asked_by_file or self.orders.asked_to_stop()
        return self._is_stopping

    def _follow(self) -> None:
        for event in self.follower.new():
            self.orders.watch(event)

    def _say_run(self, state: str) -> None:
        self.save(state, self.records, self.signals[0] if self.signals else None)
        self.log.append({"kind": "state", "state": state})
        self._follow()

    def _say_stage(self, stage: PlannedStage, record: StageRecord, *, reused: bool = False) -> None:
        self.save("running", self.records, None)
        event: dict[str, Any] = {"kind": "state", "state": record.state, "use": record.use}
        if record.state == "running":
            event |= {"attempt": record.attempt, "device": record.device, "why": stage.why}
        else:
            event |= {"seconds": record.seconds, "scores": record.scores, "reused": reused}
        if record.problems:
            event |= {"problems": record.problems}
        if record.error:
            event |= {"error": {"code": record.error.code, "message": record.error.message}}
        self.log.append(event, stage=record.key)
        self._follow()

    @contextmanager
    def _listening_to_signals(self) -> Generator[None]:
        """Turn the first SIGINT or SIGTERM into a wish to stop; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            self.signals.append(number)
            if self.orders.is_inline and len(self.signals) > 1:
                raise KeyboardInterrupt

        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _record(stage: PlannedStage) -> StageRecord:
    record = StageRecord.read(stage.folder)
    if record is None:
        step = stage.step
        return StageRecord(
            step.key, step.use, stage.fingerprint, stage.identity, version=step.stage.version
        )
    if stage.action != "reuse":
        record.state = "pending"
    return record


def _link(source: Path, stage: PlannedStage) -> bool:
    """Take over another run's finished stage, without copying where the file system allows."""
    record = StageRecord.read(source)
    if record is None or not record.is_whole(source):
        return False
    draft = stage.folder / "tmp" / "out"
    discard(draft)
    draft.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source / "out", draft, copy_function=_link_or_copy)
    publish(draft, stage.folder / "out")
    for name in ("metrics.jsonl", "config.yaml"):
        if (source / name).is_file():
            shutil.copyfile(source / name, stage.folder / name)
    if (source / "pictures").is_dir():
        shutil.copytree(
            source / "pictures",
            stage.folder / "pictures",
            copy_function=_link_or_copy,
            dirs_exist_ok=True,
        )
    record.key, record.use = stage.step.key, stage.step.use
    record.reused_from = record.reused_from or source.parent.parent.name
    record.write(stage.folder)
    return True


def _link_or_copy(source: str, target: str) -> str:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
    return target
