"""What a service or a worker cannot begin with is said in a sentence, before anything is served."""

from pathlib import Path

import pytest

from fovea.cli import main


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_text("a file")
    return tmp_path


UNREACHED = "postgresql://ada:s3cret@127.0.0.1:1/jobs"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ("serve --runs photo.png", 2, "photo.png/.service cannot be made: Not a directory. Give"),
        ("keys list --runs photo.png", 2, "photo.png/.service cannot be made: Not a directory"),
        ("serve model.temp_dir=photo.png/x", 2, "for uploads, and"),
        ("serve queue.database=nonsense", 2, "this is no address of either: 'nonsense'"),
        ("serve queue.database=mysql://ada:s3cret@h/jobs", 2, "found mysql://ada:***@h/jobs"),
        (f"serve queue.database={UNREACHED}", 3, "127.0.0.1:1/jobs cannot be had: connection fail"),
        (f"worker queue.database={UNREACHED}", 3, "Start its server, or give another address"),
        ("serve queue.database=sqlite:///photo.png/x.db", 2, "for the job table, and"),
        ("worker --queue redis://127.0.0.1:1/0", 3, "Redis at 127.0.0.1:1 does not answer"),
        ("worker --queue http://127.0.0.1:1/0", 2, "queue.address is redis://HOST:PORT/NUMBER"),
    ],
)
def test_what_it_cannot_begin_with_is_said(
    words: str, status: int, sentence: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words.split(), "--port=0"] if "serve" in words else words.split()) == status
    said = capsys.readouterr()
    assert sentence in said.err
    assert "s3cret" not in said.out + said.err


def test_a_run_in_the_place_of_a_file_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "simulate", "--root", "photo.png"]) == 2
    assert "a folder was wanted for a run, and" in capsys.readouterr().err
