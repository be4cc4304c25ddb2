"""Settings that act on the running service: each is turned, and what it does is looked at."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter

from fovea import dialect
from fovea.service.app import create_app
from fovea.service.photo.desk import without_tensorrt
from fovea.service.settings import ServeConfig

if TYPE_CHECKING:
    from conftest import Service

SAMPLES = dialect.SAMPLES / "corner"
PHOTO = SAMPLES / "corner_00.jpg"
NVIDIA_SMI = """#!/bin/sh
case "$1" in
  *compute_cap*) echo "8.6" ;;
  *utilization.gpu*) echo "0, NVIDIA GeForce RTX 3060, 1234, 56" ;;
  *compute-apps*) ;;
  *) echo "0, GPU-1, NVIDIA GeForce RTX 3060, 11000, 12288" ;;
esac
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def turned(
    tmp_path_factory: pytest.TempPathFactory, service_type: type["Service"]
) -> Iterator[tuple["Service", Path]]:
    """A service of which many settings are turned, on a machine that seems to have a card."""
    folder = tmp_path_factory.mktemp("turned")
    script(folder / "nvidia-smi", NVIDIA_SMI)
    browser = script(folder / "browser", f'#!/bin/sh\necho "$1" > {folder}/opened\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("DISPLAY", ":0")
        patch.setenv("BROWSER", f"{browser} %s")
        running = service_type(
            folder / "runs",
            "browser.auto_open=true",
            "monitoring.metrics_path=/figures",
            f"model.temp_dir={folder / 'sent'}",
            "inference.dynamic_input_size=true",
            "--min-input-size=64",
            "--max-input-size=128",
            "performance.timeout_keep_alive=1",
            "performance.max_concurrency=1",
            "logging.file=true",
            f"logging.folder={folder / 'logs'}",
        ).start()
    yield running, folder
    running.stop()
    running.client.close()


def until(reached: Callable[[], Any], *, within_s: float = 30) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := reached()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_a_card_that_torch_cannot_use_is_named_and_its_figures_are_shown(
    turned: tuple["Service", Path],
) -> None:
    service, _ = turned
    assert service.client.get("/metrics").status_code == 404
    wanted = 'gpu_memory_used_mb{device_id="0"} 1234.0'
    assert until(lambda: wanted in service.client.get("/figures").text)
    text = service.client.get("/figures").text
    assert 'gpu_utilization_percent{device_id="0"} 56.0' in text
    card = 'gpu_info{device_id="0",name="NVIDIA GeForce RTX 3060",vendor="NVIDIA"} 1.0'
    assert card in text
    gpu = service.client.get("/v1/stats").json()["gpu"]
    assert (gpu["vendor"], gpu["available"], gpu["device"]) == ("NVIDIA", False, "cpu")


def test_the_page_is_opened_where_there_is_a_screen(turned: tuple["Service", Path]) -> None:
    service, folder = turned
    opened = folder / "opened"
    assert until(lambda: opened.is_file() and opened.read_text().strip()) == f"{service.url}/"


def test_what_is_sent_is_kept_in_its_folder_and_its_size_follows_the_picture(
    turned: tuple["Service", Path],
) -> None:
    service, folder = turned
    with PHOTO.open("rb") as file:
        asked = service.client.post("/v1/tasks", files={"file": file}).json()
    assert service.wait(asked["task_id"])["state"] == "succeeded"
    task = service.client.get(f"/v1/tasks/{asked['task_id']}").json()
    assert 0 < task["gaussians"] <= (128 // 2) ** 2 * 2
    assert list((folder / "sent").glob("*/content/upload.jpg"))
    said = until(lambda: "done in" in (log := log_of(folder)) and log)
    assert f"[Task {asked['task_id']}] predict done in" in said
    assert PHOTO.name not in said


def log_of(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / "logs").glob("*.log"))


def test_no_more_predictions_are_waited_for_than_may_be(turned: tuple["Service", Path]) -> None:
    service, _ = turned
    answers: list[httpx.Response] = []

    def predict(number: int) -> None:
        with (SAMPLES / f"corner_0{number}.jpg").open("rb") as file:
            answers.append(
                httpx.post(f"{service.url}/v1/predict", files={"file": file}, timeout=90)
            )

    threads = [threading.Thread(target=predict, args=(number,)) for number in (3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["code"] == "too_many_waiting"
    assert int(refused.headers["retry-after"]) > 0


def test_an_idle_connection_is_closed(turned: tuple["Service", Path]) -> None:
    service, _ = turned
    port = int(service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert line.recv(100_000).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        while line.recv(100_000):
            pass
        assert 0.3 < time.monotonic() - began < 15


def test_photographs_share_a_job_and_after_so_many_requests_the_service_ends(
    make_service: Callable[..., "Service"],
) -> None:
    service = make_service(
        "optimization.enable_batch_processing=true",
        "optimization.max_batch_size=2",
        "monitoring.enabled=false",
        "performance.max_requests=400",
    )
    assert service.client.get("/metrics").status_code == 404
    files = [("files", (f"{n}.jpg", (SAMPLES / f"corner_0{n}.jpg").read_bytes())) for n in range(3)]
    asked = service.client.post("/v1/predict/batch", files=files).json()
    jobs = [item["task_id"] for item in asked["items"]]
    assert jobs[0] == jobs[1] != jobs[2]
    batch = f"/v1/batch/{asked['batch_id']}"
    done = until(
        lambda: (now := service.client.get(batch).json())["download_url"] and now, within_s=60
    )
    assert done["status"] == "succeeded", done
    for item in done["items"]:
        assert item["gaussians"] > 0
        assert service.client.get(item["url"]).content.startswith(b"ply\n")
    while service.process.poll() is None:
        try:
            service.client.get("/healthz")
        except httpx.HTTPError:
            time.sleep(0.2)
    assert service.process.wait(120) == 0


def test_so_many_threads_answer_what_waits_for_the_disk(tmp_path: Path) -> None:
    settings = ServeConfig.model_validate(
        {
            "runs": tmp_path,
            "performance": {"max_workers": 7},
            "model": {"preload": False},
            "queue": {"workers": 0},
        }
    )
    app = create_app(settings).app

    async def tokens() -> float:
        async with app.router.lifespan_context(app):
            return current_default_thread_limiter().total_tokens

    assert anyio.run(tokens) == 7


def test_tensorrt_is_told_to_jobs_or_it_is_said_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fovea.photo.onnx import runtime
    from fovea.service.photo.desk import PhotoDesk

    def wanted(**optimization: bool) -> ServeConfig:
        model = {"checkpoint": str(tmp_path), "preload": False}
        return ServeConfig.model_validate({"optimization": optimization, "model": model})

    monkeypatch.delenv("FOVEA_TENSORRT", raising=False)
    PhotoDesk(wanted(enable_tensorrt=True, tensorrt_fp16=False)).start()
    assert os.environ["FOVEA_TENSORRT"] == "fp32"
    assert runtime.providers(tmp_path) == ["CPUExecutionProvider"]
    assert "TensorRT" in without_tensorrt(wanted(enable_tensorrt=True))[0]
    found = ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(runtime.onnxruntime, "get_available_providers", lambda: found)
    monkeypatch.setenv("FOVEA_TENSORRT", "fp16")
    (name, engines), *_ = runtime.providers(tmp_path)
    assert (name, engines["trt_fp16_enable"]) == (found[0], True)
    assert without_tensorrt(wanted(enable_tensorrt=True)) == []
    PhotoDesk(wanted()).start()
    assert "FOVEA_TENSORRT" not in os.environ


def test_a_network_that_is_not_there_is_said_and_the_service_goes_on(
    make_service: Callable[..., "Service"],
) -> None:
    service = make_service("model.preload=true", "model.checkpoint=nowhere.pt")
    first = service.client.get("/v1/health")
    assert (first.status_code, first.json()["model_loaded"]) == (503, False)
    found = until(
        lambda: (now := service.client.get("/v1/health").json())["status"] == "unhealthy" and now
    )
    assert "nowhere.pt" in found["trouble"]
    with PHOTO.open("rb") as file:
        answer = service.client.post("/v1/predict", files={"file": file}, timeout=60)
    assert answer.status_code in (422, 503)
    assert "nowhere.pt" in answer.json()["detail"]
    assert subprocess.Popen.poll(service.process) is None
