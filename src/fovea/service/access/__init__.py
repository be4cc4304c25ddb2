"""Who calls, and what they may.

On a loopback address nobody is asked: whoever reaches it sits at this machine. Elsewhere a caller
shows an API key, or a token that was given for one.

    caller      the one place that every route asks
    gate        what a request must show: not a foreign page, who it is, not too often
    keys        API keys in a table beside the jobs
    tokens      JSON Web Tokens: ours, and those of one other issuer
    sessions    the cookie that opens pictures, films and files of the page, and nothing else
    limits      how often a key or an address may ask
    secrets     what signs tokens, sessions and webhooks
    command     `fovea keys`
"""

from __future__ import annotations

from fovea.service.access.caller import (
    SCOPES,
    Caller,
    Scope,
    caller,
    needs,
    reads_or_writes,
    visitor,
)
from fovea.service.access.gate import Gate
from fovea.service.access.keys import ApiKey, KeyStore

__all__ = [
    "SCOPES", "ApiKey", "Caller", "Gate", "KeyStore", "Scope", "caller", "needs", "reads_or_writes",
    "visitor",
]  # fmt: skip
