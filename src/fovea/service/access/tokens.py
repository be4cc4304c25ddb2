"""JSON Web Tokens: short-lived, for a key that is not to travel with every request.

Two issuers are believed, each by one algorithm with one kind of key, chosen by the token's `iss`
and never by its header: this service itself by HS256 with its secret, and, where settings name one,
another by RS256 with the public keys that it publishes. So a token that names another algorithm, or
is signed with a public key as if it were a secret, has nobody who would read it.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt

from fovea.errors import BackendError
from fovea.service.access.caller import SCOPES, Scope
from fovea.service.access.keys import ApiKey, unauthorised
from fovea.service.settings.access import TokenConfig

REQUIRED = ["iss", "aud", "exp", "sub", "scope"]
LEEWAY_S = 10
FETCH_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Claims:
    """What a token says of its bearer."""

    owner: str
    scopes: frozenset[Scope]
    key_id: str | None
    """The key it was given for; None when another issuer gave it."""


class Tokens:
    """Gives tokens, and reads them."""

    def __init__(self, settings: TokenConfig, secret: str) -> None:
        self.settings = settings
        self._secret = settings.secret or secret
        self._published = (
            jwt.PyJWKClient(settings.jwks_url, timeout=FETCH_TIMEOUT_S)
            if settings.jwks_url
            else None
        )

    def issue(self, key: ApiKey, scopes: Iterable[str], lifetime_s: int) -> str:
        """A token for a key, with no more scopes than it has."""
        now = int(time.time())
        claims = {
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "sub": key.owner,
            "key": key.id,
            "scope": " ".join(scope for scope in key.scopes if scope in set(scopes)),
            "iat": now,
            "exp": now + lifetime_s,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def read(self, token: str) -> Claims:
        """What a token says, if it is to be believed.

        Raises:
            RefusedError: 401, it is forged, expired or meant for somebody else.
            BackendError: the other issuer's keys cannot be had.
        """
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            if issuer == self.settings.issuer:
                return _ours(self._checked(token, self._secret, "HS256", self.settings.audience))
            if self._published is None or issuer != self.settings.jwks_issuer:
                raise unauthorised("token_issuer", f"tokens of {issuer!r} are not taken here.")
            key = self._published.get_signing_key_from_jwt(token).key
            return _foreign(self._checked(token, key, "RS256", self.settings.jwks_audience))
        except jwt.ExpiredSignatureError:
            raise unauthorised("token_expired", "this token has expired. Get a new one.") from None
        except jwt.PyJWKClientConnectionError as error:
            raise BackendError(
                f"the public keys at {self.settings.jwks_url} cannot be had: {error}. Try later."
            ) from error
        except jwt.PyJWTError as error:
            raise unauthorised("token_invalid", f"this token is not valid: {error}.") from None

    def _checked(self, token: str, key: Any, algorithm: str, audience: str) -> dict[str, Any]:
        is_ours = algorithm == "HS256"
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=self.settings.issuer if is_ours else self.settings.jwks_issuer,
            leeway=LEEWAY_S,
            options={
                "require": [*REQUIRED, "key"] if is_ours else REQUIRED,
                "enforce_minimum_key_length": True,
            },
        )


def _ours(claims: dict[str, Any]) -> Claims:
    return Claims(str(claims["sub"]), _scopes(claims), str(claims["key"]))


def _foreign(claims: dict[str, Any]) -> Claims:
    owner = f"jwt:{claims['sub']}"
    if len(owner) > 64:
        owner = f"jwt:{hashlib.sha256(owner.encode()).hexdigest()[:60]}"
    return Claims(owner, _scopes(claims), None)


def _scopes(claims: dict[str, Any]) -> frozenset[Scope]:
    said = str(claims["scope"]).split()
    return frozenset(scope for scope in SCOPES if scope in said)
