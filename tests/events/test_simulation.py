import json
from pathlib import Path

import numpy as np
import pytest

from fovea.errors import ConfigError, DataError, StoppedError
from fovea.events.dataset import EventSet
from fovea.events.formats.door import read_events
from fovea.events.representation import stacked_histogram
from fovea.events.settings.simulate import SimulateConfig
from fovea.events.simulation import sensor_of, simulate
from fovea.events.stages import SIMULATE
from fovea.runs.stage import Context

TINY = SimulateConfig(height=48, width=64, train=2, val=1, test=1, seconds=0.7, keep_raw=True)


def made(config: SimulateConfig, folder: Path, **rest) -> Context:
    context = Context.local(SIMULATE, config, folder, seed=config.seed, **rest)
    simulate(config, context)
    return context


def contents(context: Context) -> dict[str, bytes]:
    files = (path for path in context.out.rglob("*") if path.is_file())
    return {path.relative_to(context.out).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return made(TINY, tmp_path_factory.mktemp("simulate"))


def test_a_data_set_has_the_recordings_and_labels_that_were_asked_for(tiny: Context) -> None:
    found = EventSet.open(tiny.out / "dataset")
    assert found.sensor.classes == ("car", "pedestrian")
    assert [len(found.split(name)) for name in ("train", "val", "test")] == [2, 1, 1]
    for recording in found.split("train"):
        assert recording.read(0, 1).shape[1:] == (20, 48, 64)
        assert set(np.diff(recording.times_us)) == {50_000}
        assert set(recording.label_times_us) <= set(range(100_000, 700_001, 100_000))
        assert set(recording.labels["class_id"]) <= {0, 1}


def test_histograms_are_those_of_the_recording_that_is_kept(tiny: Context) -> None:
    recording = EventSet.open(tiny.out / "dataset").split("test")[0]
    events = read_events(tiny.out / "recordings" / "test" / f"{recording.name}_td.raw")
    for number, end_us in enumerate(recording.times_us):
        expected = stacked_histogram(events.between(end_us - 50_000, end_us))
        assert np.array_equal(recording.read(number, number + 1)[0], expected)


def test_boxes_lie_beside_the_recordings_that_are_kept(tiny: Context) -> None:
    paths = sorted((tiny.out / "recordings").rglob("*_bbox.npy"))
    assert len(paths) == 4
    rows = np.concatenate([np.load(path) for path in paths])
    assert {"t", "x", "y", "w", "h", "class_id", "track_id"} <= set(rows.dtype.names)
    assert len(rows) > 4


def test_the_same_settings_make_the_same_bytes_and_another_seed_others(
    tiny: Context, tmp_path: Path
) -> None:
    again = made(TINY, tmp_path / "again")
    other = made(TINY.model_copy(update={"seed": 1}), tmp_path / "other")
    assert contents(again) == contents(tiny)
    histograms = [name for name in contents(tiny) if name.endswith("representations.h5")]
    assert all(contents(other).get(name) != contents(tiny)[name] for name in histograms)


def test_a_stopped_run_goes_on_where_it_was_and_ends_the_same(
    tiny: Context, tmp_path: Path
) -> None:
    asked = iter([False] * 12 + [True] * 100)
    with pytest.raises(StoppedError):
        made(TINY, tmp_path, asked_to_stop=lambda: next(asked))
    begun = len((tmp_path / "items.jsonl").read_text().splitlines())
    assert 0 < begun < 4
    assert contents(made(TINY, tmp_path)) == contents(tiny)


def test_a_recording_does_not_depend_on_how_many_others_there_are(
    tiny: Context, tmp_path: Path
) -> None:
    fewer = made(TINY.model_copy(update={"train": 1, "val": 0}), tmp_path)
    for name, data in contents(fewer).items():
        assert contents(tiny)[name] == data


def test_a_published_sensor_gives_its_size_classes_and_label_times(tmp_path: Path) -> None:
    config = SimulateConfig(sensor="gen1", train=0, val=0, test=1, seconds=0.8)
    recording = EventSet.open(made(config, tmp_path).out / "dataset").split("test")[0]
    assert recording.sensor.name == "gen1"
    assert recording.read(0, 1).shape[1:] == (20, 240, 304)
    assert set(recording.label_times_us) <= {250_000, 500_000, 750_000}


def test_a_published_sensor_has_no_other_size() -> None:
    with pytest.raises(ConfigError, match="gen1 has 240 x 304 pixels, and 96 x 304 are asked for"):
        sensor_of(SimulateConfig(sensor="gen1", height=96))


def test_nothing_to_make_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train, val and test are all 0"):
        made(SimulateConfig(train=0, val=0, test=0), tmp_path)


def test_recordings_too_short_for_a_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="end before their first labelled moment"):
        made(SimulateConfig(seconds=0.3, label_step_ms=500), tmp_path)


@pytest.mark.parametrize("objects", [(4, 2), (0, 2)])
def test_ranges_rise(objects: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="the lower one first"):
        SimulateConfig(scene={"objects": objects})


def test_photographs_that_are_not_there_are_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="lenna is not one of astronaut, brick"):
        SimulateConfig(scene={"photographs": ["brick", "lenna"]})


def test_a_folder_of_another_sensor_is_not_mixed_with(tiny: Context, tmp_path: Path) -> None:
    (tmp_path / "tmp" / "out" / "dataset").mkdir(parents=True)
    noted = json.loads((tiny.out / "dataset" / "sensor.json").read_text())
    text = json.dumps(noted | {"height": 64})
    (tmp_path / "tmp" / "out" / "dataset" / "sensor.json").write_text(text)
    with pytest.raises(DataError, match="64 x 64"):
        made(TINY, tmp_path)
