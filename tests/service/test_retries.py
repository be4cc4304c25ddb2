import dataclasses

import pytest

from fovea.service.jobs import Job
from fovea.service.retries import again

JOB = Job("1", "ada", "toy.count", {}, "", 1, "run", "d", max_attempts=3)


@pytest.mark.parametrize(
    ("code", "counter", "times"),
    [("worker_lost", "lost", 2), ("killed", "lost", 2), ("oom", "ooms", 1), ("busy", "waits", 2)],
)
def test_each_class_of_failure_is_tried_again_so_many_times(
    code: str, counter: str, times: int
) -> None:
    waits: list[float] = []
    for before in range(5):
        once_more = again(dataclasses.replace(JOB, **{counter: before}), {"code": code})
        if once_more:
            assert once_more.because == counter
            waits.append(once_more.wait_s)
    assert len(waits) == times
    assert waits == sorted(waits)
    assert waits[0] >= 1


@pytest.mark.parametrize("code", ["data", "config", "artifact", "crash", "stopped", "job"])
def test_what_would_fail_again_is_not_tried_again(code: str) -> None:
    assert again(JOB, {"code": code, "message": "no"}) is None


def test_what_was_busy_is_said() -> None:
    once_more = again(JOB, {"code": "disk", "message": "The disk is full."})
    assert once_more
    assert once_more.message == "The disk is full. It is tried again."
