"""API keys: `fv_<id>_<secret>`, a table of their digests beside the jobs.

The secret has 256 random bits and is shown once; the table knows its SHA-256. (A slow hash would
add nothing: there is no guessing 256 bits.)
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Float,
    MetaData,
    Row,
    String,
    Table,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from fovea.errors import ConfigError
from fovea.service.access.caller import SCOPES, Scope
from fovea.service.problems import RefusedError

_tables = MetaData()
KEYS = Table(
    "api_keys",
    _tables,
    Column("id", String(16), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
    Column("last_used", Float),
)
_KEY = re.compile(r"fv_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
_NOBODY = "0" * 64
SEEN_EVERY_S = 60.0
"""`last_used` is not written more often than this."""


@dataclass(frozen=True)
class ApiKey:
    """A key, without its secret. Times are seconds since 1970."""

    id: str
    name: str
    owner: str
    """To whom the jobs belong that are asked for with it; several keys may share one."""
    scopes: tuple[Scope, ...]
    created: float
    expires: float | None = None
    revoked: float | None = None
    last_used: float | None = None

    def state(self, now: float) -> str:
        """Whether it opens anything: `valid`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"


class KeyStore:
    """The table of keys."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self.clock = clock
        _tables.create_all(engine)

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        owner: str = "",
        lifetime_s: float | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            name: for people, to tell it from others.
            scopes: what it may; `admin` has all the others, too.
            owner: to whom its jobs belong; the key itself when left out.
            lifetime_s: until it expires; for ever when left out.

        Returns:
            The key, and its text, which is not kept.

        Raises:
            ConfigError: a scope is not known, or a name is too long.
        """
        if not 0 < len(name) <= 128 or len(owner) > 64 or not (name + owner).isprintable():
            raise ConfigError(
                f"a key's name has 1 to 128 printable characters and its owner at most 64; found"
                f" {name[:140]!r} and {owner[:80]!r}. Choose shorter ones."
            )
        wanted = set[str](scopes)
        if not wanted or wanted.difference(SCOPES):
            unknown = ", ".join(sorted(wanted.difference(SCOPES))) or "none"
            raise ConfigError(f"a key needs scopes of {', '.join(SCOPES)}; found {unknown}.")
        if "admin" in wanted:
            wanted.update(SCOPES)
        id, secret, now = secrets.token_hex(6), secrets.token_hex(32), self.clock()
        key = ApiKey(
            id,
            name,
            owner or f"key:{id}",
            tuple(scope for scope in SCOPES if scope in wanted),
            now,
            None if lifetime_s is None else now + lifetime_s,
        )
        values = vars(key) | {"scopes": list(key.scopes), "digest": _digest(secret)}
        with self.engine.begin() as connection:
            connection.execute(insert(KEYS).values(values))
        return key, f"fv_{id}_{secret}"

    def open(self, text: str) -> ApiKey:
        """The key of that text.

        Raises:
            RefusedError: 401, there is none, or it has expired or was revoked.
        """
        found = _KEY.fullmatch(text)
        id, secret = found.groups() if found else ("", "")
        row = self._row(id)
        # Compared in any case, so that an unknown id takes as long as a wrong secret.
        is_right = hmac.compare_digest(row.digest if row else _NOBODY, _digest(secret))
        if row is None or not is_right:
            raise unauthorised("key_unknown", "this API key is not known. Check that it is whole.")
        key = _key(row)
        state = key.state(self.clock())
        if state != "valid":
            raise unauthorised(f"key_{state}", f"the API key {id} is {state}. Ask for a new one.")
        self._seen(key)
        return key

    def get(self, id: str) -> ApiKey | None:
        """The key of that id."""
        row = self._row(id)
        return _key(row) if row else None

    def list(self) -> list[ApiKey]:
        """All keys, newest first, revoked ones too."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created.desc(), KEYS.c.id))
            return [_key(row) for row in rows]

    def revoke(self, id: str) -> ApiKey | None:
        """End a key, and with it all tokens that were given for it."""
        with self.engine.begin() as connection:
            connection.execute(
                update(KEYS)
                .where(KEYS.c.id == id)
                .values(revoked=func.coalesce(KEYS.c.revoked, self.clock()))
            )
        return self.get(id)

    def count_valid(self) -> int:
        """How many keys open something."""
        lives = or_(KEYS.c.expires.is_(None), KEYS.c.expires > self.clock())
        query = select(func.count()).where(and_(KEYS.c.revoked.is_(None), lives))
        with self.engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def _row(self, id: str) -> Row[Any] | None:
        with self.engine.connect() as connection:
            return connection.execute(select(KEYS).where(KEYS.c.id == id)).first()

    def _seen(self, key: ApiKey) -> None:
        now = self.clock()
        if key.last_used is not None and now - key.last_used < SEEN_EVERY_S:
            return
        with self.engine.begin() as connection:
            connection.execute(update(KEYS).where(KEYS.c.id == key.id).values(last_used=now))


def unauthorised(code: str, detail: str) -> RefusedError:
    """401: who calls is not known."""
    return RefusedError(401, code, detail, headers={"WWW-Authenticate": 'Bearer realm="fovea"'})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Row[Any]) -> ApiKey:
    values: dict[str, Any] = {name: getattr(row, name) for name in ApiKey.__dataclass_fields__}
    values["scopes"] = tuple(row.scopes)
    return ApiKey(**values)
