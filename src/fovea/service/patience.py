"""A limit on how long, and how large, the head of a request may be.

Uvicorn waits for ever for the rest of a head; a few thousand heads of which a byte comes a minute
would take all connections. Bodies are watched by the envelope, idle connections by uvicorn itself.
Heads are read by httptools where it is installed, at a third of the cost of h11, and by h11 else.
"""

from __future__ import annotations

import asyncio

MOST_HEAD_BYTES = 1 << 16
"""h11's own limit; httptools has none."""


def patient_for(seconds: float) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, which closes a connection whose head takes longer than this."""
    try:
        return _by_httptools(seconds)
    except ImportError:  # there is none for this system
        return _by_h11(seconds)


class Watch:
    """The time that a head may still take."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """From the first byte on; the next ones gain no time."""
        if self._ends is None:
            loop = asyncio.get_running_loop()
            self._ends = loop.call_later(self.seconds, self._close, transport)

    def end(self) -> None:
        """The head is there."""
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _close(self, transport: asyncio.Transport) -> None:
        self._ends = None
        if not transport.is_closing():
            transport.close()


def _by_httptools(seconds: float) -> type[asyncio.Protocol]:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Patient(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._watch = Watch(seconds)
            self._is_head, self._head_bytes = True, 0
            self._watch.begin(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            self._watch.end()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._is_head, self._head_bytes = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._is_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._is_head or self.transport.is_closing():
                self._watch.end()
                return
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.send_400_response(f"The head of a request may have {MOST_HEAD_BYTES} bytes.")
            else:
                self._watch.begin(self.transport)

    return Patient


def _by_h11(seconds: float) -> type[asyncio.Protocol]:
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._watch = Watch(seconds)
            self._watch.begin(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            self._watch.end()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self._watch.begin(self.transport)
            else:
                self._watch.end()

    return Patient
