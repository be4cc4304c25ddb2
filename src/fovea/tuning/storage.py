"""The storage of a study: Optuna's own, in a file or a database.

Trials are asked for and told; `Study.optimize` is not used. What Optuna has no column for stands in
one attribute of a trial, `fovea`. Each call is made again while the storage does not answer
(`outage.py`); what Optuna calls an experiment is in `heartbeat.py`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from fovea.errors import ArtifactError, BackendError, BusyError
from fovea.tuning import backends, heartbeat
from fovea.tuning.address import Address
from fovea.tuning.history import ABOUT, Record, record
from fovea.tuning.outage import Line, StorageLostError, is_outage
from fovea.tuning.outcome import Outcome
from fovea.tuning.parameter import Choice
from fovea.tuning.space import Space, Values

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Direction = Literal["minimize", "maximize"]
TURN_TIMEOUT_S = 600.0
DRIVERS = {
    "postgresql": ("psycopg", "postgres"),
    "mysql": ("pymysql", "mysql"),
    "grpc": ("grpcio", "grpc"),
}
"""The package that a kind of storage needs, and the extra that brings it."""
_log = logging.getLogger(__name__)


class Storage:
    """The trials of one study."""

    def __init__(
        self, address: Address, name: str, directions: Sequence[Direction] | None = None
    ) -> None:
        """Open the study `name`; make it where `directions` are given.

        Raises:
            BackendError: Optuna or a driver is not installed.
            StorageLostError: the storage does not answer.
            ArtifactError: it has no such study.
        """
        self.address = address
        self.line = Line(address.text)
        self._choices: dict[str, Any] | None = None
        self._ids: dict[int, int] = {}
        optuna = _optuna()
        from optuna.samplers import RandomSampler

        sampler, pruner = RandomSampler(seed=0), optuna.pruners.NopPruner()
        common: dict[str, Any] = {"study_name": name, "sampler": sampler, "pruner": pruner}
        try:
            self._backend: Any = backends.open_backend(address, is_new=directions is not None)
            common["storage"] = self._backend
            if directions is None:
                self.study: optuna.Study = optuna.load_study(**common)
            else:
                common |= {"directions": list(directions), "load_if_exists": True}
                self.study = optuna.create_study(**common)
        except ImportError:
            package, extra = DRIVERS.get(address.kind, ("sqlalchemy", "tune"))
            raise BackendError(
                f"the storage {address.text} needs the package {package}, which is not installed. "
                f"Run: pip install 'fovea-vision[{extra}]'."
            ) from None
        except KeyError:
            raise ArtifactError(
                f"the storage {address.text} has no study '{name}'. 'fovea tune study.yaml' "
                "begins one there."
            ) from None
        except Exception as error:
            if not is_outage(error):
                raise
            raise StorageLostError(_unreachable(address, error)) from None

    def close(self) -> None:
        """Let go of the file or the connection."""
        if hasattr(self._backend, "engine"):
            self._backend.remove_session()
            self._backend.engine.dispose()
        elif hasattr(self._backend, "close"):
            self._backend.close()

    @contextmanager
    def turn(self) -> Generator[None]:
        """Do something that no other process of this machine does at the same time.

        Where the storage is a file this makes several steps one; SQLite would let two workers take
        the same trial out of the queue. A database that several machines share sees to that itself.

        Raises:
            BusyError: another process holds it for minutes.
        """
        if self.address.path is None:
            yield
            return
        lock = FileLock(f"{self.address.path}.turn", thread_local=False, poll_interval=0.02)
        try:
            with lock.acquire(timeout=TURN_TIMEOUT_S):
                yield
        except Timeout:
            raise BusyError(
                f"another process has held {self.address.path} for {TURN_TIMEOUT_S:.0f} s without "
                "letting go. If it hangs, end it; the same command goes on then."
            ) from None

    # What is there

    @property
    def attributes(self) -> dict[str, Any]:
        """What is noted about the study."""
        return self.line.call(lambda: self.study.user_attrs)

    def note(self, name: str, value: Any) -> None:
        """Note something about the study."""
        if self.attributes.get(name) != value:
            self.line.call(lambda: self.study.set_user_attr(name, value))
            self._choices = None

    @property
    def records(self) -> list[Record]:
        """All trials, by number."""
        if self._choices is None:
            self._choices = self.attributes.get("choices")
        return [record(trial, self._choices or {}) for trial in self._trials()]

    def glance(self) -> list[Record] | None:
        """All trials by number, without waiting for a storage that does not answer: then None.

        Raises:
            StorageLostError: it did not answer for a quarter of an hour.
        """
        self.line.refuse_when_lost()
        if not self.line.is_due():
            return None
        try:
            if self._choices is None:
                self._choices = self.study.user_attrs.get("choices")
            trials = self.study.get_trials(deepcopy=False)
            found = [record(trial, self._choices or {}) for trial in trials]
        except Exception as error:
            if not is_outage(error):
                raise
            self.line.broken(error)
            return None
        self.line.well()
        return found

    def parameters(self, number: int) -> Values:
        """The parameters of a trial as they are stored, also while it waits."""
        trial = self._trials()[number]
        return trial.system_attrs.get("fixed_params", {}) | trial.params

    # What happens

    def enqueue(
        self, parameters: Mapping[str, Any], about: Mapping[str, Any] | None = None
    ) -> None:
        """Queue a trial with these stored parameters; the rest is sampled."""
        attributes = {ABOUT: dict(about or {})}
        self.line.call(lambda: self.study.enqueue_trial(dict(parameters), user_attrs=attributes))

    def ask(self, sampler: BaseSampler, pruner: BasePruner) -> optuna.Trial:
        """The next trial: the first that waits, else a new one."""
        self.study.sampler, self.study.pruner = sampler, pruner
        with heartbeat.quiet():
            trial = self.line.call(self.study.ask)
        self._ids[trial.number] = trial._trial_id  # pyright: ignore[reportPrivateUsage]
        return trial

    def describe(self, number: int, about: Mapping[str, Any]) -> None:
        """Note what Optuna has no column for."""
        trial_id = self._id(number)
        self.line.call(lambda: self._backend.set_trial_user_attr(trial_id, ABOUT, dict(about)))

    def put_back(self, number: int) -> None:
        """Let a trial that was asked for wait again."""
        from optuna.trial import TrialState

        trial_id = self._id(number)
        self.line.call(lambda: self._backend.set_trial_state_values(trial_id, TrialState.WAITING))

    def alive(self, number: int) -> heartbeat.Heartbeat:
        """Says that a trial lives, while the `with` lasts."""
        return heartbeat.Heartbeat(self._backend, self._id(number))

    def fail_stale(self) -> None:
        """Fail the trials of lost machines, where the storage can tell."""
        if heartbeat.has_heartbeat(self._backend):
            self.line.call(lambda: heartbeat.fail_stale(self.study))

    def tell(self, number: int, outcome: Outcome, about: Mapping[str, Any]) -> bool:
        """Note how a trial ended; says no for one that somebody else has ended: it stays so."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        values = list(outcome.values) if outcome.state == "complete" else None
        state = states.get(outcome.state, TrialState.FAIL)
        try:
            self.describe(number, {**about, **outcome.noted()})
            self.line.call(lambda: self.study.tell(number, values, state=state))
        except (UpdateFinishedTrialError, ValueError) as error:
            if not self._trials()[number].state.is_finished():
                raise
            _log.warning("trial %s was ended by somebody else meanwhile: %s", number, error)
            return False
        return True

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

    def _trials(self) -> list[Any]:
        return self.line.call(lambda: self.study.get_trials(deepcopy=False))

    def _id(self, number: int) -> int:
        if number not in self._ids:
            found: dict[int, int] = {one.number: one._trial_id for one in self._trials()}
            self._ids |= found
        return self._ids[number]


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


def _unreachable(address: Address, error: BaseException) -> str:
    said = str(error.__cause__ or error).strip().splitlines()
    reason = said[0] if said else type(error).__name__
    return (
        f"the storage {address.text} cannot be used: {reason}. Check that the server runs and that "
        "name and password are right; a password is given in the address, or in the variable "
        "FOVEA_STORAGE_PASSWORD."
    )


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
