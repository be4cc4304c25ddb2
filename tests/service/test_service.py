"""The service as its callers see it: over HTTP, with jobs that are real processes."""

import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fovea.config import resolve
from fovea.errors import ConfigError
from fovea.service import processes
from fovea.service.command import main
from fovea.service.settings import ServeConfig
from fovea.service.settings.server import ServerConfig

if TYPE_CHECKING:
    from conftest import Service

    Make = Callable[..., Service]


def events(
    service: "Service", id: str, *, after: int = 0, most: int = 10_000
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The events of a job as `(id, name, data)`, until the stream ends."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    with service.client.stream("GET", f"/v1/jobs/{id}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        for line in stream.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif found:
                if "data" in found:
                    yield found.get("id", ""), found["event"], json.loads(found["data"])
                    most -= 1
                found = {}
            if not most:
                return


# Jobs


def test_a_job_runs_and_gives_its_result_and_its_artifacts(service: "Service") -> None:
    asked = service.submit("toy.count", steps=4, label="über all")
    assert asked["state"] == "queued"
    done = service.wait(asked["id"])
    assert done["state"] == "succeeded", done
    assert done["progress"]["fraction"] == 1
    assert done["config"] == {"steps": 4, "label": "über all"}
    stage = done["result"]["stages"][0]
    assert (stage["use"], stage["scores"]) == ("toy.count", {"value": 4.0})
    made = done["result"]["artifacts"][0]
    assert service.client.get(made["href"]).json()["value"] == 4
    assert service.client.get(f"/v1/jobs/{asked['id']}/artifacts/number").status_code == 200
    listed = service.client.get("/v1/jobs").json()["jobs"]
    assert asked["id"] in [job["id"] for job in listed]


def test_artifacts_are_given_in_parts_and_not_twice(service: "Service") -> None:
    done = service.wait(service.submit("toy.count", label="range")["id"])
    made = done["result"]["artifacts"][0]
    whole = service.client.get(made["href"])
    assert whole.headers["etag"] == f'"{made["sha256"]}"'
    assert whole.headers["accept-ranges"] == "bytes"
    part = service.client.get(made["href"], headers={"Range": "bytes=2-6"})
    assert (part.status_code, part.content) == (206, whole.content[2:7])
    again = service.client.get(made["href"], headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_same_work_is_answered_from_the_earlier_run(service: "Service") -> None:
    first = service.wait(service.submit("toy.count", steps=7)["id"])
    began = time.monotonic()
    second = service.wait(service.submit("toy.count", steps=7, pace={"pause_s": 9})["id"])
    assert (first["cached"], second["cached"]) == (False, True)
    assert second["result"]["stages"][0]["reused_from"] == first["run"]
    assert second["id"] != first["id"]
    assert time.monotonic() - began < 5


def test_a_job_that_fails_says_why(service: "Service") -> None:
    failed = service.wait(service.submit("toy.count", fails=True)["id"])
    assert failed["state"] == "failed"
    assert failed["error"]["code"] == "data"
    assert failed["error"]["message"] == "the toy was told to fail. Tell it not to."
    assert failed["message"] == failed["error"]["message"]


def test_a_request_with_a_key_is_done_once(service: "Service") -> None:
    post = service.client.post
    key = {"Idempotency-Key": "one-and-only"}
    first = post("/v1/jobs/toy.count", json={"label": "key"}, headers=key)
    second = post("/v1/jobs/toy.count", json={"label": "key"}, headers=key)
    other = post("/v1/jobs/toy.count", json={"label": "other"}, headers=key)
    assert [answer.status_code for answer in (first, second, other)] == [202, 200, 409]
    assert first.json()["id"] == second.json()["id"]
    assert other.json()["code"] == "idempotency_conflict"


def test_jobs_are_listed_in_pages(service: "Service") -> None:
    for number in range(3):
        service.wait(service.submit("toy.count", label=f"page {number}")["id"])
    everything = [job["id"] for job in service.client.get("/v1/jobs?limit=200").json()["jobs"]]
    address, found = "/v1/jobs?limit=2&state=succeeded", []
    while address:
        page = service.client.get(address).json()
        assert len(page["jobs"]) <= 2
        found += page["jobs"]
        address = page["next"]
    assert [job["id"] for job in found] == [
        id for id in everything if id in {job["id"] for job in found}
    ]
    assert len(found) >= 3


# Events


def test_events_come_as_they_happen_and_go_on_after_a_lost_connection(service: "Service") -> None:
    id = service.submit("toy.count", steps=30, pace={"pause_s": 0.03}, label="events")["id"]
    first = list(events(service, id, most=12))
    last = max(int(number) for number, _, _ in first if number)
    rest = list(events(service, id, after=last))
    numbers = [int(number) for number, _, _ in first + rest if number]
    assert numbers == list(range(1, len(numbers) + 1))
    steps = [data["step"] for _, name, data in first + rest if name == "metric"]
    assert steps == list(range(1, 31))
    assert rest[-1][1] == "end"
    assert rest[-1][2]["state"] == "succeeded"
    replayed = list(events(service, id))
    assert [number for number, _, _ in replayed if number] == [str(n) for n in numbers]


# Cancelling


def test_a_cancelled_job_leaves_no_process_behind(service: "Service") -> None:
    id = service.submit("toy.family", children=2)["id"]
    service.wait_for_step(id, 1)
    family = processes.marked(id)
    assert len(family) >= 4  # the run, the stage, its two children
    answer = service.client.delete(f"/v1/jobs/{id}")
    assert answer.status_code == 202
    assert answer.json()["cancelling"]
    ended = service.wait(id)
    assert ended["state"] == "cancelled"
    assert processes.marked(id) == []
    assert not any(processes.is_alive(process) for process in family)
    assert service.client.delete(f"/v1/jobs/{id}").json()["state"] == "cancelled"


def test_a_job_that_listens_is_cancelled_with_what_it_has(service: "Service") -> None:
    id = service.submit("toy.count", steps=500, pace={"pause_s": 0.02})["id"]
    service.wait_for_step(id, 2)
    service.client.delete(f"/v1/jobs/{id}")
    assert service.wait(id)["state"] == "cancelled"
    page = service.client.get(f"/jobs/{id}/page.json").json()
    assert page["state"] == "cancelled"


# What is refused


def test_all_that_is_wrong_is_said_at_once_in_the_words_of_the_command_line(
    service: "Service",
) -> None:
    body = {"stesp": 3, "steps": 0, "pace": {"pause_s": "long"}, "start": "/etc/passwd"}
    answer = service.client.post("/v1/jobs/toy.count", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "config"
    assert problem["detail"] == "4 settings of toy.count are not valid"
    found = {error["loc"]: error["message"] for error in problem["errors"]}
    assert set(found) == {"stesp", "steps", "pace.pause_s", "start"}
    assert found["stesp"] == "unknown setting; did you mean steps?"

    from service_toys import COUNT

    with pytest.raises(ConfigError) as caught:
        resolve(
            COUNT.config,
            name="toy.count",
            environment={},
            arguments=["stesp=3", "steps=0", "pace.pause_s=long"],
        )
    typed = {p.loc: p.message for p in caught.value.problems}
    assert {loc: found[loc] for loc in typed} == typed


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"start": "/etc/passwd"}, "local_only"),
        ({"start": "../secret"}, "local_only"),
        ({"start": "samples/../../pyproject.toml"}, "unknown_file"),
        ({"start": "samples//etc/passwd"}, "unknown_file"),
        ({"start": "uploads/00000000000000000000000000000000"}, "unknown_file"),
        ({"start": "uploads/../jobs.sqlite"}, "unknown_file"),
        ({"start": "jobs/none/fit.scene"}, "unknown_file"),
        ({"start": 5}, "local_only"),
        ({"command": "rm -rf /"}, "local_only"),
        ({"label": "${env:HOME}"}, "reference"),
    ],
)
def test_what_belongs_to_the_machine_cannot_be_named(
    service: "Service", settings: dict[str, Any], code: str
) -> None:
    answer = service.client.post("/v1/jobs/toy.count", json=settings)
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == [code]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code", "words"),
    [
        ("GET", "/v1/jobs/none", b"", 404, "not_found", "there is no job 'none'"),
        ("POST", "/v1/jobs/toy.cuont", b"{}", 404, "not_found", "Did you mean 'toy.count'?"),
        ("POST", "/v1/jobs/toy.count", b"{", 400, "not_json", "the body is not JSON"),
        ("POST", "/v1/jobs/toy.count", b"[]", 422, "not_object", "must be an object"),
        ("POST", "/v1/jobs/toy.count?preset=x", b"{}", 422, "config", "has no preset 'x'"),
        ("GET", "/v1/jobs?limit=0", b"", 422, "request", "not valid"),
        ("GET", "/v1/uploads/none", b"", 404, "not_found", "there is no upload 'none'"),
        ("GET", "/nowhere", b"", 404, "not_found", ""),
        ("PUT", "/v1/jobs", b"", 405, "method_not_allowed", ""),
        ("POST", "/v1/uploads", bytes(1_100_000), 413, "too_large", ""),
        ("POST", "/v1/uploads", b"", 422, "empty", "the file is empty"),
    ],
)
def test_each_refusal_is_a_problem_body(
    service: "Service",
    method: str,
    path: str,
    content: bytes,
    status: int,
    code: str,
    words: str,
) -> None:
    kind = {"Content-Type": "application/json"} if "jobs" in path else {}
    answer = service.client.request(method, path, content=content, headers=kind)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    ours = {"type", "title", "status", "detail", "code", "instance", "errors"}
    assert set(problem) == ours | {"error", "message", "status_code", "path", "timestamp"}
    assert words in problem["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe-inline" not in answer.headers["content-security-policy"]


def test_a_body_without_a_length_is_cut_off_too(service: "Service") -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(100_000)

    assert service.client.post("/v1/uploads", content=chunks()).status_code == 413


def test_pages_of_other_sites_are_turned_away(service: "Service") -> None:
    foreign = {"Origin": "https://example.org"}
    answer = service.client.post("/v1/jobs/toy.count", json={}, headers=foreign)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    answer = service.client.get("/v1/jobs", headers={"Host": "example.org"})
    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")
    own = {"Origin": service.url}
    assert service.client.get("/v1/jobs", headers=own).status_code == 200


def test_an_address_that_others_can_reach_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"there is none that is valid yet\. Make one: fovea keys create"
    ):
        main(["--host", "0.0.0.0"])
    for host in ("127.0.0.1", "localhost", "::1"):
        assert ServeConfig(server=ServerConfig(host=host)).refuse_open_address() is None


# Uploads


def zipped(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


def test_an_uploaded_archive_is_an_input_and_the_same_one_has_the_same_id(
    service: "Service",
) -> None:
    content = zipped({"scene/0.bin": b"0", "scene/1.bin": b"1", "scene/2.bin": b"2"})
    sent = [
        service.client.post("/v1/uploads?name=scene.zip", content=content).json(),
        service.client.post("/v1/uploads", files={"file": ("scene.zip", content)}).json(),
    ]
    assert sent[0] == sent[1]
    assert (sent[0]["is_folder"], sent[0]["files"]) == (True, 3)
    done = service.wait(service.submit("toy.count", steps=2, photographs=sent[0]["name"])["id"])
    assert done["result"]["stages"][0]["scores"] == {"value": 5.0}
    inside = service.submit("toy.count", steps=2, start=f"{sent[0]['name']}/1.bin")
    assert service.wait(inside["id"])["result"]["stages"][0]["scores"] == {"value": 3.0}


def test_a_form_carries_settings_and_files_together(service: "Service") -> None:
    answer = service.client.post(
        "/v1/jobs/toy.count",
        data={"config": '{"steps": 1}'},
        files=[
            ("photographs", ("set/a.bin", b"a")),
            ("photographs", ("set/b.bin", b"b")),
            ("start", ("start.bin", b"12345")),
        ],
    )
    assert answer.status_code == 202, answer.text
    done = service.wait(answer.json()["id"])
    assert done["result"]["stages"][0]["scores"] == {"value": 8.0}


def test_the_artifact_of_a_job_is_an_input_of_another(service: "Service") -> None:
    first = service.wait(service.submit("toy.count", label="first")["id"])
    name = f"jobs/{first['id']}/number"
    second = service.wait(service.submit("toy.count", steps=1, start=name)["id"])
    size = first["result"]["artifacts"][0]["size"]
    assert second["result"]["stages"][0]["scores"] == {"value": 1.0 + size}


def test_an_archive_that_reaches_out_is_refused(service: "Service") -> None:
    content = zipped({"../../evil": b"x"})
    answer = service.client.post("/v1/uploads?name=a.zip", content=content)
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_unsafe_path")
    uploads = service.folder / ".service" / "uploads"
    assert not [path for path in uploads.iterdir() if path.name.startswith(".draft")]


# What can be asked for


def test_stages_and_their_schemas_are_listed(service: "Service") -> None:
    listed = service.client.get("/v1/stages").json()
    stages = {stage["kind"]: stage for stage in listed["stages"]}
    assert {"relight.fit", "toy.count"} <= set(stages)
    assert stages["toy.count"]["inputs"] == {"start": "file", "photographs": "folder"}
    schema = service.client.get(stages["toy.count"]["schema_href"]).json()
    assert schema["properties"]["steps"]["minimum"] == 1
    assert schema["properties"]["command"]["fovea"]["local_only"]


def test_pages_are_whole_and_ask_nothing_of_others(service: "Service") -> None:
    done = service.wait(service.submit("toy.count", label="page")["id"])
    for address in ("/", f"/jobs/{done['id']}"):
        page = service.client.get(address, follow_redirects=True)
        assert page.status_code == 200
        assert "https://" not in page.text
        for name in page.text.replace("src=", "href=").split('href="')[1:]:
            asked = page.url.join(name.partition('"')[0])
            assert service.client.get(asked).status_code == 200, asked
    shown = service.client.get(f"/jobs/{done['id']}/page.json").json()
    assert (shown["kind"], shown["state"]) == ("run", "done")


def test_health_is_told(service: "Service") -> None:
    assert service.client.get("/healthz").json()["status"] == "ok"
    ready = service.client.get("/readyz")
    assert (ready.status_code, ready.json()["trouble"]) == (200, [])


def test_the_description_of_the_api_names_every_route(service: "Service") -> None:
    described = service.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert "/v1/jobs/{id}/events" in described["paths"]
    assert "default" in described["paths"]["/v1/jobs/{kind}"]["post"]["responses"]


# Coming back


def test_a_service_that_was_killed_finds_its_job_still_at_work(make_service: "Make") -> None:
    service = make_service()
    # Pauses that no start of a service outlasts, however busy the machine is.
    id = service.submit("toy.count", steps=2000, pace={"pause_s": 0.2})["id"]
    waiting = service.submit("toy.count", steps=1)["id"]
    service.wait_for_step(id, 2)
    service.kill()
    before = {process.pid for process in processes.marked(id)}
    assert before
    again = make_service()
    again.wait(id, lambda job: job["state"] == "running")
    assert {process.pid for process in processes.marked(id)} == before
    again.hurry(id)
    done = again.wait(id)
    assert (done["state"], done["attempt"]) == ("succeeded", 2)
    number = again.client.get(f"/v1/jobs/{id}/artifacts/number").json()
    assert number["from"] == 0
    assert again.wait(waiting)["state"] == "succeeded"


def test_a_job_that_died_with_its_service_goes_on_from_its_checkpoint(
    make_service: "Make",
) -> None:
    service = make_service()
    id = service.submit("toy.count", steps=25, pace={"pause_s": 0.05})["id"]
    service.wait_for_step(id, 4)
    service.kill()
    for process in processes.marked(id):
        os.kill(process.pid, signal.SIGKILL)
    again = make_service()
    done = again.wait(id)
    assert (done["state"], done["attempt"]) == ("succeeded", 2)
    assert again.client.get(f"/v1/jobs/{id}/artifacts/number").json()["from"] > 3


def test_a_job_at_work_is_saved_when_the_service_stops_and_goes_on_later(
    make_service: "Make",
) -> None:
    service = make_service()
    id = service.submit("toy.count", steps=40, pace={"pause_s": 0.05})["id"]
    service.wait_for_step(id, 3)
    stream = events(service, id)
    next(stream)
    service.stop()
    assert list(stream)[-1][1] != "end"
    assert service.process.returncode in (0, 130, -signal.SIGINT)
    assert processes.marked(id) == []
    done = make_service().wait(id)
    assert (done["state"], done["attempt"]) == ("succeeded", 1)


def test_a_process_that_is_ended_each_time_fails_the_job_in_the_end(make_service: "Make") -> None:
    service = make_service("--attempts", "2")
    id = service.submit("toy.family", children=0)["id"]
    for attempt in (1, 2):
        service.wait(id, lambda job, n=attempt: job["attempt"] == n and job["progress"] is not None)
        deadline = time.monotonic() + 120
        while not processes.marked(id) and time.monotonic() < deadline:
            time.sleep(0.05)
        processes.end(id)
    failed = service.wait(id)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "worker_lost")


def test_a_port_that_is_taken_is_said(service: "Service") -> None:
    from fovea.errors import BusyError

    port = httpx.URL(service.url).port
    with pytest.raises(BusyError, match=f"needs port {port} of 127.0.0.1"):
        main(["--port", str(port), "--runs", str(service.folder)])


# Recipes


def test_a_recipe_is_checked_stage_by_stage_with_its_inputs_by_name(service: "Service") -> None:
    body = {
        "fit": {"itertions": 3, "data": "/etc"},
        "film": {"fps": 0},
        "flim": {},
        "vars": {"photogrphs": 1, "photographs": "/etc"},
    }
    problem = service.client.post("/v1/jobs/relight", json=body).json()
    assert {(error["loc"], error["code"]) for error in problem["errors"]} == {
        ("fit.itertions", "extra_forbidden"),
        ("fit.data", "local_only"),
        ("film.fps", "greater_than_equal"),
        ("flim", "unknown_stage"),
        ("vars.photogrphs", "unknown"),
        ("vars.photographs", "local_only"),
    }
    sample = service.client.get("/v1/stages").json()["samples"][0]
    good = {"fit": {"iterations": 7}, "vars": {"photographs": sample}}
    answer = service.client.post("/v1/jobs/relight", json=good)
    assert answer.status_code == 202, answer.text
    ended = service.client.delete(answer.json()["links"]["self"])
    assert service.wait(ended.json()["id"])["state"] == "cancelled"
    schema = service.client.get("/v1/schemas/relight").json()
    stages = {"fit", "bake", "decompose", "evaluate", "export", "film"}
    assert set(schema["properties"]) == {"vars"} | stages


def test_one_config_through_http_gives_the_same_bytes_as_the_command_line(
    service: "Service",
) -> None:
    from service_toys import COUNT

    from fovea.config import to_yaml

    words = ["steps=3", "label=0x10 and 1e-4", "pace.pause_s=1e-3"]
    typed = resolve(COUNT.config, name="toy.count", environment={}, arguments=words)
    asked = service.submit("toy.count", steps=3, label="0x10 and 1e-4", pace={"pause_s": 0.001})
    done = service.wait(asked["id"])
    stage = next((service.folder / done["run"] / "stages").iterdir())
    assert (stage / "config.yaml").read_text() == to_yaml(typed.config)
