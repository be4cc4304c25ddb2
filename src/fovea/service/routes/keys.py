"""Who am I, what may I, and the keys of others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from fovea.service.access import ApiKey, Caller, Scope, needs, sessions, visitor
from fovea.service.problems import RESPONSES, RefusedError, not_found
from fovea.service.settings.access import Door
from fovea.service.state import Here, Service, Who

router = APIRouter(prefix="/v1", tags=["access"], responses=RESPONSES)

MOST_DAYS = 3650
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


class Me(BaseModel):
    """Who calls."""

    owner: str = Field(description="to whom the jobs belong")
    scopes: list[Scope]
    key_id: str | None = Field(description="of the API key; none where nobody is asked")
    mode: Door = Field(description="how callers are known here")


class KeyView(BaseModel):
    """An API key, without its secret."""

    id: str
    name: str
    owner: str
    scopes: list[Scope]
    state: Literal["valid", "expired", "revoked"]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None

    @classmethod
    def of(cls, key: ApiKey, now: float) -> KeyView:
        """What is shown of a key."""
        seconds = {
            name: getattr(key, name) for name in ("created", "expires", "revoked", "last_used")
        }
        times = {name: _time(value) for name, value in seconds.items()}
        return cls.model_validate(vars(key) | times | {"state": key.state(now)})


class NewKey(KeyView):
    """A key that was just made."""

    key: str = Field(description="the key itself; it is not kept, so write it down")


class KeyList(BaseModel):
    """All keys, newest first."""

    keys: list[KeyView]


class KeyRequest(BaseModel, extra="forbid"):
    """The key that is wanted."""

    name: str = Field(min_length=1, max_length=128, pattern=PRINTABLE, description="for people")
    scopes: list[Scope] = Field(min_length=1, max_length=4)
    owner: str = Field(
        "", max_length=64, pattern=PRINTABLE, description="of its jobs; the key itself if left out"
    )
    days: float | None = Field(None, gt=0, le=MOST_DAYS, description="until it expires")


class TokenRequest(BaseModel, extra="forbid"):
    """The token that is wanted."""

    scopes: list[Scope] | None = Field(None, max_length=4, description="those of the key, or fewer")
    lifetime_s: int | None = Field(None, ge=10, description="no longer than the service allows")


class TokenView(BaseModel):
    """A token, in the words of OAuth."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scope: str


class SessionView(BaseModel):
    """That a cookie was set, which no script can read."""

    expires_in: int = Field(description="seconds")


@router.get("/me")
def me(who: Who, here: Here) -> Me:
    """Who I am here, and what I may."""
    scopes = sorted(who.scopes)
    return Me(owner=who.owner, scopes=scopes, key_id=who.key_id, mode=here.gate.mode)


@router.get("/keys", dependencies=[needs("admin")])
def keys(here: Here) -> KeyList:
    """All keys."""
    store = here.gate.keys
    return KeyList(keys=[KeyView.of(key, store.clock()) for key in store.list()])


@router.post("/keys", status_code=201, dependencies=[needs("admin")])
def create(wanted: KeyRequest, here: Here) -> NewKey:
    """Make a key; its text is in this answer and nowhere else."""
    store = here.gate.keys
    key, text = store.create(
        wanted.name,
        wanted.scopes,
        owner=wanted.owner,
        lifetime_s=None if wanted.days is None else wanted.days * 86_400,
    )
    return NewKey(**KeyView.of(key, store.clock()).model_dump(), key=text)


@router.delete("/keys/{id}", dependencies=[needs("admin")])
def revoke(id: str, here: Here) -> KeyView:
    """End a key, and the tokens that were given for it."""
    key = here.gate.keys.revoke(id)
    if key is None:
        raise not_found("key", id, "GET /v1/keys lists them.")
    return KeyView.of(key, here.gate.keys.clock())


@router.post("/auth/token")
def token(
    response: Response, here: Here, who: Who, wanted: TokenRequest | None = None
) -> TokenView:
    """Give a token for the API key of this request, so that the key need not travel any more."""
    given, wanted = here.gate.tokens, wanted or TokenRequest.model_validate({})
    key = _shown_key(here, who)
    if given is None or key is None:
        raise RefusedError(
            403,
            "no_tokens",
            f"a token is given to who shows an API key, where access.mode is keys+jwt; here it is"
            f" {here.gate.mode}. Call with the header X-API-Key.",
        )
    scopes = [scope for scope in key.scopes if scope in (wanted.scopes or key.scopes)]
    lifetime_s = min(wanted.lifetime_s or given.settings.lifetime_s, given.settings.lifetime_s)
    text = given.issue(key, scopes, lifetime_s)
    response.headers["Cache-Control"] = "no-store"
    return TokenView(access_token=text, expires_in=lifetime_s, scope=" ".join(scopes))


@router.post("/auth/session")
def begin_session(request: Request, response: Response, here: Here, who: Who) -> SessionView:
    """Give the page a cookie for the API key of this request.

    With it a browser fetches pictures, films and files of the key's jobs, and nothing else.
    """
    key = _shown_key(here, who)
    if key is None:
        raise RefusedError(
            403,
            "no_session",
            f"a session is given to who shows an API key, and here access.mode is"
            f" {here.gate.mode}. Call with the header X-API-Key where keys are asked for.",
        )
    here.gate.sessions.begin(key, response, is_secure=request.url.scheme == "https")
    response.headers["Cache-Control"] = "no-store"
    return SessionView(expires_in=here.gate.sessions.lifetime_s)


@router.delete("/auth/session", status_code=204, dependencies=[Depends(visitor)])
def end_session(response: Response) -> None:
    """Take the cookie of the page away."""
    sessions.end(response)


def _shown_key(here: Service, who: Caller) -> ApiKey | None:
    """The API key itself that this request shows: what was given for a key gives nothing more."""
    return here.gate.keys.get(who.key_id) if who.key_id and not who.by_token else None


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
