"""The page's cookie: what it opens, and all that it does not."""

import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import jwt
import pytest

from fovea.service.access.sessions import COOKIE
from fovea.service.table import Job, new_id

READ, WRITE, PREDICT, ADMIN = "jobs:read", "jobs:write", "predict", "admin"


def finished(here: Any, owner: str) -> str:
    """A job that has ended, with a film in its run."""
    made = {"name": "film.film", "stage": "film", "kind": "video", "size": 10, "sha256": "00"}
    result = {"stages": [], "artifacts": [made | {"path": "film.mp4"}]}
    run = f"run-{owner}"
    job = Job(new_id(), owner, "photo.film", {}, "", 1, run, "", state="succeeded", result=result)
    here.store.enqueue(job)
    folder = here.run_folder(job)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "film.mp4").write_bytes(b"0123456789")
    (folder.parent / "secret.txt").write_text("no job's")
    return job.id


def begin(ask: Any, key: str, host: str = "http://127.0.0.1") -> Any:
    """The cookie, as the answer sets it."""
    answer = ask("POST", "/v1/auth/session", host, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return SimpleCookie(answer.headers["set-cookie"])[COOKIE]


def cookie(text: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={text}"}


@pytest.fixture
def ask(asked: Callable[..., Any]) -> Any:
    """An application that asks for keys, and takes no tokens."""
    return asked("access.mode=keys", "queue.workers=0")


@pytest.mark.parametrize("mode", ["keys", "keys+jwt"])
def test_the_cookie_opens_what_ones_own_jobs_made(asked: Callable[..., Any], mode: str) -> None:
    ask = asked(f"access.mode={mode}", "queue.workers=0")
    key, text = ask.gate.keys.create("me", [READ])
    own = cookie(begin(ask, text).value)
    id = finished(ask.here, key.owner)
    for address in (f"/jobs/{id}/files/film.mp4", f"/v1/jobs/{id}/artifacts/film"):
        assert ask("GET", address).status_code == 401
        assert ask("GET", address, headers=own).content == b"0123456789"
    part = ask("GET", f"/v1/jobs/{id}/artifacts/film", headers=own | {"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert ask("GET", f"/jobs/{id}/", headers=own).status_code == 200
    assert (
        "private" in ask("GET", f"/jobs/{id}/files/film.mp4", headers=own).headers["cache-control"]
    )


def test_the_cookie_is_closed_to_scripts_and_to_other_sites(ask: Any) -> None:
    key, text = ask.gate.keys.create("me", [READ])
    given = begin(ask, text)
    assert (given["httponly"], given["samesite"], given["secure"]) == (True, "strict", "")
    assert (given["max-age"], given["domain"]) == ("900", "")
    assert begin(ask, text, "https://127.0.0.1")["secure"] is True
    own, address = cookie(given.value), f"/jobs/{finished(ask.here, key.owner)}/files/film.mp4"
    foreign = ask("GET", address, headers=own | {"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_origin")
    for site in ("cross-site", "same-site"):
        assert ask("GET", address, headers=own | {"Sec-Fetch-Site": site}).status_code == 401
    for site in ("same-origin", "none"):
        assert ask("GET", address, headers=own | {"Sec-Fetch-Site": site}).status_code == 200
    gone = SimpleCookie(ask("DELETE", "/v1/auth/session").headers["set-cookie"])[COOKIE]
    assert (gone["max-age"], gone.value) == ("0", "")
    stranger = ask("DELETE", "/v1/auth/session", headers={"Origin": "https://evil.example"})
    assert stranger.status_code == 403


def test_the_cookie_opens_nothing_else_whatever_its_key_may(ask: Any) -> None:
    """Also of an administrator: no list, no secret, no change."""
    key, text = ask.gate.keys.create("me", [ADMIN])
    own = cookie(begin(ask, text).value)
    id = finished(ask.here, key.owner)
    assert ask("GET", f"/v1/studies/{id}/report").status_code == 401
    schema = ask("GET", "/openapi.json").json()["paths"]
    routes = [
        (method.upper(), path) for path, operations in schema.items() for method in operations
    ]
    opened: set[str] = set()
    for method, template in [*routes, ("GET", "/runs"), ("GET", "/jobs/{id}/files/film.mp4")]:
        path = template.replace("{id}", id).replace("{kind}", "photo.film")
        path = path.replace("{name}", "film").replace("{", "").replace("}", "")
        if ask(method, path, headers=own).status_code != ask(method, path).status_code:
            opened.add(f"{method} {template}")
    assert opened == {
        "GET /files/{id}/{name}",
        "GET /jobs/{id}/files/film.mp4",
        "GET /v1/jobs/{id}/artifacts/{name}",
        "GET /v1/studies/{id}/report",
    }


def test_the_cookie_never_authorises_a_change(ask: Any) -> None:
    key, text = ask.gate.keys.create("me", [ADMIN])
    own = cookie(begin(ask, text).value)
    id = finished(ask.here, key.owner)
    changes = (f"/v1/jobs/{id}", f"/v1/jobs/{id}/retry", "/v1/jobs/photo.film", "/v1/keys")
    made = (f"/v1/jobs/{id}/artifacts/film", f"/jobs/{id}/files/film.mp4")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for address in changes:
            assert ask(method, address, headers=own).status_code in (401, 405), address
        for address in made:
            assert ask(method, address, headers=own).status_code == 405, address
        spelt = {"X-HTTP-Method-Override": method}
        assert ask("GET", f"/v1/jobs/{id}", headers=own | spelt).status_code == 401
    assert ask.here.store.get(id).state == "succeeded"


def test_jobs_of_others_are_not_there_and_no_path_leads_out(ask: Any) -> None:
    _, text = ask.gate.keys.create("me", [READ])
    other, _ = ask.gate.keys.create("other", [READ])
    me = ask.gate.keys.open(text)
    own = cookie(begin(ask, text).value)
    mine, theirs = finished(ask.here, me.owner), finished(ask.here, other.owner)
    for address in (f"/jobs/{theirs}/files/film.mp4", f"/v1/jobs/{theirs}/artifacts/film"):
        assert ask("GET", address, headers=own).status_code == 404
    for rest in (
        f"files/../../run-{other.owner}/film.mp4",
        f"files/..%2f..%2frun-{other.owner}%2ffilm.mp4",
        f"..%2f{theirs}%2ffiles%2ffilm.mp4",
        "files/..%2fsecret.txt",
        "files//etc/passwd",
        "files/%2fetc%2fpasswd",
        "files/%252e%252e/secret.txt",
        "files/..\\secret.txt",
    ):
        assert ask("GET", f"/jobs/{mine}/{rest}", headers=own).status_code == 404, rest
    for rest in ("film/..%2f..%2fsecret.txt", "..%2fsecret.txt", "film%2f..%2f..%2fsecret.txt"):
        found = ask("GET", f"/v1/jobs/{mine}/artifacts/{rest}", headers=own)
        assert found.status_code == 404, rest
    assert ask("GET", f"/runs/run-{other.owner}/files/film.mp4", headers=own).status_code == 403


def test_a_cookie_ends_with_its_time(asked: Callable[..., Any]) -> None:
    ask = asked("access.mode=keys", "queue.workers=0", "access.session_lifetime_s=3600")
    key, text = ask.gate.keys.create("me", [READ])
    address = f"/jobs/{finished(ask.here, key.owner)}/files/film.mp4"
    given = begin(ask, text)
    assert given["max-age"] == "3600"
    ask.gate.sessions.clock = lambda: time.time() - 3000
    assert ask("GET", address, headers=cookie(begin(ask, text).value)).status_code == 200
    ask.gate.sessions.clock = lambda: time.time() - 3601
    late = ask("GET", address, headers=cookie(begin(ask, text).value))
    assert (late.status_code, late.json()["code"]) == (401, "session_expired")


def test_a_cookie_ends_with_its_key(ask: Any) -> None:
    key, text = ask.gate.keys.create("me", [READ])
    address = f"/jobs/{finished(ask.here, key.owner)}/files/film.mp4"
    own = cookie(begin(ask, text).value)
    ask.gate.keys.revoke(key.id)
    answer = ask("GET", address, headers=own)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_revoked")
    assert ask("POST", "/v1/auth/session", headers={"X-API-Key": text}).status_code == 401


def test_a_forged_cookie_opens_nothing(ask: Any) -> None:
    key, text = ask.gate.keys.create("me", [READ])
    other, _ = ask.gate.keys.create("other", [ADMIN])
    address = f"/jobs/{finished(ask.here, key.owner)}/files/film.mp4"
    given = begin(ask, text).value
    head, claims, mark = given.split(".")
    good = {"aud": "page", "key": other.id, "exp": int(time.time()) + 900}
    secret = ask.gate.secrets.get("sessions")
    forged = {
        "of other letters": "x.y.z",
        "without a signature": jwt.encode(good, "", algorithm="none"),
        "signed with another secret": jwt.encode(good, "0" * 64),
        "signed with the secret of tokens": jwt.encode(good, ask.gate.secrets.get("tokens")),
        "by another algorithm": jwt.encode(good, secret, algorithm="HS512"),
        "changed": ".".join((head, jwt.encode(good, "0" * 64).split(".")[1], mark)),
        "cut off": f"{head}.{claims}.",
        "for another purpose": jwt.encode(good | {"aud": "fovea"}, secret),
        "without an end": jwt.encode({"aud": "page", "key": key.id}, secret),
        "the key itself": text,
        "a whole megabyte's head": "a" * 3000,
    }
    for how, value in forged.items():
        answer = ask("GET", address, headers=cookie(value))
        assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid"), how
    of_nobody = jwt.encode(good | {"key": "000000000000"}, secret)
    assert ask("GET", address, headers=cookie(of_nobody)).json()["code"] == "key_revoked"


def test_neither_is_a_session_a_token_nor_a_token_a_session(asked: Callable[..., Any]) -> None:
    ask = asked("access.mode=keys+jwt", "queue.workers=0")
    key, text = ask.gate.keys.create("me", [READ])
    address = f"/jobs/{finished(ask.here, key.owner)}/files/film.mp4"
    session = begin(ask, text).value
    token = ask("POST", "/v1/auth/token", headers={"X-API-Key": text}).json()["access_token"]
    assert ask("GET", address, headers=cookie(token)).status_code == 401
    bearer = {"Authorization": f"Bearer {session}"}
    assert ask("GET", address, headers=bearer).status_code == 401
    answer = ask("POST", "/v1/auth/session", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "no_session")
    # A wrong key is not made good by a cookie beside it.
    wrong = cookie(session) | {"X-API-Key": "fv_no"}
    assert ask("GET", address, headers=wrong).status_code == 401


def test_where_nobody_is_asked_there_is_no_session(asked: Callable[..., Any]) -> None:
    answer = asked("queue.workers=0")("POST", "/v1/auth/session")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_session")
    assert "set-cookie" not in answer.headers
