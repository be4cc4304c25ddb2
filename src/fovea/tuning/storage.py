"""The storage of a study: Optuna's tables in SQLite, and the one file that knows Optuna's insides.

Trials are asked for and told; `Study.optimize` is not used. What Optuna has no column for stands in
one attribute of a trial, `fovea`. Optuna's heartbeat is not used either: whoever holds the study's
lock knows that a running trial of this host has lost its process.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from fovea.errors import BackendError, BusyError
from fovea.runs.durable import write_json
from fovea.runs.lock import me
from fovea.tuning.history import ABOUT, Record, record
from fovea.tuning.outcome import Outcome
from fovea.tuning.parameter import Choice
from fovea.tuning.space import Space, Values

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Direction = Literal["minimize", "maximize"]
BUSY_TIMEOUT_S = 60
"""How long a write waits for another process's, before SQLite gives up."""


class Storage:
    """The trials of one study."""

    def __init__(
        self, path: Path, name: str, directions: Sequence[Direction] | None = None
    ) -> None:
        """Open the study `name` in the file `path`; make it where `directions` are given.

        Raises:
            BackendError: Optuna is not installed.
        """
        optuna = _optuna()
        from optuna.samplers import RandomSampler
        from sqlalchemy import URL

        url = URL.create("sqlite", database=str(path.absolute()))
        self._backend = optuna.storages.RDBStorage(
            url.render_as_string(),
            engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}},
            heartbeat_interval=None,
            grace_period=None,
            heartbeat_stale_trial_callback=None,
        )
        sampler, pruner = RandomSampler(seed=0), optuna.pruners.NopPruner()
        if directions is None:
            self.study = optuna.load_study(
                study_name=name, storage=self._backend, sampler=sampler, pruner=pruner
            )
        else:
            self.study = optuna.create_study(
                study_name=name,
                storage=self._backend,
                sampler=sampler,
                pruner=pruner,
                directions=list(directions),
                load_if_exists=True,
            )

    def close(self) -> None:
        """Let go of the file."""
        self._backend.remove_session()
        self._backend.engine.dispose()

    # What is there

    @property
    def attributes(self) -> dict[str, Any]:
        """What is noted about the study."""
        return self.study.user_attrs

    def note(self, name: str, value: Any) -> None:
        """Note something about the study."""
        if self.attributes.get(name) != value:
            self.study.set_user_attr(name, value)

    @property
    def records(self) -> list[Record]:
        """All trials, by number."""
        choices = self.attributes.get("choices", {})
        return [record(trial, choices) for trial in self.study.get_trials(deepcopy=False)]

    def parameters(self, number: int) -> Values:
        """The parameters of a trial as they are stored, also while it waits."""
        trial = self.study.get_trials(deepcopy=False)[number]
        return trial.system_attrs.get("fixed_params", {}) | trial.params

    # What happens

    def enqueue(
        self, parameters: Mapping[str, Any], about: Mapping[str, Any] | None = None
    ) -> None:
        """Queue a trial with these stored parameters; the rest is sampled."""
        self.study.enqueue_trial(dict(parameters), user_attrs={ABOUT: dict(about or {})})

    def ask(self, sampler: BaseSampler, pruner: BasePruner) -> optuna.Trial:
        """The next trial: the first that waits, else a new one."""
        self.study.sampler, self.study.pruner = sampler, pruner
        return self.study.ask()

    def describe(self, number: int, about: Mapping[str, Any]) -> None:
        """Note what Optuna has no column for."""
        trial = self.study.get_trials(deepcopy=False)[number]
        trial_id: int = trial._trial_id  # pyright: ignore[reportPrivateUsage]
        self._backend.set_trial_user_attr(trial_id, ABOUT, dict(about))

    def tell(self, number: int, outcome: Outcome, about: Mapping[str, Any]) -> None:
        """Note how a trial ended. One that somebody else has ended stays as it is."""
        from optuna.trial import TrialState

        ended = {
            "failure": outcome.failure,
            "message": outcome.message,
            "seconds": outcome.seconds,
            "metrics": {name: f"{value:.9g}" for name, value in outcome.metrics.items()},
        }
        self.describe(number, {**about, **ended})
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        values = list(outcome.values) if outcome.state == "complete" else None
        state = states.get(outcome.state, TrialState.FAIL)
        self.study.tell(number, values, state=state, skip_if_finished=True)

    def importances(self) -> dict[str, float]:
        """How much of the first goal each parameter decides, by PED-ANOVA."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        evaluator = PedAnovaImportanceEvaluator(
            target_quantile=0.25, region_quantile=1.0, evaluate_on_local=True
        )
        with warnings.catch_warnings():
            # A conditional parameter that few trials had is said to be inaccurate; the page shows
            # how many trials there are.
            warnings.simplefilter("ignore", UserWarning)
            return dict(get_param_importances(self.study, evaluator=evaluator, normalize=True))


def in_memory(goals: int, sampler: BaseSampler) -> optuna.Study:
    """A study that is forgotten, to see what a sampler would try."""
    directions: list[Direction] = ["minimize"] * goals
    return _optuna().create_study(directions=directions, sampler=sampler)


def stored(space: Space, parameters: Mapping[str, Any]) -> Values:
    """Parameters as the storage holds them."""
    domains = {parameter.name: parameter.domain for parameter in space.parameters}
    return {
        name: domain.label(value) if isinstance(domain := domains[name], Choice) else value
        for name, value in parameters.items()
    }


def labelled(space: Space) -> dict[str, list[Any]]:
    """The values that stand behind labels, by parameter."""
    domains = {p.name: p.domain for p in space.parameters}
    return {
        name: list(domain.values)
        for name, domain in domains.items()
        if isinstance(domain, Choice) and domain.labels != domain.values
    }


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Hold the study's lock; the kernel lets it go when this process ends, however it ends.

    Raises:
        BusyError: another process holds it.
    """
    lock = FileLock(folder / "study.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        path = folder / "owner.json"
        note: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        who = f"process {note['pid']} on {note['host']}" if note else "another process"
        raise BusyError(
            f"{who} works in {folder}. Wait for it to end, or stop it; "
            f"'fovea tune status {folder}' shows how far it is."
        ) from None
    try:
        write_json(folder / "owner.json", me())
        yield
        (folder / "owner.json").unlink(missing_ok=True)
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process works in the study."""
    lock = FileLock(folder / "study.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _optuna() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import optuna
    except ModuleNotFoundError:
        raise BackendError(
            "tuning needs Optuna, which is not installed. Run: pip install 'fovea-vision[tune]'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
