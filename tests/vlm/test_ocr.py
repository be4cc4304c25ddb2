"""Words read in pictures, and questions that hold them."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from fovea.errors import BackendError, ConfigError
from fovea.runs.stage import Context
from fovea.vlm import evaluate as module
from fovea.vlm.ocr import PACKAGE, WordReader
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.stages import EVALUATE
from fovea.vlm.tasks import textvqa


@pytest.fixture(scope="module")
def reader() -> WordReader:
    pytest.importorskip("rapidocr_onnxruntime", reason=f"needs {PACKAGE}")
    return WordReader()


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    sign = Image.new("RGB", (320, 120), "white")
    font = ImageFont.load_default(48)
    ImageDraw.Draw(sign).text((30, 30), "HARBOUR", fill="black", font=font)
    sign.save(tmp_path / "sign.png")
    Image.new("RGB", (200, 100), (90, 120, 90)).save(tmp_path / "empty.png")
    rows = [
        {"question": "what does it say?", "image_id": "sign", "question_id": 1},
        {"question": "and now?", "image_id": "sign", "question_id": 2},
        {"question": "and here?", "image_id": "empty", "question_id": 3},
    ]
    path = tmp_path / "questions.json"
    path.write_text(json.dumps({"data": [row | {"answers": ["harbour"] * 10} for row in rows]}))
    return path


def test_words_of_a_picture_stand_in_its_questions(
    reader: WordReader, questions: Path, tmp_path: Path
) -> None:
    config = EvaluateConfig(model=tmp_path, questions=questions, reader="rapidocr")
    context = Context.local(EVALUATE, config, tmp_path / "run")
    items = module._items(config, module._words(config, context))
    assert items[0].prompt.split("\n")[1] == "Reference OCR token: HARBOUR"
    assert items[1].prompt.split("\n")[1] == "Reference OCR token: HARBOUR"
    assert "OCR" not in items[2].prompt
    kept = (tmp_path / "run/words.jsonl").read_text().splitlines()
    assert len(kept) == 2, "a picture is read once"
    (tmp_path / "run/words.jsonl").write_text('["sign", ["KEPT"]]\n["emp')
    again = module._items(config, module._words(config, context))
    assert "token: KEPT" in again[0].prompt


def test_words_can_be_left_out(questions: Path, tmp_path: Path) -> None:
    config = EvaluateConfig(model=tmp_path, questions=questions, reader="rapidocr", ocr=False)
    context = Context.local(EVALUATE, config, tmp_path / "run")
    assert module._words(config, context) is None


def test_other_tasks_have_no_words_to_read(questions: Path, tmp_path: Path) -> None:
    config = EvaluateConfig(model=tmp_path, questions=questions, reader="rapidocr", task="mmbench")
    context = Context.local(EVALUATE, config, tmp_path / "run")
    with pytest.raises(ConfigError, match="here task is mmbench and prompts None"):
        module._words(config, context)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(BackendError, match=r"is not installed\. pip install rapidocr-onnxruntime"):
        WordReader()


@pytest.mark.slow
def test_real_signs_are_read_as_the_annotations_have_them(
    reader: WordReader, data_folder: Path
) -> None:
    file = data_folder / "imagetext/textvqa_mini/real_photo_qa.json"
    pictures = textvqa.pictures(file)
    read = {name: reader.words(path) for name, path in pictures.items()}
    rows = json.loads(file.read_text())["data"]
    noted = {row["image_id"]: row["ocr_tokens"] for row in rows}
    both = sum(len({w.lower() for w in read[n]} & {w.lower() for w in noted[n]}) for n in noted)
    assert both >= 0.9 * sum(len({w.lower() for w in words}) for words in noted.values())
    assert readable(rows, read) >= readable(rows, noted)


def readable(rows: list[dict[str, list[str]]], words: dict[str, list[str]]) -> int:
    """Questions with an accepted answer among the words, blanks aside."""
    count = 0
    for row in rows:
        seen = "".join(words[str(row["image_id"])]).lower()
        count += any(answer.lower().replace(" ", "") in seen for answer in row["answers"])
    return count
