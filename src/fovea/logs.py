"""How what modules log is written: in one form, with nothing in it that opens a door.

Keys, tokens, and the passwords in addresses are blotted out wherever they appear, also in
tracebacks.
"""

from __future__ import annotations

import logging
import re

BLOT = "***"
_SECRETS = (
    re.compile(r"(?<=://)([^/\s:@]*:[^/\s@]+)(?=@)"),
    re.compile(r"\b(fv_\w+?_)[\w-]{8,}"),
    re.compile(r"\b(whsec_)[\w+/=-]+"),
    re.compile(r"((?:bearer|x-api-key|authorization|token|secret|password)[\"']?[\s:=]+[\"']?)"
               r"(?:bearer\s+)?[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"\b()eyJ[\w-]+\.[\w-]+\.[\w-]*"),
)  # fmt: skip


def begin(level: int, form: str) -> None:
    """Have what is logged from `level` on written to standard error in that form."""
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet(form))
    logging.basicConfig(level=level, handlers=[handler])


class Discreet(logging.Formatter):
    """Writes a message with its traceback, without the secrets in them."""

    def format(self, record: logging.LogRecord) -> str:
        """The whole text."""
        return without_secrets(super().format(record))


def without_secrets(text: str) -> str:
    """The text with keys, tokens and passwords blotted out."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{_kept(found)}{BLOT}", text)
    return text


def _kept(found: re.Match[str]) -> str:
    """What of a secret may be seen: the words before it, not the secret."""
    first = found[1] or ""
    return first if first != found[0] else ""
