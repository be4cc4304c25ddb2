"""Events that are still arriving: standard input, a pipe, or a file that another program writes.

    for events in Arriving("-").pieces():
        ...

What comes are the bytes of a .raw (EVT 2.0, 2.1, 3.0) or .dat recording, header first.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from fovea.errors import ArtifactError, DataError
from fovea.events.formats.words import LiveDecoder
from fovea.events.stream import EventStream

STDIN = "-"
BLOCK_BYTES = 1 << 16
LOOK_EVERY_S = 0.05


class Arriving:
    """Bytes as they arrive, decoded.

    Args:
        name: `-` for standard input, or the path of a pipe or of a file that grows.
        follow_s: a file is at its end when nothing came for so long.
        height: of the camera, where the header does not say.
        width: of the camera, where the header does not say.
        mend_times: whether times of DAT that fall are raised to the latest before them.
        asked_to_stop: asked while waiting.
    """

    def __init__(
        self,
        name: str,
        *,
        follow_s: float = 0.0,
        height: int | None = None,
        width: int | None = None,
        mend_times: bool = False,
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name, self.follow_s = name, follow_s
        self.asked_to_stop = asked_to_stop
        said = "standard input" if name == STDIN else name
        self._decoder = LiveDecoder(height=height, width=width, name=said, mend_times=mend_times)

    def pieces(self) -> Iterator[EventStream]:
        """The events of each block of bytes, as soon as it is there.

        Raises:
            ArtifactError: there is no such pipe or file.
            DataError: what comes is no recording, or ends within a word.
        """
        came = 0
        for data in self._bytes():
            came += len(data)
            if events := self._decoder.feed(data):
                yield events
        if self.asked_to_stop():
            return
        if not came:
            raise DataError(
                f"{self._decoder.name} was to bring a recording, and ended without a byte. Start"
                " the program that writes it."
            )
        if events := self._decoder.finish():
            yield events

    def _bytes(self) -> Iterator[bytes]:
        with ExitStack() as stack:
            handle = self._open(stack)
            is_file = stat.S_ISREG(os.fstat(handle).st_mode)
            has_begun, since = False, time.monotonic()
            while not self.asked_to_stop():
                if not is_file and not select.select([handle], [], [], LOOK_EVERY_S)[0]:
                    continue
                if data := os.read(handle, BLOCK_BYTES):
                    has_begun, since = True, time.monotonic()
                    yield data
                elif is_file and time.monotonic() - since < self.follow_s:
                    time.sleep(LOOK_EVERY_S)
                elif is_file or has_begun or self.name == STDIN:
                    return
                else:  # a pipe that nobody writes into yet
                    time.sleep(LOOK_EVERY_S)

    def _open(self, stack: ExitStack) -> int:
        path = standard_input() if self.name == STDIN else Path(self.name)
        try:
            # Without waiting: a pipe that nobody writes into must not keep us from stopping.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ArtifactError(
                f"events were to come from {self._decoder.name}, and it cannot be opened:"
                f" {error.strerror}. Make a pipe with mkfifo, or give the path of a file that is"
                " being written."
            ) from error
        stack.enter_context(closing(os.fdopen(handle, "rb", buffering=0)))
        return handle


def standard_input() -> Path:
    """Standard input; where this process has none, that of the one that started it.

    A stage works in a process of its own, which is given nothing to read.
    """
    own, nothing = os.fstat(0), Path(os.devnull).stat()
    has_none = stat.S_ISCHR(own.st_mode) and own.st_rdev == nothing.st_rdev
    return Path(f"/proc/{os.getppid()}/fd/0") if has_none else Path("/dev/stdin")
