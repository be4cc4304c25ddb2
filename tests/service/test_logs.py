"""The log: where it goes, what it looks like, and what never stands in it."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from fovea.logs import BLOT, without_secrets
from fovea.service import logs
from fovea.service.settings.logging import LoggingConfig

log = logging.getLogger("fovea.service.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, own = root.handlers[:], root.level, logging.getLogger("fovea").level
    yield
    logs.end()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("fovea").setLevel(own)


def begin(folder: Path, **settings: object) -> None:
    logs.begin(LoggingConfig.model_validate({"folder": folder, "file": True, **settings}))


def lines(folder: Path) -> list[str]:
    logs.end()
    (path,) = folder.glob("fovea_????????.log")
    return path.read_text().splitlines()


def test_a_file_has_more_than_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path)
    log.debug("[Task 7] small")
    log.log(logs.SUCCESS, "[Task 7] done in 1.50 s")
    shown, written = capsys.readouterr().err, lines(tmp_path)
    assert "small" not in shown
    assert re.search(r"^\d\d:\d\d:\d\d \| SUCCESS  \| \[Task 7\] done in 1\.50 s$", shown, re.M)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d [\d:.]{12} \| DEBUG    \| fovea\.service\.test:"
        r"test_a_file_has_more_than_the_console:\d+ \| \[Task 7\] small",
        written[0],
    )


def test_levels_console_and_file_are_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, level="ERROR", file=False)
    log.warning("a warning")
    log.error("an error")
    assert "an error" in (shown := capsys.readouterr().err)
    assert "a warning" not in shown
    assert not list(tmp_path.iterdir())
    begin(tmp_path, console=False)
    log.error("unseen")
    assert capsys.readouterr().err == ""
    assert "unseen" in lines(tmp_path)[0]


def test_lines_of_json_can_be_read_again(tmp_path: Path) -> None:
    begin(tmp_path, json_lines=True, console=False)
    try:
        raise ValueError("with {braces} and <tags> and token=abcdefgh12345678")
    except ValueError:
        log.exception("it broke")
    (line,) = lines(tmp_path)
    said = json.loads(line)
    assert (said["level"], said["message"], said["module"]) == (
        "ERROR", "it broke", "fovea.service.test",
    )  # fmt: skip
    assert "ValueError: with {braces} and <tags> and token=***" in said["exception"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key fv_0a1b2c3d4e_Zm9vYmFyYmF6cXV4 was shown", "Zm9vYmFyYmF6cXV4"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIiOi.c2ln", "eyJzdWIiOi"),
        ("X-API-Key: Zm9vYmFyYmF6", "Zm9vYmFyYmF6"),
        ("redis://user:hunter22@host:6379/0 does not answer", "hunter22"),
        ("signed by whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ('{"token": "abcdefghijk"}', "abcdefghijk"),
        ("a token eyJhbGciOi.eyJzdWIiOi.c2ln of somebody", "eyJzdWIiOi"),
    ],
)
def test_secrets_are_blotted_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, secret: str
) -> None:
    begin(tmp_path)
    log.info(text)
    shown, written = capsys.readouterr().err, "\n".join(lines(tmp_path))
    assert secret not in shown + written
    assert BLOT in shown
    assert BLOT in written


def test_plain_text_stays_as_it_is() -> None:
    for text in ("[Task 01a1fefb-49f0] predict done in 2.83 s", "https://example.org/a@b", "key 7"):
        assert without_secrets(text) == text


def test_a_full_file_is_zipped_and_a_new_one_begun(tmp_path: Path) -> None:
    begin(tmp_path, rotation_mb=0.002, console=False)
    for number in range(60):
        log.info("line %d %s", number, "x" * 60)
    logs.end()
    packed = sorted(tmp_path.glob("*.zip"))
    assert packed
    with ZipFile(packed[0]) as archive:
        assert b"line 0 " in archive.read(archive.namelist()[0])


def test_files_that_are_too_old_go(tmp_path: Path) -> None:
    import os
    import time

    for days in (2, 20):
        old = tmp_path / f"fovea_202601{days:02d}.log"
        old.write_text("old")
        os.utime(old, (time.time() - days * 86_400,) * 2)
    begin(tmp_path, rotation_mb=0.0005, retention_days=7, console=False)
    for _ in range(30):
        log.info("x" * 60)
    logs.end()
    assert (tmp_path / "fovea_20260102.log").exists()
    assert not (tmp_path / "fovea_20260120.log").exists()
