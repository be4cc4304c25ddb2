"""Killed at any moment, the same command ends with the files of an unbroken run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PAINTERS = """
import numpy as np

COLORS = {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 220)}


class Painter:
    '''A captioner and matcher that knows plain colours.'''

    def color(self, picture):
        mean = np.asarray(picture, float).mean((0, 1))
        return min(COLORS, key=lambda name: float(np.abs(mean - COLORS[name]).sum()))

    def captions(self, pictures, prompts=None, count=1, seed=0):
        return [[f"a {self.color(p)} wall"] * count for p in pictures]

    def agreement(self, pictures, texts):
        return [float(self.color(p) in t) for p, t in zip(pictures, texts)]


def load(**rest):
    return Painter()
"""
DRIVER = """
import json, os, signal, sys
from pathlib import Path

data, folder, moments = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, str(data.parent))
from fovea.runs.stage import Context
from fovea.synth.clean import clean
from fovea.synth.settings.clean import CleanConfig
from fovea.synth.stages import CLEAN

NAME = "module:painters:load"
PROCESS = [
    {"words_num_filter": {"min_num": 2}},
    {"recaption_below": {"captioner": NAME, "matcher": NAME, "min_score": 0.5}},
    {"document_minhash_deduplicator": {"jaccard_threshold": 0.9}},
    {"text_length_filter": {"min_len": "q0.1"}},
    {"topk_specified_field_selector": {"field_key": "__dj__stats__.text_len", "topk": 9}},
    {"replace_content_mapper": {"pattern": "wall", "repl": "door"}},
]
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def run(name, last=0):
    '''Clean in a process of its own, which ends itself at its last change of a file.'''
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    seen = 0

    def watch(event, args):
        nonlocal seen
        if event not in CHANGES or (event == "open" and args[1] in (None, "r", "rb")):
            return
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    config = CleanConfig(dataset_path=data, process=PROCESS, np=1, shard_rows=5,
                         open_tracer=True, keep_stats_in_res_ds=True)
    context = Context.local(CLEAN, config, folder / name)
    clean(config, context)
    (folder / f"{name}.seen").write_text(str(seen))
    os._exit(0)


def made(name):
    (out,) = (folder / name).glob("**/out")
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


assert run("whole") == 0
total, whole = int((folder / "whole.seen").read_text()), made("whole")
others, killed = [], 0
for number in range(moments):
    name, last = f"at{number}", 1 + number * total // moments
    killed += run(name, last) == signal.SIGKILL
    killed += run(name, last // 2 + 1) == signal.SIGKILL
    assert run(name) == 0, last
    if made(name) != whole:
        others.append(last)
print(json.dumps({"total": total, "killed": killed, "others": others, "files": sorted(whole)}))
"""


@pytest.fixture
def walls(tmp_path: Path) -> Path:
    """Rows with a plain picture each, of which many tell another colour; some come twice."""
    (tmp_path / "images").mkdir()
    (tmp_path / "painters.py").write_text(PAINTERS)
    colors = {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 220)}
    rows = []
    for number in range(24):
        name = list(colors)[number % 3]
        Image.new("RGB", (20 + number % 4, 20), colors[name]).save(
            tmp_path / f"images/{number}.png"
        )
        said = name if number % 2 else "grey"
        words = f"a {said} wall of brick number {number % 8} in the sun"
        rows.append({"id": f"{number}", "text": f"<__dj__image>\n{words} <|__dj__eoc|>",
                     "images": [f"images/{number}.png"]})  # fmt: skip
    rows[4]["images"] = ["images/gone.png"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    return path


@pytest.mark.slow
def test_killed_at_any_change_of_a_file_it_ends_as_an_unbroken_run(
    walls: Path, tmp_path: Path
) -> None:
    driver, folder = tmp_path / "driver.py", tmp_path / "runs"
    driver.write_text(DRIVER)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(driver), str(walls), str(folder), "8"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["total"] > 60
    assert told["killed"] >= 8
    assert told["others"] == [], "killed there, it ended otherwise"
    assert "duplicates.jsonl" in told["files"]
