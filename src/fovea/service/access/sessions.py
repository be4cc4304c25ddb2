"""Sessions: the cookie with which the page's pictures, films and files are fetched.

An `<img>`, a `<video>` and a saved file can send no header, so the page shows its API key once and
gets a cookie. It opens what `SHOWN` names, to look at, and nothing else: to every other address and
method it is as if it were not there, so that no site can have anything done with it. It says whose
key it was given for, and what that key may is looked up each time; it ends with the key.

It is signed with a secret of its own: a token is no session, and a session no token.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
from fastapi import Request, Response

from fovea.service.access.keys import ApiKey, unauthorised

COOKIE = "fovea_session"
SHOWN = frozenset(
    {
        "/files/{id}/{name}",
        "/jobs/{id}",
        "/jobs/{id}/{name:path}",
        "/runs/{run}/{name:path}",
        "/v1/jobs/{id}/artifacts/{name:path}",
        "/v1/studies/{id}/report",
    }
)
"""Templates of the addresses at which browsers fetch what was made."""
LOOKING = ("GET", "HEAD")
OWN_PAGES = ("same-origin", "none")
"""What a browser says of a request (`Sec-Fetch-Site`) that our page or a person's hand began."""
AUDIENCE, ALGORITHM = "page", "HS256"
CLAIMS = ["aud", "exp", "key"]


class Sessions:
    """Gives cookies, and reads them."""

    def __init__(
        self, secret: str, lifetime_s: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.lifetime_s = lifetime_s
        self._secret = secret
        self.clock = clock

    def begin(self, key: ApiKey, response: Response, *, is_secure: bool) -> None:
        """Set the cookie of a key; over TLS it is never sent without."""
        claims = {"aud": AUDIENCE, "key": key.id, "exp": int(self.clock()) + self.lifetime_s}
        response.set_cookie(
            COOKIE,
            jwt.encode(claims, self._secret, algorithm=ALGORITHM),
            max_age=self.lifetime_s,
            httponly=True,
            samesite="strict",
            secure=is_secure,
        )

    def key_of(self, text: str) -> str:
        """The id of the key that a cookie was given for.

        Raises:
            RefusedError: 401, it is forged or has expired.
        """
        try:
            said = jwt.decode(
                text,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": CLAIMS},
            )
        except jwt.ExpiredSignatureError:
            raise unauthorised(
                "session_expired", "this session has expired. Reload the page."
            ) from None
        except jwt.PyJWTError:
            raise unauthorised(
                "session_invalid", "this session is not valid. Open the page again."
            ) from None
        return str(said["key"])


def shown_with(request: Request) -> str:
    """The cookie of a request that it is good for; empty where there is none, or it is not."""
    template = getattr(request.scope.get("route"), "path", "")
    is_ours = request.headers.get("sec-fetch-site", "same-origin") in OWN_PAGES
    is_look = request.method in LOOKING and template in SHOWN and is_ours
    return request.cookies.get(COOKIE, "") if is_look else ""


def end(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
