from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from fovea.errors import ArtifactError, DataError
from fovea.events.boxes import BOX_DTYPE
from fovea.events.formats.door import read_events
from fovea.events.settings.simulate import RenderConfig, SimulateConfig
from fovea.events.simulate.video import Framing, flow_between, video_moments
from fovea.events.simulation import simulate
from fovea.events.stages import SIMULATE
from fovea.runs.stage import Context
from fovea.scene.video import frame_count, frame_rate, write_video

FPS, FRAMES, SPEED_PX = 20, 12, 6


def shot(number: float, height: int = 64, width: int = 96) -> np.ndarray:
    """A soft bright spot that moves `SPEED_PX` a frame over a texture, 0..1."""
    y, x = np.mgrid[:height, :width]
    texture = 0.25 + 0.05 * np.sin(x / 3.0) * np.sin(y / 4.0)
    far = np.hypot(x - 12 - SPEED_PX * number, y - height / 2)
    grey = texture + 0.6 * np.clip(9 - far, 0, 1)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "spot.mp4"
    write_video(path, map(shot, range(FRAMES)), fps=FPS)
    return path


def recorded(config: SimulateConfig, folder: Path) -> Context:
    context = Context.local(SIMULATE, config, folder)
    simulate(config, context)
    return context


def test_a_video_says_how_fast_and_how_long_it_is(video: Path) -> None:
    assert frame_rate(video) == FPS
    assert frame_count(video) == FRAMES


def test_moments_go_from_the_first_frame_to_the_last_with_others_between(video: Path) -> None:
    framing = Framing.filling((64, 96), height=64, width=96)
    plain = [t for t, _ in video_moments(video, framing, RenderConfig(), interpolate=False)]
    assert plain == [k * 50_000 for k in range(FRAMES)]
    filled = [t for t, _ in video_moments(video, framing, RenderConfig())]
    assert set(plain) <= set(filled)
    assert filled == sorted(set(filled))
    # Six pixels a frame are seen in steps of about half a pixel.
    assert len(filled) >= 10 * (FRAMES - 1)


def test_frames_are_read_only_as_far_as_they_are_needed(video: Path) -> None:
    framing = Framing.filling((64, 96), height=64, width=96)
    moments = video_moments(video, framing, RenderConfig(), clip_s=0.1, interpolate=False)
    assert [t for t, _ in moments] == [0, 50_000, 100_000]
    assert len(list(islice(video_moments(video, framing, RenderConfig()), 3))) == 3


def test_flow_between_two_frames_is_the_motion_of_what_moved() -> None:
    before, after = (shot(number)[..., 0] for number in (3, 4))
    flow = flow_between(before, after)[24:40, 12 + 18 - 5 : 12 + 18 + 5]
    assert np.median(flow[..., 0]) == pytest.approx(SPEED_PX, abs=1)
    assert abs(np.median(flow[..., 1])) < 1


def test_events_follow_what_moves_also_between_frames(video: Path, tmp_path: Path) -> None:
    config = SimulateConfig(
        video=video, pixel={"leak_hz": 0, "shot_noise_hz": 0, "threshold_sigma": 0, "cutoff_hz": 0}
    )
    context = recorded(config, tmp_path)
    events = read_events(context.out / "recording.raw")
    assert (events.height, events.width) == (64, 96)
    for number in np.arange(2.25, FRAMES - 2, 0.5):  # at quarters of the frames' time
        now_us = round(number * 50_000)
        window = events.between(now_us - 4000, now_us + 4000)
        middle = 12 + SPEED_PX * number
        assert abs(np.percentile(window.x, (5, 95)).mean() - middle) < 3
        front, back = window.x > middle + 3, window.x < middle - 3
        assert window.p[front].mean() > 0.9
        assert window.p[back].mean() < 0.1


def test_boxes_go_with_the_video_to_the_sensor(video: Path, tmp_path: Path) -> None:
    rows = np.zeros(2, BOX_DTYPE)
    rows["t"], rows["x"], rows["y"], rows["w"], rows["h"] = [0, 50_000], 40, 20, 16, 8
    np.save(tmp_path / "spot.npy", rows)
    config = SimulateConfig(video=video, boxes=tmp_path / "spot.npy", height=32, width=32)
    found = np.load(recorded(config, tmp_path).out / "recording_bbox.npy")
    # Half the size, and of the 48 columns then the middle 32.
    assert found["t"].tolist() == [0, 50_000]
    assert found[["x", "y", "w", "h"]].tolist() == [(20 - 8, 10, 8, 4)] * 2


def test_light_is_shrunk_and_cut_as_the_boxes_are() -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[20:28, 40:56] = 255
    light = Framing.filling((64, 96), height=32, width=32).apply(picture)
    assert light.shape == (32, 32)
    rows, columns = np.nonzero(light > 0.5)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (10, 14, 12, 20)


def test_the_same_video_makes_the_same_bytes(video: Path, tmp_path: Path) -> None:
    config = SimulateConfig(video=video, height=32, width=48)
    first, again = (
        (recorded(config, tmp_path / name).out / "recording.raw").read_bytes() for name in "ab"
    )
    assert first == again


def test_a_video_of_one_frame_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", [shot(0)], fps=FPS)
    with pytest.raises(DataError, match="has a single frame"):
        recorded(SimulateConfig(video=tmp_path / "one.mp4"), tmp_path)
    assert not list(tmp_path.rglob("*.raw"))


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    with pytest.raises(ArtifactError, match="no video that can be decoded"):
        recorded(SimulateConfig(video=tmp_path / "notes.mp4"), tmp_path)
