"""Two processes of torchrun on one processor learn and answer what one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fovea.runs.stage import Context
from fovea.vlm.chunks import Share, evaluate_chunk, split
from fovea.vlm.evaluate import evaluate
from fovea.vlm.model.model import Architecture, build
from fovea.vlm.ranks import main
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.stages import EVALUATE
from fovea.vlm.training_log import read_log


def torchrun(count: int, stage: str, folder: Path, *settings: str) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc-per-node={count}", "-m", "fovea.vlm.ranks", stage, str(folder), *settings,
        ],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    rows = []
    for number in range(8):
        color = ("red", "blue")[number % 2]
        Image.new("RGB", (64, 64), color).save(tmp_path / f"{number}.png")
        turns = [
            {"from": "human", "value": "<image>\nWhat is it?"},
            {"from": "gpt", "value": f"a {color} wall"},
        ]
        rows.append({"id": str(number), "image": f"{number}.png", "conversations": turns})
    data = tmp_path / "captions.json"
    data.write_text(json.dumps(rows))
    settings = [f"data={data}", "model.name=tiny", "model.size=64", "batch=4", "speaks=true",
                "longest=64", "loop.steps=3", "loop.micro_batch=2", "rate=0.003"]  # fmt: skip
    losses = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        torchrun(count, "vlm.pretrain", folder, *settings)
        losses.append([step.loss for step in read_log(folder / "tmp/out/pretrain.log")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert (tmp_path / "2/tmp/out/model/model.json").is_file()


def test_questions_are_cut_as_the_reference_cuts_them(goldens: Path) -> None:
    golden = json.loads((goldens / "vlm" / "mmbench_eval.json").read_text())
    for name, sizes in golden["split_list_chunk_sizes"].items():
        items, chunks = (int(number) for number in name.split("_of_"))
        cut = split(range(items), chunks)
        assert [len(chunk) for chunk in cut] == sizes
        assert [item for chunk in cut for item in chunk] == list(range(items))


@pytest.mark.slow
def test_two_processes_answer_what_one_does_and_go_on_where_they_were_ended(
    tmp_path: Path,
) -> None:
    model = tmp_path / "model"
    shape = Architecture(language="tiny", tower="efficientnet", size=64, longest=64)
    build(shape, texts=["what is it? red"], seed=3).save(model, is_whole=True)
    questions = tmp_path / "val.json"
    rows = [
        {"question_id": n, "image_id": f"{n}", "question": f"What is {n}?", "answers": ["red"] * 10}
        for n in range(7)
    ]
    for row in rows:
        Image.new("RGB", (64, 64), (row["question_id"] * 30, 0, 0)).save(
            tmp_path / f"{row['image_id']}.png"
        )
    questions.write_text(json.dumps({"data": rows}))
    settings = {"model": model, "questions": questions, "batch": 2, "most_tokens": 4}
    config = EvaluateConfig.model_validate(settings)
    alone = Context.local(EVALUATE, config, tmp_path / "alone")
    evaluate(config, alone)
    before = alone.output("answers").read_text()

    together = tmp_path / "together"
    torchrun(2, "vlm.evaluate", together, *(f"{name}={value}" for name, value in settings.items()))
    assert (together / "tmp/out/answers.jsonl").read_text() == before
    assert len(json.loads((together / "tmp/out/scores.json").read_text())["questions"]) == 7
    first, second = sorted(together.glob("chunks/*/2_*.jsonl"))
    assert [len(path.read_text().splitlines()) for path in (first, second)] == [4, 3]

    # As if the second had been ended after its first two questions.
    own = second.with_suffix("")
    kept = [json.loads(line) for line in second.read_text().splitlines()[:2]]
    lines = [json.dumps(line | {"text": "kept"}) + "\n" for line in kept]
    (own / "answers.jsonl").write_text("".join(lines))
    (own / "items.jsonl").write_text('"0"\n')
    second.unlink()
    for number in (1, 0):
        evaluate_chunk(config, Context.local(EVALUATE, config, together), Share(number, 2))
    said = [json.loads(line)["text"] for line in before.splitlines()]
    now = (together / "tmp/out/answers.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in now] == [*said[:4], "kept", "kept", said[6]]

    # A model that was written anew is asked anew.
    os.utime(model / "model.json")
    evaluate_chunk(config, Context.local(EVALUATE, config, together), Share(0, 1))
    assert len(list(together.glob("chunks/*"))) == 2
    assert (together / "tmp/out/answers.jsonl").read_text() == before


def test_given_answers_are_not_shared_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jsonl", "q.json"):
        (tmp_path / name).write_text("{}")
    words = [f"answers={tmp_path}/a.jsonl", f"questions={tmp_path}/q.json"]
    assert main(["vlm.evaluate", str(tmp_path / "x"), *words]) == 2
    assert "Score them with one: fovea vlm evaluate" in capsys.readouterr().out


def test_other_stages_are_not_shared_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vlm.compare", "x"]) == 2
    assert "wants one of vlm.pretrain, vlm.finetune, vlm.evaluate" in capsys.readouterr().out
