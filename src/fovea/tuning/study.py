"""A study: a folder in which trials are asked for, run and told, until the budget is spent.

    studies/relight-rates/
      study.yaml   the study file with the command line's changes
      study.db     the storage, SQLite in Optuna's tables
      study.lock   held while a process works here
      trials/      a folder a trial
      workers/     where there are several: what each printed, and how it ended
      best.yaml    the best trial as a recipe: fovea run best.yaml
      report.html  the page

Whatever happens, the same command goes on: a trial whose process was lost is tried again with the
same parameters, in the same folder, from its last checkpoint. With one worker the study then tries
what it would have tried unbroken.
"""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.errors import ArtifactError, ConfigError, Problem
from fovea.runs.durable import write_text
from fovea.runs.recipe import Recipe
from fovea.tuning import held, history, owners, queue, sampler, storage
from fovea.tuning.address import Address
from fovea.tuning.controller import Controller
from fovea.tuning.definition import StudyFile, invalid, read
from fovea.tuning.ending import Ending
from fovea.tuning.goal import Goal
from fovea.tuning.history import Record
from fovea.tuning.plan import Plan
from fovea.tuning.portable import place_base, portable
from fovea.tuning.space import Space, Values
from fovea.tuning.stopping import StopNote
from fovea.tuning.storage import Storage
from fovea.tuning.worker import Worker

ROOT = Path("studies")


class Study:
    """The folder of a study and its storage. Close it, or use it in a `with`."""

    def __init__(self, folder: Path, file: StudyFile, store: Storage) -> None:
        self.folder = folder
        self.file = file
        self.store = store

    # Opening

    @classmethod
    def create(cls, plan: Plan, folder: Path | None = None, *, amend: bool = False) -> Study:
        """The study of a plan, made or gone on with.

        Args:
            plan: the study file, checked.
            folder: where it is, `studies/NAME` when left out.
            amend: go on although target, goal or space are not those it was begun with.

        Raises:
            ConfigError: the storage holds a study with another target, goal or space.
            BackendError: Optuna is not installed, or the driver of a database.
            StorageLostError: the storage does not answer.
        """
        folder = folder or ROOT / plan.file.study
        folder.mkdir(parents=True, exist_ok=True)
        address = Address.read(plan.file.storage, folder)
        store = Storage(address, plan.file.study, [goal.direction for goal in plan.goals])
        study = cls(folder, plan.file, store)
        try:
            study._settle_identity(plan, amend=amend)
        except ConfigError:
            study.close()
            raise
        data = portable(plan, address)
        store.note("file", {"study": data, "base": plan.target.base.data})
        write_text(folder / "study.yaml", dialect.dump(data))
        return study

    @classmethod
    def open(cls, folder: Path, storage: str | None = None) -> Study:
        """The study in a folder, to look at.

        Args:
            folder: of the study.
            storage: its address, where that of the study file has not all that is needed.

        Raises:
            ArtifactError: there is none.
            StorageLostError: its storage does not answer.
        """
        path = folder / "study.yaml"
        if not path.is_file():
            raise ArtifactError(
                f"a study is wanted, and {folder} has no study.yaml. "
                f"'fovea tune study.yaml' makes one in {ROOT}/."
            )
        file = read(path)
        address = Address.read(storage or file.storage, folder)
        if address.path is not None and not address.path.exists():
            raise ArtifactError(
                f"a study is wanted, and its storage {address.path} is not there. "
                f"'fovea tune {folder}' begins it anew."
            )
        return cls(folder, file, Storage(address, file.study))

    @classmethod
    def join(cls, name: str, storage: str, folder: Path | None = None) -> Study:
        """The study of that name in a storage, with a folder on this machine.

        What it was begun with stands in the storage. The files that its target names must be here
        under the same paths.

        Raises:
            ArtifactError: the storage has no such study.
            StorageLostError: it does not answer.
        """
        folder = folder or ROOT / name
        address = Address.read(storage, folder)
        store = Storage(address, name)
        told: dict[str, Any] = store.attributes.get("file", {})
        if not told:
            raise ArtifactError(
                f"the study '{name}' in {address.text} says nothing of its study file: an older "
                f"fovea began it. Run 'fovea tune study.yaml storage={address.text}' once."
            )
        if not (folder / "study.yaml").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            data: dict[str, Any] = told["study"] | {"storage": address.text}
            place_base(data["target"], told["base"], folder)
            write_text(folder / "study.yaml", dialect.dump(data))
        return cls(folder, read(folder / "study.yaml"), store)

    def close(self) -> None:
        """Let go of the storage."""
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    # Looking

    @cached_property
    def id(self) -> str:
        """What tells this study from another of the same name."""
        return self.store.attributes["id"]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What is looked for."""
        return tuple(Goal(**goal) for goal in self.store.attributes["goals"])

    @property
    def use(self) -> str:
        """What is tuned: a stage, or a command."""
        identity = self.store.attributes["identity"]
        return identity.get("target.stage") or identity["target.command"]

    @property
    def records(self) -> list[Record]:
        """All trials, by number."""
        return self.store.records

    @property
    def best(self) -> Record | None:
        """The best trial by the first goal."""
        return history.best(self.records, self.goals[0])

    @property
    def session(self) -> float:
        """When the present, or last, start of the study began, in seconds since the epoch."""
        return float(self.store.attributes.get("session", 0.0))

    @property
    def workers(self) -> list[dict[str, Any]]:
        """The processes that registered: host, pid, gpus, version, since, perhaps ended."""
        found = [v for k, v in self.store.attributes.items() if k.startswith("worker:")]
        return sorted(found, key=lambda worker: worker["since"])

    @property
    def is_at_work(self) -> bool:
        """Whether a process of this machine conducts it, or works in it, now."""
        is_local = self.store.address.is_local
        return held.is_held(self.folder) or any(
            owners.is_near(worker) and not owners.is_gone(worker, on_one_machine=is_local)
            for worker in self.workers
            if "ended" not in worker and worker["pid"] != os.getpid()
        )

    def trial_folder(self, record: Record) -> Path:
        """Where a trial is kept."""
        return self.folder / "trials" / record.folder

    def importances(self) -> dict[str, float]:
        """How much of the goal each parameter decides; empty where nothing can be said yet."""
        found = [record for record in self.records if record.state == "complete"]
        if len(self.goals) > 1 or len(found) < 4 or len({one.value for one in found}) < 2:
            return {}
        return self.store.importances()

    def recipe_of(self, record: Record) -> Recipe:
        """A trial as a recipe of its own.

        Raises:
            ArtifactError: the trial's folder is gone.
        """
        path = self.trial_folder(record) / "config.yaml"
        if not path.is_file():
            raise ArtifactError(
                f"trial {record.number} has no {path}: its folder was removed, or it never began."
            )
        recipe = Recipe.single(self.use, dialect.load(path).data)
        return dataclasses.replace(recipe, name=f"{self.file.study}-{record.number}")

    # Working

    def run(
        self,
        plan: Plan,
        *,
        asked_to_stop: Callable[[], bool] = lambda: False,
        begin: Callable[[int, Values], None] = lambda number, values: None,
        tell: Callable[[Record], None] = lambda record: None,
    ) -> Ending:
        """Run trials until the budget is spent.

        Args:
            plan: the study file, checked.
            asked_to_stop: asked often; once it says yes, the trial at work saves and is kept.
            begin: called with a trial's number and values when it begins.
            tell: called with each trial that ended.

        Raises:
            BusyError: another process conducts the study.
            StorageLostError: the storage did not answer for a quarter of an hour.
        """
        with held.held(self.folder):
            self.begin_session()
            several = plan.file.resources.workers > 1
            kind = Controller if several else Worker
            return kind(self, plan, asked_to_stop=asked_to_stop, begin=begin, tell=tell).work()

    def ask_to_stop(self) -> None:
        """Ask whoever works in the study to save and leave; other machines do after their trial."""
        StopNote(self.folder).ask()
        self.store.note("stop", round(time.time(), 3))

    def begin_session(self) -> None:
        """Note that a start of the study begins: its time runs, and failures are counted anew."""
        self.store.note("session", round(time.time(), 3))

    def chosen(self, plan: Plan, records: Sequence[Record] | None = None) -> sampler.Chosen:
        """The method of search for the next trials, and why it was taken."""
        found = self.records if records is None else records
        times = [record.seconds for record in found if record.state == "complete"]
        cost = sum(times) / len(times) if times else None
        return sampler.choose(
            plan.file.search,
            plan.space,
            goals=len(plan.goals),
            budget=plan.file.budget,
            seconds_a_trial=cost,
        )

    def retry(self, numbers: list[int]) -> None:
        """Queue trials again with the same parameters, from the start.

        Raises:
            ConfigError: there is no trial of that number.
        """
        known = {record.number: record for record in self.records}
        unknown = [str(number) for number in numbers if number not in known]
        if unknown:
            raise ConfigError(
                f"there is no trial {', '.join(unknown)}: the study has {len(known)}. "
                f"'fovea tune status {self.folder}' lists them."
            )
        for number in numbers:
            queue.again(self, known[number], "asked", queue.ENDLESS, anew=True)

    def enqueue(
        self, space: Space, given: Mapping[str, Any], about: Mapping[str, Any] | None = None
    ) -> None:
        """Queue a trial with these parameters.

        Raises:
            ConfigError: they do not fit the space.
        """
        try:
            values = space.complete(given)
        except ConfigError as error:
            raise invalid(self.file.study, error.problems) from None
        self.store.enqueue(storage.stored(space, space.asked(values)), about)

    def _settle_identity(self, plan: Plan, *, amend: bool) -> None:
        identity, known = plan.identity(), self.store.attributes.get("identity")
        if known is not None and known != identity and not amend:
            problems = [
                Problem(path, "changed", f"was {known.get(path)}, is now {identity.get(path)}")
                for path in {**known, **identity}
                if known.get(path) != identity.get(path)
            ]
            error = invalid(plan.file.study, problems)
            raise ConfigError(
                f"{error}\nIts {len(self.records)} trials in {self.folder} cannot be compared with "
                f"new ones. Give the study another name, or --amend to go on all the same.",
                error.problems,
            )
        self.store.note("id", self.store.attributes.get("id") or uuid.uuid4().hex)
        self.store.note("identity", identity)
        self.store.note("goals", [vars(goal) for goal in plan.goals])
        self.store.note("choices", storage.labelled(plan.space))
