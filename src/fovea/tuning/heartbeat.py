"""Signs of life of trials in a database that several machines share.

The one file that calls what Optuna says may change: the heartbeat of its database storage. A test
holds these calls against the Optuna that is installed. Optuna beats for `Study.optimize`; we ask
and tell, hence beat ourselves, in a thread, while a trial is at work.
"""

from __future__ import annotations

import logging
import threading
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fovea.tuning.outage import is_outage

if TYPE_CHECKING:
    import optuna

EVERY_S = 30
"""How often a trial at work says that it lives."""
GRACE_S = 120
"""A trial that said nothing for so long is lost. Shorter, and live trials fail on a busy disk."""
NONE: dict[str, Any] = {
    "heartbeat_interval": None,
    "grace_period": None,
    "heartbeat_stale_trial_callback": None,
}
"""What a storage of one machine is made with: there one sees whether a process lives."""
_log = logging.getLogger(__name__)


def options(every_s: int = EVERY_S, grace_s: int = GRACE_S) -> dict[str, Any]:
    """What a database storage is made with so that its trials have a heartbeat."""
    return {
        "heartbeat_interval": every_s,
        "grace_period": grace_s,
        "heartbeat_stale_trial_callback": None,
    }


class quiet:
    """Without Optuna's word that a heartbeat is an experiment, and is meant for `optimize`."""

    def __enter__(self) -> None:
        from optuna.exceptions import ExperimentalWarning

        self._catcher = warnings.catch_warnings()
        self._catcher.__enter__()
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._catcher.__exit__(kind, error, at)


def has_heartbeat(backend: Any) -> bool:
    """Whether trials in this storage say that they live."""
    interval = getattr(backend, "get_heartbeat_interval", None)
    return interval is not None and interval() is not None


def fail_stale(study: optuna.Study) -> None:
    """Fail the running trials that said nothing for the whole grace."""
    from optuna.storages import fail_stale_trials

    with quiet():
        fail_stale_trials(study)


class Heartbeat:
    """Says that a trial lives, while the `with` lasts."""

    def __init__(self, backend: Any, trial_id: int) -> None:
        self._backend, self._trial_id = backend, trial_id
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Heartbeat:
        if has_heartbeat(self._backend):
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _beat(self) -> None:
        while not self._is_over.is_set():
            try:
                self._backend.record_heartbeat(self._trial_id)
            except Exception as error:
                if not is_outage(error):
                    raise
                _log.debug("no heartbeat of trial %s: %s", self._trial_id, error)
            self._is_over.wait(self._backend.get_heartbeat_interval())
