"""Webhooks, told to real receivers on this machine, from SQLite and from PostgreSQL."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import Engine
from standardwebhooks import Webhook, WebhookVerificationError

from fovea.service.access.secrets import Secrets
from fovea.service.jobs import Job, new_id
from fovea.service.problems import RefusedError
from fovea.service.settings.webhooks import WebhookConfig
from fovea.service.webhooks import Outbox, Postman, check, pinned
from fovea.service.webhooks.targets import is_public

PATIENCE_S = 120.0


class Receiver:
    """Somebody who is told: answers as the test wants, and remembers what came."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.delay_s = 0.0
        self.came: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                time.sleep(receiver.delay_s)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host: str = "127.0.0.1", path: str = "/hook?token=private") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def settings(**changes: Any) -> WebhookConfig:
    at_ease = {"enabled": True, "allow": ("127.0.0.0/8",), "allow_http": True}
    return WebhookConfig(**at_ease | {"retry_after_s": (0.05, 0.05)} | changes)


def outbox_of(engine: Engine, config: WebhookConfig, **more: Any) -> Outbox:
    return Outbox(engine, config, Secrets(engine), **more)


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Outbox], Any]]:
    """Start a postman; gives the list of what became of each try."""
    monkeypatch.setattr("fovea.service.webhooks.postman.LOOK_EVERY_S", 0.05)
    started: list[Postman] = []

    def start(outbox: Outbox) -> list[tuple[str, str]]:
        results: list[tuple[str, str]] = []
        postman = Postman(outbox, lambda event, result: results.append((event, result)))
        postman.start()
        started.append(postman)
        return results

    yield start
    for postman in started:
        postman.stop()


def until(reached: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "it does not come so far"
        time.sleep(0.02)


def a_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": new_id(), "owner": "ada", "kind": "toy.count", "config": {}, "recipe": "",
        "stages": 1, "run": "run", "digest": "", "state": "succeeded", "attempt": 1,
        "created": 1000.0, "ended": 1004.5,
    }  # fmt: skip
    return Job(**values | changes)


# What is told


def test_everybody_who_wants_to_know_is_told_once_and_can_check_it(
    engine: Engine, receiver: Receiver, at_work: Any
) -> None:
    in_settings, registered, followed = (receiver.url(path=f"/{n}") for n in "abc")
    config = settings(task_completed=in_settings, base_url="https://fovea.example/")
    outbox = outbox_of(engine, config)
    outbox.register("task_completed", registered)
    outbox.register("task_completed", registered)
    outbox.register("task_failed", receiver.url(path="/never"))
    job = a_job()
    outbox.follow(job.id, followed)
    for _ in range(2):  # whoever ends a job may say so twice
        outbox.put("task_completed", job, {"url": f"/files/{job.id}/output.ply"})
    results = at_work(outbox)
    until(lambda: len(results) == 3)
    assert results == [("task_completed", "delivered")] * 3
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 3
    said = {
        "event": "task_completed",
        "task_id": job.id,
        "status": "success",
        "url": f"https://fovea.example/files/{job.id}/output.ply",
        "processing_time": 4.5,
        "timestamp": 1004.5,
    }
    verified: list[str] = []
    for headers, body in receiver.came:
        assert json.loads(body) == said
        assert headers["content-type"] == "application/json"
        assert headers["x-webhook-event"] == "task_completed"
        assert headers["x-webhook-timestamp"] == headers["webhook-timestamp"]
        assert headers["host"] == f"127.0.0.1:{receiver.port}"
        for owner in ("", "ada"):
            try:
                Webhook(outbox.signing_secrets(owner)[0]).verify(body, headers)
                verified.append(owner)
            except WebhookVerificationError:
                continue
    # The service's own addresses have its secret; who asked for a job has a secret of their own.
    assert sorted(verified) == ["", "", "ada"]
    assert {one.state for one in outbox.messages()} == {"delivered"}


def test_a_failed_job_says_why(sqlite: Engine, receiver: Receiver, at_work: Any) -> None:
    outbox = outbox_of(sqlite, settings(task_failed=(receiver.url(),)))
    job = a_job(state="failed", error={"message": "the picture is empty. Send another."})
    outbox.put("task_failed", job)
    outbox.put("task_completed", job)  # nobody wants to know
    results = at_work(outbox)
    until(lambda: results)
    assert json.loads(receiver.came[0][1]) == {
        "event": "task_failed",
        "task_id": job.id,
        "status": "error",
        "error": "the picture is empty. Send another.",
        "timestamp": 1004.5,
    }


def test_nothing_is_written_where_webhooks_are_off(sqlite: Engine) -> None:
    outbox = outbox_of(sqlite, settings(enabled=False, task_completed="https://example.org"))
    outbox.put("task_completed", a_job())
    assert outbox.messages() == []
    with pytest.raises(RefusedError, match=r"webhook\.enabled=true"):
        outbox.follow("job", "https://example.org")


# Tries


def test_a_receiver_that_fails_is_tried_again_with_the_same_id(
    engine: Engine, receiver: Receiver, at_work: Any
) -> None:
    receiver.answers = [(500, {}), (503, {}), (200, {})]
    outbox = outbox_of(engine, settings(task_completed=receiver.url()))
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: len(results) == 3)
    assert [result for _, result in results] == ["retried", "retried", "delivered"]
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert outbox.messages()[0].attempt == 3


def test_after_the_last_try_it_is_given_up(
    sqlite: Engine, receiver: Receiver, at_work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [(500, {})] * 5
    outbox = outbox_of(sqlite, settings(task_completed=receiver.url()))
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: len(results) == 3)
    assert [result for _, result in results] == ["retried", "retried", "given_up"]
    message = outbox.messages()[0]
    assert (message.state, message.status) == ("failed", 500)
    assert message.error == "the receiver answered 500"
    assert "was not taken by 127.0.0.1 (try 3)" in caplog.text
    assert "private" not in caplog.text  # a URL may carry a secret of the receiver


def test_the_default_schedule_is_eight_tries_over_a_day(sqlite: Engine) -> None:
    now = [0.0]
    config = WebhookConfig(enabled=True, task_completed="https://example.org/hook")
    outbox = outbox_of(sqlite, config, clock=lambda: now[0])
    outbox.put("task_completed", a_job())
    tries: list[float] = []
    while message := outbox.claim(lease_s=60):
        tries.append(now[0])
        outbox.failed(message, "no answer")
        now[0] = outbox.messages()[0].next_at
    assert len(tries) == 8
    assert 23 * 3600 < tries[-1] < 25 * 3600
    assert outbox.messages()[0].state == "failed"
    now[0] += 8 * 86_400
    outbox.tidy()
    assert outbox.messages() == []


def test_a_receiver_that_is_gone_is_told_no_more(
    sqlite: Engine, receiver: Receiver, at_work: Any
) -> None:
    receiver.answers = [(410, {})]
    outbox = outbox_of(sqlite, settings())
    outbox.register("task_completed", receiver.url())
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: results)
    assert results == [("task_completed", "given_up")]
    assert outbox.targets()["task_completed"] == []


def test_a_slow_receiver_is_cut_off_and_holds_up_nobody(
    sqlite: Engine, receiver: Receiver, at_work: Any
) -> None:
    slow = Receiver()
    slow.delay_s = 4.0
    both = (slow.url(), receiver.url())
    outbox = outbox_of(sqlite, settings(task_completed=both, timeout_s=1.5, retry_after_s=()))
    results = at_work(outbox)
    began = time.monotonic()
    outbox.put("task_completed", a_job())
    put_s = time.monotonic() - began
    until(lambda: ("task_completed", "given_up") in results)
    slow.close()
    assert put_s < 1.0
    assert len(receiver.came) == 1
    errors = {message.error for message in outbox.messages()}
    assert errors == {None, "no answer within 1.5 s"}


def test_a_message_of_a_server_that_died_is_sent_by_the_next(engine: Engine) -> None:
    now = [0.0]
    config = settings(task_completed="http://127.0.0.1:9/")
    outbox = outbox_of(engine, config, clock=lambda: now[0])
    outbox.put("task_completed", a_job())
    first = outbox.claim(lease_s=60)
    assert first
    assert outbox.claim(lease_s=60) is None
    now[0] = 61
    second = outbox.claim(lease_s=60)
    assert second
    assert (second.id, second.attempt) == (first.id, 2)
    outbox.delivered(first, 200)  # too late: it is another's now
    assert outbox.messages()[0].state == "waiting"
    outbox.delivered(second, 200)
    assert outbox.messages()[0].state == "delivered"


# Signatures


def test_during_a_change_messages_carry_both_signatures(
    sqlite: Engine, receiver: Receiver, at_work: Any
) -> None:
    outbox = outbox_of(sqlite, settings(task_completed=receiver.url(), keep_former_s=60))
    former = outbox.signing_secrets("")[0]
    fresh = outbox.change_secret("")
    assert outbox.signing_secrets("") == (fresh, former)
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: results)
    headers, body = receiver.came[0]
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (fresh, former):
        assert Webhook(secret).verify(body, headers)


def test_a_secret_of_the_settings_signs_and_is_changed_there(sqlite: Engine) -> None:
    one, two = "whsec_" + "A" * 43 + "=", "whsec_" + "B" * 43 + "="
    outbox = outbox_of(sqlite, settings(secret=one, former_secret=two))
    assert outbox.signing_secrets("") == (one, two)
    with pytest.raises(RefusedError, match=r"webhook\.former_secret"):
        outbox.change_secret("")


@pytest.mark.parametrize("change", ["later", "id", "timestamp", "body", "secret", "no signature"])
def test_a_replayed_or_changed_message_does_not_verify(
    sqlite: Engine, receiver: Receiver, at_work: Any, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = outbox_of(sqlite, settings(task_completed=receiver.url()))
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: results)
    headers, body = receiver.came[0]
    secret = outbox.signing_secrets("")[0]
    if change == "later":

        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + timedelta(minutes=6)

        monkeypatch.setattr("standardwebhooks.webhooks.datetime", Later)
    elif change == "id":
        headers["webhook-id"] = "msg_other"
    elif change == "timestamp":
        headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    elif change == "body":
        body = body.replace(b"success", b"failure")
    elif change == "secret":
        secret = outbox.signing_secrets("eve")[0]
    else:
        del headers["webhook-signature"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


# Who may be told


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",  # no TLS
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://user:word@example.org/",
        "https:///path",
        "https://[::1",
        "https://example.org:99999/",
        "https://example.org/\r\nX-Evil: 1",
        "https://exämple.org/",
        "https://example.org/" + "a" * 2000,
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
    ],
)
def test_what_is_not_a_public_https_address_is_refused(sqlite: Engine, url: str) -> None:
    outbox = outbox_of(sqlite, WebhookConfig(enabled=True))
    with pytest.raises(RefusedError, match="cannot be told") as caught:
        outbox.register("task_completed", url)
    assert (caught.value.status, caught.value.code) == (422, "webhook_url")
    with pytest.raises(RefusedError, match="cannot be told"):
        outbox.follow("job", url)
    assert outbox.targets()["task_completed"] == []


def test_public_addresses_are_public() -> None:
    for address in ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(address)


def test_a_name_with_one_inner_address_is_refused_whole() -> None:
    def lookup(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(RefusedError, match=r"example\.org is 10\.0\.0\.1, which is not a public"):
        check("https://example.org/", WebhookConfig(), lookup)


def test_a_list_allows_networks_and_names() -> None:
    def lookup(_host: str, _port: int) -> list[str]:
        return ["10.1.2.3"]

    for allowed in ("10.0.0.0/8", "10.1.2.3", "hooks.lan"):
        found = pinned("https://hooks.lan/a?b#c", WebhookConfig(allow=(allowed,)), lookup)
        assert found.pinned_url == "https://10.1.2.3:443/a?b"
        assert found.host_header == "hooks.lan"


def test_a_name_unknown_today_may_be_registered() -> None:
    def lookup(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    check("https://later.example/", WebhookConfig(), lookup)
    with pytest.raises(OSError, match="no such name"):
        pinned("https://later.example/", WebhookConfig(), lookup)


def test_a_redirect_is_not_followed(sqlite: Engine, receiver: Receiver, at_work: Any) -> None:
    inner = Receiver()
    receiver.answers = [(307, {"Location": inner.url()})] * 3
    outbox = outbox_of(sqlite, settings(task_completed=receiver.url()))
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: len(results) == 3)
    inner.close()
    assert inner.came == []
    assert outbox.messages()[0].error == (
        "the receiver answered 307, and redirects are not followed"
    )


def test_a_name_that_changes_between_check_and_connection_leads_nowhere_else(
    sqlite: Engine, at_work: Any
) -> None:
    """Rebinding: the name is good when it is checked and an inner address when it is connected."""
    public, inner = Receiver("127.0.0.2"), Receiver("127.0.0.1")
    looked_up: list[str] = []

    def lookup(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.2" if len(looked_up) < 3 else "127.0.0.1"]

    config = settings(allow=("127.0.0.2",), retry_after_s=(0.05,))
    outbox = outbox_of(sqlite, config, lookup=lookup)
    outbox.register("task_completed", public.url("rebind.example"))
    assert looked_up == ["rebind.example"]
    public.answers = [(500, {})]
    outbox.put("task_completed", a_job())
    results = at_work(outbox)
    until(lambda: len(results) == 2)
    public.close()
    inner.close()
    # One look-up a try: the first went to the address checked, the second was refused.
    assert len(looked_up) == 3
    assert public.came[0][0]["host"] == f"rebind.example:{public.port}"
    assert inner.came == []
    assert "rebind.example is 127.0.0.1" in (outbox.messages()[0].error or "")
