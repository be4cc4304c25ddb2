"""What the API says, in the languages it can say it in.

The texts stand by key in `messages/<language>.json`. A problem's text has the key `problem.<code>`,
what to do about it `solution.<code>`, where there is more to say than the problem says itself.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

MESSAGES = Path(__file__).parent / "messages"
FALLBACK = "en"


@functools.cache
def packs() -> dict[str, dict[str, str]]:
    """Every language with its texts."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in MESSAGES.glob("*.json")
    }


def text(language: str, key: str, **values: Any) -> str:
    """The text of that key with values filled in; empty where no language has it."""
    known = packs()
    found = known.get(language, {}).get(key) or known[FALLBACK].get(key, "")
    return found.format(**values) if values else found


def language_of(request: HTTPConnection) -> str:
    """The language a caller wants: `?lang=`, else the best of `Accept-Language`, else English."""
    asked = request.query_params.get("lang", "")
    wanted = [asked] if asked else _by_weight(request.headers.get("accept-language", ""))
    return next(filter(None, map(_known, wanted)), FALLBACK)


def _known(wanted: str) -> str:
    """The pack for a language's name: `zh`, `zh-TW` and `zh_CN` all find `zh-CN`."""
    name = wanted.strip().replace("_", "-").lower()
    packs_by_name: Mapping[str, str] = {pack.lower(): pack for pack in packs()}
    primary = name.partition("-")[0]
    near = [pack for small, pack in packs_by_name.items() if small.partition("-")[0] == primary]
    return packs_by_name.get(name) or (near[0] if near else "")


def _by_weight(header: str) -> list[str]:
    weighed: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        name, _, weight = part.partition(";")
        value = weight.strip().removeprefix("q=")
        try:
            weighed.append((float(value) if value else 1.0, name))
        except ValueError:
            continue
    # The sort is stable: of equal weights the first one named wins.
    return [name for weight, name in sorted(weighed, key=lambda one: -one[0]) if weight > 0]
