"""Who may do what: every route, asked by everybody; how callers are known, counted, let in."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute

from fovea.errors import ConfigError
from fovea.service import app as application
from fovea.service.access.command import main as keys
from fovea.service.command import main as serve

if TYPE_CHECKING:
    from conftest import Service

READ, WRITE, PREDICT, ADMIN = "jobs:read", "jobs:write", "predict", "admin"
OPEN, KNOWN = "open", "known"
"""Anybody may; anybody who is known may."""

WHO_MAY: dict[str, str | tuple[str, ...]] = {
    "POST /v1/jobs/{kind}": WRITE,
    "GET /v1/jobs": READ,
    "GET /v1/jobs/{id}": READ,
    "DELETE /v1/jobs/{id}": WRITE,
    "POST /v1/jobs/{id}/retry": WRITE,
    "GET /v1/jobs/{id}/events": READ,
    "GET /v1/jobs/{id}/artifacts/{name:path}": READ,
    "POST /v1/uploads": (PREDICT, WRITE),
    "GET /v1/uploads/{id}": (PREDICT, READ),
    "POST /v1/uploads/parts": (PREDICT, WRITE),
    "GET /v1/uploads/parts/{id}": (PREDICT, WRITE),
    "PATCH /v1/uploads/parts/{id}": (PREDICT, WRITE),
    "DELETE /v1/uploads/parts/{id}": (PREDICT, WRITE),
    "GET /v1/stages": KNOWN,
    "GET /v1/schemas/{kind}": KNOWN,
    "POST /v1/predict": (PREDICT, WRITE),
    "POST /v1/predict/batch": (PREDICT, WRITE),
    "GET /v1/batch/{id}": (PREDICT, READ),
    "GET /v1/batch/{id}/download": (PREDICT, READ),
    "POST /v1/tasks": (PREDICT, WRITE),
    "GET /v1/tasks": (PREDICT, READ),
    "GET /v1/tasks/{id}": (PREDICT, READ),
    "DELETE /v1/tasks/{id}": (PREDICT, WRITE),
    "GET /files/{id}/{name}": (PREDICT, READ),
    "GET /v1/studies": READ,
    "POST /v1/studies": WRITE,
    "GET /v1/studies/{id}": READ,
    "GET /v1/studies/{id}/trials": READ,
    "GET /v1/studies/{id}/front": READ,
    "GET /v1/studies/{id}/report": READ,
    "POST /v1/studies/{id}/stop": WRITE,
    "POST /v1/studies/{id}/start": WRITE,
    "GET /v1/me": KNOWN,
    "GET /v1/keys": ADMIN,
    "POST /v1/keys": ADMIN,
    "DELETE /v1/keys/{id}": ADMIN,
    "POST /v1/auth/token": KNOWN,
    "POST /v1/auth/session": KNOWN,
    "DELETE /v1/auth/session": OPEN,
    "GET /v1/webhooks": ADMIN,
    "POST /v1/webhooks": ADMIN,
    "DELETE /v1/webhooks/{event_type}": ADMIN,
    "GET /v1/webhooks/deliveries": ADMIN,
    "GET /v1/webhooks/secret": ADMIN,
    "POST /v1/webhooks/secret": ADMIN,
    "GET /v1/webhooks/secret/mine": (PREDICT, WRITE),
    "POST /v1/webhooks/secret/mine": (PREDICT, WRITE),
    "GET /v1/cache": (PREDICT, READ),
    "POST /v1/cache/clear": ADMIN,
    "GET /v1/health": OPEN,
    "GET /v1/stats": OPEN,
    "GET /v1/plugins": READ,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": READ,
    "GET /openapi.json": OPEN,
    "GET /docs": OPEN,
    "GET /redoc": OPEN,
    "GET /docs/{name}": OPEN,
    "GET /": OPEN,
    "GET /page/samples/{name:path}": OPEN,
    "GET /page/{version}/{name:path}": OPEN,
    "GET /jobs/{id}": (PREDICT, READ),
    "GET /jobs/{id}/{name:path}": (PREDICT, READ),
    "GET /runs": ADMIN,
    "GET /runs/{run}/{name:path}": ADMIN,
}  # fmt: skip


def routes() -> set[str]:
    """Every route, with its method."""
    found = {"GET /openapi.json", "GET /metrics"}
    for router in (*application.ROUTERS, *application.OPEN_ROUTERS):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            found |= {f"{method} {route.path}" for method in route.methods - {"HEAD"}}
    return found


def test_every_route_is_asked_by_everybody(asked: Callable[..., Any]) -> None:
    """The matrix: each route x no key, unknown, wrong scope, right scope, expired, revoked."""
    missing = routes() - set(WHO_MAY)
    assert not missing, f"who may is not said of {sorted(missing)}"
    ask = asked("access.mode=keys+jwt", "access.rate_limit=0", "access.anonymous_rate_limit=0")
    store = ask.gate.keys
    texts = {scope: store.create(scope, [scope])[1] for scope in (READ, WRITE, PREDICT, ADMIN)}
    _, expired = store.create("expired", [ADMIN], lifetime_s=0.001)
    gone, revoked = store.create("revoked", [ADMIN])
    store.revoke(gone.id)
    time.sleep(0.01)
    wrong: list[str] = []
    for route in sorted(routes()):
        method, _, path = route.partition(" ")
        path = path.replace("{name:path}", "x").replace("{event_type}", "task_failed")
        path = path.replace("{", "").replace("}", "")
        may = WHO_MAY[route]
        scopes = {OPEN: (), KNOWN: (READ, WRITE, PREDICT)}.get(str(may), may)
        scopes = {scopes, ADMIN} if isinstance(scopes, str) else {*scopes, ADMIN}

        def status(key: str | None, asked: str = path, how: str = method) -> int:
            headers = {"X-API-Key": key} if key else {}
            return ask(how, asked, headers=headers).status_code

        for who, key in {"nobody": None, "unknown": "fv_x", "expired": expired}.items():
            found = status(key)
            if (found == 401) == (may == OPEN):
                wrong.append(f"{route} by {who}: {found}")
        if (status(revoked) == 401) == (may == OPEN):
            wrong.append(f"{route} by revoked")
        for scope, key in texts.items():
            found = status(key)
            is_let_in = found not in (401, 403) and found < 500
            if is_let_in != (scope in scopes or may == OPEN) and not (
                path == "/readyz" and found == 503
            ):
                wrong.append(f"{route} with {scope}: {found}")
    assert not wrong, "\n".join(wrong)


def test_a_key_is_taken_from_either_header_and_a_token_only_as_bearer(
    asked: Callable[..., Any],
) -> None:
    ask = asked("access.mode=keys+jwt")
    _, key = ask.gate.keys.create("me", [READ], owner="ada")
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        found = ask("GET", "/v1/me", headers=headers).json()
        assert (found["owner"], found["scopes"], found["mode"]) == ("ada", [READ], "keys+jwt")
    assert ask("GET", f"/v1/me?key={key}").status_code == 401
    given = ask("POST", "/v1/auth/token", headers={"X-API-Key": key}).json()
    assert (given["token_type"], given["scope"], given["expires_in"]) == ("Bearer", READ, 3600)
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    assert ask("GET", "/v1/me", headers=bearer).json()["owner"] == "ada"
    # A token is not given for a token, so that it ends when it says.
    answer = ask("POST", "/v1/auth/token", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "no_tokens")


def test_a_token_may_have_fewer_scopes_and_never_more(asked: Callable[..., Any]) -> None:
    ask = asked("access.mode=keys+jwt")
    _, key = ask.gate.keys.create("me", [READ, PREDICT])
    body = {"scopes": [READ, ADMIN], "lifetime_s": 1_000_000}
    given = ask("POST", "/v1/auth/token", headers={"X-API-Key": key}, json=body).json()
    assert (given["scope"], given["expires_in"]) == (READ, 3600)
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    assert ask("GET", "/v1/jobs", headers=bearer).status_code == 200
    assert ask("POST", "/v1/predict", headers=bearer).status_code == 403


def test_without_tokens_a_key_goes_and_a_token_does_not(asked: Callable[..., Any]) -> None:
    ask = asked("access.mode=keys")
    _, key = ask.gate.keys.create("me", [READ])
    assert ask("GET", "/v1/jobs", headers={"X-API-Key": key}).status_code == 200
    answer = ask("POST", "/v1/auth/token", headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (403, "no_tokens")
    answer = ask("GET", "/v1/jobs", headers={"Authorization": "Bearer a.b.c"})
    assert (answer.status_code, answer.json()["code"]) == (401, "no_tokens")


def test_jobs_belong_to_the_owner_of_the_key(asked: Callable[..., Any]) -> None:
    ask = asked("access.mode=keys+jwt", "queue.workers=0")
    made = {
        name: ask.gate.keys.create(name, [READ, WRITE], owner=owner)[1]
        for name, owner in (("ada", "team"), ("bob", "team"), ("eve", ""))
    }
    headers = {name: {"X-API-Key": text} for name, text in made.items()}
    sample = ask("GET", "/v1/stages", headers=headers["ada"]).json()["samples"][0]
    asked_for = ask(
        "POST", "/v1/jobs/relight.fit?preset=tiny", headers=headers["ada"], json={"data": sample}
    )
    assert asked_for.status_code == 202, asked_for.text
    address = asked_for.headers["location"]
    assert ask("GET", address, headers=headers["bob"]).status_code == 200
    for method, path in (
        ("GET", address),
        ("DELETE", address),
        ("POST", f"{address}/retry"),
        ("GET", f"{address}/events"),
        ("GET", f"{address}/artifacts/scene"),
        ("GET", address.replace("/v1", "") + "/page.json"),
    ):
        assert ask(method, path, headers=headers["eve"]).status_code == 404, path
    assert ask("GET", "/v1/jobs", headers=headers["eve"]).json()["jobs"] == []
    name = f"jobs/{address.rpartition('/')[2]}/scene"
    stolen = ask("POST", "/v1/jobs/relight.fit", headers=headers["eve"], json={"data": name})
    assert stolen.status_code == 422


# How often


def test_too_many_requests_are_told_when_to_come_again(asked: Callable[..., Any]) -> None:
    ask = asked("access.mode=keys", "access.rate_limit=3", "access.anonymous_rate_limit=2")
    _, key = ask.gate.keys.create("me", [READ])
    answers = [ask("GET", "/v1/me", headers={"X-API-Key": key}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    left = [answer.headers["x-ratelimit-remaining"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    last = answers[-1]
    assert last.json()["code"] == "too_many_requests"
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["ratelimit"].startswith('"default";r=0;t=')
    # Who shows no valid key is counted by address, and one address does not use up another's.
    for status in (401, 401, 429):
        assert ask("GET", "/v1/me", headers={"X-API-Key": "fv_no"}).status_code == status
    assert ask("GET", "/v1/me", client=("203.0.113.9", 1)).status_code == 401
    # Of IPv6 a whole network is one caller.
    found = [ask("GET", "/v1/me", client=(f"2001:db8::{n}", 1)).status_code for n in (1, 2, 3)]
    assert found == [401, 401, 429]
    assert ask("GET", "/v1/me", client=("2001:db8:0:1::1", 1)).status_code == 401


def test_nothing_is_counted_on_loopback_without_keys(asked: Callable[..., Any]) -> None:
    answer = asked("access.rate_limit=1", "access.anonymous_rate_limit=1")("GET", "/v1/me")
    assert "x-ratelimit-limit" not in answer.headers
    assert answer.json() == {
        "owner": "local",
        "scopes": sorted([READ, WRITE, PREDICT, ADMIN]),
        "key_id": None,
        "mode": "none",
    }


@pytest.mark.parametrize("trusted", [True, False])
def test_the_address_behind_a_proxy_is_believed_only_of_a_trusted_one(
    make_service: "Callable[..., Service]", trusted: bool
) -> None:
    options = ["access.mode=keys", "access.anonymous_rate_limit=2", "--workers=0"]
    if trusted:
        options.append("access.trusted_proxies=127.0.0.1")
    folder = make_service.folder  # type: ignore[attr-defined]
    keys(["create", "me", "--runs", str(folder)])
    service = make_service(*options)
    found = [
        service.client.get("/v1/me", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code
        for n in range(4)
    ]
    assert found == ([401] * 4 if trusted else [401, 401, 429, 429])


# Which names and sites


def test_other_names_and_sites_are_let_in_where_settings_say_so(asked: Callable[..., Any]) -> None:
    ask = asked("access.hosts=[fovea.example]", "access.cors_origins=[https://friend.example]")
    assert ask("GET", "/v1/jobs", "http://fovea.example").status_code == 200
    assert ask("GET", "/v1/jobs", "http://evil.example").status_code == 421
    friend = {"Origin": "https://friend.example"}
    answer = ask("GET", "/v1/jobs", headers=friend)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    assert "x-ratelimit-remaining" in answer.headers["access-control-expose-headers"].lower()
    before = friend | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    assert ask("OPTIONS", "/v1/predict", headers=before).status_code == 200
    stranger = ask("GET", "/v1/jobs", headers={"Origin": "https://evil.example"})
    assert stranger.status_code == 403
    assert "access-control-allow-origin" not in stranger.headers


def test_without_settings_no_other_site_is_let_in(asked: Callable[..., Any]) -> None:
    ask = asked()
    for origin in ("https://evil.example", "null", "http://[", "http://127.0.0.1:1"):
        answer = ask("GET", "/v1/jobs", headers={"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert ask("GET", "/v1/jobs", headers={"Host": "["}).status_code == 421


def test_every_answer_says_what_a_browser_may_do_with_it(asked: Callable[..., Any]) -> None:
    ask = asked()
    for path in ("/", "/v1/jobs", "/healthz", "/nowhere", "/v1/jobs/none"):
        headers = ask("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["referrer-policy"] == "no-referrer"
        assert "object-src 'none'" in headers["content-security-policy"]
        assert "'unsafe-inline'" not in headers["content-security-policy"].split("style-src")[0]
        assert "strict-transport-security" not in headers
        assert "server" not in headers


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00x", "\\u0000", "x\\ud800\\u0000"])
@pytest.mark.parametrize("database", ["", "postgresql"])
def test_texts_that_no_encoding_can_say_are_no_fault_of_the_service(
    asked: Callable[..., Any], request: pytest.FixtureRequest, text: str, database: str
) -> None:
    url = request.getfixturevalue("postgres_url") if database else ""
    ask = asked("--workers=0", *([f"--database={url}"] if url else []))
    for path, body in (
        ("/v1/jobs/relight.fit", '{"data": "samples/%s"}'),
        ("/v1/jobs/relight.fit", '{"%s": 1}'),
        ("/v1/jobs/relight", '{"vars": {"photographs": "%s"}}'),
        ("/v1/keys", '{"name": "%s", "scopes": ["predict"]}'),
        ("/v1/keys", '{"name": "me", "owner": "%s", "scopes": ["predict"]}'),
        ("/v1/webhooks", '{"event_type": "task_failed", "url": "https://example.org/%s"}'),
        ("/v1/webhooks", '{"event_type": "%s", "url": "x"}'),
        ("/v1/studies", '{"study": "%s", "target": {"stage": "relight.fit"}}'),
        ("/v1/studies", '{"%s": 1}'),
    ):
        headers = {"Content-Type": "application/json"}
        answer = ask("POST", path, content=(body % text).encode(), headers=headers)
        assert answer.status_code in (400, 422), f"{path} {body % text}: {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"


# Who is let in at the start


def test_an_address_that_others_reach_needs_a_key(tmp_path: Path) -> None:
    runs = str(tmp_path / "runs")
    public = ["--host", "0.0.0.0", "--port", "0", "--no-preload", "--runs", runs]
    with pytest.raises(ConfigError, match=r"none that is valid yet\. Make one: fovea keys create"):
        serve(public)
    with pytest.raises(ConfigError, match="everybody may do everything"):
        serve([*public, "access.mode=none"])


def test_insecure_lets_everybody_in_and_counts_them(asked: Callable[..., Any]) -> None:
    ask = asked("--host", "0.0.0.0", "--insecure", "access.anonymous_rate_limit=1")
    assert ask.gate.mode == "none"
    assert ask("GET", "/v1/jobs", "http://192.0.2.7").status_code == 200
    assert ask("GET", "/v1/jobs", "http://192.0.2.7").status_code == 429


# The command line


def test_keys_are_made_listed_and_ended_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--runs", str(tmp_path / "runs")]
    assert keys(["list", *where]) == 0
    assert "There is no key yet" in "".join(capsys.readouterr())
    scopes = ["--scopes", "predict,jobs:read", "--days", "30", "--owner", "team"]
    assert keys(["create", "laptop", *scopes, *where]) == 0
    told = capsys.readouterr()
    text = told.out.strip()
    assert text.startswith("fv_")
    assert "it is not kept" in told.out + told.err
    id = text.split("_")[1]
    keys(["list", *where])
    listed = capsys.readouterr().out
    assert id in listed
    assert text.split("_")[2] not in listed
    assert "predict jobs:read" in listed
    assert keys(["revoke", id, *where]) == 0
    keys(["list", *where])
    assert "revoked" in capsys.readouterr().out
    for words, said in (
        (["revoke", "none"], "there is no key 'none'"),
        (["create", "x", "--scopes", "all"], "found all"),
        (["create", "x", "--days", "-1"], "must be more than 0"),
        (["creat", "x"], "Did you mean 'create'"),
        (["create"], "needs a NAME right after it"),
        (["revoke"], "needs an ID right after it"),
    ):
        with pytest.raises(ConfigError, match=said):
            keys([*words, *where])


# Logs


def test_logs_carry_neither_keys_nor_names_of_files(
    make_service: "Callable[..., Service]", capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_service.folder  # type: ignore[attr-defined]
    keys(["create", "me", "--scopes", "admin", "--runs", str(folder)])
    key = capfd.readouterr().out.strip().splitlines()[0]
    service = make_service(
        "access.mode=keys+jwt",
        "logging.level=DEBUG",
        "logging.file=true",
        f"logging.folder={folder.parent / 'logs'}",
    )
    client = service.client
    client.headers["X-API-Key"] = key
    name = "a-very-private-name-of-a-photograph-of-me-and-you.bin"
    upload = client.post(f"/v1/uploads?name={name}", content=b"12345").json()
    client.post("/v1/uploads", files={"file": (name, b"6")})
    client.post("/v1/predict", files={"file": (name, b"no picture")})
    token = client.post("/v1/auth/token").json()["access_token"]
    client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    client.get("/v1/me", headers={"X-API-Key": key[:-1] + "x"})
    client.get("/v1/me", headers={"Authorization": f"Bearer {token}x"})
    service.wait(service.submit("toy.count", start=upload["name"])["id"])
    service.submit("toy.count", fails=True)
    service.stop()
    logs = [path for path in (folder.parent / "logs").rglob("*") if path.is_file()]
    assert logs
    written = "".join(path.read_text() for path in logs)
    written += "".join(path.read_text() for path in folder.rglob("console.log"))
    written += "".join(capfd.readouterr())
    assert "toy.count" in written
    for secret in (key, key.rpartition("_")[2], token, token.rpartition(".")[2], name):
        assert secret not in written
