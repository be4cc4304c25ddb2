"""A worker: asks for a trial, runs it, tells how it ended, until the study is over."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fovea.runs.lock import me
from fovea.tuning import history, outcome, pruner, queue, sampler
from fovea.tuning import trial as trials
from fovea.tuning.ending import Clock, Ending, said, spent, stopped
from fovea.tuning.expression import ExpressionError
from fovea.tuning.history import Record
from fovea.tuning.outcome import Outcome
from fovea.tuning.plan import Plan
from fovea.tuning.space import Values
from fovea.tuning.tracks.follow import settle

if TYPE_CHECKING:
    import optuna

    from fovea.tuning.study import Study


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
        self.clock = Clock(plan.file, asked_to_stop)
        self.begin, self.tell = begin, tell
        self._failures: list[str] = []

    def work(self) -> Ending:
        """Run trials until the study is over, and let their trackers finish."""
        try:
            return self._work()
        finally:
            settle()

    def _work(self) -> Ending:
        study, plan = self.study, self.plan
        recover(study)
        queue.first(study, plan)
        while True:
            ending = self.clock.ending() or spent(plan.file, study.records, self._failures)
            method = study.chosen(plan).method
            if ending is None and method == "grid" and not queue.combination(study, plan):
                ending = Ending("all combinations are done")
            if ending:
                return said(ending, study.records)
            ended, record = self._one(method)
            self.tell(record)
            if ended.state == "interrupted" and not self.clock.is_late():
                return stopped(143 if ended.signal == 15 else 130)

    def _one(self, method: str) -> tuple[Outcome, Record]:
        """Ask for a trial, run it, tell how it ended."""
        study, plan = self.study, self.plan
        trial, about = self._ask(method)
        number = trial.number
        try:
            values = plan.space.suggest(trial)
        except ExpressionError as error:
            ended = Outcome("failed", failure="formula", message=str(error))
        else:
            self.begin(number, values)
            identity = {"study": plan.file.study, "study_id": study.id, "number": number}
            ended = trials.run(
                plan,
                values,
                study.folder / "trials" / about["folder"],
                identity | about,
                trial=trial,
                asked_to_stop=self.clock.is_over,
            )
        if ended.state == "complete":
            for name, excess in outcome.excesses(plan.file, ended.metrics).items():
                trial.set_constraint(name, excess)
        self._queue_again(number, ended)
        study.store.tell(number, ended, about)
        record = study.records[number]
        self._keep(record)
        return ended, record

    def _ask(self, method: str) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial, and what is noted about it from the start."""
        study, plan = self.study, self.plan
        records = study.records
        queued = next((record for record in records if record.state == "waiting"), None)
        number = queued.number if queued else len(records)
        about: dict[str, Any] = dict(queued.about) if queued else {}
        # A retry draws the random numbers of the trial that it does again.
        first_hand = sum(one.retry_of is None for one in records if one.number < number)
        about.setdefault("index", first_hand)
        chosen = sampler.build(
            method, plan.file.search, plan.space, goals=len(plan.goals), index=about["index"]
        )
        trial = study.store.ask(chosen, pruner.build(plan.file.prune, goals=len(plan.goals)))
        about.setdefault("folder", f"{trial.number:04d}-{study.id[:4]}")
        about["owner"] = me()
        study.store.describe(trial.number, about)
        return trial, about

    def _queue_again(self, number: int, ended: Outcome) -> None:
        """Queue a trial again where that is wanted after such an end."""
        retries, record = self.plan.file.trial.retries, self.study.records[number]
        if ended.state == "interrupted":
            queue.again(self.study, record, "interrupted", queue.ENDLESS)
        elif ended.state == "failed":
            self._failures.append(ended.failure)
            most = retries.oom if ended.failure == "oom" else retries.error
            queue.again(self.study, record, ended.failure, most)
        else:
            self._failures.clear()

    def _keep(self, ended: Record) -> None:
        """Drop the checkpoints of all trials but the best."""
        study, rule = self.study, self.plan.file.trial.keep
        if rule == "all" or ended.state not in ("complete", "pruned"):
            return
        most = int(rule.removeprefix("best:"))
        candidates = history.complete(study.records)
        ranked = sorted(candidates, key=lambda one: one.values[0], reverse=self.plan.goal.is_max)
        kept = {record.number for record in ranked[:most]}
        for record in [*ranked[most:], ended]:
            if record.number not in kept:
                trials.forget_checkpoints(study.trial_folder(record))


def recover(study: Study) -> list[int]:
    """Take up trials whose process was lost: end what it left, fail them, queue them again.

    Only trials of this host are touched: that the lock is ours shows that their owner is gone.
    """
    lost: list[int] = []
    for record in study.records:
        host = record.about.get("owner", {}).get("host", socket.gethostname())
        if record.state != "running" or host != socket.gethostname():
            continue
        if record.folder:
            trials.end_lost(study.trial_folder(record))
        # Queued before it is failed, so that a second kill between the two loses nothing.
        queue.again(study, record, "stale", study.file.trial.retries.stale)
        ended = Outcome("failed", failure="worker_lost", message="its process was lost")
        study.store.tell(record.number, ended, record.about)
        lost.append(record.number)
    return lost
