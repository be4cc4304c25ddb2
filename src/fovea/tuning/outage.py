"""A storage that does not answer: work goes on meanwhile, and it is asked again and again.

From the first failure on it is tried after 1, 2, 4 ... 60 s; after a quarter of an hour the worker
gives up, and the same command goes on later from what stands in the folders of the trials.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from fovea.errors import JobError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
GIVE_UP_S = 15 * 60.0
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class StorageLostError(JobError):
    """The storage of a study does not answer. The same command works once it does."""

    exit_code = 75
    code = "storage"


class Reported(Protocol):
    """The part of an Optuna trial that is told how its run goes."""

    def report(self, value: float, step: int) -> None:
        """A value of the objective at a step."""
        ...

    def should_prune(self) -> bool:
        """Whether to end it early."""
        ...


def is_outage(error: BaseException | None) -> bool:
    """Whether an error means that the storage is out of reach, and not that it was misused."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & {"OperationalError", "InterfaceError", "RpcError"}:
            return True
        if isinstance(error, OSError) or getattr(error, "connection_invalidated", False):
            return True
        error = error.__cause__
    return False


class Line:
    """The connection to a storage: how long it has been broken, and when to try it again."""

    def __init__(self, storage: str) -> None:
        self.storage = storage
        """As it may be shown."""
        self.broken_at: float | None = None
        self._pause = FIRST_PAUSE_S
        self._try_at = 0.0

    def call(self, action: Callable[[], _T]) -> _T:
        """Do something there, again and again where it does not answer.

        Raises:
            StorageLostError: it did not answer for a quarter of an hour.
        """
        while True:
            try:
                found = action()
            except Exception as error:
                if not is_outage(error):
                    raise
                self.broken(error)
                self.refuse_when_lost()
                time.sleep(max(0.0, self._try_at - time.monotonic()))
            else:
                self.well()
                return found

    def is_due(self) -> bool:
        """Whether it makes sense to try it now."""
        return self.broken_at is None or time.monotonic() >= self._try_at

    def is_lost(self) -> bool:
        """Whether it has not answered for so long that we give up."""
        return self.broken_at is not None and time.monotonic() - self.broken_at > GIVE_UP_S

    def broken(self, error: BaseException) -> None:
        """Note that it did not answer."""
        now = time.monotonic()
        if self.broken_at is None:
            self.broken_at, self._pause = now, FIRST_PAUSE_S
            reason = str(error.__cause__ or error).strip().splitlines()
            _log.warning(
                "the storage %s does not answer (%s); trials go on, and it is tried again",
                self.storage,
                reason[0] if reason else type(error).__name__,
            )
        self._try_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    def well(self) -> None:
        """Note that it answers."""
        if self.broken_at is not None:
            _log.warning("the storage %s answers again", self.storage)
        self.broken_at = None

    def refuse_when_lost(self) -> None:
        """Give up when it is time to.

        Raises:
            StorageLostError: it did not answer for a quarter of an hour.
        """
        if self.is_lost():
            raise StorageLostError(
                f"the storage {self.storage} has not answered for {GIVE_UP_S / 60:.0f} minutes. "
                "What the trials reported meanwhile stands in their folders; the same command goes "
                "on once the storage answers."
            )


class Reports:
    """What a trial reports while its storage may be away: kept, and handed on when it is back."""

    def __init__(self, trial: Reported, line: Line) -> None:
        self._trial, self.line = trial, line
        self._waiting: list[tuple[float, int]] = []

    def report(self, value: float, step: int) -> None:
        """A value of the objective at a step."""
        self._waiting.append((value, step))
        self.hand_on()

    def should_prune(self) -> bool:
        """Whether to end the trial early; nobody can say while the storage is away."""
        if not self.hand_on():
            return False
        try:
            return self._trial.should_prune()
        except Exception as error:
            if not is_outage(error):
                raise
            self.line.broken(error)
            return False

    def hand_on(self) -> bool:
        """Hand on what waits; says whether nothing waits any more."""
        while self._waiting and self.line.is_due():
            try:
                self._trial.report(*self._waiting[0])
            except Exception as error:
                if not is_outage(error):
                    raise
                self.line.broken(error)
                return False
            self.line.well()
            del self._waiting[0]
        return not self._waiting

    def finish(self) -> None:
        """Hand on what still waits at the end of the trial, however long the storage is away.

        Raises:
            StorageLostError: it did not answer for a quarter of an hour.
        """
        while self._waiting:
            value, step = self._waiting[0]
            self.line.call(lambda value=value, step=step: self._trial.report(value, step))
            del self._waiting[0]
