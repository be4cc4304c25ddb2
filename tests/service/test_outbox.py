"""A job's end and the message of it: both are there, or neither, whenever the process is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fovea.service.access.secrets import Secrets
from fovea.service.jobs import JobStore
from fovea.service.settings.webhooks import WebhookConfig
from fovea.service.table import Job, new_id
from fovea.service.webhooks import Outbox

URL = "https://hooks.example/told"
WORKER = """
import os, signal, sys
from fovea.service.access.secrets import Secrets
from fovea.service.jobs import JobStore
from fovea.service.settings.webhooks import WebhookConfig
from fovea.service.webhooks import Outbox

url, moment = sys.argv[1:]
store = JobStore(url)
outbox = Outbox(
    store.engine, WebhookConfig(enabled=True, task_completed="https://hooks.example/told"),
    Secrets(store.engine),
)

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

hooks = {"before": [killed, outbox.write_end], "between": [outbox.write_end, killed],
         "after": [outbox.write_end]}
store.at_end.extend(hooks[moment])
store.finish(store.start(store.claim("worker", 60.0)), {"run": "r", "cached": False,
                                                        "stages": [], "artifacts": []})
killed()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/jobs.sqlite"


@pytest.fixture
def store(url: str) -> Iterator[JobStore]:
    made = JobStore(url)
    yield made
    made.close()


def outbox_of(store: JobStore) -> Outbox:
    settings = WebhookConfig(enabled=True, task_completed=URL)
    outbox = Outbox(store.engine, settings, Secrets(store.engine))
    store.at_end.append(outbox.write_end)
    return outbox


def a_job(store: JobStore, **changes: Any) -> Job:
    job = Job(new_id(), "me", "toy.count", {}, "use: toy.count", 1, "run", "digest")
    return store.enqueue(Job(**vars(job) | changes))[0]


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_kill_at_the_end_of_a_job_loses_no_message(
    url: str, store: JobStore, moment: str
) -> None:
    outbox = outbox_of(store)
    job = a_job(store)
    done = subprocess.run(
        [sys.executable, "-c", WORKER, url, moment], capture_output=True, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    now = store.get(job.id)
    assert now is not None
    if moment == "after":
        assert (now.state, [one.url for one in outbox.messages()]) == ("succeeded", [URL])
        return
    # The transaction was cut off: the job is still at work, and whoever has it next tells of it.
    assert (now.state, outbox.messages()) == ("running", [])
    store.recover(lambda worker: True)
    again = store.claim("another", 60.0)
    assert again is not None
    started = store.start(again)
    assert started is not None
    store.finish(started, {"run": "r", "cached": False, "stages": [], "artifacts": []})
    assert [(one.job, one.url) for one in outbox.messages()] == [(job.id, URL)]


def test_a_job_that_is_answered_at_once_is_told_with_its_row(store: JobStore) -> None:
    outbox = outbox_of(store)
    result = {"run": "r", "cached": True, "stages": [], "artifacts": []}
    job = a_job(store, state="succeeded", result=result, started=1.0, ended=1.0)
    assert [one.job for one in outbox.messages()] == [job.id]


def test_nobody_is_told_of_what_was_cancelled(store: JobStore) -> None:
    outbox = outbox_of(store)
    job = a_job(store)
    store.cancel(job.id)
    assert outbox.messages() == []
