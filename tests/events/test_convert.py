"""events.convert: formats, spans, crops."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea import catalog
from fovea.dialect import SAMPLES
from fovea.errors import ConfigError, DataError, StoppedError
from fovea.events.convert import convert
from fovea.events.formats.door import read_events
from fovea.events.settings.convert import ConvertConfig
from fovea.events.stream import EventStream
from fovea.runs.stage import Context

SAMPLE = SAMPLES / "events" / "crossing.raw"


def converted(
    folder: Path, *, recording: Path = SAMPLE, **settings: Any
) -> tuple[EventStream, dict[str, float]]:
    config = ConvertConfig(recording=recording, **settings)
    context = Context.local(catalog.stage("events.convert"), config, folder)
    scores = convert(config, context)
    return read_events(context.output(config.format)), scores


@pytest.mark.parametrize("format", ["raw", "dat", "h5", "csv"])
@pytest.mark.parametrize("chunk", [777, 1_000_000])
def test_every_format_holds_the_same_events(tmp_path: Path, format: str, chunk: int) -> None:
    before = read_events(SAMPLE)
    after, scores = converted(tmp_path, format=format, chunk=chunk)
    assert scores["events"] == len(before)
    assert scores["seconds"] == (before.t[-1] - before.t[0]) / 1e6
    for column in "txyp":
        np.testing.assert_array_equal(getattr(after, column), getattr(before, column))


def test_a_span_begins_at_its_start_and_ends_before_its_stop(tmp_path: Path) -> None:
    before = read_events(SAMPLE)
    start, stop = int(before.t[len(before) // 9]), int(before.t[len(before) // 2])
    after, _ = converted(tmp_path, start_us=start, stop_us=stop, chunk=1000)
    keep = (before.t >= start) & (before.t < stop)
    np.testing.assert_array_equal(after.t, before.t[keep])


def test_a_crop_is_a_sensor_of_its_own(tmp_path: Path) -> None:
    before = read_events(SAMPLE)
    after, _ = converted(tmp_path, crop={"left": 20, "top": 30, "width": 50, "height": 40})
    assert (after.height, after.width) == (40, 50)
    x, y = before.x.astype(int) - 20, before.y.astype(int) - 30
    keep = (x >= 0) & (x < 50) & (y >= 0) & (y < 40)
    np.testing.assert_array_equal(after.x, x[keep])
    np.testing.assert_array_equal(after.y, y[keep])


def test_times_may_count_from_the_first_event_kept(tmp_path: Path) -> None:
    before = read_events(SAMPLE)
    after, _ = converted(tmp_path, start_us=400_000, from_zero=True, chunk=1000)
    kept = before.t[before.t >= 400_000]
    np.testing.assert_array_equal(after.t, kept - kept[0])


def test_a_real_camera_s_clock_is_brought_to_zero_for_raw(
    data_folder: Path, tmp_path: Path
) -> None:
    recording = data_folder / "events" / "davis_sample.aedat4"
    after, _ = converted(tmp_path, recording=recording, from_zero=True)
    before = read_events(recording)
    np.testing.assert_array_equal(after.t, before.t - before.t[0])
    np.testing.assert_array_equal(after.x, before.x)


def test_a_crop_beyond_the_sensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"columns 100 to 200 and rows 0 to 96.* 96 x 128"):
        converted(tmp_path, crop={"left": 100, "width": 100})


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="5 µs does not come after 9 µs"):
        converted(tmp_path, start_us=9, stop_us=5)


def test_stopping_leaves_no_recording(tmp_path: Path) -> None:
    config = ConvertConfig(recording=SAMPLE, chunk=1000)
    context = Context.local(
        catalog.stage("events.convert"), config, tmp_path, asked_to_stop=lambda: True
    )
    with pytest.raises(StoppedError):
        convert(config, context)
    assert not list(context.out.iterdir())


def test_nothing_left_is_said(tmp_path: Path) -> None:
    said: list[Any] = []
    config = ConvertConfig(recording=SAMPLE, start_us=10_000_000)
    context = Context.local(catalog.stage("events.convert"), config, tmp_path, emit=said.append)
    assert convert(config, context)["events"] == 0
    assert any("no event is left" in str(event) for event in said)
