"""A live stream gives the boxes of the recording, however it is cut, in bounded memory."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.events.cadence import Cadence
from fovea.events.detections import Moment
from fovea.events.fit import Fit
from fovea.events.live import LiveDetector
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector
from fovea.events.representation import halve, stacked_histogram
from fovea.events.sensor import GEN1, GEN4, Sensor
from fovea.events.stream import EventStream

SMALL = dataclasses.replace(GEN1, name="small", height=48, width=64)
HALVED = dataclasses.replace(GEN4, name="halved", height=96, width=128)


def detector_of(sensor: Sensor) -> Detector:
    """Untrained, and sure enough of something to give boxes."""
    torch.manual_seed(3)
    detector = Detector(Architecture.of("nano", sensor))
    with torch.no_grad():
        for each in (*detector.yolox_head.obj_preds, *detector.yolox_head.cls_preds):
            each.bias.fill_(0.0)
            each.weight.normal_(std=3.0)
    return detector.eval()


def events(sensor: Sensor, seconds: float = 1.0, n: int = 20_000) -> EventStream:
    rng = np.random.default_rng(5)
    return EventStream(
        t=np.sort(rng.integers(1_000_000, 1_000_000 + int(seconds * 1e6), n)),
        x=rng.integers(0, sensor.width, n).astype(np.uint16),
        y=rng.integers(0, sensor.height, n).astype(np.uint16),
        p=rng.integers(0, 2, n).astype(np.uint8),
        height=sensor.height,
        width=sensor.width,
    )


def pieces(stream: EventStream, sizes: list[int]) -> Iterator[EventStream]:
    at, turn = 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        yield stream[at : at + size]
        at, turn = at + size, turn + 1


def followed(live: LiveDetector, stream: EventStream, sizes: list[int]) -> list[Moment]:
    moments = [moment for piece in pieces(stream, sizes) for moment in live.feed(piece)]
    return moments + live.finish()


def rows(moments: list[Moment]) -> list[tuple[int, list[tuple[float, ...]]]]:
    """Every value; a float32 is the same float64 only when all its bits are."""
    return [(moment.t_us, moment.boxes.tolist()) for moment in moments]


@pytest.fixture(scope="module")
def small() -> Detector:
    return detector_of(SMALL)


def test_its_boxes_are_those_of_the_windows_one_after_the_other(small: Detector) -> None:
    stream = events(SMALL)
    moments = followed(LiveDetector(small, SMALL), stream, [len(stream)])
    start = int(stream.t[0])
    assert [moment.t_us for moment in moments] == [
        start + 50_000 + 125_000 * number for number in range(8)
    ]
    states = None
    for moment in moments:
        window = stream.between(moment.t_us - 50_000, moment.t_us)
        with torch.inference_mode():
            decoded, states = small(torch.from_numpy(stacked_histogram(window))[None], states)
        sure = decoded[0, :, 4] * decoded[0, :, 5:].max(dim=1).values
        assert len(moment.boxes) > 0
        best = float((moment.boxes["objectness"] * moment.boxes["class_confidence"]).max())
        assert best == pytest.approx(float(sure.max()), rel=1e-6)
        assert (moment.boxes["t"] == moment.t_us).all()


@settings(max_examples=5, deadline=None)
@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5))
def test_the_boxes_are_the_same_bit_for_bit_however_events_come(sizes: list[int]) -> None:
    stream = events(SMALL, seconds=0.6, n=6000)
    detector = detector_of(SMALL)
    whole = rows(followed(LiveDetector(detector, SMALL), stream, [len(stream)]))
    assert rows(followed(LiveDetector(detector, SMALL), stream, sizes)) == whole


@pytest.mark.parametrize("manner", ["crop", "resize"])
def test_so_they_are_for_a_recording_of_another_size(small: Detector, manner: str) -> None:
    other = dataclasses.replace(SMALL, height=100, width=150)
    stream = events(other, seconds=0.5, n=9000)
    fit = Fit.of(100, 150, SMALL, manner)
    found = [
        rows(followed(LiveDetector(small, SMALL, fit=fit, confidence=0.01), stream, sizes))
        for sizes in ([9000], [700, 13])
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_halved_sensors_give_boxes_in_pixels_of_the_sensor() -> None:
    detector = detector_of(HALVED)
    stream = events(HALVED, seconds=0.2)
    live = LiveDetector(detector, HALVED)
    (first, *_) = followed(live, stream, [len(stream)])
    window = stream.between(first.t_us - 50_000, first.t_us)
    with torch.inference_mode():
        decoded, _ = detector(torch.from_numpy(halve(stacked_histogram(window)))[None])
    sure = decoded[0, :, 4] * decoded[0, :, 5:].max(dim=1).values
    best = decoded[0, int(sure.argmax()), :4].numpy()
    assert first.boxes["w"][0] == pytest.approx(2 * best[2], rel=1e-5)
    assert first.boxes["x"][0] == pytest.approx(2 * (best[0] - best[2] / 2), abs=1e-3)


def test_a_dense_cadence_gives_twenty_windows_a_second(small: Detector) -> None:
    moments = followed(LiveDetector(small, SMALL, cadence=Cadence()), events(SMALL), [4096])
    assert len(moments) == 19


def test_memory_begins_anew_after_a_long_silence(small: Detector) -> None:
    stream = events(SMALL, seconds=0.3)
    later = dataclasses.replace(stream, t=stream.t + 60_000_000)
    live = LiveDetector(small, SMALL)
    moments = [*live.feed(stream), *live.feed(later), *live.finish()]
    half = len(moments) // 2
    assert [m.t_us + 60_000_000 for m in moments[:half]] == [m.t_us for m in moments[half:]]
    for before, after in zip(moments[:half], moments[half:], strict=True):
        np.testing.assert_array_equal(before.boxes["x"], after.boxes["x"])


def test_the_report_counts_windows_and_knows_their_latency(small: Detector) -> None:
    live = LiveDetector(small, SMALL)
    assert live.latency().windows == 0
    followed(live, events(SMALL), [1000])
    report = live.latency()
    assert report.windows == 8
    assert 0 < report.median_ms <= report.p95_ms <= report.worst_ms
    assert report.real_time > 0
    assert "8 windows, latency" in str(report)


def test_a_silent_camera_is_followed_by_the_clock(small: Detector) -> None:
    live = LiveDetector(small, SMALL)
    live.feed(events(SMALL, seconds=0.01))
    assert len(live.advance(1_200_000)) == 2
    assert live.finish() == []


def test_events_of_another_size_are_refused(small: Detector) -> None:
    with pytest.raises(DataError, match="stream is of 48 x 64 pixels, and events of 96 x 128"):
        LiveDetector(small, SMALL).feed(events(HALVED, n=10))
