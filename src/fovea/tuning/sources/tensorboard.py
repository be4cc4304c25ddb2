"""Scalars of TensorBoard's event files, while they are written.

A record is: length (8 bytes), checksum of it (4), an `Event` message, checksum of that (4). The
message is taken apart by the classes of tensorboardX; only the frame is read here, since a reader
that keeps its place in a file that still grows is nowhere else to be had without TensorFlow's whole
back end. An unfinished last record is normal, and is read when it is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fovea.errors import BackendError
from fovea.tuning.sources.point import Point

FRAME = 12
"""Bytes before the message."""
CHECKSUM = 4
MOST_BYTES = 1 << 30
"""A longer record than this is no record: the file is damaged there."""


class EventFiles:
    """All event files that a pattern finds, merged by step.

    A trainer that is started again begins a new file. A folder stands for the event files below it.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder, self._pattern = folder, pattern
        self._event = _event_class()
        self._offsets: dict[Path, int] = {}

    def read(self, *, is_over: bool) -> Iterator[Point]:
        """The scalars since the last call, by step."""
        found: dict[int, dict[str, float]] = {}
        for path in self._files():
            for message in self._messages(path):
                event = self._event.FromString(message)
                for value in event.summary.value:
                    number = _scalar(value)
                    if number is not None:
                        found.setdefault(event.step, {})[value.tag] = number
        for step in sorted(found):
            yield Point(step, found[step])

    def close(self) -> None:
        """Nothing is held."""

    def _files(self) -> list[Path]:
        found = sorted(self._folder.glob(self._pattern))
        inside = [path.rglob("*tfevents*") if path.is_dir() else [path] for path in found]
        return sorted({path for paths in inside for path in paths}, key=lambda path: path.name)

    def _messages(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            data = file.read()
        at = 0
        while at + FRAME <= len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            end = at + FRAME + length + CHECKSUM
            if length > MOST_BYTES or end > len(data):
                break
            yield data[at + FRAME : end - CHECKSUM]
            at = end
        self._offsets[path] = self._offsets.get(path, 0) + at


def _scalar(value: Any) -> float | None:
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind == "tensor" and value.metadata.plugin_data.plugin_name == "scalars":
        tensor = value.tensor
        if tensor.float_val or tensor.double_val:
            return float((tensor.float_val or tensor.double_val)[0])
        if len(tensor.tensor_content) in (4, 8):
            width = "<f" if len(tensor.tensor_content) == 4 else "<d"
            return float(struct.unpack(width, tensor.tensor_content)[0])
    return None


def _event_class() -> Any:
    try:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore
    except ModuleNotFoundError:
        raise BackendError(
            "reading TensorBoard's event files needs tensorboardX, which is not installed. "
            "Run: pip install 'fovea-vision[tensorboard]'."
        ) from None
    return Event
