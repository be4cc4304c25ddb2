"""Who may call, how often, and from where."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import model_validator

from fovea.config import Config, setting


class TokenConfig(Config):
    """JSON Web Tokens: our own by HS256, and another issuer's by RS256."""

    issuer: str = setting("fovea", "`iss` of the tokens given here", min_length=1)
    audience: str = setting("fovea", "`aud` of the tokens given here", min_length=1)
    lifetime_s: int = setting(3600, "how long a token is valid in s", ge=10, le=604_800)
    secret: str = setting(
        "",
        "what signs our tokens, 32 bytes or more; empty: made at the first start and kept beside"
        " the job table",
        pattern=r"^$|^.{32,}$",
    )
    jwks_url: str = setting(
        "",
        "where another issuer publishes its keys; its RS256 tokens are then taken, too",
        pattern=r"^$|^https?://",
    )
    jwks_issuer: str = setting("", "`iss` of the other issuer's tokens")
    jwks_audience: str = setting("fovea", "`aud` of the other issuer's tokens", min_length=1)

    @model_validator(mode="after")
    def _two_issuers(self) -> TokenConfig:
        if self.jwks_url and self.jwks_issuer in ("", self.issuer):
            raise ValueError(
                "jwks_url needs a jwks_issuer, and another than issuer; found"
                f" '{self.jwks_issuer}'. Give the `iss` of its tokens"
            )
        return self


Door = Literal["none", "keys", "keys+jwt"]
"""How callers are known."""


class AccessConfig(Config):
    """Who may call, how often, and from where."""

    mode: Literal["auto", "none", "keys", "keys+jwt"] = setting(
        "auto", "who may call: anybody, or who has a key; auto: none on loopback, else keys+jwt"
    )
    insecure: bool = setting(
        False, "whether everybody may do everything on an address that other machines reach"
    )
    hosts: tuple[str, ...] = setting(
        (), "names by which the service is reached, beside those of loopback"
    )
    cors_origins: tuple[str, ...] = setting(
        (), "sites whose pages may use the service, https://example.org; * for all"
    )
    trusted_proxies: str = setting(
        "", "addresses or networks, by comma, whose X-Forwarded-For is believed"
    )
    rate_limit: int = setting(
        600, "requests of a key in a window; 0: any number. Off in mode none on loopback", ge=0
    )
    anonymous_rate_limit: int = setting(
        120, "the same of an address that shows no valid key; 0: any number", ge=0
    )
    rate_window_s: int = setting(60, "length of that window in s", ge=1)
    session_lifetime_s: int = setting(
        900, "how long the page's cookie, which it renews, is valid in s", ge=10, le=86_400
    )
    tokens: TokenConfig = setting(TokenConfig(), "JSON Web Tokens")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
