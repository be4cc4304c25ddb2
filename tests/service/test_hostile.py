"""What hostile callers send: each refused with its status, by a real server, over real sockets."""

import io
import json
import socket
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image
from sqlalchemy import create_engine
from standardwebhooks import Webhook, WebhookVerificationError

from fovea.service.access.keys import KeyStore
from fovea.service.access.secrets import Secrets

if TYPE_CHECKING:
    from conftest import Service

ISSUER = "https://login.example"


class Outside:
    """The other machines: a receiver of webhooks, an inner one, and an issuer of tokens."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        self.published = json.dumps({"keys": [public | {"kid": "one"}]}).encode()
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.inner: list[bytes] = []
        self.inside = self._serve("127.0.0.1", self._inside())
        self.outside = self._serve("127.0.0.2", self._outside())

    def _serve(self, host: str, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer((host, 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def url(self, path: str) -> str:
        server = self.inside if path in ("/inner", "/jwks.json") else self.outside
        return f"http://{server.server_address[0]}:{server.server_port}{path}"

    def _inside(outside: "Outside") -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(outside.published)

            def do_POST(self) -> None:
                outside.inner.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler

    def _outside(outside: "Outside") -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outside.told.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(307 if self.path == "/redirect" else 204)
                self.send_header("Location", outside.url("/inner"))
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler

    def close(self) -> None:
        for server in (self.inside, self.outside):
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    made = Outside()
    yield made
    made.close()


@pytest.fixture(scope="module")
def guarded(
    service_type: type["Service"], outside: Outside, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Service"]:
    """A service that asks who calls; its client shows a key that may everything."""
    folder = tmp_path_factory.mktemp("guarded") / "runs"
    (folder / ".service").mkdir(parents=True)
    running = service_type(
        folder,
        "--upload-mb=1",
        "--archive-entries=50",
        "--enable-webhook",
        "access.mode=keys+jwt",
        "access.rate_limit=0",
        "access.anonymous_rate_limit=0",
        f"access.tokens.jwks_url={outside.url('/jwks.json')}",
        f"access.tokens.jwks_issuer={ISSUER}",
        "uploads.idle_s=1",
        "uploads.unpacked_mb=5",
        "webhook.allow=[127.0.0.2]",
        "webhook.allow_http=true",
        "webhook.retry_after_s=[0.1]",
    )
    engine = create_engine(f"sqlite:///{folder / '.service' / 'jobs.sqlite'}")
    keys = KeyStore(engine)
    running.keys = keys  # type: ignore[attr-defined]
    running.secret = Secrets(engine).get("tokens")  # type: ignore[attr-defined]
    running.start()
    running.client.headers["X-API-Key"] = keys.create("me", ["admin"])[1]
    yield running
    running.stop()
    running.client.close()
    engine.dispose()


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def raw(service: "Service", *parts: bytes, pause_s: float = 0.0, wait_s: float = 20.0) -> bytes:
    """Say these bytes over a socket, and give all that is answered."""
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port or 80), timeout=wait_s) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already, and listens no more
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
        return answer


def picture(width: int, height: int, kind: str = "PNG", **options: Any) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (width, height), (10, 20, 30)).save(held, kind, **options)
    return held.getvalue()


def png_bomb(side: int) -> bytes:
    """A PNG of one grey, whose pixels are side x side: some kB."""

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compressobj(9)
    row = bytes(side // 8 + 1)
    packed = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", packed) + part(b"IEND", b"")


def zipped(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


def films(frames: int) -> bytes:
    held = io.BytesIO()
    first, *rest = (Image.new("RGB", (8, 8), (n, 0, 0)) for n in range(frames))
    first.save(held, "TIFF", save_all=True, append_images=rest)
    return held.getvalue()


# 1 Bombs


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (png_bomb(12_000), "picture_too_large"),
        (png_bomb(20_000), "picture_too_large"),  # where Pillow itself refuses
        (picture(20_000, 1), "picture_too_large"),
        (films(3), "picture_frames"),
    ],
    ids=["144 MP", "400 MP", "long side", "frames"],
)
@pytest.mark.parametrize("way", ["predict", "tasks", "upload", "upload as data", "in an archive"])
def test_image_bombs(guarded: "Service", content: bytes, code: str, way: str) -> None:
    assert len(content) < 100_000
    began = time.monotonic()
    if way in ("predict", "tasks"):
        answer = guarded.client.post(f"/v1/{way}", files={"file": ("me.png", content)})
    elif way == "in an archive":
        content = zipped({"a.png": picture(8, 8), "b.png": content})
        answer = guarded.client.post("/v1/uploads?name=a.zip", content=content)
    else:
        name = "me.png" if way == "upload" else "me.bin"
        answer = guarded.client.post(f"/v1/uploads?name={name}", content=content)
    refused(answer, 413, code)
    assert time.monotonic() - began < 5


def test_archive_bombs(guarded: "Service") -> None:
    for files, code in (
        ({"zeros": bytes(4_000_000)}, "archive_ratio"),
        ({f"{n}": bytes(900_000) for n in range(6)}, "archive_too_large"),
        ({f"{n}": b"" for n in range(60)}, "archive_too_many"),
    ):
        answer = guarded.client.post("/v1/uploads?name=a.zip", content=zipped(files))
        refused(answer, 413, code)


def test_an_archive_that_says_less_than_it_holds(guarded: "Service") -> None:
    """The list says 10 bytes, the data unpack to 900 kB: what was promised is what is read."""
    content = zipped({"liar": bytes(900_000)})
    lying = content.replace(struct.pack("<I", 900_000), struct.pack("<I", 10))
    assert lying != content
    refused(guarded.client.post("/v1/uploads?name=a.zip", content=lying), 422, "archive_damaged")


def test_json_that_nests_deeply_or_has_huge_numbers(guarded: "Service") -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"[" * 100_000, b'{"steps": ' + b"9" * 10_000 + b"}", b'{"steps": NaN}'):
        answer = guarded.client.post("/v1/jobs/toy.count", content=body, headers=headers)
        assert answer.status_code in (400, 422), answer.text


# 2 Traversal, 3 zip slip


@pytest.mark.parametrize(
    "path",
    [
        "/page/..%2f..%2fsettings%2faccess.py",
        "/page/%2e%2e/app.py",
        "/files/{id}/..%2f..%2f.service%2fjobs.sqlite",
        "/files/{id}/%2fetc%2fpasswd",
        "/v1/jobs/{id}/artifacts/number/..%2f..%2f..%2f.service%2fjobs.sqlite",
        "/v1/jobs/{id}/artifacts/..%2f..%2f.service%2fjobs.sqlite",
        "/jobs/{id}/files/..%2f..%2f.service%2fjobs.sqlite",
        "/jobs/{id}/..%2f..%2f.service%2fjobs.sqlite",
        "/v1/uploads/..%2f..%2fjobs.sqlite",
        "/v1/jobs/..%2f..",
        "/jobs/{id}/files/%00",
        "/page/%00",
        "/v1/schemas/..%2f..%2fpyproject",
    ],
)
def test_traversal(guarded: "Service", path: str) -> None:
    job = guarded.wait(guarded.submit("toy.count", label="traversal")["id"])
    asked = path.format(id=job["id"]).encode()
    key = guarded.client.headers["X-API-Key"].encode()
    answer = raw(
        guarded,
        b"GET " + asked + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: " + key
        + b"\r\nConnection: close\r\n\r\n",
    )  # fmt: skip
    # 307 is another way of writing the same address.
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 307")), answer[:200]
    assert b"SQLite format" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a\\..\\evil", "a/../../../evil"])
def test_zip_slip(guarded: "Service", name: str) -> None:
    answer = guarded.client.post("/v1/uploads?name=a.zip", content=zipped({name: b"x"}))
    refused(answer, 422, "archive_unsafe_path")
    sent = [("file", (name, b"x")), ("file", ("good", b"y"))]
    refused(guarded.client.post("/v1/uploads", files=sent), 422, "archive_unsafe_path")
    assert not list(guarded.folder.parent.rglob("evil"))


def test_a_name_that_no_disk_takes(guarded: "Service") -> None:
    long, twice = "n" * 300, [("file", ("a", b"x")), ("file", ("a/b", b"y"))]
    sent = [("file", (long, b"x")), ("file", ("good", b"y"))]
    refused(guarded.client.post("/v1/uploads", files=sent), 422, "archive_unsafe_path")
    refused(guarded.client.post("/v1/uploads", files=twice), 422, "twice")


# 4 Too much, 5 too slowly


def test_chunked_oversize(guarded: "Service") -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(100_000)

    for path in ("/v1/uploads", "/v1/predict", "/v1/jobs/toy.count", "/v1/keys"):
        kind = "multipart/form-data; boundary=x" if path == "/v1/predict" else "application/json"
        headers = {"Content-Type": "" if path == "/v1/uploads" else kind}
        answer = guarded.client.post(path, content=chunks(), headers=headers)
        assert answer.status_code in ((413, 400) if path == "/v1/predict" else (413,)), answer.text
    left = list((guarded.folder / ".service" / "uploads").glob(".draft*"))
    assert not left


def test_a_declared_oversize_is_answered_before_it_comes(guarded: "Service") -> None:
    key = guarded.client.headers["X-API-Key"].encode()
    answer = raw(
        guarded,
        b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: " + key
        + b"\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n",
    )  # fmt: skip
    assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert b'"code":"too_large"' in answer


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_slow_upload(guarded: "Service", framing: bytes) -> None:
    key = guarded.client.headers["X-API-Key"].encode()
    head = b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: " + key + b"\r\n"
    part = b"" if b"Length" in framing else b"5\r\nhello\r\n"
    began = time.monotonic()
    answer = raw(guarded, head + framing + b"\r\n\r\n" + part)
    assert time.monotonic() - began < 10
    assert answer.startswith(b"HTTP/1.1 408"), answer[:200]
    assert b'"code":"request_timeout"' in answer
    assert not list((guarded.folder / ".service" / "uploads").glob(".draft*"))


def test_a_head_that_never_ends(guarded: "Service") -> None:
    began = time.monotonic()
    answer = raw(guarded, b"GET / HTTP/1.1\r\n", *[b"X-More: 1\r\n"] * 5, pause_s=0.4)
    assert time.monotonic() - began < 10
    assert answer == b""
    assert raw(guarded) == b""  # who says nothing at all is not waited for, either
    # A second request of a connection has as long as the first.
    one = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert raw(guarded, one, last, pause_s=0.7).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/uploads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n bad: folded\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=["two lengths", "negative", "encodings", "long header", "folded", "TLS"],
)
def test_what_is_hardly_http(guarded: "Service", head: bytes) -> None:
    answer = raw(guarded, head, b"hello\r\n\r\n")
    status = answer.split(b" ")[1:2]
    assert not status or status[0][:1] in (b"2", b"4"), answer[:200]
    assert guarded.client.get("/healthz").status_code == 200


def test_an_upload_in_parts_goes_on_after_a_broken_line(guarded: "Service") -> None:
    content = picture(64, 64)
    begun = guarded.client.post(f"/v1/uploads/parts?name=me.png&size={len(content)}")
    assert begun.status_code == 201, begun.text
    where = begun.headers["location"]
    key = guarded.client.headers["X-API-Key"].encode()
    raw(
        guarded,
        b"PATCH " + where.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: " + key
        + b"\r\nUpload-Offset: 0\r\nContent-Length: 1000000\r\n\r\n" + content[:50],
    )  # fmt: skip
    now = guarded.client.get(where)
    assert (now.json()["offset"], now.headers["upload-offset"]) == (50, "50")
    refused(
        guarded.client.patch(where, content=b"x", headers={"Upload-Offset": "7"}), 409, "offset"
    )
    last = guarded.client.patch(where, content=content[50:], headers={"Upload-Offset": "50"})
    whole = guarded.client.post("/v1/uploads?name=me.png", content=content)
    assert last.json() == whole.json()
    refused(guarded.client.get(where), 404, "not_found")


# 6 SSRF


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:7f00:1]/",
        "http://localhost/",
        "http://0.0.0.0/",
        "gopher://example.org/",
    ],
)
def test_an_inner_address_cannot_be_registered(guarded: "Service", url: str) -> None:
    wanted = {"event_type": "task_completed", "url": url}
    refused(guarded.client.post("/v1/webhooks", json=wanted), 422, "webhook_url")
    answer = guarded.client.post("/v1/jobs/toy.count", params={"webhook_url": url}, json={})
    refused(answer, 422, "webhook_url")
    form = {"webhook_url": url}
    answer = guarded.client.post("/v1/tasks", data=form, files={"file": picture(64, 64)})
    refused(answer, 422, "webhook_url")


def test_ssrf_by_redirect(guarded: "Service", outside: Outside) -> None:
    job = guarded.client.post(
        "/v1/jobs/toy.count",
        params={"webhook_url": outside.url("/redirect")},
        json={"label": "redirect"},
    ).json()
    guarded.wait(job["id"])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        sent = guarded.client.get("/v1/webhooks/deliveries").json()["deliveries"]
        if sent and sent[0]["state"] == "failed":
            break
        time.sleep(0.05)
    assert (sent[0]["state"], sent[0]["status"], sent[0]["attempt"]) == ("failed", 307, 2)
    assert outside.told
    assert outside.inner == []


# 7 Forged and expired tokens, 8 algorithm confusion, 9 replay


def token(secret: Any, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {
        "iss": "fovea", "aud": "fovea", "sub": "key:1", "key": "0" * 12, "scope": "admin",
        "exp": int(time.time()) + 60,
    }  # fmt: skip
    headers = {"kid": "one"}
    payload = json.dumps(claims | changes).encode()
    return jwt.PyJWS().encode(payload, secret, algorithm=algorithm, headers=headers)


def bearing(service: "Service", text: str) -> httpx.Response:
    return httpx.get(f"{service.url}/v1/me", headers={"Authorization": f"Bearer {text}"})


def test_forged_and_expired_tokens(guarded: "Service", outside: Outside) -> None:
    good = guarded.client.post("/v1/auth/token").json()["access_token"]
    assert bearing(guarded, good).status_code == 200
    head, claims, signature = good.split(".")
    raised = jwt.utils.base64url_encode(
        jwt.utils.base64url_decode(claims).replace(b'"key:', b'"kex:')
    ).decode()
    nothing = jwt.utils.base64url_encode(b'{"alg":"none","typ":"JWT"}').decode()
    secret = guarded.secret  # type: ignore[attr-defined]
    expired = int(time.time()) - 60
    refused(bearing(guarded, f"{head}.{raised}.{signature}"), 401, "token_invalid")
    refused(bearing(guarded, f"{nothing}.{claims}."), 401, "token_invalid")
    refused(bearing(guarded, token("0" * 64)), 401, "token_invalid")
    refused(bearing(guarded, token(secret, exp=expired)), 401, "token_expired")
    refused(bearing(guarded, token(secret)), 401, "key_revoked")  # well signed, for no key
    foreign = {"iss": ISSUER, "sub": "ada", "scope": "jobs:read"}
    assert bearing(guarded, token(outside.private, "RS256", **foreign)).json()["owner"] == "jwt:ada"
    refused(
        bearing(guarded, token(outside.private, "RS256", **foreign, exp=expired)),
        401,
        "token_expired",
    )
    for text in ("a.b", "a.b.c", "é", "." * 1000):
        answer = httpx.get(
            f"{guarded.url}/v1/me", headers={"Authorization": f"Bearer {text}".encode("latin-1")}
        )
        assert answer.status_code == 401


def test_algorithm_confusion(guarded: "Service", outside: Outside) -> None:
    import hashlib
    import hmac

    pem = outside.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for issuer in (ISSUER, "fovea"):
        unsigned = token("0" * 64, iss=issuer, sub="ada").rpartition(".")[0]
        signature = hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()
        forged = f"{unsigned}.{jwt.utils.base64url_encode(signature).decode()}"
        refused(bearing(guarded, forged), 401, "token_invalid")
    # Our own issuer is never believed by RS256, not even with a good signature.
    refused(bearing(guarded, token(outside.private, "RS256")), 401, "token_invalid")


def test_replayed_signatures(guarded: "Service", outside: Outside) -> None:
    """A token whose key is gone, and a message that is sent a second time, later."""
    keys: KeyStore = guarded.keys  # type: ignore[attr-defined]
    key, text = keys.create("short", ["jobs:read"])
    given = httpx.post(f"{guarded.url}/v1/auth/token", headers={"X-API-Key": text}).json()
    assert bearing(guarded, given["access_token"]).status_code == 200
    assert guarded.client.delete(f"/v1/keys/{key.id}").json()["state"] == "revoked"
    refused(bearing(guarded, given["access_token"]), 401, "key_revoked")

    outside.told.clear()
    job = guarded.client.post(
        "/v1/jobs/toy.count",
        params={"webhook_url": outside.url("/hook")},
        json={"label": "replayed"},
    ).json()
    guarded.wait(job["id"])
    deadline = time.monotonic() + 120
    while not outside.told and time.monotonic() < deadline:
        time.sleep(0.05)
    headers, body = outside.told[0]
    receiver = Webhook(guarded.client.get("/v1/webhooks/secret/mine").json()["secret"])
    assert receiver.verify(body, headers)["task_id"] == job["id"]
    later = headers | {"webhook-timestamp": str(int(time.time()) - 600)}
    for replayed in (later, headers | {"webhook-id": "msg_2"}):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body, replayed)


# 10 Poisoned cache key


def test_poisoned_cache_key(guarded: "Service") -> None:
    """Content decides what an upload is and which result it has, and nothing a caller says."""
    send = guarded.client.post
    one = send("/v1/uploads?name=a.bin", content=b"one!").json()
    # The same name and size, and a digest that claims to be the first's.
    import base64
    import hashlib

    claimed = base64.b64encode(hashlib.sha256(b"one!").digest()).decode()
    headers = {"Repr-Digest": f"sha-256=:{claimed}:"}
    refused(send("/v1/uploads?name=a.bin", content=b"two!", headers=headers), 422, "digest")
    again = send("/v1/uploads?name=a.bin", content=b"one!", headers=headers).json()
    assert again == one
    two = send("/v1/uploads?name=a.bin", content=b"two!!").json()
    assert two["id"] != one["id"]
    # An archive of one file is not that file, whatever its name.
    folder = send("/v1/uploads?name=a.zip", content=zipped({"upload.bin": b"one!"})).json()
    assert folder["id"] != one["id"]
    assert folder["is_folder"]
    assert not send("/v1/uploads?name=a.bin", content=b"one!").json()["is_folder"]
    # A result belongs to the content, not to the name it was sent under.
    done = [
        guarded.wait(guarded.submit("toy.count", steps=1, start=sent["name"])["id"])
        for sent in (one, two, one)
    ]
    scores = [job["result"]["stages"][0]["scores"]["value"] for job in done]
    assert scores == [5.0, 6.0, 5.0]
    assert [job["cached"] for job in done] == [False, False, True]


# 11 Header injection


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/x%0d%0aX-Evil:%201 HTTP/1.1",
        b"GET /jobs/x%0d%0aX-Evil:%201 HTTP/1.1",
        b"GET /v1/jobs/%0d%0aX-Evil:%201 HTTP/1.1",
        b"GET /files/x/a%0d%0aX-Evil:%201 HTTP/1.1",
        b"POST /v1/uploads?name=a%0d%0aX-Evil:%201.png HTTP/1.1",
        b"POST /v1/jobs/toy.count?preset=%0d%0aX-Evil:%201 HTTP/1.1",
        b"GET /v1/jobs?before=%0d%0aX-Evil:%201&limit=1 HTTP/1.1",
    ],
)
def test_header_injection(guarded: "Service", request_line: bytes) -> None:
    key = guarded.client.headers["X-API-Key"].encode()
    answer = raw(
        guarded,
        request_line + b"\r\nHost: 127.0.0.1\r\nX-API-Key: " + key
        + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )  # fmt: skip
    head = answer.partition(b"\r\n\r\n")[0]
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200", b"HTTP/1.1 202")), answer[:200]
    assert not [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-evil")]


def test_header_injection_in_the_names_of_files(guarded: "Service") -> None:
    for name in ('a"; filename="evil.html', "a\r\nX-Evil: 1", "a\x00b"):
        sent = [("file", (name, b"x")), ("file", ("good", b"y"))]
        answer = guarded.client.post("/v1/uploads", files=sent)
        assert answer.status_code in (201, 400, 422)
        assert "x-evil" not in answer.headers
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\r\nX-Evil: 1"\r\n\r\n'
        b"data\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = guarded.client.post("/v1/uploads", content=form, headers=headers)
    assert answer.status_code in (201, 400, 422)


@pytest.mark.parametrize("path", ["/v1/jobs/%00", "/v1/jobs?before=%00", "/page/%00", "/%00"])
def test_a_zero_byte_in_an_address(guarded: "Service", path: str) -> None:
    refused(guarded.client.get(path), 400, "bad_request")


# 12 What is no picture


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<script>alert(1)</script>", "me.jpg"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "me.png"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "me.png"),
        (b"GIF89a", "me.gif"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "me.png"),
        (b"PK\x03\x04", "me.jpg"),
        (bytes(100), "me.heic"),
    ],
)
def test_what_is_named_like_a_picture_and_is_none(
    guarded: "Service", content: bytes, name: str
) -> None:
    answer = guarded.client.post("/v1/predict", files={"file": (name, content)})
    refused(answer, 415, "not_a_picture")
    answer = guarded.client.post("/v1/uploads", params={"name": name}, content=content)
    refused(answer, 415, "not_a_picture")
