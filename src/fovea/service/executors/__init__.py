"""Who works on the jobs: threads of this service, workers on several machines, or a Ray cluster."""

from __future__ import annotations

from typing import Protocol

from fovea.service.access.secrets import Secrets
from fovea.service.attempt import Workplace
from fovea.service.cache import ResultCache
from fovea.service.jobs import JobStore
from fovea.service.places import Machine
from fovea.service.settings import ServeConfig
from fovea.service.warm import WarmMachine
from fovea.service.webhooks import Outbox

__all__ = ["Executor", "Workplace", "make_executor", "make_workplace"]


class Executor(Protocol):
    """Has the jobs of the table worked on, as long as the service runs."""

    def start(self) -> None:
        """Take back the jobs of workers that died, and begin."""
        ...

    def wake(self) -> None:
        """Hear that there is a new job."""
        ...

    def stop(self) -> None:
        """Save and put back what is at work here, and end."""
        ...

    @property
    def is_well(self) -> bool:
        """Whether jobs are being worked on."""
        ...


def make_workplace(
    settings: ServeConfig,
    store: JobStore,
    cache: ResultCache | None = None,
    outbox: Outbox | None = None,
) -> Workplace:
    """What a worker of these settings has at hand."""
    cache = cache or ResultCache(settings, store.engine)
    outbox = outbox or Outbox(store.engine, settings.webhook, Secrets(store.engine))
    is_warm = settings.queue.warm_jobs and settings.queue.executor != "ray"
    place = WarmMachine(settings) if is_warm else Machine(settings)
    store.at_end.append(outbox.write_end)
    return Workplace(settings, store, cache, place, endings=[lambda _: outbox.on_put()])


def make_executor(workplace: Workplace) -> Executor:
    """The executor that the settings name.

    Raises:
        BackendError: its package is not installed.
    """
    kind = workplace.settings.queue.executor
    if kind == "rq":
        from fovea.service.executors.rq import RedisQueue

        return RedisQueue(workplace)
    if kind == "ray":
        from fovea.service.executors.ray import RayThreads

        return RayThreads(workplace)
    from fovea.service.executors.local import Threads

    return Threads(workplace)
