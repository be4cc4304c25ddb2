"""`synth.simulate`: made pictures with captions, many of them wrong, and questions about others.

Four sets are drawn, none of which shares a picture with another: pairs to pretrain on, as a crawl
of the web would bring them; instructions to fine-tune on, which are right; questions of TextVQA's
form; a table of MMBench's form with all rotations.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fovea.runs.durable import write_json, write_text
from fovea.runs.stage import Context
from fovea.synth.made import words
from fovea.synth.made.scene import MadeScene, drawn_scene, paint
from fovea.synth.made.words import Asked
from fovea.synth.sample import EOC_TOKEN, IMAGE_TOKEN
from fovea.synth.settings.simulate import SimulateConfig

QUALITY = 90
SHORTLY = "Answer the question using a single word or phrase."
BY_LETTER = "Answer with the option's letter from the given choices directly."
BY_TEXT = "Please select the correct answer from the options above. \n"
LETTERS = "ABCD"
ABILITIES = {
    "attribute_recognition": "finegrained_perception (instance-level)",
    "object_localization": "finegrained_perception (instance-level)",
    "spatial_relationship": "finegrained_perception (cross-instance)",
    "image_scene": "coarse_perception",
    "attribute_comparison": "finegrained_perception (cross-instance)",
    "physical_relation": "relation_reasoning",
}
COLUMNS: tuple[str, ...] = (
    "index", "question", "hint", *LETTERS, "answer", "category", "image", "source", "l2-category",
    "comment", "split",
)  # fmt: skip


def simulate(config: SimulateConfig, context: Context) -> dict[str, float]:
    """Draw all four sets."""
    draw = Draw(config, context)
    pairs = draw.pairs(context.output("pairs"))
    draw.instructions(context.output("instructions"))
    draw.questions(context.output("questions"))
    draw.choices(context.output("choices"))
    return {"pairs": float(len(pairs)), "right": sum(row["right"] for row in pairs) / len(pairs)}


class Options:
    """Puts right answers among wrong ones, at each place as often.

    Args:
        most: options of a question.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.left: dict[int, list[int]] = {}
        """Places not yet taken, by the number of options."""

    def of(self, one: Asked, rng: np.random.Generator) -> tuple[list[str], int]:
        """The options of a question, and where the right one stands."""
        order = rng.permutation(len(one.others))[: self.most - 1]
        others = [one.others[int(place)] for place in order]
        left = self.left.setdefault(len(others), [])
        if not left:
            left.extend(rng.permutation(len(others) + 1).tolist())
        right = left.pop()
        return [*others[:right], one.answer, *others[right:]], right


class Draw:
    """Draws the sets one after the other, telling how far it is."""

    def __init__(self, config: SimulateConfig, context: Context) -> None:
        self.config = config
        self.context = context
        self.total = config.pairs + config.instructions + config.questions + config.choices
        self.done = 0

    def rng(self, name: str) -> np.random.Generator:
        """A generator of its own for each set: a larger one does not change the others."""
        seed = [self.config.seed, *name.encode()]
        return np.random.default_rng(seed)

    def pairs(self, folder: Path) -> list[dict[str, Any]]:
        """Pictures with captions as data-juicer has them; gives what is true of each."""
        rng = self.rng("pairs")
        scenes = [drawn_scene(rng, self.config.most_objects) for _ in range(self.config.pairs)]
        images = folder / "images"
        images.mkdir(parents=True)
        rows: list[dict[str, Any]] = []
        truth: list[dict[str, Any]] = []
        for number, scene in enumerate(scenes):
            name = f"{number:06d}"
            self._keep_picture(images / f"{name}.jpg", scene, rng)
            text, kind = self._caption(scene, scenes, rng)
            row = _pair(name, text)
            rows.append(row)
            truth.append({"id": name, "right": kind in ("right", "cluttered"), "kind": kind})
            if rng.random() < self.config.noise.doubled:
                rows.append(_pair(f"{name}-again", text, name))
                truth.append({**truth[-1], "id": f"{name}-again", "kind": "doubled"})
            self._step()
        _write_lines(folder / "pairs.jsonl", rows)
        _write_lines(self.context.output("truth"), truth)
        captions = [_conversation(row, rng) for row in rows]
        write_json(self.context.output("captions"), captions)
        return truth

    def instructions(self, path: Path) -> None:
        """Questions with right answers, shortly or by letter, as LLaVA has them."""
        rng = self.rng("instructions")
        options = Options(self.config.most_options)
        made: list[dict[str, Any]] = []
        for number in range(self.config.instructions):
            scene = drawn_scene(rng, self.config.most_objects)
            name = f"pictures/instructions/{number:06d}.jpg"
            self._keep_picture(path.parent / name, scene)
            one = words.asked(scene, rng)
            ask, said = _shortly(one), one.answer
            if _is_due(number, self.config.choice_share):
                ask, said = _choice(one, options, self.config.choice_answers, rng)
            turns = [
                {"from": "human", "value": f"<image>\n{ask}"},
                {"from": "gpt", "value": said},
            ]
            made.append({"id": f"i{number:06d}", "image": name, "conversations": turns})
            self._step()
        write_json(path, made)

    def questions(self, path: Path) -> None:
        """Questions in TextVQA's form; ten people agree."""
        rng = self.rng("questions")
        data: list[dict[str, Any]] = []
        for number in range(self.config.questions):
            scene = drawn_scene(rng, self.config.most_objects)
            name = f"pictures/questions/{number:06d}.jpg"
            self._keep_picture(path.parent / name, scene)
            one = words.asked(scene, rng)
            about = {"question_id": number, "image_id": f"q{number:06d}", "image": name}
            data.append({**about, "question": one.question, "answers": [one.answer] * 10})
            self._step()
        write_json(path, {"dataset_type": "val", "data": data})

    def choices(self, path: Path) -> None:
        """A table in MMBench's form, a row a rotation."""
        rng = self.rng("choices")
        drawn = Options(self.config.most_options)
        text = StringIO()
        writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for number in range(self.config.choices):
            scene = drawn_scene(rng, self.config.most_objects)
            one = words.asked(scene, rng)
            options, right = drawn.of(one, rng)
            picture = base64.b64encode(_jpeg(paint(scene, self.config.size))).decode()
            for turn in range(len(options)):
                turned = options[turn:] + options[:turn]
                letter = LETTERS[(right - turn) % len(options)]
                writer.writerow(_table_row(number + turn * 1_000_000, one, turned, letter, picture))
            self._step()
        write_text(path, text.getvalue())

    def _caption(
        self, scene: MadeScene, scenes: list[MadeScene], rng: np.random.Generator
    ) -> tuple[str, str]:
        """A caption, and what kind of caption it is."""
        noise = self.config.noise
        kind = rng.random()
        if kind < noise.wrong:
            other = scenes[int(rng.integers(len(scenes)))]
            return self._words(other, rng), "right" if other == scene else "wrong"
        if kind < noise.wrong + noise.vague:
            return words.vague(rng), "vague"
        text = self._words(scene, rng)
        if kind < noise.wrong + noise.vague + noise.cluttered:
            return words.cluttered(text, rng), "cluttered"
        return text, "right"

    def _words(self, scene: MadeScene, rng: np.random.Generator) -> str:
        return words.terse(scene) if self.config.captions == "terse" else words.caption(scene, rng)

    def _keep_picture(
        self, path: Path, scene: MadeScene, rng: np.random.Generator | None = None
    ) -> None:
        """Write a picture; with a generator some are cut off or missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = _jpeg(paint(scene, self.config.size))
        if rng is not None and rng.random() < self.config.noise.broken:
            if rng.random() < 0.5:
                return
            drawn = drawn[: int(len(drawn) * 0.1)]
        path.write_bytes(drawn)

    def _step(self) -> None:
        self.done += 1
        if self.context.should_stop():
            self.context.stop()
        if self.done % 100 == 0 or self.done == self.total:
            self.context.progress(self.done, self.total, "pictures")


def _jpeg(picture: Image.Image) -> bytes:
    made = BytesIO()
    picture.save(made, "JPEG", quality=QUALITY)
    return made.getvalue()


def _pair(name: str, text: str, picture: str = "") -> dict[str, Any]:
    words_of = f"{IMAGE_TOKEN}\n{text} {EOC_TOKEN}"
    return {"id": name, "text": words_of, "images": [f"images/{picture or name}.jpg"]}


def _conversation(row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The same pair as LLaVA has it: the questions that captions answer stand only there."""
    ask = words.PROMPTS[int(rng.integers(len(words.PROMPTS)))]
    said = row["text"].replace(IMAGE_TOKEN, "").replace(EOC_TOKEN, "").strip()
    turns = [{"from": "human", "value": f"<image>\n{ask}"}, {"from": "gpt", "value": said}]
    return {"id": row["id"], "image": f"pairs/{row['images'][0]}", "conversations": turns}


def _shortly(one: Asked) -> str:
    return f"{one.question}\n{SHORTLY}"


def _is_due(number: int, share: float) -> bool:
    """Whether the sample of a number is one of that share, spread evenly."""
    return int((number + 1) * share) > int(number * share)


def _choice(one: Asked, drawn: Options, answer: str, rng: np.random.Generator) -> tuple[str, str]:
    options, right = drawn.of(one, rng)
    listed = [f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False)]
    if answer == "letter":
        return "\n".join([one.question, *listed, BY_LETTER]), LETTERS[right]
    return "\n".join([f"Question: {one.question}", "Options:", *listed, BY_TEXT]), one.answer


def _table_row(
    index: int, one: Asked, options: list[str], answer: str, picture: str
) -> dict[str, Any]:
    texts = dict(zip(LETTERS, options, strict=False))
    about = {"category": one.category, "l2-category": ABILITIES[one.category], "split": "dev"}
    row = {"index": index, "question": one.question, "answer": answer, "image": picture}
    return dict.fromkeys(COLUMNS, "") | row | texts | about | {"source": "made"}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
