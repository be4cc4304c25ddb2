"""API keys, tokens and secrets, on SQLite and on PostgreSQL."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text

from fovea.errors import BackendError, ConfigError
from fovea.service.access.keys import KeyStore
from fovea.service.access.secrets import Secrets
from fovea.service.access.tokens import Tokens
from fovea.service.problems import RefusedError
from fovea.service.settings.access import TokenConfig


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def code_of(error: pytest.ExceptionInfo[RefusedError]) -> tuple[int, str]:
    return error.value.status, error.value.code


# Keys


def test_a_key_opens_until_it_expires_or_is_revoked(engine: Engine) -> None:
    clock = Clock()
    store = KeyStore(engine, clock=clock)
    key, written = store.create("me", ["predict", "jobs:read"], lifetime_s=100)
    assert store.open(written).id == key.id
    assert (key.owner, key.scopes) == (f"key:{key.id}", ("predict", "jobs:read"))
    clock.now += 99
    assert store.count_valid() == 1
    clock.now += 1
    with pytest.raises(RefusedError, match="is expired") as caught:
        store.open(written)
    assert code_of(caught) == (401, "key_expired")
    assert store.count_valid() == 0

    lasting, written = store.create("other", ["admin"], owner="team")
    assert (lasting.owner, len(lasting.scopes)) == ("team", 4)
    assert store.revoke(lasting.id) is not None
    with pytest.raises(RefusedError, match="is revoked") as caught:
        store.open(written)
    assert code_of(caught) == (401, "key_revoked")
    assert store.revoke("none") is None
    assert [one.name for one in store.list()] == ["other", "me"]


def test_the_secret_is_nowhere_in_the_database(engine: Engine) -> None:
    store = KeyStore(engine)
    _, written = store.create("me", ["predict"])
    with engine.connect() as connection:
        row = str(connection.execute(text("SELECT * FROM api_keys")).fetchall())
    assert written.rpartition("_")[2] not in row
    assert "predict" in row


@pytest.mark.parametrize("change", ["other secret", "other id", "longer", "upper", "empty", "ü"])
def test_a_key_that_is_not_wholly_right_opens_nothing(sqlite: Engine, change: str) -> None:
    store = KeyStore(sqlite)
    _, written = store.create("me", ["predict"])
    _, id, secret = written.split("_")
    wrong = {
        "other secret": f"fv_{id}_{'0' * 64}",
        "other id": f"fv_{'0' * 12}_{secret}",
        "longer": f"{written}0",
        "upper": written.upper(),
        "empty": "",
        "ü": f"fv_{id}_{secret[:-1]}ü",
    }[change]
    with pytest.raises(RefusedError, match="is not known") as caught:
        store.open(wrong)
    assert code_of(caught) == (401, "key_unknown")
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


@given(st.text(max_size=200))
def test_no_text_makes_the_store_fail(written: str) -> None:
    store = _store_in_memory()
    with pytest.raises(RefusedError):
        store.open(written)


def _store_in_memory() -> KeyStore:
    from sqlalchemy.pool import StaticPool

    if not _MEMORY:
        made = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        _MEMORY.append(KeyStore(made))
    return _MEMORY[0]


_MEMORY: list[KeyStore] = []


def test_last_use_is_noted_once_a_minute(sqlite: Engine) -> None:
    clock = Clock()
    store = KeyStore(sqlite, clock=clock)
    key, written = store.create("me", ["predict"])
    seen: list[float | None] = []
    for step in (0, 30, 30):
        clock.now += step
        store.open(written)
        found = store.get(key.id)
        assert found
        seen.append(found.last_used)
    assert seen == [1_000_000, 1_000_000, 1_000_060]


def test_a_scope_nobody_knows_is_refused(sqlite: Engine) -> None:
    with pytest.raises(ConfigError, match="found everything"):
        KeyStore(sqlite).create("me", ["everything"])


# Secrets


def test_two_services_make_one_secret(engine: Engine) -> None:
    stores = [Secrets(engine) for _ in range(4)]
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda one=one: found.append(one.get("tokens"))) for one in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(found[0]) == 64


def test_the_former_secret_is_valid_for_a_while(engine: Engine) -> None:
    clock = Clock()
    secrets = Secrets(engine, clock=clock)
    first = secrets.get("webhooks")
    second = secrets.change("webhooks", keep_s=60)
    assert secrets.valid("webhooks") == (second, first)
    clock.now += 60
    assert secrets.valid("webhooks") == (second,)


# Tokens


class Issuer:
    """Another issuer: a key pair, and a real server that publishes its public half."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        self.published = json.dumps({"keys": [public | {"kid": "one", "use": "sig"}]}).encode()
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(issuer.published)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def sign(self, **claims: Any) -> str:
        said = {
            "iss": "https://login.example",
            "aud": "fovea",
            "sub": "ada",
            "scope": "openid jobs:read predict",
            "exp": int(time.time()) + 60,
        } | claims
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, self.private, algorithm="RS256", headers={"kid": "one"})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


SECRET = "5" * 64


@pytest.fixture
def tokens(issuer: Issuer) -> Tokens:
    settings = TokenConfig(jwks_url=issuer.url, jwks_issuer="https://login.example")
    return Tokens(settings, SECRET)


def test_our_token_says_whose_key_it_was_given_for(sqlite: Engine, tokens: Tokens) -> None:
    key, _ = KeyStore(sqlite).create("me", ["predict", "jobs:read"], owner="team")
    claims = tokens.read(tokens.issue(key, ["jobs:read", "admin"], 60))
    assert (claims.owner, claims.scopes, claims.key_id) == ("team", {"jobs:read"}, key.id)


def test_issuer_audience_and_secret_of_our_tokens_are_settings(sqlite: Engine) -> None:
    key, _ = KeyStore(sqlite).create("me", ["predict"])
    config = TokenConfig(issuer="house", audience="guests", secret="7" * 40)
    text = Tokens(config, SECRET).issue(key, ["predict"], 60)
    claims = jwt.decode(text, "7" * 40, algorithms=["HS256"], audience="guests", issuer="house")
    assert claims["sub"] == key.owner
    assert Tokens(config, "another").read(text).key_id == key.id
    with pytest.raises(RefusedError):
        Tokens(TokenConfig(), SECRET).read(text)
    with pytest.raises(ValueError, match="secret"):
        TokenConfig(secret="short")


def test_a_token_of_the_other_issuer_is_taken_and_its_keys_are_asked_for_once(
    tokens: Tokens, issuer: Issuer
) -> None:
    before = issuer.asked
    for _ in range(3):
        claims = tokens.read(issuer.sign())
    assert (claims.owner, claims.scopes, claims.key_id) == (
        "jwt:ada",
        {"jobs:read", "predict"},
        None,
    )
    assert issuer.asked == before + 1
    long = tokens.read(issuer.sign(sub="a" * 300)).owner
    assert len(long) == 64


def _hs(secret: str | bytes, **changes: Any) -> str:
    claims = {
        "iss": "fovea",
        "aud": "fovea",
        "sub": "key:1",
        "key": "1",
        "scope": "admin",
        "exp": int(time.time()) + 60,
    }
    merged = claims | changes
    kept = {name: value for name, value in merged.items() if value is not None}
    # Not by jwt.encode, which refuses to sign with what is a public key.
    return jwt.PyJWS().encode(json.dumps(kept).encode(), secret, algorithm="HS256")


def _unsigned(**changes: Any) -> str:
    token = _hs(SECRET, **changes)
    _, claims, _ = token.split(".")
    return jwt.utils.base64url_encode(b'{"alg":"none","typ":"JWT"}').decode() + f".{claims}."


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda _: _hs("6" * 64), "token_invalid"),  # signed by somebody else
        (lambda _: _unsigned(), "token_invalid"),  # alg: none
        (lambda _: _hs(SECRET, exp=int(time.time()) - 60), "token_expired"),
        (lambda _: _hs(SECRET, exp=None), "token_invalid"),
        (lambda _: _hs(SECRET, aud="others"), "token_invalid"),
        (lambda _: _hs(SECRET, aud=None), "token_invalid"),
        (lambda _: _hs(SECRET, scope=None), "token_invalid"),
        (lambda _: _hs(SECRET, key=None), "token_invalid"),
        (lambda _: _hs(SECRET, iss="https://evil.example"), "token_issuer"),
        (lambda _: _hs(SECRET, iss=None), "token_issuer"),
        (lambda _: _hs(SECRET, nbf=int(time.time()) + 600), "token_invalid"),
        # Our secret does not sign for the other issuer, nor the other's key for us.
        (lambda _: _hs(SECRET, iss="https://login.example"), "token_invalid"),
        (lambda i: i.sign(iss="fovea", key="1"), "token_invalid"),
        (lambda i: i.sign(exp=int(time.time()) - 60), "token_expired"),
        (lambda i: i.sign(aud="others"), "token_invalid"),
        (lambda i: i.sign(scope=None), "token_invalid"),
        (lambda i: i.sign()[:-8] + "AAAAAAAA", "token_invalid"),
        (lambda _: "not.a.token", "token_invalid"),
        (lambda _: "ü" * 10, "token_invalid"),
    ],
)
def test_a_token_that_is_not_right_is_refused(
    tokens: Tokens, issuer: Issuer, make: Any, code: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        tokens.read(make(issuer))
    assert code_of(caught) == (401, code)


@pytest.mark.parametrize("issuer_said", ["fovea", "https://login.example"])
def test_a_public_key_used_as_a_secret_signs_nothing(
    tokens: Tokens, issuer: Issuer, issuer_said: str
) -> None:
    """Algorithm confusion: RS256's public key, which anybody has, as the secret of HS256."""
    public = issuer.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = _forged_with(pem, issuer_said)
    with pytest.raises(RefusedError) as caught:
        tokens.read(forged)
    assert code_of(caught) == (401, "token_invalid")


def _forged_with(pem: bytes, issuer_said: str) -> str:
    import hashlib
    import hmac

    head = json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode()
    claims = {
        "iss": issuer_said, "aud": "fovea", "sub": "ada", "scope": "admin", "key": "1",
        "exp": int(time.time()) + 60,
    }  # fmt: skip
    parts = [jwt.utils.base64url_encode(part) for part in (head, json.dumps(claims).encode())]
    signed = b".".join(parts)
    signature = hmac.new(pem, signed, hashlib.sha256).digest()
    return (signed + b"." + jwt.utils.base64url_encode(signature)).decode()


def test_keys_that_cannot_be_had_are_no_fault_of_the_caller(issuer: Issuer) -> None:
    settings = TokenConfig(jwks_url="http://127.0.0.1:9/none", jwks_issuer="https://login.example")
    with pytest.raises(BackendError, match="cannot be had"):
        Tokens(settings, SECRET).read(issuer.sign())


def test_two_issuers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a jwks_issuer"):
        TokenConfig(jwks_url="https://login.example/jwks", jwks_issuer="fovea")
