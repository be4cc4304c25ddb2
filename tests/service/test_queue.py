"""The queue as its callers see it: once more, once only, not too much, and nothing lost."""

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from fovea.service import processes

if TYPE_CHECKING:
    from conftest import Service

    Make = Callable[..., Service]


def slow(service: "Service", **config: Any) -> str:
    """A job that works until it is told to hurry."""
    settings = {"steps": 400, "pace": {"pause_s": 0.2}} | config
    return service.submit("toy.count", **settings)["id"]


def has_begun(job: dict[str, Any]) -> bool:
    return bool((job["progress"] or {}).get("done"))


def read_events(service: "Service", id: str, after: int, most: int) -> list[dict[str, Any]]:
    """Numbered events of a job after that number, until so many came or the connection breaks."""
    found: list[dict[str, Any]] = []
    headers = {"Last-Event-ID": str(after)}
    try:
        with service.client.stream("GET", f"/v1/jobs/{id}/events", headers=headers) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: ") and '"n":' in line:
                    found.append(json.loads(line.removeprefix("data: ")))
                if len(found) >= most or line == "event: end":
                    break
    except httpx.TransportError:
        return found
    return found


def test_equal_requests_at_once_are_computed_once_and_both_are_answered(
    service: "Service",
) -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(slow(service, label="flight"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4
    first = min(ids)
    service.wait(first, has_begun)
    others = [service.job(id) for id in ids if id != first]
    assert {job["state"] for job in others} == {"queued"}
    service.hurry(first)
    done = [service.wait(id) for id in ids]
    assert {job["state"] for job in done} == {"succeeded"}
    assert sorted(job["cached"] for job in done) == [False, True, True, True]
    assert len({job["run"] for job in done}) == 1
    assert not processes.marked(first)
    again = service.client.post(
        "/v1/jobs/toy.count",
        json={"steps": 400, "pace": {"pause_s": 0.2}, "label": "flight"},
    )
    assert (again.status_code, again.json()["cached"]) == (200, True)
    number = again.json()["result"]["artifacts"][0]["href"]
    assert service.client.get(number).json()["label"] == "flight"
    assert read_events(service, again.json()["id"], 0, 10_000)[-1]["state"] == "done"


def test_a_job_whose_equal_ahead_was_cancelled_does_the_work_itself(service: "Service") -> None:
    first, second = slow(service, label="cancelled"), slow(service, label="cancelled")
    service.wait(first, has_begun)
    service.client.delete(f"/v1/jobs/{first}")
    service.wait(second, has_begun)
    service.hurry(second)
    assert service.wait(second)["cached"] is False
    assert service.job(first)["state"] == "cancelled"


def test_a_cancelled_job_is_retried_from_where_it_was(service: "Service") -> None:
    id = slow(service, label="retried")
    refused = service.client.post(f"/v1/jobs/{id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    service.wait(id, lambda job: ((job["progress"] or {}).get("done") or 0) >= 3)
    service.client.delete(f"/v1/jobs/{id}")
    service.wait(id)
    again = service.client.post(f"/v1/jobs/{id}/retry")
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    service.hurry(id)
    done = service.wait(id)
    assert (done["state"], done["attempt"], done["cached"]) == ("succeeded", 2, False)
    assert service.client.get(f"/v1/jobs/{id}/artifacts/number").json()["from"] >= 3
    assert service.client.post(f"/v1/jobs/{id}/retry").status_code == 409


def test_a_stage_that_was_killed_from_outside_goes_on(service: "Service") -> None:
    id = slow(service, label="killed")
    service.wait(id, lambda job: ((job["progress"] or {}).get("done") or 0) >= 2)
    os.kill(processes.marked(id)[-1].pid, signal.SIGKILL)
    service.wait(id, lambda job: job["attempt"] == 2 and job["state"] == "running")
    service.hurry(id)
    done = service.wait(id)
    assert (done["state"], done["error"]) == ("succeeded", None)
    assert service.client.get(f"/v1/jobs/{id}/artifacts/number").json()["from"] >= 2


def test_an_ended_job_is_forgotten_with_its_run(service: "Service") -> None:
    id = slow(service, label="forgotten")
    service.wait(id, has_begun)
    refused = service.client.delete(f"/v1/jobs/{id}?forget=true")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    service.hurry(id)
    run = service.wait(id)["run"]
    assert (service.folder / run).is_dir()
    assert service.client.delete(f"/v1/jobs/{id}?forget=true").status_code == 202
    assert service.client.get(f"/v1/jobs/{id}").status_code == 404
    assert not (service.folder / run).exists()
    anew = service.submit("toy.count", steps=400, label="forgotten")
    assert service.wait(anew["id"])["cached"] is False


def test_quotas_are_answered_with_when_to_ask_again_and_urgent_jobs_go_first(
    make_service: "Make",
) -> None:
    service = make_service("queue.owner_queued=3", "queue.max_waiting=4")
    held = slow(service)
    service.wait(held, has_begun)
    plain = service.submit("toy.count", label="plain")["id"]
    urgent = service.client.post("/v1/jobs/toy.count?priority=5", json={"label": "urgent"})
    service.submit("toy.count", label="third")
    refused = service.client.post("/v1/jobs/toy.count", json={"label": "fourth"})
    assert (refused.status_code, refused.json()["code"]) == (429, "quota")
    assert int(refused.headers["Retry-After"]) > 0
    assert "3 of your jobs wait already" in refused.json()["detail"]
    service.hurry(held)
    service.wait(plain)
    assert service.job(plain)["started"] > service.job(urgent.json()["id"])["started"]


def test_events_lose_nothing_over_a_service_that_was_killed(make_service: "Make") -> None:
    service = make_service()
    id = slow(service, steps=60)
    seen = read_events(service, id, 0, most=6)
    service.kill()
    again = make_service()
    seen += read_events(again, id, seen[-1]["n"], most=4)
    again.hurry(id)
    seen += read_events(again, id, seen[-1]["n"], most=10_000)
    assert [event["n"] for event in seen] == list(range(1, len(seen) + 1))
    assert [event["step"] for event in seen if event["kind"] == "metric"] == list(range(1, 61))
    assert again.wait(id)["state"] == "succeeded"
