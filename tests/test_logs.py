"""What is logged: in one form, without secrets."""

import io
import logging

import pytest

from fovea.logs import Discreet, without_secrets

DOOR = "postgresql://me:rosebud@host/db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (DOOR, "postgresql://***@host/db"),
        ("key fv_ab12_0123456789abcdef", "key fv_ab12_***"),
        ("Authorization: Bearer abcdefghij", "Authorization: ***"),
        ("token=abcdefghij and more", "token=*** and more"),
        ("a token of love", "a token of love"),
        ("https://host/path?x=1", "https://host/path?x=1"),
    ],
)
def test_a_secret_is_blotted_out_and_nothing_else(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_the_traceback_of_an_error_has_no_secrets_either() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Discreet("%(levelname)s %(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    try:
        raise ValueError(f"cannot reach {DOOR}")
    except ValueError:
        log.exception("asked %s", DOOR)
    assert written.getvalue().startswith("ERROR asked postgresql://***@host/db\nTraceback")
    assert "ValueError: cannot reach postgresql://***@host" in written.getvalue()
    assert "rosebud" not in written.getvalue()
