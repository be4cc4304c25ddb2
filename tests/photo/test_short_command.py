"""`fovea photo PICTURE` and `fovea photo FOLDER`."""

from pathlib import Path

import pytest
from PIL import Image

from fovea import cli


@pytest.fixture
def odd_name(tmp_path: Path) -> Path:
    path = tmp_path / "[1] me: day #2.jpg"
    Image.new("RGB", (32, 24)).save(path)
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main([*words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_picture_is_predicted_and_filmed(
    odd_name: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ("--root", str(tmp_path / "runs"), "--dry-run")
    code, out, _ = said(capsys, "photo", str(odd_name), *root, "engine.crops=3", "film.width=64")
    assert code == 0
    assert "photo: a new run" in out
    assert "predict" in out
    assert "film" in out


def test_a_folder_is_predicted_and_filmed(
    odd_name: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ("--root", str(tmp_path / "runs"), "--dry-run")
    code, out, _ = said(capsys, "photo", str(odd_name.parent), *root)
    assert code == 0
    assert "photos: a new run" in out
    assert "film" in out


def test_a_picture_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, "photo", str(tmp_path / "nobody.jpg"))
    assert code == 2
    assert "nobody.jpg does not exist" in err


def test_a_misspelt_verb_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "photo", "predit")
    assert code == 2
    assert "Did you mean 'predict'?" in err


def test_a_misspelt_setting_of_the_first_stage_is_found(
    odd_name: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ("--root", str(tmp_path / "runs"), "--dry-run")
    code, _, err = said(capsys, "photo", str(odd_name), *root, "focal_mm=28")
    assert code == 2
    assert "did you mean photograph.focal_mm?" in err
