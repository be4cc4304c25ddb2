"""Files that are only added to."""

from pathlib import Path

import pytest

from fovea.runs import durable


def test_a_file_that_has_grown_large_is_begun_anew_and_the_former_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "LARGE_BYTES", 10)
    path = tmp_path / "console.log"
    durable.turn_over(path)
    assert not path.exists()
    path.write_text("ten bytes.")
    durable.turn_over(path)
    assert path.read_text() == "ten bytes."
    path.write_text("eleven bytes")
    durable.turn_over(path)
    assert not path.exists()
    assert (tmp_path / "console.log.old").read_text() == "eleven bytes"
