"""Files and live streams of words: .raw and .dat, a header and then words to the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fovea.errors import DataError
from fovea.events.formats import dat
from fovea.events.formats.dat import DatDecoder
from fovea.events.formats.decoder import Decoder, torn
from fovea.events.formats.evt2 import Evt2Decoder
from fovea.events.formats.evt3 import Evt3Decoder
from fovea.events.formats.evt21 import Evt21Decoder
from fovea.events.formats.header import LONGEST, Header, read_header
from fovea.events.formats.source import EventSource, Watch, size_of
from fovea.events.stream import EventStream

BLOCK_BYTES = 1 << 18


class LiveDecoder:
    """A recording that is still coming: its header first, then its words, in bytes of any length.

    Until the header is whole `height` and `width` are None and no events come.

    Args:
        height: of the sensor, where the header does not say.
        width: of the sensor, where the header does not say.
        name: what to call the stream in messages.
        mend_times: whether times of DAT that fall are raised to the latest before them.
    """

    def __init__(
        self,
        *,
        height: int | None = None,
        width: int | None = None,
        name: str = "the stream",
        mend_times: bool = False,
    ) -> None:
        self.height, self.width = height, width
        self.name, self.mend_times = name, mend_times
        self.decoder: Decoder | None = None
        self._begun = b""

    def feed(self, data: bytes) -> EventStream | None:
        """The events of these bytes; None before the header is whole.

        Raises:
            DataError: the header or the words cannot be read.
        """
        if self.decoder is not None:
            return self.decoder.feed(data)
        self._begun += data
        begun = read_header(self._begun, is_all=False)
        if begun is None or len(self._begun) < begun.size + _type_bytes(begun):
            return None
        return self._begin(begun)

    def finish(self) -> EventStream | None:
        """Say that nothing follows; gives the events of a recording that is hardly a header.

        Raises:
            DataError: the recording is empty or ends within a word.
        """
        events = None
        if self.decoder is None:
            begun = read_header(self._begun, is_all=True)
            assert begun is not None, "all bytes are there"
            if begun.size == 0:
                raise empty(self.name)
            events = self._begin(begun)
        assert self.decoder is not None, "it was just made"
        self.decoder.finish()
        return events

    def _begin(self, header: Header) -> EventStream:
        size = size_of(Path(self.name), self.height, self.width, header.geometry)
        self.height, self.width = size
        start = header.size + _type_bytes(header)
        self.decoder = decoder_for(header, size, name=self.name, mend_times=self.mend_times)
        if _type_bytes(header):
            dat.check_type(self.name, self._begun[header.size : start], header.size)
        begun, self._begun = self._begun, b""
        return self.decoder.feed(begun[start:])


def decoder_for(
    header: Header, size: tuple[int, int], *, name: str, mend_times: bool = False
) -> Decoder:
    """The decoder of the words that follow this header."""
    height, width = size
    match header.format:
        case "evt2":
            decoder = Evt2Decoder(height, width, name=name)
        case "evt21":
            decoder = Evt21Decoder(height, width, name=name, order=header.order)
        case "evt3":
            decoder = Evt3Decoder(height, width, name=name)
        case "dat":
            decoder = DatDecoder(height, width, name=name, mend_times=mend_times)
    decoder.bytes_before = header.size + _type_bytes(header)
    return decoder


def open_words(
    path: Path, *, height: int | None, width: int | None, mend_times: bool = False
) -> EventSource:
    """Open a .raw or .dat file.

    Raises:
        DataError: it is empty, its header cannot be read, or it ends within a word.
    """
    total = path.stat().st_size
    if not total:
        raise empty(str(path))
    with path.open("rb") as file:
        begun = file.read(LONGEST + 2)
    header = read_header(begun, is_all=len(begun) == total)
    if header is None:
        raise DataError(f"{path}: the header has no end. Fetch the file again.")
    if path.suffix.lower() == ".raw" and header.format == "dat":
        raise DataError(
            f"{path}: a .raw file says by a line '% evt 3.0' or '% format EVT3;...' how it is"
            f" written, and this one has the header keys {', '.join(header.keys) or 'none'}. Name"
            " it .dat if it is one, or export it again."
        )
    size = size_of(path, height, width, header.geometry)
    if header.size and header.format == "dat":
        dat.check_type(str(path), begun[header.size : header.size + 2], header.size)

    def blocks(watch: Watch) -> Iterator[EventStream]:
        decoder = decoder_for(header, size, name=str(path), mend_times=mend_times)
        at = decoder.bytes_before
        with path.open("rb") as file:
            file.seek(at)
            while data := file.read(BLOCK_BYTES):
                at += len(data)
                watch(at / total)
                yield decoder.feed(data)
        decoder.finish()

    decoder = decoder_for(header, size, name=str(path))
    _refuse_torn(decoder, path, total)
    return EventSource(path, header.format, *size, blocks, about=total // decoder.word_bytes)


def _refuse_torn(decoder: Decoder, path: Path, total: int) -> None:
    rest = (total - decoder.bytes_before) % decoder.word_bytes
    if rest:
        raise torn(str(path), decoder.format, decoder.word_bytes, rest, total - rest)


def _type_bytes(header: Header) -> int:
    """How many bytes stand between header and words: two in a .dat file with a header."""
    return 2 if header.size and header.format == "dat" else 0


def empty(name: str) -> DataError:
    """What to say of a file without a byte."""
    return DataError(f"{name}: a recording was wanted, and the file is empty. Fetch it again.")
