"""`fovea vlm chat`: questions in, answers out, and a sentence for what cannot be."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from fovea.cli import main
from fovea.vlm.generate import answer, with_image
from fovea.vlm.model.model import Architecture, build, load
from fovea.vlm.picture import read_picture


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a picture."""
    folder = tmp_path_factory.mktemp("chat")
    shape = Architecture(language="tiny", tower="efficientnet", size=64, longest=64)
    build(shape, texts=["what is it? a red star"], seed=3).save(folder / "model", is_whole=True)
    Image.new("RGB", (90, 70), (200, 30, 30)).save(folder / "a.png")
    return folder


def chat(place: Path, *words: str) -> int:
    return main(["vlm", "chat", str(place / "a.png"), "--model", str(place / "model"), *words])


def test_questions_are_read_line_by_line_until_an_empty_one(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("what is it?\na star?\n\nnot asked\n"))
    assert chat(place, "--most-tokens", "4", "--json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    model, picture = load(place / "model").eval(), read_picture(place / "a.png")
    asked = ["what is it?", "a star?"]
    assert [one["question"] for one in said] == asked
    for one, question in zip(said, asked, strict=True):
        assert [one["answer"]] == answer(model, [with_image(question)], [picture], most=4)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--device", "gpuu"], 2, "device 'gpuu' is not known. Choose auto, cpu"),
        (["--device", "mps"], 3, "the device mps is that of a Mac"),
        (["--device", "cuda:77"], 3, "Give --device cpu"),
        (["--most-tokens", "0"], 2, "--most-tokens is at least 1; found 0"),
    ],
)
def test_what_cannot_be_is_said(
    words: list[str],
    status: int,
    sentence: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert chat(place, *words, "--question", "what is it?") == status
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("picture", "why"), [("model", "is a folder"), ("b", "does not exist")])
def test_a_picture_is_a_file(
    picture: str, why: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["vlm", "chat", str(place / picture), "--model", str(place / "model")]
    assert main(words) == 2
    assert f"needs a picture, and {place / picture} {why}" in capsys.readouterr().err
