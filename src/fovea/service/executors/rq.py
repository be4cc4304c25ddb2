"""Jobs on several machines: Redis carries their ids, `fovea worker` on each box takes them.

The rows of the job table stay the truth. Redis is told the id of each job that can be taken; a
worker that hears of one claims its row, and does nothing where another has it or it was cancelled.
So an id may come twice, or be lost with Redis and told again, and the job is still done once. The
workers see the same files as the service under the same paths, and the same job table.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from fovea.errors import BackendError, ConfigError
from fovea.service import processes
from fovea.service.attempt import Attempt, Workplace
from fovea.service.settings import ServeConfig

try:
    import redis
    from rq import Queue, SimpleWorker
    from rq.exceptions import InvalidJobOperation
    from rq.job import Job as Message
    from rq.serializers import JSONSerializer
except ModuleNotFoundError as error:
    raise BackendError(
        "the executor rq needs the packages redis and rq, and they are not installed. Run: pip "
        "install 'fovea-vision[rq]'."
    ) from error

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
RECOVER_EVERY_S = 2.0
AT_ONCE = 50
"""So many jobs are told of at a time: those behind them may be overtaken by urgent ones."""
TAKEN_S = 15.0
"""A worker that took an id and has not claimed its row after this time has died meanwhile."""
KEPT_S = 60
FOREVER = -1


class RedisQueue:
    """The side of the service: tells the workers which jobs can be taken."""

    def __init__(self, workplace: Workplace) -> None:
        self.here = workplace
        self.queue = queue(workplace.settings)
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._answers = True
        self._between: dict[str, float] = {}
        """Ids that a worker has taken off the queue and not begun, and since when."""
        self._thread = threading.Thread(target=self._work, name="redis-queue")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a new job."""
        self._news.set()

    def stop(self) -> None:
        """End; what the workers have at hand goes on."""
        self._stopping.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.queue.connection.close()

    @property
    def is_well(self) -> bool:
        """Whether Redis and the job table answer."""
        return self._thread.is_alive() and self._answers

    def _work(self) -> None:
        recovered = 0.0
        while not self._stopping.is_set():
            self._news.clear()
            try:
                if time.monotonic() - recovered > RECOVER_EVERY_S:
                    self.here.store.recover(processes.is_dead)
                    recovered = time.monotonic()
                self.tell()
                self._answers = True
            except (redis.RedisError, SQLAlchemyError) as error:
                if self._answers:
                    log.error("Redis or the job table does not answer, trying again: %s", error)
                self._answers = False
            self._news.wait(LOOK_EVERY_S)

    def tell(self) -> int:
        """Tell of the jobs that can be taken and were not told of yet; says how many."""
        most = self.here.settings.queue.owner_running
        ids = self.here.store.waiting(AT_ONCE, most_per_owner=most)
        if not ids:
            return 0
        connection = self.queue.connection
        told = Message.fetch_many(ids, connection=connection, serializer=JSONSerializer)
        lost = self._lost(ids)
        new = [
            id
            for id, message in zip(ids, told, strict=True)
            if id in lost or not _is_on_its_way(message)
        ]
        for id in new:
            self.queue.intermediate_queue.remove(id)
            self.queue.enqueue_call(
                "fovea.service.executors.rq.work",
                args=(id,),
                job_id=id,
                timeout=FOREVER,
                result_ttl=0,
                failure_ttl=KEPT_S,
            )
        return len(new)

    def _lost(self, ids: Sequence[str]) -> set[str]:
        """Ids that a worker took off the queue, who has died before it began with them."""
        taken, now = set(self.queue.intermediate_queue.get_job_ids()), time.monotonic()
        self._between = {id: self._between.get(id, now) for id in ids if id in taken}
        return {id for id, since in self._between.items() if now - since > TAKEN_S}


def _is_on_its_way(message: Message | None) -> bool:
    """Whether an id waits in Redis, or a worker has it that may still claim the row."""
    if message is None:
        return False
    try:
        status = message.get_status(refresh=False)
    except InvalidJobOperation:
        return False
    if status == "queued":
        return True
    began = message.started_at
    return status == "started" and began is not None and time.time() - began.timestamp() < TAKEN_S


class Worker(SimpleWorker):
    """Takes ids from Redis and does the jobs, one at a time, in processes of their own."""

    def __init__(self, workplace: Workplace) -> None:
        self.here = workplace
        self.closing = threading.Event()
        messages = queue(workplace.settings)
        super().__init__(
            [messages],
            name=processes.me().replace("/", "-"),
            connection=messages.connection,
            serializer=JSONSerializer,
            log_job_description=False,
        )
        Worker.at_work = self

    at_work: Worker | None = None
    """The worker of this process."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Save the job at hand, put it back into the queue, and leave."""
        self.closing.set()
        super().request_stop(signum, frame)


def work(id: str) -> None:
    """Do the job of that id, if it is still to be done: what the messages in Redis call."""
    worker = Worker.at_work
    assert worker is not None, "messages are read by this module's Worker"
    here, settings = worker.here, worker.here.settings.queue
    job = here.store.claim(
        processes.me(), settings.lease_s, id=id, most_per_owner=settings.owner_running
    )
    if job is not None:
        Attempt(here, job, worker.closing.is_set).carry_out()


def reach(settings: ServeConfig) -> None:
    """Make sure that Redis is there.

    Raises:
        ConfigError: its address is none.
        BackendError: it does not answer.
    """
    try:
        found = queue(settings)
    except ValueError as error:
        raise ConfigError(f"queue.address is redis://HOST:PORT/NUMBER: {error}.") from error
    place = found.connection.connection_pool.connection_kwargs
    try:
        found.connection.ping()
    except redis.RedisError as error:
        where = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"
        raise BackendError(
            f"Redis at {where} does not answer: {error}. Start it, or give its address by "
            "queue.address=redis://HOST:PORT/NUMBER."
        ) from error
    finally:
        found.connection.close()


def queue(settings: ServeConfig) -> Queue:
    """The queue of the settings, in Redis."""
    connection: Redis = redis.Redis.from_url(settings.queue.address or settings.redis.url)
    return Queue(f"{settings.redis.prefix}-jobs", connection=connection, serializer=JSONSerializer)
