"""A study as it is shown: its trials read once, and the small questions all pictures ask."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fovea.errors import BackendError
from fovea.tuning import history
from fovea.tuning.charts import Column, number
from fovea.tuning.history import Record

if TYPE_CHECKING:
    from pathlib import Path

    from fovea.tuning.goal import Goal
    from fovea.tuning.parameter import Form
    from fovea.tuning.study import Study


@dataclass(frozen=True)
class View:
    """What a page shows of a study."""

    study: Study
    records: Sequence[Record]
    with_fanova: bool = False

    @classmethod
    def of(cls, study: Study, *, with_fanova: bool = False) -> View:
        """The study as it stands now."""
        return cls(study, study.records, with_fanova)

    @property
    def name(self) -> str:
        """Of the study."""
        return self.study.file.study

    @property
    def folder(self) -> Path:
        """Of the study."""
        return self.study.folder

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        """What is looked for."""
        return self.study.goals

    @property
    def goal(self) -> Goal:
        """The first goal."""
        return self.goals[0]

    @cached_property
    def complete(self) -> list[Record]:
        """The trials that count."""
        return history.complete(self.records)

    @cached_property
    def best(self) -> Record | None:
        """The best trial by the first goal."""
        return history.best(self.records, self.goal)

    @cached_property
    def base(self) -> Record | None:
        """The trial of the base settings."""
        return next((r for r in self.records if r.is_baseline and r.state == "complete"), None)

    @cached_property
    def front(self) -> list[Record]:
        """The trials that no other beats in every goal."""
        return history.front(self.records, self.goals)

    @cached_property
    def finished(self) -> int:
        """How many trials have a number to show."""
        return sum(record.state in ("complete", "pruned") for record in self.records)

    @cached_property
    def importances(self) -> dict[str, float]:
        """How much each parameter decides, by PED-ANOVA; empty where that cannot be said."""
        return self.study.importances()

    @cached_property
    def fanova(self) -> dict[str, float]:
        """The same by f-ANOVA, where it was asked for."""
        return _fanova(self.study.store.study) if self.with_fanova and self.importances else {}

    @cached_property
    def names(self) -> list[str]:
        """The parameters, the important ones first."""
        found = list(dict.fromkeys(name for record in self.records for name in record.parameters))
        return sorted(found, key=lambda name: -self.importances.get(name, 0.0))

    @cached_property
    def ranks(self) -> dict[int, float]:
        """From 0, the worst of the complete trials, to 1, the best, by the first goal."""
        ranked = sorted(self.complete, key=lambda r: r.values[0], reverse=not self.goal.is_max)
        last = max(1, len(ranked) - 1)
        return {record.number: at / last for at, record in enumerate(ranked)}

    @property
    def confirmed(self) -> dict[str, dict[str, Any]]:
        """What leaders were worth on new seeds, by trial."""
        found: dict[str, dict[str, Any]] = self.study.store.attributes.get("confirmed", {})
        return {number: one for number, one in found.items() if not one["failure"]}

    def column(self, name: str) -> Column:
        """A parameter as an axis."""
        values = [record.parameters[name] for record in self.records if name in record.parameters]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            form: Form | None = self.study.file.space.get(name)
            return Column(name, log=bool(form and (form.log or form.logspace)))
        return Column(name, choices=tuple(dict.fromkeys(str(value) for value in values)))

    def kind(self, record: Record) -> str:
        """The class of its mark."""
        if len(self.goals) > 1:
            is_best = any(record.number == one.number for one in self.front)
        else:
            is_best = self.best is not None and record.number == self.best.number
        if is_best:
            return "best"
        if record.is_baseline and record.state == "complete":
            return "base"
        return {"complete": "good", "pruned": "pruned"}.get(record.state, "failed")

    def gpu_seconds(self) -> float:
        """Time on GPUs, once for each: as many a trial as the study gives, where there were any."""
        wanted = self.study.file.resources.gpus_per_trial
        have = {(w.get("host"), w.get("pid")): len(w.get("gpus", ())) for w in self.study.workers}
        total = 0.0
        for record in self.records:
            owner: dict[str, Any] = record.about.get("owner") or {}
            total += record.seconds * min(
                wanted, have.get((owner.get("host"), owner.get("pid")), 0)
            )
        return total


def _fanova(study: Any) -> dict[str, float]:
    """How much of the variance of all trials each parameter explains.

    Raises:
        BackendError: scikit-learn, which grows the forest it is read from, is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise BackendError(
            "f-ANOVA needs the package scikit-learn, which is not installed. "
            "Run: pip install scikit-learn, or leave out --fanova."
        )
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    evaluator = FanovaImportanceEvaluator(n_trees=64, max_depth=64, seed=0)
    return dict(get_param_importances(study, evaluator=evaluator, normalize=True))


def position(column: Column, parameters: Mapping[str, Any]) -> float | None:
    """Where a trial stands on an axis; None where it was not asked."""
    value = parameters.get(column.name)
    if value is None or (column.choices and str(value) not in column.choices):
        return None
    return float(column.choices.index(str(value))) if column.choices else float(value)


def spread(record: Record, goal: Goal) -> float | None:
    """The standard deviation over its seeds, where they were several."""
    found = record.about.get("spread", {}).get(goal.metric)
    return None if found is None or len(record.about.get("seeds", ())) < 2 else float(found)


def words(record: Record) -> str:
    """What a mark says when it is pointed at."""
    values = ", ".join(number(value) for value in record.values) or record.failure
    parameters = "\n".join(f"{name} = {number(v)}" for name, v in record.parameters.items())
    return f"trial {record.number} ({record.state}): {values}\n{parameters}"


def duration(seconds: float) -> str:
    """A length of time, for people."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def is_of_test(metric: str, settings: Mapping[str, Any]) -> bool:
    """Whether a metric was measured on the test split: by its name, or by the stage's `split`."""
    said = re.split(r"[/_.\-\s]", metric.lower())
    return "test" in said or any(
        path.split(".")[-1] in ("split", "eval_split") and value == "test"
        for path, value in settings.items()
    )
