"""Videos out and in."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError, DataError
from fovea.scene.video import read_video, write_video


def film(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """A smooth picture whose brightness says the frame's number."""
    ramp = np.linspace(0, 0.3, width)[None, :, None] * np.ones((height, 1, 3))
    for index in range(count):
        yield ramp + 0.6 * index / count


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 47)])
def test_a_video_comes_back_nearly(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    path = tmp_path / f"a{suffix}"
    assert write_video(path, film(5, height, width), fps=20) == 5
    frames, fps = read_video(path)
    assert fps == pytest.approx(20)
    assert frames.dtype == np.uint8
    even = (height, width) if suffix == ".gif" else (height + height % 2, width + width % 2)
    assert frames.shape == (5, *even, 3)
    wanted = np.stack(list(film(5, height, width)))
    assert np.abs(frames[:, :height, :width] / 255 - wanted).mean() < 0.02


def test_browsers_get_what_they_can_play(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", film(2, 32, 32))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    # The index stands before the pictures, so that playing starts before the end is there.
    start = (tmp_path / "a.mp4").read_bytes()
    assert start.index(b"moov") < start.index(b"mdat")


def test_frames_are_taken_one_by_one_and_counted(tmp_path: Path) -> None:
    seen: list[int] = []
    write_video(tmp_path / "a.mp4", film(4, 16, 16), progress=seen.append)
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_bytes_and_tensors_are_frames_too(tmp_path: Path, suffix: str) -> None:
    steps = np.full((16, 18, 3), 128, np.uint8)
    write_video(tmp_path / f"a{suffix}", [steps, torch.full((16, 18, 3), 128 / 255)])
    frames, _ = read_video(tmp_path / f"a{suffix}")
    assert np.abs(frames.astype(int) - 128).max() <= 2


def test_only_as_many_frames_are_read_as_asked(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", film(6, 16, 16))
    assert len(read_video(tmp_path / "a.mp4", most_frames=2)[0]) == 2


def test_odd_frame_rates_are_kept(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", film(3, 16, 16), fps=30000 / 1001)
    assert read_video(tmp_path / "a.mp4")[1] == pytest.approx(30000 / 1001)


def test_a_frame_of_another_size_is_named(tmp_path: Path) -> None:
    frames = [np.zeros((8, 8, 3)), np.zeros((8, 10, 3))]
    with pytest.raises(DataError, match=r"frame 1 is \(8, 10, 3\) and the first \(8, 8, 3\)"):
        write_video(tmp_path / "a.mp4", frames)


def test_no_frames_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no frames at all"):
        write_video(tmp_path / "a.mp4", [])
    with pytest.raises(DataError, match=r"not '\.avi'"):
        write_video(tmp_path / "a.avi", film(1, 8, 8))


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(ArtifactError, match="holds no video that can be decoded"):
        read_video(tmp_path / "a.mp4")
    with pytest.raises(ArtifactError, match="no such file"):
        read_video(tmp_path / "b.mp4")


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    # A size that is no multiple of 16 is where x264's macroblock trees gave several answers.
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (72, 96, 3), dtype=np.uint8)
    frames = [np.roll(still, step, axis=1) for step in range(8)]
    written = set()
    for number in range(12):
        path = tmp_path / f"{number}.mp4"
        write_video(path, frames)
        written.add(path.read_bytes())
    assert len(written) == 1
