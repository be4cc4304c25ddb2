"""A sampler that is made when a trial has its number: many workers ask, and no two draw alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState


class Numbered(BaseSampler):
    """Makes the real sampler for each trial anew, from what is known of the trial."""

    def __init__(self, make: Callable[[FrozenTrial], BaseSampler]) -> None:
        self._make = make
        self._sampler: BaseSampler | None = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the sampler: the trial has its number now."""
        self._sampler = self._make(trial)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is drawn together."""
        return self._made().infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw what is drawn together."""
        return self._made().sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter by itself."""
        return self._made().sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler note how the trial ended; one that was asked for elsewhere has none."""
        if self._sampler is not None:
            self._sampler.after_trial(study, trial, state, values)

    def _made(self) -> BaseSampler:
        assert self._sampler is not None, "Optuna calls before_trial first"
        return self._sampler
