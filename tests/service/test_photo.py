"""Photographs over HTTP, as callers send them; the network is the built-in one, and real."""

import csv
import io
import json
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fovea import dialect
from fovea.client import Client, ServiceError
from fovea.errors import JobError

if TYPE_CHECKING:
    from conftest import Service

PHOTO = dialect.SAMPLES / "corner" / "corner_00.jpg"
OTHER = dialect.SAMPLES / "corner" / "corner_01.jpg"


@pytest.fixture(scope="module")
def client(service: "Service") -> Client:
    return Client(service.url)


def send(service: "Service", path: str = "/v1/predict", **fields: Any) -> httpx.Response:
    with PHOTO.open("rb") as file:
        return service.client.post(path, files={"file": file}, data=fields, timeout=120)


def test_a_photograph_is_answered_with_its_scene(service: "Service") -> None:
    answer = send(service)
    said = answer.json()
    assert answer.status_code == 200, said
    assert said["status"] == "success"
    assert said["processing_time"] > 0
    assert said["url"] == f"{service.url}/files/{said['task_id']}/output.ply"
    scene = service.client.get(said["url"])
    assert scene.content.startswith(b"ply\n")
    assert f"element vertex {said['gaussians']}".encode() in scene.content[:2000]
    # The same once more is known, and the older address answers in the older shape.
    again = send(service, "/api/predict")
    assert again.json()["cached"]
    assert again.json()["url"].startswith("/files/")
    assert again.headers["deprecation"].startswith("@")
    assert again.headers["link"] == '</v1/predict>; rel="successor-version"'


def test_a_task_says_how_far_it_is_and_gives_the_format_that_was_asked_for(
    client: Client, tmp_path: Path
) -> None:
    task = client.submit(PHOTO, format="spz", max_gaussians=5000, coordinate="opengl")
    assert task.status in ("queued", "running")
    kinds = [event.kind for event in client.events(task)]
    assert "progress" in kinds
    assert kinds[-1] == "end"
    done = client.wait(task, timeout_s=240)
    assert (done.status, done.progress, done.gaussians) == ("succeeded", 100.0, 5000)
    made = client.download(done, tmp_path / "me.spz")
    from fovea.scene.files import read_gaussians

    assert len(read_gaussians(made)) == 5000


def test_a_smaller_size_is_a_scene_of_fewer_gaussians(client: Client) -> None:
    done = client.wait(client.submit(PHOTO, size=100), timeout_s=240)
    assert done.gaussians is not None
    assert 0 < done.gaussians <= (128 // 2) ** 2 * 2


def test_a_batch_goes_on_past_what_is_no_picture(
    service: "Service", client: Client, tmp_path: Path
) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    asked = client.submit_batch([PHOTO, text, OTHER])
    assert (asked.total, asked.failed) == (3, 1)
    early = service.client.get(f"/v1/batch/{asked.batch_id}/download")
    assert early.status_code in (200, 409)
    done = client.wait_batch(asked, timeout_s=240)
    assert (done.status, done.succeeded, done.failed) == ("partly", 2, 1)
    refused = done.items[1].error or {}
    assert refused["code"] == "not_a_picture"
    with zipfile.ZipFile(client.download_batch(done, tmp_path / "all.zip")) as packed:
        manifest = json.loads(packed.read("manifest.json"))
        assert [item["name"] for item in manifest] == [PHOTO.name, text.name, OTHER.name]
        assert manifest[1]["file"] is None
        assert packed.read(manifest[2]["file"]).startswith(b"ply\n")
        assert set(manifest[0]) == {"name", "file", "task_id", "gaussians", "seconds", "error"}
        assert manifest[0]["gaussians"] > 0


def test_a_batch_may_come_as_an_archive(service: "Service", client: Client) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        packed.write(PHOTO, "set/a.jpg")
        packed.write(OTHER, "set/b.jpg")
    files = {"files": ("set.zip", held.getvalue())}
    asked = service.client.post("/v1/predict/batch", files=files).json()
    assert [item["name"] for item in asked["items"]] == ["a.jpg", "b.jpg"]
    assert client.wait_batch(asked["batch_id"], timeout_s=240).succeeded == 2


@pytest.mark.parametrize(
    ("fields", "status", "code", "words"),
    [
        ({"format": "obj"}, 422, "options", "format"),
        ({"focal_mm": "30", "focal_px": "900"}, 422, "options", "say the focal length twice"),
        ({"color_space": "linear", "format": "sog"}, 422, "options", "take ply or glb"),
        ({"opacity_min": "1"}, 422, "options", "less than 1"),
        ({"colour": "red"}, 422, "options", "colour"),
        ({"max_gaussians": "nan"}, 422, "options", "integer"),
    ],
)
def test_options_that_are_not_valid_are_named(
    service: "Service", fields: dict[str, str], status: int, code: str, words: str
) -> None:
    answer = send(service, "/v1/tasks", **fields)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert words in problem["detail"]
    assert problem["errors"]


def test_without_a_photograph_the_answer_is_422(service: "Service") -> None:
    for path in ("/v1/predict", "/api/predict"):
        answer = service.client.post(path, files={"other": ("", b"")})
        assert answer.status_code == 422
    assert answer.json()["status"] == "error"
    assert set(answer.json()) >= {"message", "solution", "error", "status_code", "timestamp"}


def test_a_file_that_is_no_picture_is_415(client: Client, tmp_path: Path) -> None:
    other = tmp_path / "me.jpg"
    other.write_bytes(b"GIF89 or something like it")
    with pytest.raises(ServiceError, match="no picture that can be read") as caught:
        client.submit(other)
    assert (caught.value.status, caught.value.code) == (415, "not_a_picture")


def test_a_task_can_be_cancelled_and_its_file_is_not_there(client: Client) -> None:
    task = client.cancel(client.submit(PHOTO, focal_mm=77, video="swipe"))
    with pytest.raises(JobError, match="cancelled"):
        client.wait(task, timeout_s=30)
    with pytest.raises(ServiceError, match=r"there is no file 'output\.ply'"):
        client._http.json("GET", f"/files/{task.task_id}/output.ply")


def test_photographs_of_heic_are_taken_as_they_are(service: "Service", tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    from PIL import Image

    pillow_heif.register_heif_opener()
    Image.open(PHOTO).save(tmp_path / "me.heic")
    with (tmp_path / "me.heic").open("rb") as file:
        answer = service.client.post("/v1/tasks", files={"file": file}, data={"size": "64"})
    assert answer.status_code == 202, answer.text
    assert service.wait(answer.json()["task_id"])["state"] == "succeeded"


def test_the_table_of_a_prediction_is_an_artifact_like_others(
    client: Client, tmp_path: Path
) -> None:
    done = client.wait(client.submit(PHOTO), timeout_s=240)
    table = client.artifact(done.task_id, "predict.table", tmp_path / "table.csv")
    with table.open() as file:
        assert len(list(csv.DictReader(file))) == 1


def test_the_figures_tell_of_predictions(service: "Service", client: Client) -> None:
    client.wait(client.submit(PHOTO), timeout_s=240)
    time.sleep(1.5)
    text = service.client.get("/metrics").text
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert float(found['predict_requests_total{status="success"}']) >= 1
    assert float(found['predict_stage_duration_seconds_count{stage="total"}']) >= 1
    assert 'endpoint="/v1/tasks/{id}"' in text
