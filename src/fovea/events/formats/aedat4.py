"""AEDAT 4, the files of iniVation's cameras (DAVIS, DVXplorer), read by the package `aedat`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fovea.errors import ArtifactError, BackendError, DataError
from fovea.events.formats.source import Columns, EventSource, Watch, size_of
from fovea.events.stream import EventStream


def open_aedat4(
    path: Path, *, height: int | None, width: int | None, mend_times: bool = False
) -> EventSource:
    """Open an AEDAT 4 file; of several event streams in it, the first.

    Raises:
        BackendError: the package `aedat` is not installed.
        ArtifactError: it is no AEDAT 4 file.
        DataError: it holds no stream of events.
    """
    streams: dict[int, Any] = _decoder(path).id_to_stream()
    found = {number: about for number, about in streams.items() if about["type"] == "events"}
    if not found:
        listed = ", ".join(str(about["type"]) for about in streams.values()) or "nothing"
        raise DataError(
            f"{path}: a stream of events was wanted, and the file holds {listed}. Record with"
            " events switched on."
        )
    number, about = min(found.items())
    size = size_of(path, height, width, (int(about["height"]), int(about["width"])))

    def blocks(watch: Watch) -> Iterator[EventStream]:
        columns = Columns(str(path), *size, mend_times=mend_times)
        try:
            for packet in _decoder(path):
                if packet["stream_id"] == number and "events" in packet:
                    events = packet["events"]
                    yield columns.block(events["t"], events["x"], events["y"], events["p"])
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{path}: after event {columns.events} the file cannot be read: {error}. It is"
                " damaged or cut off: fetch it again."
            ) from None
        watch(1.0)

    return EventSource(path, "aedat4", *size, blocks)


def _decoder(path: Path) -> Any:
    try:
        import aedat
    except ImportError:
        raise BackendError(
            f"{path}: .aedat4 files are read by the package 'aedat', which is not installed."
            ' Run: pip install "fovea-vision[events]"'
        ) from None
    module: Any = aedat
    try:
        return module.Decoder(str(path))
    except (RuntimeError, OSError) as error:
        raise ArtifactError(
            f"{path}: an AEDAT 4 file was wanted, and its decoder says: {error}. AEDAT 2 and 3 are"
            " other formats: convert such files with iniVation's DV."
        ) from None
