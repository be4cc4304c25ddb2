"""The postman: one thread that sends what is in the outbox, several messages at a time.

A receiver has `webhook.timeout_s` for all of it, from the connection to the first line of its
answer; what it answers besides is not read. 2xx is a delivery; a redirect is not followed. 410 ends
the registration.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook

from fovea.service.problems import RefusedError
from fovea.service.webhooks.outbox import EVERYBODY, Message, Outbox
from fovea.service.webhooks.targets import pinned

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it says whole URLs

LOOK_EVERY_S = 1.0
TIDY_EVERY_S = 3600.0
SLACK_S = 30.0
"""Added to the time a receiver has: then a message counts as lost, and another takes it."""


class Postman:
    """Sends the messages of an outbox."""

    def __init__(
        self, outbox: Outbox, on_result: Callable[[str, str], None] = lambda event, result: None
    ) -> None:
        """`on_result` is told the event and `delivered`, `retried` or `given_up` of every try."""
        self.outbox = outbox
        self.on_result = on_result
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._tls = ssl.create_default_context()

    def start(self) -> None:
        """Begin, where webhooks are on."""
        if self.outbox.settings.enabled:
            self.outbox.on_put = self._wake.set
            self._thread = threading.Thread(target=self._work, name="postman", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; messages at work are given back."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        at_work: set[asyncio.Task[None]] = set()
        tidied = 0.0
        while not self._closing.is_set():
            self._wake.clear()
            try:
                if time.monotonic() - tidied > TIDY_EVERY_S:
                    tidied = time.monotonic()
                    await asyncio.to_thread(self.outbox.tidy)
                await self._begin(at_work)
            except SQLAlchemyError as error:
                log.warning("messages wait, as their table does not answer: %s", error)
            await asyncio.to_thread(self._wake.wait, LOOK_EVERY_S)
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)

    async def _begin(self, at_work: set[asyncio.Task[None]]) -> None:
        """Take as many messages as may be sent at a time."""
        settings = self.outbox.settings
        while len(at_work) < settings.senders:
            message = await asyncio.to_thread(self.outbox.claim, settings.timeout_s + SLACK_S)
            if message is None:
                return
            task = asyncio.create_task(self._deliver(message))
            at_work.add(task)
            task.add_done_callback(at_work.discard)
            task.add_done_callback(lambda _: self._wake.set())

    async def _deliver(self, message: Message) -> None:
        status: int | None = None
        try:
            async with asyncio.timeout(self.outbox.settings.timeout_s):
                status = await self._post(message)
        except asyncio.CancelledError:
            self.outbox.give_back(message)
            raise
        except TimeoutError:
            error = f"no answer within {self.outbox.settings.timeout_s:g} s"
        except (RefusedError, OSError, httpx.HTTPError, httpx.InvalidURL) as failure:
            error = str(failure) or type(failure).__name__
        else:
            error = "" if status < 300 else f"the receiver answered {status}"
            if 300 <= status < 400:
                error += ", and redirects are not followed"
        await asyncio.to_thread(self._note, message, error, status)

    async def _post(self, message: Message) -> int:
        target = await asyncio.to_thread(
            pinned, message.url, self.outbox.settings, self.outbox.lookup
        )
        secrets = await asyncio.to_thread(self.outbox.signing_secrets, message.owner)
        headers = signed(message, secrets) | {"Host": target.host_header}
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=None) as client,
            client.stream(
                "POST",
                target.pinned_url,
                content=message.body.encode(),
                headers=headers,
                extensions={"sni_hostname": target.host},
                follow_redirects=False,
            ) as answer,
        ):
            return answer.status_code

    def _note(self, message: Message, error: str, status: int | None) -> None:
        host = httpx.URL(message.url).host
        with contextlib.suppress(SQLAlchemyError):  # then it is sent once more
            if not error and status is not None:
                self.outbox.delivered(message, status)
                result = "delivered"
            else:
                state = self.outbox.failed(message, error, status)
                result = "given_up" if state == "failed" else "retried"
                log.warning(
                    "%s of job %s was not taken by %s (try %d): %s",
                    message.event, message.job, host, message.attempt, error,
                )  # fmt: skip
                if status == 410 and message.owner == EVERYBODY:
                    self.outbox.unregister(message.event, message.url)
            self.on_result(message.event, result)


def signed(message: Message, secrets: tuple[str, ...]) -> dict[str, str]:
    """The headers of a message, with a signature for each secret."""
    now = datetime.now(UTC)
    stamp = str(int(now.timestamp()))
    signatures = [
        Webhook(secret).sign(msg_id=message.id, timestamp=now, data=message.body)
        for secret in secrets
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": f"fovea/{importlib.metadata.version('fovea-vision')}",
        "webhook-id": message.id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
        "X-Webhook-Event": message.event,
        "X-Webhook-Timestamp": stamp,
    }
