"""`fovea keys`: make, list and end the keys of a service, beside its job table."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import NoReturn

from fovea import catalog, console
from fovea.errors import ConfigError
from fovea.runs.durable import make_folder
from fovea.service.access.caller import SCOPES
from fovea.service.access.keys import ApiKey, KeyStore
from fovea.service.command import settings_of
from fovea.service.jobs import JobStore

USES = {
    "create NAME": "make a key; it is shown once",
    "list": "all keys, without their secrets",
    "revoke ID": "end a key, and the tokens given for it",
}
OPTIONS = {
    "--scopes WORDS": f"what the key may, of {', '.join(SCOPES)} (predict)",
    "--days N": "until it expires (never)",
    "--owner NAME": "to whom its jobs belong; keys may share one (the key itself)",
}
DAY_S = 86_400


def main(words: list[str]) -> int:
    """Make, list and end the keys of a service."""
    if not words or any(word in ("-h", "--help") for word in words):
        return _help()
    action, rest = words[0], words[1:]
    actions = {"create": _create, "list": _list, "revoke": _revoke}
    if action not in actions:
        raise ConfigError(
            f"'{action}' is nothing `fovea keys` does.{catalog.nearest(action, actions)} "
            f"It does: {', '.join(actions)}."
        )
    subject, rest = _subject(action, rest)
    options, settings = _options(action).parse_known_args(rest)
    options.subject = subject
    serve = settings_of(settings).config
    make_folder(serve.state_folder, "the service's state, inside that of its runs")
    jobs = JobStore(serve.database_url)
    try:
        return actions[action](KeyStore(jobs.engine), options)
    finally:
        jobs.close()


def _subject(action: str, words: list[str]) -> tuple[str, list[str]]:
    """The name or id right after the action, and what follows it."""
    wanted = {"create": "a NAME", "revoke": "an ID"}.get(action)
    if wanted is None:
        return "", words
    if not words or words[0].startswith("-") or "=" in words[0]:
        found = f"'{words[0]}'" if words else "nothing"
        raise ConfigError(
            f"`fovea keys {action}` needs {wanted} right after it, and has {found};"
            " `fovea keys --help` shows how it is used."
        )
    return words[0], words[1:]


def _options(action: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = _refused
    if action == "create":
        parser.add_argument("--scopes", default="predict")
        parser.add_argument("--owner", default="")
        parser.add_argument("--days", type=float)
    return parser


def _create(store: KeyStore, options: argparse.Namespace) -> int:
    if options.days is not None and not 0 < options.days <= 36_500:
        raise ConfigError(f"--days must be more than 0, at most 36500; got {options.days:g}.")
    scopes = [scope for scope in options.scopes.replace(",", " ").split() if scope]
    lifetime_s = None if options.days is None else options.days * DAY_S
    key, text = store.create(options.subject, scopes, owner=options.owner, lifetime_s=lifetime_s)
    console.answer(text, _shown(key) | {"key": text})
    console.say(
        f"Write it down, it is not kept. It may: {', '.join(key.scopes)}. Its jobs belong to"
        f" {key.owner}. `fovea keys revoke {key.id}` ends it."
    )
    return 0


def _list(store: KeyStore, _options: argparse.Namespace) -> int:
    keys = [_shown(key) for key in store.list()]
    if not keys and not console.style.as_json:
        console.say("There is no key yet; `fovea keys create NAME` makes one.")
        return 0
    columns = ("id", "name", "owner", "scopes", "state", "created", "expires", "last_used")
    console.table(columns, [[key[name] for name in columns] for key in keys])
    return 0


def _revoke(store: KeyStore, options: argparse.Namespace) -> int:
    key = store.revoke(options.subject)
    if key is None:
        raise ConfigError(f"there is no key '{options.subject}'. `fovea keys list` shows all.")
    console.answer(f"{key.id} ({key.name}) opens nothing any more.", _shown(key))
    return 0


def _shown(key: ApiKey) -> dict[str, str]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "scopes": " ".join(key.scopes),
        "state": key.state(time.time()),
        "created": _day(key.created),
        "expires": _day(key.expires) or "never",
        "last_used": _day(key.last_used) or "never",
    }


def _day(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="minutes")[:16]


def _help() -> int:
    uses = {f"fovea keys {use}": what for use, what in USES.items()}
    text = f"fovea keys: {main.__doc__}\n\n{console.pairs(uses)}\n\n{console.pairs(OPTIONS)}\n\n"
    text += "Of which service is said as to `fovea serve`: --runs, --database, --config."
    console.answer(text, USES)
    return 0


def _refused(message: str) -> NoReturn:
    raise ConfigError(f"{message}; `fovea keys --help` shows how it is used.")
