"""The files for whoever operates the service: read by what reads them, and true to the figures."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fovea.service.metrics import Metrics
from fovea.service.metrics.gpus import GpuFacts
from fovea.service.settings import ServeConfig

DEPLOY = Path(__file__).parents[2] / "deploy"
WORDS = {
    "sum", "by", "rate", "increase", "histogram_quantile", "le", "up", "job", "instance", "status",
    "endpoint", "stage", "event", "result",
}  # fmt: skip
"""Of PromQL, labels among them; `up` is Prometheus' own figure."""


@pytest.fixture(scope="module")
def figures() -> set[str]:
    """Every name in the text of /metrics."""
    metrics = Metrics(ServeConfig())
    metrics.watch_cache(lambda: {"hits": 1, "misses": 2, "bytes": 3})
    metrics.note_gpus([GpuFacts("0", "a card", 1, 2)])
    metrics.requests.labels("GET", "/", "200").inc()
    metrics.request_s.labels("GET", "/").observe(0.1)
    metrics.stage_s.labels("total").observe(1)
    metrics.delivered("task_completed", "delivered")
    return set(re.findall(r"^(\w+)[{ ]", metrics.text().decode(), re.M))


def expressions() -> Iterator[str]:
    for panel in json.loads((DEPLOY / "grafana" / "fovea.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    for group in rules["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_every_figure_that_is_drawn_or_watched_exists(figures: set[str]) -> None:
    assert len(list(expressions())) > 20
    for expression in expressions():
        plain = re.sub(r'"[^"]*"|\[\w+\]', "", expression)
        names = set(re.findall(r"[a-z]\w+", plain)) - WORDS
        assert names - figures == {name for name in names if name.startswith("device_id")}, (
            expression
        )


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        (
            "http_request_duration_seconds",
            "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10",
        ),
        ("predict_duration_seconds", "5 10 15 20 30 40 50 60 90 120"),
        ("predict_stage_duration_seconds", "0.1 0.5 1 2 5 10 20 30"),
    ],
)
def test_histograms_have_the_bounds_of_the_manual(name: str, buckets: str) -> None:
    metrics = Metrics(ServeConfig())
    metrics.request_s.labels("GET", "/").observe(0)
    metrics.stage_s.labels("total").observe(0)
    found = re.findall(rf'^{name}_bucket{{.*?le="([\d.]+)"', metrics.text().decode(), re.M)
    assert [float(bound) for bound in found] == [float(bound) for bound in buckets.split()]


def test_figures_of_the_manual_are_there_with_their_labels(figures: set[str]) -> None:
    assert figures >= {
        "http_requests_total", "predict_requests_total", "gpu_memory_used_mb", "gpu_info",
        "gpu_utilization_percent", "active_tasks", "app_info_info", "input_size_info",
        "queue_depth", "queue_wait_seconds_sum", "cache_hits_total", "cache_misses_total",
        "cache_bytes", "webhook_deliveries_total", "gaussians_output_sum", "model_load_seconds",
        "process_resident_memory_bytes",
    }  # fmt: skip
    text = Metrics(ServeConfig()).text().decode()
    assert "input_size_info 2.359296e+06" in text
    assert re.search(r'app_info_info{description="[^"]+",name="fovea",version="[\d.]+"} 1\.0', text)


def test_the_unit_is_one_that_systemd_reads() -> None:
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("systemd-analyze is not installed here")
    told = subprocess.run(
        [command, "verify", DEPLOY / "fovea.service"], capture_output=True, text=True, check=False
    )
    said = [line for line in told.stderr.splitlines() if "fovea.service" in line]
    assert all("is not executable" in line for line in said), told.stderr


def test_what_starts_the_service_knows_its_flags() -> None:
    from fovea.service.command import settings_of

    unit = (DEPLOY / "fovea.service").read_text()
    words = re.findall(r"^ExecStart=\S+ serve (.*)$", unit, re.M)[0].split()
    assert settings_of(words, variables={}).config.server.port == 8000
    container = (DEPLOY / "Containerfile").read_text()
    command: list[Any] = json.loads(re.findall(r"^CMD (.*)$", container, re.M)[0])
    found = settings_of(command[1:], variables={}).config
    assert (found.server.host, found.browser.auto_open) == ("0.0.0.0", False)


def test_the_proxy_passes_events_on_at_once() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    events = text[text.index("/events$") :]
    assert "proxy_buffering off;" in events[: events.index("}")]


def test_the_doctor_looks_at_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fovea.service.checkup import findings

    monkeypatch.chdir(tmp_path)
    found = {one.what.strip(): one for one in findings()}
    assert set(found) >= {"service", "address", "device", "runs"}
    (tmp_path / "config.yaml").write_text(
        "redis: {enabled: true, url: 'redis://me:hunter22@127.0.0.1:1/0'}\n"
    )
    found = {one.what.strip(): one for one in findings()}
    assert not found["redis"].is_well
    assert "hunter22" not in found["redis"].found
    (tmp_path / "config.yaml").write_text("sever: {}\n")
    (broken,) = findings()
    assert broken.found == "sever: unknown setting; did you mean server?"
