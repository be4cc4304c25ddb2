"""Two processes of torchrun on one processor learn what one process learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fovea.vlm.ranks import main
from fovea.vlm.training_log import read_log


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
        subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--standalone",
                f"--nproc-per-node={count}", "-m", "fovea.vlm.ranks", "vlm.pretrain", str(folder),
                *settings,
            ],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
        )  # fmt: skip
        losses.append([step.loss for step in read_log(folder / "tmp/out/pretrain.log")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert (tmp_path / "2/tmp/out/model/model.json").is_file()


def test_other_stages_are_not_trained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vlm.evaluate", "x"]) == 2
    assert "wants one of vlm.pretrain, vlm.finetune" in capsys.readouterr().out
