"""Recordings of a data set as videos."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fovea import catalog
from fovea.errors import DataError
from fovea.events import draw
from fovea.events.boxes import PSEUDO_DTYPE
from fovea.events.film import film, is_plausible
from fovea.events.sensor import GEN1
from fovea.events.settings.film import FilmConfig
from fovea.runs.stage import Context
from fovea.scene.video import read_video

SENSOR = dataclasses.replace(GEN1, height=48, width=64)


@pytest.fixture(scope="module")
def data(goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro data set, noting its sensor as ours do."""
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "val", "test"):
        (root / split).symlink_to(goldens / "events" / "micro_gen1" / split)
    SENSOR.write(root)
    return root


def filmed(folder: Path, **settings: object) -> tuple[np.ndarray, float, Context]:
    config = FilmConfig.model_validate(settings)
    context = Context.local(catalog.stage("events.film"), config, folder)
    assert film(config, context) == {}
    return *read_video(context.output("video")), context


def has(frames: np.ndarray, color: tuple[int, int, int], near: int = 60) -> bool:
    return bool((np.abs(frames.astype(int) - np.array(color)).max(axis=-1) < near).any())


def test_every_histogram_is_a_frame_at_its_own_time(data: Path, tmp_path: Path) -> None:
    frames, fps, _ = filmed(tmp_path, data=data, split="val")
    factor = draw.factor_for(48, 64)
    assert frames.shape[1:] == (48 * factor, 64 * factor, 3)
    assert fps == pytest.approx(8, abs=0.05), "gen1 has a histogram every 125 ms, its labels jitter"
    assert has(frames, draw.class_color(0)) or has(frames, draw.class_color(1))


def test_with_a_detector_true_boxes_are_black_and_found_ones_green_or_red(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    frames, _, _ = filmed(
        tmp_path, data=data, split="val", detector=detector, confidence=0.3, labels="none"
    )
    assert has(frames, draw.GREEN) or has(frames, draw.RED)


def test_two_detectors_stand_side_by_side(data: Path, detector: Path, tmp_path: Path) -> None:
    frames, _, _ = filmed(
        tmp_path, data=data, split="val", detector=detector, compare=detector, seconds=0.5
    )
    width = 64 * draw.factor_for(48, 64)
    assert frames.shape[2] == 2 * width + draw.DIVIDER_PX
    left, right = frames[:, 60:, :width], frames[:, 60:, -width:]
    assert np.abs(left.astype(int) - right).mean() < 6, "a video is not exact"


def test_recordings_are_picked_by_name_or_number(data: Path, tmp_path: Path) -> None:
    name = sorted(path.name for path in (data / "train").iterdir())[1]
    _, _, context = filmed(tmp_path, data=data, split="train", pick=(name, "0"), seconds=0.4)
    (further,) = context.output("videos").iterdir()
    assert further.name != f"{name}.mp4"
    with pytest.raises(DataError, match="pick=nobody names no recording of the train split"):
        filmed(tmp_path / "other", data=data, split="train", pick=("nobody",))


def test_other_frame_rates_keep_the_recordings_time(data: Path, tmp_path: Path) -> None:
    plain, fps, _ = filmed(tmp_path / "a", data=data, split="val")
    faster, wished, _ = filmed(tmp_path / "b", data=data, split="val", fps=20)
    assert wished == 20
    assert len(faster) / wished == pytest.approx(len(plain) / fps, abs=0.06)


def test_reference_mode_repeats_labelled_frames_and_drops_every_second(
    data: Path, tmp_path: Path
) -> None:
    frames, fps, _ = filmed(tmp_path, data=data, split="val", mode="reference")
    folder = next((data / "val").iterdir())
    places = folder / "event_representations_v2" / "stacked_histogram_dt=50_nbins=10"
    labelled = len(np.load(places / "objframe_idx_2_repr_idx.npy"))
    count = len(np.load(places / "timestamps_us.npy"))
    assert fps == 15
    assert len(frames) == -(-(count - labelled + 7 * labelled) // 2)
    assert frames.shape[1:3] == (96, 128), "twice the sensor's size"


def test_backwards_the_last_histogram_comes_first(data: Path, tmp_path: Path) -> None:
    bare = {"data": data, "split": "val", "truth": False, "clock": "published"}
    forward, _, _ = filmed(tmp_path / "a", **bare)
    backward, _, _ = filmed(tmp_path / "b", reverse=True, **bare)
    assert np.abs(forward[::-1].astype(int) - backward).mean() < 2


def test_boxes_that_are_tiny_or_very_wide_are_not_plausible() -> None:
    boxes = np.zeros(4, PSEUDO_DTYPE)
    for row, sides in enumerate([(5, 5, 10, 10), (5, 5, 4, 10), (0, 5, 60, 10), (-30, 5, 33, 10)]):
        for name, value in zip("xywh", sides, strict=True):
            boxes[name][row] = value
    assert is_plausible(boxes, SENSOR).tolist() == [True, False, False, False]


def test_a_second_detector_without_a_first_is_refused() -> None:
    with pytest.raises(ValueError, match="give the first as detector="):
        FilmConfig.model_validate({"data": "x", "compare": "y"})
