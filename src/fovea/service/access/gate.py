"""The gate: what a request must show to be let in.

Three questions, in this order. Is it a page of another site that uses somebody's browser to get
here? Who is it? Do they come too often? A page gives itself away: the browser names the site it is
from, or the name by which it found us is not ours.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import Request

from fovea.errors import ConfigError
from fovea.service.access.caller import Caller
from fovea.service.access.keys import ApiKey, KeyStore, unauthorised
from fovea.service.access.limits import RateLimits
from fovea.service.access.secrets import Secrets
from fovea.service.access.sessions import Sessions, shown_with
from fovea.service.access.tokens import Tokens
from fovea.service.problems import RefusedError
from fovea.service.settings.access import Door, is_loopback

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from fovea.service.settings import ServeConfig

LOCAL = Caller("local")
"""Whoever sits at this machine."""


class Gate:
    """Lets callers in."""

    def __init__(self, settings: ServeConfig, engine: Engine) -> None:
        access = settings.access
        self.settings = access
        self.is_local = is_loopback(settings.server.host)
        default: Door = "none" if self.is_local or access.insecure else "keys+jwt"
        self.mode: Door = default if access.mode == "auto" else access.mode
        self.waits = self.mode != "none" or settings.redis.enabled
        """Whether letting in asks a database, hence is done in a thread."""
        self.keys = KeyStore(engine)
        self.secrets = Secrets(engine)
        self.tokens = (
            Tokens(access.tokens, self.secrets.get("tokens")) if self.mode == "keys+jwt" else None
        )
        self.sessions = Sessions(self.secrets.get("sessions"), access.session_lifetime_s)
        limits_apply = self.mode != "none" or not self.is_local
        self.limits = RateLimits(
            with_key=access.rate_limit if limits_apply else 0,
            without_key=access.anonymous_rate_limit if limits_apply else 0,
            window_s=access.rate_window_s,
            redis_url=settings.redis.url if settings.redis.enabled else "",
            prefix=settings.redis.prefix,
        )

    def refuse_without_keys(self, runs: Path) -> None:
        """Make sure that somebody can come in.

        Raises:
            ConfigError: keys are asked for, and there is none.
        """
        if self.mode == "none" or self.keys.count_valid() or self.settings.tokens.jwks_url:
            return
        raise ConfigError(
            f"this service asks for keys (access.mode={self.mode}), and there is none that is valid"
            f" yet. Make one: fovea keys create NAME --scopes admin --runs {runs}. Or listen on"
            " 127.0.0.1, where nobody is asked, or say --insecure to let everybody do everything."
        )

    def admit(self, request: Request) -> Caller:
        """Who calls.

        Raises:
            RefusedError: as `access.caller` says.
        """
        self._check_origin(request)
        if self.mode == "none":
            self._count(request, "address", _address(request))
            return LOCAL
        try:
            who = self._identified(request)
        except RefusedError:
            self._count(request, "address", _address(request))
            raise
        self._count(request, "key", who.key_id or who.owner)
        return who

    def greet(self, request: Request) -> None:
        """Let a visitor see what holds no secret."""
        self._check_origin(request)
        self._count(request, "address", _address(request))

    def _identified(self, request: Request) -> Caller:
        text, is_key = _credentials(request)
        if not text and (cookie := shown_with(request)):
            key = self._valid(self.sessions.key_of(cookie), "session")
            return Caller(key.owner, frozenset(key.scopes), key.id, by_token=True)
        if not text:
            raise unauthorised(
                "no_key",
                "this service asks who calls. Send an API key in the header X-API-Key"
                " (`fovea keys create` makes one).",
            )
        if is_key:
            key = self.keys.open(text)
            return Caller(key.owner, frozenset(key.scopes), key.id)
        if self.tokens is None:
            raise unauthorised("no_tokens", "tokens are not taken here. Send an API key.")
        claims = self.tokens.read(text)
        if claims.key_id is None:
            return Caller(claims.owner, claims.scopes, by_token=True)
        key = self._valid(claims.key_id, "token")
        scopes = claims.scopes.intersection(key.scopes)
        return Caller(key.owner, scopes, key.id, by_token=True)

    def _valid(self, id: str, what: str) -> ApiKey:
        """The key that something was given for; with the key it ends, too."""
        key = self.keys.get(id)
        state = key.state(self.keys.clock()) if key else "revoked"
        if key is None or state != "valid":
            raise unauthorised(f"key_{state}", f"the key of this {what} is {state}. Get another.")
        return key

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "")
        name = _split(f"//{host}")[0]
        by_name = is_loopback(name) or name in self.settings.hosts
        # With keys a foreign name does no harm: a page has no key to send, and no cookie of ours.
        if not by_name and (self.settings.hosts or (self.mode == "none" and self.is_local)):
            names = ", ".join(("127.0.0.1", "localhost", *self.settings.hosts))
            raise RefusedError(
                421, "wrong_host", f"this service is at {names}, not at '{name[:80]}'."
            )
        origin = request.headers.get("origin")
        allowed = self.settings.cors_origins
        if origin is None or origin in allowed or "*" in allowed:
            return
        if _split(origin)[1] != host:
            raise RefusedError(
                403,
                "foreign_origin",
                f"a page of {origin[:80]} may not use this service at {host[:80]}.",
            )

    def _count(self, request: Request, kind: str, who: str) -> None:
        rate = self.limits.hit(kind, who)
        if rate is not None:
            request.state.headers = rate.headers()


def _split(address: str) -> tuple[str, str]:
    """Host name and `host:port` of an address; empty where it is none."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.netloc
    except ValueError:
        return "", ""


def _credentials(request: Request) -> tuple[str, bool]:
    """What the caller shows, and whether it is an API key; empty where there is nothing."""
    if key := request.headers.get("x-api-key", "").strip():
        return key, True
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip(), text.strip().startswith("fv_")
    return "", False


def _address(request: Request) -> str:
    """Where the caller is; behind a trusted proxy, what that proxy says (uvicorn reads it).

    Of IPv6 the network counts: whoever has one address of it has 2^64.
    """
    said = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(said.partition("%")[0])
    except ValueError:
        return said
    if isinstance(address, ipaddress.IPv4Address):
        return said
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
