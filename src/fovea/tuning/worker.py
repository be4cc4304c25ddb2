"""A worker: asks for a trial, runs it, tells how it ended, until the study is over.

Any number of them work in one study, each a process of its own, here or on other machines; all they
share is the storage. The budget is counted there and never in a worker: one that sees as many
trials ended or at work as are wanted asks for no more, and waits in case one of them is lost.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fovea.errors import FoveaError
from fovea.tuning import history, outcome, owners, pruner, queue, recovery, sampler
from fovea.tuning import trial as trials
from fovea.tuning.ending import Clock, Ending, failures, said, spent, stopped
from fovea.tuning.expression import ExpressionError
from fovea.tuning.history import ABOUT, Record
from fovea.tuning.outage import Reports
from fovea.tuning.outcome import Outcome
from fovea.tuning.plan import Plan
from fovea.tuning.space import Values
from fovea.tuning.tracks.follow import settle

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from fovea.tuning.study import Study

REST_S = 0.25
LONGEST_REST_S = 2.0
_log = logging.getLogger(__name__)


class Worker:
    """One process at work in a study."""

    def __init__(
        self,
        study: Study,
        plan: Plan,
        *,
        asked_to_stop: Callable[[], bool] = lambda: False,
        begin: Callable[[int, Values], None] = lambda number, values: None,
        tell: Callable[[Record], None] = lambda record: None,
    ) -> None:
        """Prepare for work.

        Args:
            study: what is worked in.
            plan: the study file, checked.
            asked_to_stop: asked often; once it says yes, the trial at work saves and is kept.
            begin: called with a trial's number and values when it begins.
            tell: called with each trial that ended.
        """
        self.study, self.plan = study, plan
        self.clock = Clock(plan.file, asked_to_stop, since=study.session)
        self.begin, self.tell = begin, tell
        self.me = owners.introduction()
        self._rest_s = REST_S
        self._is_short_of_room = False

    def work(self) -> Ending:
        """Run trials until the study is over, and let their trackers finish.

        Raises:
            StorageLostError: the storage did not answer for a quarter of an hour.
            BackendError: the command of the trials is gone.
        """
        key = f"worker:{self.me['host']}:{self.me['pid']}"
        self.study.store.note(key, self.me)
        try:
            ending = self._work()
            self.study.store.note(key, self.me | {"ended": time.time()})
            return ending
        finally:
            settle()

    def _work(self) -> Ending:
        study = self.study
        while True:
            if ending := self.clock.ending():
                return said(ending, study.records)
            if not self._has_room():
                self._rest()
                continue
            with study.store.turn():
                found = self._next(recovery.recover(study))
            if isinstance(found, Ending):
                return said(found, study.records)
            if found is None:
                self._rest()
                continue
            self._rest_s = REST_S
            ended, record = self._one(*found)
            self.tell(record)
            if ended.state == "interrupted" and not self.clock.is_late():
                return stopped(143 if ended.signal == 15 else 130)

    # Asking

    def _next(self, records: list[Record]) -> Ending | tuple[optuna.Trial, dict[str, Any]] | None:
        """The next trial; the ending, where the study is over; nothing, where others may fail."""
        study, plan = self.study, self.plan
        noted = study.store.attributes
        session = float(noted.get("session", 0.0))
        if float(noted.get("stop", 0.0)) >= session > 0.0:
            return stopped(130)
        if not noted.get("enqueued"):
            queue.first(study, plan)
            records = study.records
        if ending := spent(plan.file, records, failures(records, session)):
            return ending
        if queue.is_full(plan.file, records):
            return None
        method = study.chosen(plan, records).method
        if method == "grid" and not queue.combination(study, plan, records):
            is_at_work = any(record.state == "running" for record in records)
            return None if is_at_work else Ending("all combinations are done")
        trial, about = self._ask(method, records)
        if self._steps_back(trial.number, about):
            return None
        return trial, about

    def _ask(self, method: str, records: list[Record]) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial, and what is noted about it from the start."""
        from fovea.tuning.numbered import Numbered

        study, plan = self.study, self.plan

        def index_of(number: int, about: dict[str, Any]) -> int:
            # A retry draws the random numbers of the trial that it does again.
            known = records if study.store.address.is_local else study.records
            again = sum(one.retry_of is not None for one in known if one.number < number)
            return int(about.get("index", number - again))

        def make(trial: FrozenTrial) -> BaseSampler:
            index = index_of(trial.number, trial.user_attrs.get(ABOUT, {}))
            search, goals = plan.file.search, len(plan.goals)
            return sampler.build(method, search, plan.space, goals=goals, index=index)

        rule = pruner.build(plan.file.prune, goals=len(plan.goals))
        trial = study.store.ask(Numbered(make), rule)
        about: dict[str, Any] = dict(trial.user_attrs.get(ABOUT, {}))
        about["index"] = index_of(trial.number, about)
        about.setdefault("folder", f"{trial.number:04d}-{study.id[:4]}")
        about["owner"] = owners.this_process()
        study.store.describe(trial.number, about)
        return trial, about

    def _steps_back(self, number: int, about: dict[str, Any]) -> bool:
        """Give a trial back that another machine's makes one too many; says whether it was."""
        study, plan = self.study, self.plan
        if study.store.address.is_local:
            return False  # nobody asked meanwhile
        records = study.records
        if queue.has_twin(study, plan, records, number):
            text = "another worker had the same trial"
            study.store.tell(number, Outcome("failed", failure="surplus", message=text), about)
            return True
        if queue.is_surplus(plan.file, records, number):
            about.pop("owner")
            study.store.describe(number, about)
            study.store.put_back(number)
            return True
        return False

    # Running

    def _one(self, trial: optuna.Trial, about: dict[str, Any]) -> tuple[Outcome, Record]:
        """Run a trial, and tell how it ended, whatever happens."""
        store, number = self.study.store, trial.number
        with store.alive(number):
            try:
                ended = self._run(trial, about)
            except (KeyboardInterrupt, FoveaError) as error:
                why = str(error) or "stopped at once"
                store.tell(number, Outcome("failed", failure="interrupted", message=why), about)
                queue.due(self.study, self.plan.file, self.study.records)
                if isinstance(error, FoveaError):
                    raise
                ended = Outcome("interrupted", failure="interrupted", signal=2)
            else:
                for name, excess in outcome.excesses(self.plan.file, ended).items():
                    store.line.call(lambda n=name, e=excess: trial.set_constraint(n, e))
                store.tell(number, ended, about)
        with store.turn():
            records = self.study.records
            queue.due(self.study, self.plan.file, records)
            self._keep(records[number], records)
        return ended, records[number]

    def _run(self, trial: optuna.Trial, about: dict[str, Any]) -> Outcome:
        study, plan = self.study, self.plan
        try:
            values = study.store.line.call(lambda: plan.space.suggest(trial))
        except ExpressionError as error:
            return Outcome("failed", failure="formula", message=str(error))
        self.begin(trial.number, values)
        identity = {"study": plan.file.study, "study_id": study.id, "number": trial.number}
        reports = Reports(trial, study.store.line)
        ended = trials.run(
            plan,
            values,
            study.folder / "trials" / about["folder"],
            identity | about,
            trial=reports,
            asked_to_stop=self.clock.is_over,
        )
        reports.finish()
        return ended

    def _keep(self, ended: Record, records: list[Record]) -> None:
        """Drop the checkpoints of all trials but the best."""
        study, rule = self.study, self.plan.file.trial.keep
        if rule == "all" or ended.state not in ("complete", "pruned"):
            return
        most = int(rule.removeprefix("best:"))
        candidates = history.complete(records)
        ranked = sorted(candidates, key=lambda one: one.values[0], reverse=self.plan.goal.is_max)
        kept = {record.number for record in ranked[:most]}
        for record in [*ranked[most:], ended]:
            if record.number not in kept:
                trials.forget_checkpoints(study.trial_folder(record))

    # Waiting

    def _has_room(self) -> bool:
        """Whether enough of the disk is free for another trial; says so when that changes."""
        least = self.plan.file.resources.min_free
        free = shutil.disk_usage(self.study.folder).free
        is_short = free < least
        if is_short and not self._is_short_of_room:
            _log.warning(
                "%.1f GB are free at %s, and resources.min_free is %.1f GB: no new trial begins "
                "until there is room",
                free / 1e9,
                self.study.folder,
                least / 1e9,
            )
        self._is_short_of_room = is_short
        return not is_short

    def _rest(self) -> None:
        """Wait a little, longer each time, until something else is to be done."""
        end = time.monotonic() + self._rest_s
        self._rest_s = min(1.5 * self._rest_s, LONGEST_REST_S)
        while time.monotonic() < end and not self.clock.asked_to_stop():
            time.sleep(min(REST_S, max(0.0, end - time.monotonic())))
