"""When a trial is ended early: the rules by plain names, made of Optuna's pruners.

Whether a value is a number at all is no rule's business: the trial looks at that first.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from fovea.errors import Problem
from fovea.tuning.definition import Prune

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


def method_of(prune: Prune, *, goals: int) -> str:
    """The rule to use, where the study leaves it open."""
    return prune.method or ("median" if goals == 1 else "none")


def problems(prune: Prune, *, goals: int) -> list[Problem]:
    """What the rule lacks or cannot do, each with the way out."""
    found: list[Problem] = []
    method = method_of(prune, goals=goals)
    if goals > 1 and method != "none":
        text = (
            f"pruning follows one objective, and there are {goals}; say 'prune: {{method: none}}'"
        )
        found.append(Problem("prune.method", "goals", text))
    if method == "hyperband" and prune.max is None:
        text = "hyperband needs the most steps of a trial; add 'max: 30000' to prune"
        found.append(Problem("prune.max", "missing", text))
    if prune.min is not None and prune.max is not None and prune.min >= prune.max:
        text = f"must be below max; got min {prune.min} and max {prune.max}"
        found.append(Problem("prune.min", "range", text))
    if method == "threshold" and prune.lower is None and prune.upper is None:
        text = "threshold needs a bound; add 'lower' or 'upper' to prune"
        found.append(Problem("prune", "missing", text))
    return found


def build(prune: Prune, *, goals: int) -> BasePruner:
    """The rule as Optuna knows it."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        # `patience` and `wilcoxon` may change in Optuna; `optuna>=5,<6` holds them still.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _build(method_of(prune, goals=goals), prune)


def _build(method: str, prune: Prune) -> BasePruner:
    from optuna import pruners

    match method:
        case "median" | "percentile":
            percentile = 50.0 if method == "median" else prune.percentile
            return pruners.PercentilePruner(
                percentile,
                n_startup_trials=prune.startup,
                n_warmup_steps=prune.warmup,
                interval_steps=1,
                n_min_trials=prune.min_trials,
            )
        case "halving":
            return pruners.SuccessiveHalvingPruner(
                min_resource=prune.min or 1,
                reduction_factor=prune.factor or 4,
                min_early_stopping_rate=0,
                bootstrap_count=0,
            )
        case "hyperband":
            return pruners.HyperbandPruner(
                min_resource=prune.min or 1,
                max_resource=prune.max or "auto",
                reduction_factor=prune.factor or 3,
                bootstrap_count=0,
            )
        case "threshold":
            return pruners.ThresholdPruner(
                lower=-sys.float_info.max if prune.lower is None else prune.lower,
                upper=sys.float_info.max if prune.upper is None else prune.upper,
                n_warmup_steps=prune.warmup,
                interval_steps=1,
            )
        case "patience":
            inner = None if prune.wraps == "none" else _build(prune.wraps, prune)
            return pruners.PatientPruner(inner, prune.patience, min_delta=prune.min_delta)
        case "wilcoxon":
            return pruners.WilcoxonPruner(
                p_threshold=prune.p_value, n_startup_steps=max(2, prune.warmup)
            )
        case _:
            return pruners.NopPruner()


def brackets(prune: Prune) -> list[str]:
    """The brackets of hyperband in words: from how many steps on a trial may end."""
    if prune.method != "hyperband" or prune.max is None:
        return []
    factor, least = prune.factor or 3, prune.min or 1
    count = 1
    while least * factor**count <= prune.max:
        count += 1
    return [f"bracket {i}: first looked at after {least * factor**i}" for i in range(count)]
