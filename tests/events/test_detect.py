"""A recording, or a stream while it comes, gets boxes and a video."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fovea import catalog
from fovea.errors import ArtifactError, ConfigError, DataError
from fovea.events import draw
from fovea.events.arriving import Arriving
from fovea.events.detect import detect
from fovea.events.detections import read_detections
from fovea.events.formats.door import read_events, write_events
from fovea.events.sensor import GEN1
from fovea.events.settings.detect import DetectConfig
from fovea.events.stream import EventStream
from fovea.runs.stage import Context
from fovea.scene.video import read_video

SENSOR = dataclasses.replace(GEN1, height=48, width=64)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of events, as EVT3."""
    rng = np.random.default_rng(1)
    n = 8000
    events = EventStream(
        t=np.sort(rng.integers(1_000_000, 1_500_000, n)),
        x=rng.integers(0, 64, n).astype(np.uint16),
        y=rng.integers(0, 48, n).astype(np.uint16),
        p=rng.integers(0, 2, n).astype(np.uint8),
        height=48,
        width=64,
    )
    path = tmp_path_factory.mktemp("recording") / "half.raw"
    write_events(path, [events], height=48, width=64)
    return path


def detected(folder: Path, **settings: object) -> tuple[dict[str, float], Context]:
    config = DetectConfig.model_validate(settings)
    context = Context.local(catalog.stage("events.detect"), config, folder)
    return detect(config, context), context


def moments(context: Context) -> list[tuple[int, list[tuple[float, ...]]]]:
    found, _ = read_detections(context.output("boxes"))
    return [(moment.t_us, moment.boxes.tolist()) for moment in found]


def test_a_recording_gets_boxes_and_a_video_that_can_be_watched(
    detector: Path, recording: Path, tmp_path: Path
) -> None:
    scores, context = detected(
        tmp_path, recording=recording, detector=detector, confidence=0.2, look={"fps": 10}
    )
    frames, fps = read_video(context.output("video"))
    assert frames.shape[1:] == (384, 512, 3), "48 x 64 pixels are too few to see anything"
    assert fps == 10
    assert 3.5 <= len(frames) / fps <= 4.5, "half a second is shown in slow motion"
    assert scores["windows"] == 4
    assert scores["boxes"] == sum(len(boxes) for _, boxes in moments(context)) > 0
    document = json.loads(context.output("boxes").read_text())
    assert document["period_us"] == 125_000
    assert document["columns"][0] == "x"


def test_two_runs_give_the_same_bytes(detector: Path, recording: Path, tmp_path: Path) -> None:
    settings = {"recording": recording, "detector": detector, "look": {"fps": 5}}
    runs = [detected(tmp_path / name, **settings)[1] for name in "ab"]
    for output in ("boxes", "video"):
        assert runs[0].output(output).read_bytes() == runs[1].output(output).read_bytes()


def test_a_pipe_gives_the_boxes_of_the_file(
    detector: Path, recording: Path, tmp_path: Path
) -> None:
    _, whole = detected(tmp_path / "file", recording=recording, detector=detector, video=False)
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    data = recording.read_bytes()

    def write() -> None:
        with pipe.open("wb") as file:
            for start in range(0, len(data), 997):
                file.write(data[start : start + 997])
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    _, piped = detected(tmp_path / "pipe", stream=str(pipe), detector=detector, video=False)
    writer.join()
    assert moments(piped) == moments(whole)


def test_a_growing_file_is_followed_until_nothing_comes(recording: Path, tmp_path: Path) -> None:
    data, path = recording.read_bytes(), tmp_path / "growing.raw"
    path.write_bytes(data[:2000])

    def write() -> None:
        time.sleep(0.2)
        with path.open("ab") as file:
            file.write(data[2000:])

    writer = threading.Thread(target=write)
    writer.start()
    came = EventStream.joined(Arriving(str(path), follow_s=1.0).pieces())
    writer.join()
    np.testing.assert_array_equal(came.t, read_events(recording).t)


def test_standard_input_is_read(recording: Path) -> None:
    script = (
        "from fovea.events.arriving import Arriving\n"
        "print(sum(len(piece) for piece in Arriving('-').pieces()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=recording.read_bytes(), capture_output=True
    )
    assert done.stdout == b"8000\n", done.stderr


def test_waiting_for_a_pipe_can_be_stopped(tmp_path: Path) -> None:
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    asked = iter([False, False, True, True])
    assert list(Arriving(str(pipe), asked_to_stop=lambda: next(asked)).pieces()) == []


def test_a_larger_recording_is_shrunk_and_its_boxes_are_in_its_own_pixels(
    detector: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    n = 60_000
    events = EventStream(
        t=np.sort(rng.integers(0, 300_000, n)),
        x=rng.integers(0, 640, n).astype(np.uint16),
        y=rng.integers(0, 480, n).astype(np.uint16),
        p=np.ones(n, np.uint8),
        height=480,
        width=640,
    )
    write_events(tmp_path / "vga.raw", [events], height=480, width=640)
    settings = {"recording": tmp_path / "vga.raw", "detector": detector, "confidence": 0.2}
    _, context = detected(tmp_path / "run", look={"fps": 2}, **settings)
    frames, _ = read_video(context.output("video"))
    assert frames.shape[1:] == (480, 640, 3)
    boxes = np.array([row for _, found in moments(context) for row in found])
    assert boxes[:, 3].max() > 64, "wider than the detector's whole frame could say"
    with pytest.raises(DataError, match="fit=refuse does not allow"):
        detected(tmp_path / "no", fit="refuse", **settings)


def test_only_a_part_is_looked_at_where_one_is_named(
    detector: Path, recording: Path, tmp_path: Path
) -> None:
    settings = {"recording": recording, "detector": detector, "video": False, "period_ms": 50}
    scores, context = detected(tmp_path, start_s=0.1, seconds=0.2, **settings)
    assert scores["windows"] == 4 or scores["windows"] == 3
    times = [t_us for t_us, _ in moments(context)]
    assert 1_150_000 <= times[0] < times[-1] <= 1_300_100
    with pytest.raises(DataError, match="holds no event between 9 s and its end"):
        detected(tmp_path / "late", start_s=9, **settings)


def test_a_minus_stands_for_standard_input_and_no_two_streams_are_one() -> None:
    found = [DetectConfig.model_validate({"recording": "-", "detector": "d"}) for _ in range(2)]
    assert (found[0].recording, found[0].stream) == (None, "-")
    assert found[0].stream_id != found[1].stream_id
    again = DetectConfig.model_validate(found[0].model_dump())
    assert again == found[0]


def test_a_recording_and_a_stream_together_or_neither_are_refused(
    detector: Path, recording: Path, tmp_path: Path
) -> None:
    for settings in ({}, {"recording": recording, "stream": "-"}):
        with pytest.raises(ConfigError, match="one recording or at one stream"):
            detected(tmp_path, detector=detector, **settings)


def test_a_stream_that_is_not_there_or_brings_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be opened: No such file"):
        list(Arriving(str(tmp_path / "nothing")).pieces())
    (tmp_path / "empty.raw").touch()
    with pytest.raises(DataError, match="ended without a byte"):
        list(Arriving(str(tmp_path / "empty.raw")).pieces())


@pytest.mark.slow
def test_a_real_recording_of_a_street_can_be_watched(
    data_folder: Path, detector: Path, tmp_path: Path
) -> None:
    path = data_folder / "events" / "prophesee" / "evt3_sample.raw"
    _, context = detected(tmp_path, recording=path, detector=detector, look={"fps": 2})
    frames, _ = read_video(context.output("video"))
    assert frames.shape[1:] == (720, 1280, 3)
    dark = (frames < (draw.EVENT + draw.BACKGROUND) / 2).mean(axis=(1, 2, 3))
    assert 0.01 < np.median(dark) < 0.5
