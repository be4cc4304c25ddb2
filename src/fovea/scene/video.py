"""Videos in and out, through FFmpeg's libraries: MP4, WebM and GIF.

A frame is [height, width, 3] with values in 0..1, or uint8; sRGB, as on a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from fovea.errors import ArtifactError, DataError
from fovea.scene.image import Pixels, to_uint8

Frame = Pixels | UInt8[np.ndarray, "height width 3"]

CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    # yuv420p is what every browser and player shows. With macroblock trees x264 gives other bytes
    # for the same frames now and then.
    ".mp4": ("libx264", "yuv420p", {"crf": "18", "preset": "medium", "x264-params": "mbtree=0"}),
    ".webm": ("libvpx-vp9", "yuv420p", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"}),
}
GIF_SHORTEST_MS = 20
"""Browsers play a frame that should last less than this ten times slower."""


def write_video(
    path: str | Path,
    frames: Iterable[Frame],
    fps: float = 30.0,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write frames as a video; the suffix, .mp4, .webm or .gif, says the format.

    MP4 and WebM store colour for two by two pixels, so an odd height or width is made even by
    repeating the last row or column. Frames are taken one by one: a generator is never held whole.

    Args:
        path: the file.
        frames: all of one size.
        fps: frames a second; a GIF counts in hundredths of a second and rounds.
        progress: called after each frame with their number so far.

    Returns:
        How many frames were written.

    Raises:
        DataError: there are none, sizes differ, or the suffix is another.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*CODECS, ".gif"):
        raise DataError(
            f"{path.name}: videos are written as .mp4, .webm or .gif, not '{suffix}'. "
            "Change the name."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    counted = _checked(path, frames, progress)
    first = next(counted, None)
    if first is None:
        raise DataError(f"{path.name} was to be written from no frames at all. Give at least one.")
    if suffix == ".gif":
        return _write_gif(path, first, counted, fps)
    return _write_encoded(path, first, counted, fps)


def read_video(
    path: str | Path, *, most_frames: int | None = None
) -> tuple[UInt8[np.ndarray, "frames height width 3"], float]:
    """Read a video whole, or its first frames.

    Returns:
        The frames and how many there are a second.

    Raises:
        ArtifactError: it is missing, or holds no video that can be decoded.
    """
    frames = list(islice(each_frame(path), most_frames))
    return np.stack(frames), frame_rate(path)


def each_frame(path: str | Path) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The frames of a video one after the other, turned the way its camera was held.

    Raises:
        ArtifactError: it is missing, or holds no video that can be decoded.
    """
    path = Path(path)
    is_empty = True
    with _opened(path) as container:
        for frame in container.decode(video=0):
            is_empty = False
            upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
            yield np.ascontiguousarray(upright)
    if is_empty:
        raise ArtifactError(f"{path} holds a video without frames. Fetch or export it again.")


def frame_rate(path: str | Path) -> float:
    """Frames a second, as the file says; 0 where it does not.

    Raises:
        ArtifactError: it is missing, or holds no video.
    """
    with _opened(Path(path)) as container:
        stream = container.streams.video[0]
        return float(stream.average_rate or stream.guessed_rate or 0)


def frame_count(path: str | Path) -> int:
    """How many frames the file says that it has; 0 where it does not.

    Raises:
        ArtifactError: it is missing, or holds no video.
    """
    with _opened(Path(path)) as container:
        stream = container.streams.video[0]
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
        return int(stream.frames or round(seconds * float(stream.average_rate or 0)))


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    if not path.is_file():
        raise ArtifactError(f"No video {path}: there is no such file. Check the name.")
    try:
        with av.open(str(path)) as container:
            yield container
    except (FFmpegError, IndexError) as error:
        raise ArtifactError(
            f"{path} holds no video that can be decoded ({error}). Fetch or export it again."
        ) from None


def _checked(
    path: Path, frames: Iterable[Frame], progress: Callable[[int], None]
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        steps = frame if _is_uint8(frame) else to_uint8(frame)
        shape = shape or steps.shape
        if steps.shape != shape or len(shape) != 3 or shape[2] != 3:
            raise DataError(
                f"{path.name}: frames are [height, width, 3] and all of one size; frame {number} "
                f"is {steps.shape} and the first {shape}. Resize them, or composite alpha away."
            )
        yield np.ascontiguousarray(steps)
        progress(number + 1)


def _is_uint8(frame: Any) -> bool:
    return isinstance(frame, np.ndarray) and frame.dtype == np.uint8


def _write_encoded(path: Path, first: np.ndarray, rest: Iterator[np.ndarray], fps: float) -> int:
    codec, pixel_format, options = CODECS[path.suffix.lower()]
    height, width = (size + size % 2 for size in first.shape[:2])
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    # The index goes before the pictures, so that a browser can start before the end is there.
    container_options = {"movflags": "faststart"} if path.suffix.lower() == ".mp4" else {}
    with av.open(str(path), "w", options=container_options) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, pixel_format
        for steps in _from(first, rest):
            padding = ((0, height - steps.shape[0]), (0, width - steps.shape[1]), (0, 0))
            even = np.pad(steps, padding, mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            count += 1
        container.mux(stream.encode(None))
    return count


def _write_gif(path: Path, first: np.ndarray, rest: Iterator[np.ndarray], fps: float) -> int:
    # FFmpeg wants to see the whole film to choose colours; Pillow chooses them frame by frame.
    from PIL import Image

    count = 1

    def following() -> Iterator[Image.Image]:
        nonlocal count
        for steps in rest:
            count += 1
            yield Image.fromarray(steps)

    each_ms = max(GIF_SHORTEST_MS, round(100 / fps) * 10)
    Image.fromarray(first).save(
        path, save_all=True, append_images=following(), duration=each_ms, loop=0
    )
    return count


def _from(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest
