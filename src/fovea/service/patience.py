"""A limit on how long the head of a request may take.

Uvicorn waits for ever for the rest of a head; a few thousand heads of which a byte comes a minute
would take all connections. Bodies are watched by the envelope, idle connections by uvicorn itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, which closes a connection whose head takes longer than this."""

    class Patient(H11Protocol):
        _too_late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._rest()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self._watch()
            else:
                self._rest()

        def _watch(self) -> None:
            """From the first byte on; the next ones gain no time."""
            if self._too_late is None:
                self._too_late = self.loop.call_later(seconds, self._close)

        def _rest(self) -> None:
            if self._too_late is not None:
                self._too_late.cancel()
                self._too_late = None

        def _close(self, *_: Any) -> None:
            self._too_late = None
            if not self.transport.is_closing():
                self.transport.close()

    return Patient
