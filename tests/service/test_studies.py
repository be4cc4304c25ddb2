"""Studies over HTTP: a real service, trials as real processes."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

STUDY: dict[str, Any] = {
    "study": "counting",
    "target": {"stage": "toy.count"},
    "objective": {"metric": "value", "goal": "max"},
    "space": {"steps": {"int": [1, 9]}},
    "fixed": {"label": "tuned"},
    "search": {"method": "random", "seed": 1},
    "prune": {"method": "none"},
    "budget": {"trials": 2},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, service_type: Any) -> Iterator[Any]:
    running = service_type(tmp_path_factory.mktemp("studies") / "runs").start()
    yield running
    running.stop()
    running.client.close()


def ask(service: Any, **changes: Any) -> Any:
    return service.client.post("/v1/studies", json=STUDY | changes)


def wait(service: Any, id: str, reached: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        study = service.client.get(f"/v1/studies/{id}").json()
        if reached(study):
            return study
        time.sleep(0.3)
    raise AssertionError(f"it does not come so far: {study}")


def test_a_stage_is_tuned_and_shown(service: Any) -> None:
    answer = ask(service)
    assert answer.status_code == 202, answer.text
    study = answer.json()
    assert (study["state"], study["stage"], study["budget"]) == ("queued", "toy.count", 2)
    id = study["id"]
    done = wait(service, id, lambda one: one["state"] not in ("queued", "running"))
    assert done["state"] == "finished", done
    assert done["trials"] == {"complete": 2}
    trials = service.client.get(f"/v1/studies/{id}/trials").json()["trials"]
    assert [trial["values"] for trial in trials] == [
        [trial["parameters"]["steps"]] for trial in trials
    ]
    best = max(trials, key=lambda trial: trial["values"][0])
    assert done["best"]["number"] == best["number"]
    assert service.client.get(f"/v1/studies/{id}/front").json()["trials"] == [best]
    listed = service.client.get("/v1/studies").json()["studies"]
    assert id in [one["id"] for one in listed]
    page = service.client.get(f"/v1/studies/{id}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src" not in page.headers["content-security-policy"]
    assert "<h1>counting</h1>" in page.text
    assert "<script" not in page.text


def test_a_study_is_stopped_and_gone_on_with(service: Any) -> None:
    slow = {"label": "slow", "pace.pause_s": 0.5}
    id = ask(service, study="slow", fixed=slow, space={"steps": {"int": [40, 60]}}).json()["id"]
    wait(service, id, lambda one: one["trials"].get("running"))
    assert service.client.post(f"/v1/studies/{id}/stop").status_code == 202
    stopped = wait(service, id, lambda one: one["state"] != "running")
    assert stopped["state"] == "stopped"
    assert stopped["trials"].get("waiting") == 1
    service.client.post(f"/v1/studies/{id}/start")
    wait(service, id, lambda one: one["trials"].get("running"))
    service.client.post(f"/v1/studies/{id}/stop")
    wait(service, id, lambda one: one["state"] == "stopped")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"target": {"command": {"argv": ["rm", "-rf", "/"]}}}, "command_target", "tunes a stage"),
        ({"target": {"stage": "os:system"}}, "config", "there is no stage"),
        ({"target": {"stage": "toy.count", "config": "/etc/x.yaml"}}, "config", "never a file"),
        ({"fixed": {"start": "/etc/passwd"}}, "config", "uploads/<id>"),
        ({"fixed": {"command": "ls"}}, "config", "cannot be set over HTTP"),
        ({"fixed": {"label": "${env:HOME}"}}, "config", "${...}"),
        ({"space": {"start": {"choice": ["/etc/passwd"]}}}, "config", "given under fixed"),
        ({"space": {"label": {"choice": ["${env:HOME}"]}}}, "config", "${...}"),
        ({"storage": "postgresql://me:pw@host/db"}, "config", "may not be said over HTTP"),
        ({"track": {"wandb": {"mode": "online"}}}, "config", "may not be said over HTTP"),
        ({"budget": {}}, "config", "is needed over HTTP"),
        ({"resources": {"workers": 10**6}}, "config", "cores of this machine"),
        ({"space": {"stepz": {"int": [1, 2]}}}, "config", "did you mean steps"),
    ],
)
def test_what_may_not_be_asked_over_http_is_refused(
    service: Any, changes: dict[str, Any], code: str, words: str
) -> None:
    before = len(service.client.get("/v1/studies").json()["studies"])
    answer = ask(service, **changes)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert words in answer.text.replace('\\"', '"')
    assert len(service.client.get("/v1/studies").json()["studies"]) == before


def test_another_study_is_not_found(service: Any) -> None:
    assert service.client.get("/v1/studies/study-none").status_code == 404
