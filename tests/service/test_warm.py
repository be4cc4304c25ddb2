"""Short predictions share a process that keeps the network loaded; nothing else does."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from PIL import Image

from fovea import dialect
from fovea.service.table import Job
from fovea.service.warm import is_prediction, is_spent

if TYPE_CHECKING:
    from conftest import Service

    Make = Callable[..., Service]


def photograph(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).resize((160, 120)).save(held, "jpeg")
    return held.getvalue()


def predict(service: "Service", seed: int) -> dict[str, Any]:
    answer = service.client.post(
        "/v1/jobs/photo.predict", files={"photo": ("a.jpg", photograph(seed))}
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


def warm_processes(service: "Service") -> list[int]:
    children = psutil.Process(service.process.pid).children()
    return [one.pid for one in children if "fovea.service.warm" in one.cmdline()]


def test_a_process_is_spent_by_its_jobs_or_by_its_growth() -> None:
    order = {"jobs": 3, "mb": 100.0}
    assert not is_spent(order, done=2, grown_mb=100.0)
    assert is_spent(order, done=3, grown_mb=0.0)
    assert is_spent(order, done=1, grown_mb=101.0)


@pytest.mark.parametrize(
    ("uses", "is_short"),
    [
        (["photo.predict"], True),
        (["photo.predict", "photo.convert"], True),
        (["photo.convert"], False),
        (["photo.predict", "relight.fit"], False),
        (["toy.count"], False),
    ],
)
def test_only_recipes_of_predictions_are_given_to_it(uses: list[str], is_short: bool) -> None:
    stages = {f"s{n}": {"use": use} for n, use in enumerate(uses)}
    recipe = dialect.dump({"name": "x", "stages": stages})
    job = Job("1", "ada", "x", {}, recipe, len(uses), "run", "d")
    assert is_prediction(job) == is_short


@pytest.mark.slow
def test_predictions_share_a_process_until_it_is_spent_and_other_jobs_have_their_own(
    make_service: "Make",
) -> None:
    service = make_service("queue.warm_jobs=2")
    service.wait(service.submit("toy.count", label="plain")["id"])
    assert warm_processes(service) == []
    first = service.wait(predict(service, 1)["id"])
    assert first["state"] == "succeeded", first["error"]
    (pid,) = warm_processes(service)
    second = service.wait(predict(service, 2)["id"])
    assert second["state"] == "succeeded"
    assert second["result"]["artifacts"] != first["result"]["artifacts"]
    third = service.wait(predict(service, 3)["id"])
    assert third["state"] == "succeeded"
    (successor,) = warm_processes(service)
    assert successor != pid
    # The pixels decide, not what the process did before.
    alone = make_service(
        "queue.warm_jobs=0", "--no-cache", "--database", f"sqlite:///{service.folder}/b.sqlite"
    )
    same = alone.wait(predict(alone, 2)["id"])
    digests = [job["result"]["artifacts"][0]["sha256"] for job in (second, same)]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_a_warm_process_that_is_killed_costs_its_job_an_attempt_and_ends_with_its_service(
    make_service: "Make",
) -> None:
    service = make_service("queue.warm_jobs=9")
    id = predict(service, 4)["id"]
    service.wait(id, lambda job: job["state"] == "running" and bool(warm_processes(service)))
    psutil.Process(warm_processes(service)[0]).kill()
    done = service.wait(id)
    assert (done["state"], done["attempt"]) == ("succeeded", 2)
    left = [psutil.Process(pid) for pid in warm_processes(service)]
    assert left
    service.kill()
    gone, alive = psutil.wait_procs(left, timeout=20)
    assert gone
    assert not alive
