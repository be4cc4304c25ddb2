"""Answers scored, models compared, the archive packed: the stages that need no training."""

import hashlib
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fovea.errors import ConfigError, DataError
from fovea.runs.stage import Context
from fovea.vlm.compare import compare
from fovea.vlm.evaluate import evaluate
from fovea.vlm.pack import pack
from fovea.vlm.settings.compare import CompareConfig
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.settings.pack import PackConfig
from fovea.vlm.stages import COMPARE, EVALUATE, PACK
from fovea.vlm.tasks import mmbench
from fovea.vlm.tasks.item import Answer

QUESTIONS = 120


def scored(folder: Path, config: EvaluateConfig) -> tuple[dict[str, float], Context]:
    context = Context.local(EVALUATE, config, folder)
    return evaluate(config, context), context


def lines(path: Path, answers: list[Answer]) -> Path:
    path.write_text("".join(answer.line("tiny") + "\n" for answer in answers))
    return path


def test_a_real_model_s_answers_score_what_the_reference_says(
    data_folder: Path, tmp_path: Path
) -> None:
    file = data_folder / "imagetext/textvqa_mini/val_text_only_with_predictions.json"
    real = json.loads(file.read_text())
    said = [Answer(str(d["question_id"]), "", d["prediction"]) for d in real["data"]]
    config = EvaluateConfig(answers=lines(tmp_path / "a.jsonl", said), questions=file)
    result, context = scored(tmp_path / "run", config)
    assert result["score"] == pytest.approx(real["mean_textvqa_accuracy"], abs=1e-9)
    page = context.output("page").read_text()
    assert "Dakota" in page
    written = json.loads(context.output("scores").read_text())
    assert len(written["questions"]) == len(real["data"])


def test_mmbench_s_real_items_are_scored_and_handed_in(data_folder: Path, tmp_path: Path) -> None:
    table = data_folder / "imagetext/mmbench_samples/mmbench_samples.tsv"
    items = mmbench.read_items(table)
    said = [Answer(item.id, item.prompt, str(item.facts["answer"])) for item in items]
    said[0] = Answer(said[0].id, said[0].prompt, "no idea at all")
    config = EvaluateConfig(
        answers=lines(tmp_path / "a.jsonl", said), questions=table, task="mmbench"
    )
    result, context = scored(tmp_path / "run", config)
    assert 0.9 < result["score"] < 1.0
    assert context.output("upload").is_file()


def test_a_model_and_answers_at_once_are_refused(tmp_path: Path) -> None:
    config = EvaluateConfig(questions=tmp_path / "q.json")
    with pytest.raises(ConfigError, match="neither are here"):
        scored(tmp_path / "run", config)


def scores(folder: Path, side: str, seed: int, right: np.ndarray) -> Path:
    path = folder / f"{side}-{seed}.json"
    document = {
        "task": "textvqa",
        "tags": {"data": side, "seed": str(seed)},
        "scores": {"accuracy": float(right.mean())},
        "questions": {str(n): float(value) for n, value in enumerate(right)},
    }
    path.write_text(json.dumps(document))
    return path


def test_a_better_side_is_called_better_and_an_equal_one_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = []
    for seed in range(3):
        base = rng.random(QUESTIONS) < 0.4
        files.append(scores(tmp_path, "raw", seed, base))
        files.append(scores(tmp_path, "clean", seed, base | (rng.random(QUESTIONS) < 0.3)))
        files.append(scores(tmp_path, "same", seed, rng.random(QUESTIONS) < 0.4))
    config = CompareConfig(scores=tuple(files), draws=1000)
    context = Context.local(COMPARE, config, tmp_path / "run")
    result = compare(config, context)
    verdicts = json.loads(context.output("verdict").read_text())["verdicts"]
    found = {v["side"]: v["low"] > 0 for v in verdicts}
    assert found == {"clean": True, "same": False}
    assert result["gain_low"] > 0
    assert result["ratio"] > 1.2
    assert "may be chance" in context.output("page").read_text()


def test_models_on_other_questions_are_not_compared(tmp_path: Path) -> None:
    files = (
        scores(tmp_path, "raw", 0, np.ones(3)),
        scores(tmp_path, "clean", 0, np.ones(4)),
    )
    config = CompareConfig(scores=files)
    with pytest.raises(DataError, match="compared on the same questions"):
        compare(config, Context.local(COMPARE, config, tmp_path / "run"))


@pytest.fixture
def entry(tmp_path: Path, goldens: Path) -> PackConfig:
    """What an honest entry of 512 samples leaves behind."""
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "recipe.yaml").write_text("process:\n  - image_captioning_mapper: {caption_num: 1}\n")
    line = "{{'loss': {0}, 'learning_rate': 0.001, 'epoch': {1}}}\n"
    (parts / "pretrain.log").write_text(line.format(9.1, 0.5) + line.format(7.2, 1.0))
    (parts / "finetuning.log").write_text(line.format(1.6, 1.0))
    Image.new("RGB", (8, 8)).save(parts / "a.jpg")
    turns = [{"from": "human", "value": "<image>\nwhat?"}, {"from": "gpt", "value": "a bus"}]
    row = {"id": "1", "image": "a.jpg", "conversations": turns}
    (parts / "data.json").write_text(json.dumps([row] * 512))
    questions = {"question": "what?", "image_id": "a", "question_id": 1, "answers": ["bus"] * 10}
    (parts / "questions.json").write_text(json.dumps({"data": [questions]}))
    table = goldens / "vlm" / "mmbench_toy.tsv"
    items = mmbench.read_items(table)
    said = [Answer(item.id, item.prompt, "A") for item in items]
    mmbench.write_upload(parts / "upload.xlsx", items, said, where=parts)
    return PackConfig(
        recipe=(parts / "recipe.yaml",),
        pretrain_log=parts / "pretrain.log",
        finetune_log=parts / "finetuning.log",
        textvqa=lines(parts / "textvqa.jsonl", [Answer("1", "what?", "bus")]),
        mmbench=lines(parts / "mmbench.jsonl", said),
        upload=parts / "upload.xlsx",
        data=parts / "data.json",
        questions=parts / "questions.json",
        table=table,
        finetune_samples=128,
        name="trial",
    )


def packed(config: PackConfig, folder: Path) -> Context:
    context = Context.local(PACK, config, folder)
    pack(config, context)
    return context


def test_an_honest_entry_is_packed_twice_into_the_same_bytes(
    entry: PackConfig, tmp_path: Path
) -> None:
    digests = set[str]()
    for number in range(2):
        archive = packed(entry, tmp_path / str(number)).output("archive")
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "0/tmp/out/submit.zip") as found:
        names = found.namelist()
    assert names == sorted(names)
    assert "output/training_dirs/MGM-2B-Pretrain-trial/pretrain.log" in names
    assert "output/eval_results/MGM-2B-Finetune-trial/textvqa/bm1.jsonl" in names


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"recipe": "process: [text_length_filter: {}]"}, "operator that synthesises; found text"),
        ({"pretrain.log": "{'loss': 1, 'learning_rate': 1, 'epoch': 0.4}"}, "should have 2 steps"),
        ({"finetuning.log": "{'loss': 1, 'learning_rate': 1, 'epoch': 0.4}"}, "ends at 0.4"),
        ({"textvqa.jsonl": '{"question_id": 2, "prompt": "", "text": "x"}'}, "have no answer: 1"),
        ({"script": "PRETRAIN_BATCH_SIZE_PER_GPU=6\n"}, "PRETRAIN batches of train.sh make 6"),
        ({"most_samples": 100}, "512 samples were used to pretrain, and 100 are allowed"),
        ({"upload": None}, "the upload table should be at"),
    ],
)
def test_what_a_checker_would_refuse_is_refused_here(
    entry: PackConfig, tmp_path: Path, changed: dict[str, object], sentence: str
) -> None:
    parts = tmp_path / "parts"
    update: dict[str, object] = {}
    for name, value in changed.items():
        if name == "script":
            (parts / "train.sh").write_text(str(value))
            update["script"] = parts / "train.sh"
        elif name == "recipe":
            (parts / "recipe.yaml").write_text(str(value))
        elif "." in name:
            (parts / name).write_text(str(value))
        else:
            update[name] = value
    config = entry.model_copy(update=update)
    with pytest.raises(DataError, match=sentence):
        packed(config, tmp_path / "run")
    loose = config.model_copy(update={"strict": False})
    told: list[str] = []
    context = Context.local(PACK, loose, tmp_path / "loose")
    context.emit = lambda event: told.append(str(event.get("message", "")))
    assert pack(loose, context)["troubles"] >= 1
    assert any(re.search(sentence, one) for one in told)
    assert context.output("archive").is_file()
