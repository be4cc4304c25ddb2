"""A study: a folder in which trials are asked for, run and told, until the budget is spent.

    studies/relight-rates/
      study.yaml   the study file with the command line's changes
      study.db     the storage, SQLite in Optuna's tables
      study.lock   held while a process works here
      trials/      a folder a trial
      best.yaml    the best trial as a recipe: fovea run best.yaml
      report.html  the page

Whatever happens, the same command goes on: a trial whose process was lost is tried again with the
same parameters, in the same folder, from its last checkpoint. With one worker the study then tries
what it would have tried unbroken.
"""

from __future__ import annotations

import dataclasses
import random
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fovea import dialect
from fovea.errors import ArtifactError, ConfigError, Problem
from fovea.runs.durable import write_text
from fovea.runs.lock import me
from fovea.runs.recipe import Recipe
from fovea.tuning import history, pruner, sampler, storage
from fovea.tuning import trial as trials
from fovea.tuning.definition import StudyFile, invalid, read
from fovea.tuning.expression import ExpressionError
from fovea.tuning.history import Record
from fovea.tuning.plan import Goal, Plan
from fovea.tuning.space import Space, Values
from fovea.tuning.storage import Storage
from fovea.tuning.trial import Outcome

if TYPE_CHECKING:
    import optuna

ROOT = Path("studies")
NO_METRIC_LIMIT = 3
"""So many trials in a row without the objective's metric end a study: its name must be wrong."""
ENDLESS = 10**9


@dataclass(frozen=True)
class Ending:
    """Why a study stopped working."""

    reason: str
    exit_code: int = 0


class Study:
    """The folder of a study and its storage. Close it, or use it in a `with`."""

    def __init__(self, folder: Path, file: StudyFile, store: Storage) -> None:
        self.folder = folder
        self.file = file
        self.store = store
        self._failures: list[str] = []

    # Opening

    @classmethod
    def create(cls, plan: Plan, folder: Path | None = None, *, amend: bool = False) -> Study:
        """The study of a plan, made or gone on with.

        Args:
            plan: the study file, checked.
            folder: where it is, `studies/NAME` when left out.
            amend: go on although target, goal or space are not those it was begun with.

        Raises:
            ConfigError: the folder holds a study with another target, goal or space.
            BackendError: Optuna is not installed.
        """
        folder = folder or ROOT / plan.file.study
        folder.mkdir(parents=True, exist_ok=True)
        store = Storage(
            folder / "study.db", plan.file.study, [goal.direction for goal in plan.goals]
        )
        study = cls(folder, plan.file, store)
        try:
            study._settle_identity(plan, amend=amend)
        except ConfigError:
            study.close()
            raise
        write_text(folder / "study.yaml", _written(plan))
        return study

    @classmethod
    def open(cls, folder: Path) -> Study:
        """The study in a folder, to look at.

        Raises:
            ArtifactError: there is none.
        """
        if not (folder / "study.db").is_file() or not (folder / "study.yaml").is_file():
            raise ArtifactError(
                f"a study is wanted, and {folder} has no study.db and study.yaml. "
                f"'fovea tune study.yaml' makes one in {ROOT}/."
            )
        file = read(folder / "study.yaml")
        return cls(folder, file, Storage(folder / "study.db", file.study))

    def close(self) -> None:
        """Let go of the storage."""
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    # Looking

    @property
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
    def is_at_work(self) -> bool:
        """Whether a process works in it now."""
        return storage.is_held(self.folder)

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
            BusyError: another process works in the study.
        """
        clock = _Clock(plan.file, asked_to_stop)
        with storage.held(self.folder):
            self._failures = []
            self.recover()
            self._enqueue_first(plan)
            while True:
                ending = clock.ending() or self._spent(plan)
                method = self.chosen(plan).method
                if ending is None and method == "grid" and not self._queue_combination(plan):
                    ending = Ending("all combinations are done")
                if ending:
                    return self._said(ending)
                outcome, record = self._one(plan, method, clock.is_over, begin)
                tell(record)
                if outcome.state == "interrupted" and not clock.is_late():
                    return _stopped(143 if outcome.signal == 15 else 130)

    def chosen(self, plan: Plan) -> sampler.Chosen:
        """The method of search for the next trials, and why it was taken."""
        times = [record.seconds for record in self.records if record.state == "complete"]
        cost = sum(times) / len(times) if times else None
        return sampler.choose(
            plan.file.search,
            plan.space,
            goals=len(plan.goals),
            budget=plan.file.budget,
            seconds_a_trial=cost,
        )

    def recover(self) -> list[int]:
        """Take up trials whose process was lost: end what it left, fail them, queue them again.

        Only trials of this host are touched: that the lock is ours shows that their owner is gone.
        """
        lost: list[int] = []
        for record in self.records:
            host = record.about.get("owner", {}).get("host", socket.gethostname())
            if record.state != "running" or host != socket.gethostname():
                continue
            if record.folder:
                trials.end_lost(self.trial_folder(record))
            # Queued before it is failed, so that a second kill between the two loses nothing.
            self._requeue(record, "stale", self.file.trial.retries.stale)
            outcome = Outcome("failed", failure="worker_lost", message="its process was lost")
            self.store.tell(record.number, outcome, record.about)
            lost.append(record.number)
        return lost

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
            self._requeue(known[number], "asked", ENDLESS, anew=True)

    def enqueue(self, space: Space, given: Mapping[str, Any]) -> None:
        """Queue a trial with these parameters.

        Raises:
            ConfigError: they do not fit the space.
        """
        try:
            values = space.complete(given)
        except ConfigError as error:
            raise invalid(self.file.study, error.problems) from None
        self.store.enqueue(storage.stored(space, space.asked(values)))

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

    def _enqueue_first(self, plan: Plan) -> None:
        """Queue the base settings and what the study file wants tried first, once."""
        if self.store.attributes.get("enqueued"):
            return
        if plan.baseline is not None and not self.records:
            self.store.enqueue(storage.stored(plan.space, plan.baseline), {"baseline": True})
        for given in plan.file.enqueue:
            self.enqueue(plan.space, given)
        self.store.note("enqueued", True)

    def _spent(self, plan: Plan) -> Ending | None:
        """Whether the budget is spent, or it makes no sense to go on."""
        records, budget = self.records, plan.file.budget
        counted = ("complete", "pruned", *(["failed"] if budget.finished == "any" else []))
        finished = sum(record.state in counted for record in records)
        if budget.trials is not None and finished >= budget.trials:
            return Ending(f"all {budget.trials} trials are done")
        last = self._failures[-1] if self._failures else ""
        limit = NO_METRIC_LIMIT if last == "no_metric" else plan.file.trial.abort_after
        if last and self._failures[-limit:] == [last] * limit:
            message = next(one.message for one in reversed(records) if one.failure == last)
            return Ending(f"{limit} trials in a row failed ({last}). {message}", 1)
        return None

    def _said(self, ending: Ending) -> Ending:
        """The ending, which is a failure where no trial came to its end."""
        if ending.exit_code or any(record.state == "complete" for record in self.records):
            return ending
        return Ending(f"{ending.reason}, and no trial was complete", 1)

    def _queue_combination(self, plan: Plan) -> bool:
        """Queue the next combination of a grid; False where all were tried."""
        records = self.records
        if any(record.state == "waiting" for record in records):
            return True
        tried = {_key(self.store.parameters(record.number)) for record in records}
        combinations = [storage.stored(plan.space, c) for c in plan.space.combinations()]
        random.Random(plan.file.search.seed).shuffle(combinations)
        for combination in combinations:
            if _key(combination) not in tried:
                self.store.enqueue(combination)
                return True
        return False

    def _one(
        self,
        plan: Plan,
        method: str,
        asked_to_stop: Callable[[], bool],
        begin: Callable[[int, Values], None],
    ) -> tuple[Outcome, Record]:
        """Ask for a trial, run it, tell how it ended."""
        trial, about = self._ask(plan, method)
        number = trial.number
        try:
            values = plan.space.suggest(trial)
        except ExpressionError as error:
            outcome = Outcome("failed", failure="formula", message=str(error))
        else:
            begin(number, values)
            identity = {"study": plan.file.study, "study_id": self.id, "number": number}
            outcome = trials.run(
                plan,
                values,
                self.folder / "trials" / about["folder"],
                identity | about,
                trial=trial,
                asked_to_stop=asked_to_stop,
            )
        if outcome.state == "complete":
            for name, excess in trials.excesses(plan.file, outcome.metrics).items():
                trial.set_constraint(name, excess)
        self._queue_again(number, outcome)
        self.store.tell(number, outcome, about)
        record = self.records[number]
        self._keep(plan, record)
        return outcome, record

    def _ask(self, plan: Plan, method: str) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial, and what is noted about it from the start."""
        records = self.records
        queued = next((record for record in records if record.state == "waiting"), None)
        number = queued.number if queued else len(records)
        about: dict[str, Any] = dict(queued.about) if queued else {}
        # A retry draws the random numbers of the trial that it does again.
        first_hand = sum(one.retry_of is None for one in records if one.number < number)
        about.setdefault("index", first_hand)
        chosen = sampler.build(
            method, plan.file.search, plan.space, goals=len(plan.goals), index=about["index"]
        )
        trial = self.store.ask(chosen, pruner.build(plan.file.prune, goals=len(plan.goals)))
        about.setdefault("folder", f"{trial.number:04d}-{self.id[:4]}")
        about["owner"] = me()
        self.store.describe(trial.number, about)
        return trial, about

    def _queue_again(self, number: int, outcome: Outcome) -> None:
        """Queue a trial again where that is wanted after such an end."""
        retries, record = self.file.trial.retries, self.records[number]
        if outcome.state == "interrupted":
            self._requeue(record, "interrupted", ENDLESS)
        elif outcome.state == "failed":
            self._failures.append(outcome.failure)
            most = retries.oom if outcome.failure == "oom" else retries.error
            self._requeue(record, outcome.failure, most)
        else:
            self._failures.clear()

    def _requeue(self, record: Record, why: str, most: int, *, anew: bool = False) -> None:
        """Queue the same parameters at most `most` times; in the same folder, unless `anew`."""
        tries: dict[str, int] = dict(record.about.get("tries", {}))
        tries[why] = tries.get(why, 0) + 1
        is_queued = any(one.retry_of == record.number for one in self.records)
        if tries[why] > most or (is_queued and not anew):
            return
        kept = ("index", "baseline") if anew else ("index", "baseline", "folder")
        about = {name: record.about[name] for name in kept if name in record.about}
        about |= {"tries": tries, "retry_of": record.number}
        self.store.enqueue(self.store.parameters(record.number), about)

    def _keep(self, plan: Plan, ended: Record) -> None:
        """Drop the checkpoints of all trials but the best."""
        if plan.file.trial.keep == "all" or ended.state not in ("complete", "pruned"):
            return
        most = int(plan.file.trial.keep.removeprefix("best:"))
        candidates = history.complete(self.records)
        ranked = sorted(candidates, key=lambda one: one.values[0], reverse=plan.goal.is_max)
        kept = {record.number for record in ranked[:most]}
        for record in [*ranked[most:], ended]:
            if record.number not in kept:
                trials.forget_checkpoints(self.trial_folder(record))


class _Clock:
    """When one start of a study has to end: its time is up, or a person asks for it."""

    def __init__(self, file: StudyFile, asked_to_stop: Callable[[], bool]) -> None:
        self.began = time.monotonic()
        self.timeout = file.budget.timeout
        self.grace = file.trial.grace
        self.asked_to_stop = asked_to_stop

    def is_late(self, grace: float = 0.0) -> bool:
        """Whether the time is up."""
        passed = time.monotonic() - self.began
        return self.timeout is not None and passed > self.timeout + grace

    def is_over(self) -> bool:
        """Whether the trial at work should save and leave."""
        return self.asked_to_stop() or self.is_late(self.grace)

    def ending(self) -> Ending | None:
        """The ending, where no new trial may begin."""
        if self.asked_to_stop():
            return _stopped(130)
        return Ending("the time is up") if self.is_late() else None


def _stopped(code: int) -> Ending:
    return Ending("stopped; the same command goes on", code)


def _written(plan: Plan) -> str:
    """The study file with the command line's changes; its base by absolute path."""
    data = plan.file.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    data["target"] = plan.portable_target()
    return dialect.dump(data)


def _key(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters so that equal ones are the same after a way through a database."""

    def text(value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return f"{value:.12g}" if is_number else repr(value)

    return tuple(sorted((name, text(value)) for name, value in parameters.items()))
