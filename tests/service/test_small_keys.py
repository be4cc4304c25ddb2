"""Keys of the settings that act quietly, and have no better place to be shown at work."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine

from fovea.service.access.secrets import Secrets
from fovea.service.cache import ResultCache
from fovea.service.jobs import JobStore
from fovea.service.places import group_nice, stand_back
from fovea.service.retention import Retention
from fovea.service.settings import ServeConfig
from fovea.service.settings.webhooks import WebhookConfig
from fovea.service.webhooks import Outbox


def test_results_are_looked_through_so_often(tmp_path: Path) -> None:
    settings = ServeConfig.model_validate(
        {"runs": tmp_path, "retention": {"days": 1, "every_s": 0.02}}
    )
    store = JobStore(settings.database_url)
    seen: list[float] = []

    class Counting(Retention):
        def tidy(self) -> list[object]:  # type: ignore[override]
            seen.append(time.monotonic())
            return []

    counting = Counting(settings, store, ResultCache(settings, store.engine), tmp_path)
    counting.start()
    deadline = time.monotonic() + 120
    while len(seen) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    counting.stop()
    store.close()
    assert len(seen) >= 4


def test_sent_messages_are_forgotten_after_so_many_days(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    now = [1_000_000.0]
    settings = WebhookConfig(
        enabled=True, allow=("127.0.0.0/8",), allow_http=True, keep_days=2,
        task_completed="http://127.0.0.1:9/",
    )  # fmt: skip
    outbox = Outbox(engine, settings, Secrets(engine), clock=lambda: now[0])
    from fovea.service.jobs import Job, new_id

    job = Job(new_id(), "ada", "toy", {}, "", 1, "run", "", state="succeeded", ended=now[0])
    with engine.begin() as connection:
        outbox.write_end(connection, job)
    message = outbox.claim(60)
    assert message is not None
    outbox.delivered(message, 200)
    for days, left in ((1, 1), (3, 0)):
        now[0] = 1_000_000.0 + days * 86_400
        outbox.tidy()
        assert len(outbox.messages()) == left
    engine.dispose()


def test_jobs_stand_back_by_so_much() -> None:
    words = [sys.executable, "-c", "input()"]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    try:
        stand_back(child.pid, 3)
        nice = min(19, psutil.Process().nice() + 3)
        assert psutil.Process(child.pid).nice() == nice
        group = Path(f"/proc/{child.pid}/autogroup")
        if group.is_file():
            ours = group_nice(Path("/proc/self/autogroup"))
            assert group_nice(group) == min(19, ours + 3)
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize(("said", "nice"), [("/autogroup-17 nice 5\n", 5), ("", 0)])
def test_a_process_of_no_session_is_in_the_groups_root(
    said: str, nice: int, tmp_path: Path
) -> None:
    (tmp_path / "autogroup").write_text(said)
    assert group_nice(tmp_path / "autogroup") == nice
