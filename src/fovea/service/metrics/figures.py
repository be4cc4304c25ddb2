"""The figures of one service, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from fovea.runs.record import package_version
from fovea.service.metrics.gpus import GpuFacts
from fovea.service.settings import ServeConfig

REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
PREDICT_S = (5, 10, 15, 20, 30, 40, 50, 60, 90, 120)
STAGE_S = (0.1, 0.5, 1, 2, 5, 10, 20, 30)
WAIT_S = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)
GAUSSIANS = (1e3, 1e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 1.5e6)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # a second series for each, of when it began, which nobody asks for


class Metrics:
    """All figures, by the names that dashboards and alert rules use."""

    def __init__(self, settings: ServeConfig) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = self._counter(
            "http_requests_total", "Requests that were answered.", ("method", "endpoint", "status")
        )
        self.request_s = self._histogram(
            "http_request_duration_seconds",
            "Seconds until a request was answered.",
            REQUEST_S,
            ("method", "endpoint"),
        )
        self.predictions = self._counter(
            "predict_requests_total", "Predictions that ended.", ("status",)
        )
        for status in ("success", "error"):
            self.predictions.labels(status)
        self.predict_s = self._histogram(
            "predict_duration_seconds", "Seconds from a prediction's start to its end.", PREDICT_S
        )
        self.stage_s = self._histogram(
            "predict_stage_duration_seconds",
            "Seconds of a prediction's parts: image_load, inference, ply_save, postprocess, total.",
            STAGE_S,
            ("stage",),
        )
        self.queue_wait_s = self._histogram(
            "queue_wait_seconds", "Seconds from a job's acceptance to its start.", WAIT_S
        )
        self.gaussians = self._histogram(
            "gaussians_output", "Gaussians of a scene that was made.", GAUSSIANS
        )
        self.active = self._gauge("active_tasks", "Predictions at work.")
        self.queue_depth = self._gauge("queue_depth", "Jobs that wait.")
        self.model_load_s = self._gauge("model_load_seconds", "Seconds that loading took.")
        self.deliveries = self._counter(
            "webhook_deliveries_total", "Messages to other machines.", ("event", "result")
        )
        self.gpu_memory_mb = self._gauge("gpu_memory_used_mb", "MB in use.", ("device_id",))
        self.gpu_use = self._gauge("gpu_utilization_percent", "Share of time.", ("device_id",))
        self.gpu_info = self._gauge("gpu_info", "A card.", ("device_id", "name", "vendor"))
        width, height = settings.inference.input_size
        self._gauge("input_size_info", "Width x height that is asked for.").set(width * height)
        Info("app_info", "This service.", registry=self.registry).info(
            {
                "version": package_version(),
                "name": "fovea",
                "description": "vision stages over HTTP",
            }
        )
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)

    def counted(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count a request by the template of its address.

        Its figures are looked up once: there are only so many templates.
        """
        key = (method, endpoint, status)
        if key not in self._known:
            self._known[key] = (
                self.requests.labels(method, endpoint, str(status)),
                self.request_s.labels(method, endpoint),
            )
        count, took = self._known[key]
        count.inc()
        took.observe(seconds)

    def delivered(self, event: str, result: str) -> None:
        """Count a message to another machine: `delivered`, `retried` or `given_up`."""
        self.deliveries.labels(event, result).inc()

    def watch_cache(self, statistics: Callable[[], Mapping[str, Any]]) -> None:
        """Show hits, misses and bytes of the cache, as `statistics` says them when it is asked."""
        self.registry.register(_CacheFigures(statistics))

    def note_gpus(self, found: Sequence[GpuFacts]) -> None:
        """What the cards are doing."""
        for gpu in found:
            self.gpu_memory_mb.labels(gpu.index).set(gpu.used_mb)
            self.gpu_use.labels(gpu.index).set(gpu.use_percent)
            self.gpu_info.labels(gpu.index, gpu.name, "NVIDIA").set(1)

    def _counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, help, labels, registry=self.registry)

    def _gauge(self, name: str, help: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, help, labels, registry=self.registry)

    def _histogram(
        self, name: str, help: str, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        return Histogram(name, help, labels, buckets=buckets, registry=self.registry)


class _CacheFigures(Collector):
    def __init__(self, statistics: Callable[[], Mapping[str, Any]]) -> None:
        self._statistics = statistics

    def describe(self) -> Iterator[Metric]:
        """What is collected, without asking for it."""
        yield CounterMetricFamily("cache_hits", "Results that were there.")
        yield CounterMetricFamily("cache_misses", "Results that were not.")
        yield GaugeMetricFamily("cache_bytes", "Bytes of the cache.")

    def collect(self) -> Iterator[Metric]:
        """What the cache says now."""
        known = self._statistics()
        yield CounterMetricFamily("cache_hits", "Results that were there.", known.get("hits", 0))
        yield CounterMetricFamily("cache_misses", "Results that were not.", known.get("misses", 0))
        yield GaugeMetricFamily("cache_bytes", "Bytes of the cache.", known.get("bytes", 0))
