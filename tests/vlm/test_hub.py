"""Models of transformers: real classes in small, saved to a folder and asked through it."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from vlm.hub_models import FAMILIES, llava

from fovea.errors import BackendError, DataError
from fovea.runs.stage import Context
from fovea.vlm.captioner import load as load_captioner
from fovea.vlm.evaluate import evaluate
from fovea.vlm.model.hub import HubSpeaker
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.speaker import load_speaker
from fovea.vlm.stages import EVALUATE

RED, BLUE = (Image.new("RGB", (100, 70), c) for c in ((220, 30, 30), (30, 40, 220)))
ASKED = ["<image>\nwhat color is the wall?", "<image>\nred", "a green wall?"]
PICTURES = [RED, BLUE, None]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FAMILIES[request.param](tmp_path_factory.mktemp("hub") / request.param)


@pytest.fixture(scope="module")
def speaker(folder: Path) -> HubSpeaker:
    found = load_speaker(folder)
    assert isinstance(found, HubSpeaker)
    return found


def test_answers_do_not_depend_on_their_neighbours(speaker: HubSpeaker) -> None:
    together = speaker.answer(ASKED, PICTURES, most=6)
    alone = [speaker.answer([q], [p], most=6)[0] for q, p in zip(ASKED, PICTURES, strict=True)]
    assert together == alone
    assert all(together)


def test_a_memory_of_what_was_said_changes_no_word(
    speaker: HubSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = speaker.model.generate
    asked: list[bool] = []

    def without_memory(**given: object) -> object:
        asked.append(bool(given["use_cache"]))
        return generate(**given | {"use_cache": False})

    remembered = speaker.answer(ASKED, PICTURES, most=5)
    monkeypatch.setattr(speaker.model, "generate", without_memory)
    assert speaker.answer(ASKED, PICTURES, most=5) == remembered
    assert asked == [True, True], "with a picture, and without"


def test_likelihoods_are_those_of_the_network_asked_plainly(speaker: HubSpeaker) -> None:
    texts = ["a red wall", "blue", ""]
    found = speaker.likelihood(ASKED, PICTURES, texts)
    prompt = speaker._prompt(ASKED[0], RED)
    given = speaker.processor(text=[prompt + texts[0]], images=[[RED]], return_tensors="pt")
    with torch.no_grad():
        logs = speaker.model(**given).logits.float().log_softmax(-1)[0]
    ids = given["input_ids"][0]
    count = len(speaker.processor.tokenizer(texts[0])["input_ids"])
    mean = sum(float(logs[p - 1, ids[p]]) for p in range(len(ids) - count, len(ids))) / count
    assert found[0] == pytest.approx(mean, rel=1e-4)
    assert found[2] == 0
    other = speaker.likelihood(ASKED[:1], [BLUE], texts[:1])
    assert other[0] != pytest.approx(found[0], abs=1e-5), "the picture is looked at"


def test_words_are_drawn_by_the_generator_alone(speaker: HubSpeaker) -> None:
    drawn = [
        speaker.answer(
            ASKED[:1], [RED], most=6, temperature=1.5, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_a_folder_of_transformers_is_evaluated_and_captions(folder: Path, tmp_path: Path) -> None:
    RED.save(tmp_path / "a.png")
    row = {"question": "what color?", "image_id": "a", "question_id": 1, "answers": ["red"] * 10}
    (tmp_path / "q.json").write_text(json.dumps({"data": [row]}))
    config = EvaluateConfig(model=folder, questions=tmp_path / "q.json", most_tokens=4)
    context = Context.local(EVALUATE, config, tmp_path / "run")
    assert evaluate(config, context)["questions"] == 1
    line = json.loads(context.output("answers").read_text())
    assert line["model_id"] == folder.name
    captioner = load_captioner(str(folder))
    assert len(captioner.captions([RED, BLUE])) == 2
    assert all(0 < share < 1 for share in captioner.agreement([RED], ["a red wall"]))


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = llava(tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(DataError, match=r"through the chat template of its processor, and .* none"):
        load_speaker(folder)


def test_a_name_that_is_not_in_the_cache_is_told() -> None:
    with pytest.raises(BackendError, match=r"could not be had: .* hf download nobody/nothing"):
        load_speaker("nobody/nothing")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds model\.json, .* or config\.json"):
        load_speaker(tmp_path)
