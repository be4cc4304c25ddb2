"""The methods of search by plain names, made of Optuna's samplers with every default spelt out.

A sampler is made anew for each trial, its random numbers drawn from the study's seed and the
trial's index. What it has learnt it reads from the storage, so that a study killed and continued
tries what an unbroken one would have.

`grid` has no sampler of its own: the study puts the combinations into the queue (`study.py`), which
is exact for conditional spaces too.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.errors import BackendError, ConfigError, Problem
from fovea.tuning.definition import Budget, Search
from fovea.tuning.parameter import Choice
from fovea.tuning.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

OPTIONS: dict[str, dict[str, Any]] = {
    "bayesian": {"candidates": 24},
    "gp": {"deterministic": False},
    "cmaes": {
        "population": None,
        "use_pruned": False,
        "separable": False,
        "margin": False,
        "adapt_rate": False,
    },
    "evolution": {"population": 50, "mutation": None, "crossover": 0.9, "swapping": 0.5},
    "quasirandom": {"sequence": "sobol", "scramble": True},
    "random": {},
    "grid": {},
}
"""What `search.options` may hold for each method, and what holds when it does not."""

PACKAGES = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",), "quasirandom": ("scipy",)}


@dataclass(frozen=True)
class Chosen:
    """A method, and why it was taken."""

    method: str
    reason: str


def choose(
    search: Search, space: Space, *, goals: int, budget: Budget, seconds_a_trial: float | None
) -> Chosen:
    """The method to use; `auto` is decided by the space, the goals and what a trial costs."""
    if search.method != "auto":
        return Chosen(search.method, "as the study says")
    count = grid_size(space, most=budget.trials or 0)
    if count is not None:
        return Chosen("grid", f"auto: all {count} combinations fit into the budget")
    if goals > 1:
        return Chosen("bayesian", "auto: several goals")
    numeric = all(not isinstance(p.domain, Choice) for p in space.parameters)
    small = len(space.parameters) <= 20 and numeric and not space.is_conditional
    if small and seconds_a_trial is not None and seconds_a_trial > 60:
        return Chosen("gp", f"auto: a trial takes {seconds_a_trial:.0f} s and all is numeric")
    return Chosen("bayesian", "auto: works for every space")


def grid_size(space: Space, *, most: int) -> int | None:
    """How many combinations there are; None where they are endless or more than `most`."""
    if any(p.domain.finite() is None for p in space.parameters):
        return None
    found = sum(1 for _ in itertools.islice(space.combinations(), most + 1))
    return found if found <= most else None


def problems(search: Search, space: Space, *, goals: int) -> list[Problem]:
    """What the method cannot do with this space, each with the way out."""
    method, found = search.method, list[Problem]()
    choices = [p.name for p in space.parameters if isinstance(p.domain, Choice)]
    if method == "grid":
        try:
            next(space.combinations())
        except ConfigError as error:
            found += error.problems
    if method in ("quasirandom", "cmaes") and space.is_conditional:
        text = f"{method} needs a space without 'when' and 'pick'; use bayesian"
        found.append(Problem("search.method", "conditional", text))
    if method == "cmaes" and choices:
        text = f"cmaes needs numbers, and {', '.join(choices)} are choices; use bayesian"
        found.append(Problem("search.method", "choices", text))
    if method == "cmaes" and len(space.parameters) < 2:
        text = "cmaes needs at least 2 parameters (it shines from 5 on); use bayesian"
        found.append(Problem("search.method", "too_few", text))
    if goals > 1 and method == "cmaes":
        text = f"cmaes follows one objective, and there are {goals}; use evolution or bayesian"
        found.append(Problem("search.method", "goals", text))
    return found + _option_problems(search)


def _option_problems(search: Search) -> list[Problem]:
    known = OPTIONS.get(search.method, {})
    found: list[Problem] = []
    for name in search.options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"options: {', '.join(known) or 'none'}"
            text = f"{search.method} has no option '{name}'; {hint}"
            found.append(Problem(f"search.options.{name}", "unknown", text))
    return found


def build(method: str, search: Search, space: Space, *, goals: int, index: int) -> BaseSampler:
    """The sampler for the trial at `index` of the study.

    Raises:
        BackendError: the method needs a package that is not installed.
    """
    for package in PACKAGES.get(method, ()):
        if importlib.util.find_spec(package) is None:
            raise BackendError(
                f"the search method {method} needs the package {package}, which is not installed. "
                f"Run: pip install {package}, or say 'search: {{method: bayesian}}'."
            )
    options = OPTIONS[method] | search.options
    make = _MAKERS[method]
    with warnings.catch_warnings():
        # Optuna warns that `group` and a few others may change; `optuna>=5,<6` holds them still.
        warnings.simplefilter("ignore", _experimental())
        return make(search, space, goals, seed_of(search.seed, index), options)


def seed_of(seed: int, index: int) -> int:
    """A seed of its own for each trial, the same in every start of the study."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:4], "little")


def _experimental() -> type[Warning]:
    from optuna.exceptions import ExperimentalWarning

    return ExperimentalWarning


def _random(
    search: Search, space: Space, goals: int, seed: int, options: Mapping[str, Any]
) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def _bayesian(
    search: Search, space: Space, goals: int, seed: int, options: Mapping[str, Any]
) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(
        n_startup_trials=search.startup,
        n_ei_candidates=options["candidates"],
        seed=seed,
        multivariate=goals == 1 or space.is_conditional,
        group=space.is_conditional,
        constant_liar=True,
    )


def _gp(
    search: Search, space: Space, goals: int, seed: int, options: Mapping[str, Any]
) -> BaseSampler:
    from optuna.samplers import GPSampler, RandomSampler

    return GPSampler(
        seed=seed,
        independent_sampler=RandomSampler(seed=seed),
        n_startup_trials=search.startup,
        deterministic_objective=options["deterministic"],
        warn_independent_sampling=False,
    )


def _cmaes(
    search: Search, space: Space, goals: int, seed: int, options: Mapping[str, Any]
) -> BaseSampler:
    from optuna.samplers import CmaEsSampler, RandomSampler

    return CmaEsSampler(
        n_startup_trials=search.startup,
        independent_sampler=RandomSampler(seed=seed),
        warn_independent_sampling=False,
        seed=seed,
        consider_pruned_trials=options["use_pruned"],
        popsize=options["population"],
        use_separable_cma=options["separable"],
        with_margin=options["margin"],
        lr_adapt=options["adapt_rate"],
    )


def _evolution(
    search: Search, space: Space, goals: int, seed: int, options: Mapping[str, Any]
) -> BaseSampler:
    from optuna.samplers import NSGAIIISampler, NSGAIISampler

    family = NSGAIISampler if goals < 4 else NSGAIIISampler
    return family(
        population_size=options["population"],
        mutation_prob=options["mutation"],
        crossover_prob=options["crossover"],
        swapping_prob=options["swapping"],
        seed=seed,
    )


def _quasirandom(
    search: Search, space: Space, goals: int, seed: int, options: Mapping[str, Any]
) -> BaseSampler:
    from optuna.samplers import QMCSampler, RandomSampler

    # One sequence for the whole study: its seed must not change from trial to trial.
    return QMCSampler(
        qmc_type=options["sequence"],
        scramble=options["scramble"],
        seed=seed_of(search.seed, -1),
        independent_sampler=RandomSampler(seed=seed),
        warn_asynchronous_seeding=False,
        warn_independent_sampling=False,
    )


_MAKERS: dict[str, Callable[[Search, Space, int, int, Mapping[str, Any]], BaseSampler]] = {
    "random": _random,
    "grid": _random,
    "bayesian": _bayesian,
    "gp": _gp,
    "cmaes": _cmaes,
    "evolution": _evolution,
    "quasirandom": _quasirandom,
}
