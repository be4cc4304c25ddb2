"""Made image-text data: what is drawn, said and asked is as the settings say."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fovea.runs.stage import Context
from fovea.synth.made import words
from fovea.synth.made.scene import COLORS, PLACES, SIZES, MadeObject, MadeScene, drawn_scene, paint
from fovea.synth.settings.simulate import SimulateConfig
from fovea.synth.simulation import BY_LETTER, LETTERS, simulate
from fovea.synth.stages import SIMULATE
from fovea.vlm.tasks.mmbench import prompt

FEW = {"pairs": 4, "instructions": 40, "questions": 2, "choices": 8, "size": 32}


def made(folder: Path, **settings: object) -> Path:
    config = SimulateConfig.model_validate(FEW | settings)
    context = Context.local(SIMULATE, config, folder)
    simulate(config, context)
    return context.out


def asked_by_letter(folder: Path) -> list[tuple[str, str]]:
    """Questions and answers of the instructions that are multiple choice."""
    samples = json.loads((folder / "instructions.json").read_text())
    turns = [[turn["value"] for turn in sample["conversations"]] for sample in samples]
    return [(ask, said) for ask, said in turns if BY_LETTER in ask]


@pytest.mark.parametrize("share", [0, 0.25, 0.7, 1])
def test_as_many_instructions_are_multiple_choice_as_is_asked_for(
    tmp_path: Path, share: float
) -> None:
    found = asked_by_letter(made(tmp_path, choice_share=share))
    assert len(found) == round(share * FEW["instructions"])


def test_each_letter_is_right_as_often_among_questions_of_as_many_options(tmp_path: Path) -> None:
    found = asked_by_letter(made(tmp_path, choice_share=1, instructions=120))
    four = Counter(said for ask, said in found if "\nD. " in ask)
    assert set(four) == set(LETTERS)
    assert max(four.values()) - min(four.values()) <= 1


def test_the_letter_is_that_of_the_answer_in_every_rotation(tmp_path: Path) -> None:
    with (made(tmp_path) / "choices.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    right: dict[int, set[str]] = {}
    for row in rows:
        right.setdefault(int(row["index"]) % 1_000_000, set()).add(row[row["answer"]])
    assert len(right) == FEW["choices"]
    assert all(len(texts) == 1 for texts in right.values())


def test_questions_have_no_more_options_than_is_asked_for(tmp_path: Path) -> None:
    folder = made(tmp_path, choice_share=1, most_options=2)
    assert not any("\nC. " in ask for ask, _ in asked_by_letter(folder))
    assert "\tC" in (folder / "choices.tsv").read_text().splitlines()[0]


def test_choices_answered_by_text_are_asked_as_the_benchmark_asks_them(tmp_path: Path) -> None:
    folder = made(tmp_path, choice_share=1, choice_answers="text")
    for sample in json.loads((folder / "instructions.json").read_text()):
        ask, said = (turn["value"] for turn in sample["conversations"])
        lines = ask.removeprefix("<image>\n").split("\n")
        question = lines[0].removeprefix("Question: ")
        row = {"question": question, **{line[0]: line[3:] for line in lines[2:-2]}}
        assert f"<image>\n{prompt(row, style='vlmeval')}" == ask
        assert said in row.values()


def test_a_terse_caption_names_all_there_is() -> None:
    scene = MadeScene((MadeObject("red", "star", "small", "top left"),), "plain", 0.6)
    assert words.terse(scene) == "small red star at the top left, plain ground"


def test_an_object_is_painted_where_and_how_it_is_said() -> None:
    for place, (x, y) in PLACES.items():
        scene = MadeScene((MadeObject("blue", "square", "large", place),), "plain", 0.6)
        pixels = np.asarray(paint(scene, 100)).astype(int)
        is_blue = (np.abs(pixels - COLORS["blue"]).sum(2)) < 30
        down, along = (100 * np.array([y, x])).astype(int)
        assert is_blue[down, along]
        assert is_blue.sum() == pytest.approx((2 * 100 * SIZES["large"]) ** 2, rel=0.08)
        assert (pixels[~is_blue] == int(255 * 0.6)).mean() > 0.9


def test_edges_are_smooth_and_the_same_scene_is_the_same_picture() -> None:
    scene = drawn_scene(np.random.default_rng(3), 2)
    first, second = np.asarray(paint(scene, 64)), np.asarray(paint(scene, 64))
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 10
