"""`vlm.evaluate`: a model answers a benchmark's questions, and the answers are scored.

Answers are written as they come, so that a run that was stopped goes on with the next ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fovea.errors import ConfigError
from fovea.metrics.choices import circular_accuracy, questions, report, vanilla_accuracy
from fovea.runs.durable import drop_torn_line, write_json, write_text
from fovea.runs.stage import Context
from fovea.vlm.answers_page import Shown, answers_page
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.tasks import mmbench, textvqa
from fovea.vlm.tasks.item import Answer, Item, read_answers


def evaluate(config: EvaluateConfig, context: Context) -> dict[str, float]:
    """Ask, score, and write answers, scores and a page to read them on."""
    items = items_of(config, context)
    if config.answers is not None:
        return concluded(config, context, items, read_answers(config.answers), config.answers)
    where = context.folder / "answers.jsonl"
    return concluded(config, context, items, asked(config, context, items, where), where)


def items_of(config: EvaluateConfig, context: Context) -> list[Item]:
    """The benchmark's questions, in its order.

    Raises:
        ConfigError: not exactly one of model, hub and answers is given.
        DataError: the questions cannot be read.
    """
    given = [name for name in ("model", "hub", "answers") if getattr(config, name)]
    if len(given) != 1:
        raise ConfigError(
            "either a model answers or answers are given; "
            f"{' and '.join(given) or 'neither'} are here. Set one of model, hub and answers."
        )
    return _items(config, _words(config, context))


def concluded(
    config: EvaluateConfig,
    context: Context,
    items: Sequence[Item],
    answers: Sequence[Answer],
    where: Path,
) -> dict[str, float]:
    """Score the answers, and write them, the scores and the page.

    Args:
        config: of the stage.
        context: of the stage.
        items: all questions.
        answers: to all of them.
        where: they came from, for what is said of one that is missing.
    """
    if config.task == "mmbench":
        scores, shown = _mmbench(items, answers, where)
        mmbench.write_upload(context.output("upload"), items, answers, where=where)
    else:
        scores, shown = _textvqa(config, items, answers, where)
    _write(config, context, answers, scores, shown)
    return {"score": scores["accuracy"], "questions": float(len(shown))}


def _words(config: EvaluateConfig, context: Context) -> dict[str, list[str]] | None:
    """What an OCR reads in each picture, kept as it comes; None for the annotations' own words."""
    if config.reader == "annotations" or not config.ocr or config.answers is not None:
        return None
    if config.task != "textvqa" or config.prompts is not None:
        raise ConfigError(
            "reader=rapidocr writes words into prompts of our own about TextVQA; here task is "
            f"{config.task} and prompts {config.prompts}. Leave reader=annotations."
        )
    from fovea.vlm.ocr import WordReader

    reader = WordReader()
    path = context.folder / "words.jsonl"
    pictures = textvqa.pictures(config.questions, config.images)
    drop_torn_line(path)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found: dict[str, list[str]] = dict(json.loads(line) for line in lines)
    with path.open("a", encoding="utf-8") as file:
        for number, (name, picture) in enumerate(pictures.items(), 1):
            if context.should_stop():
                context.stop()
            if name not in found:
                found[name] = reader.words(picture)
                file.write(json.dumps([name, found[name]], ensure_ascii=False) + "\n")
            context.progress(number, len(pictures), "pictures read")
    return found


def _items(config: EvaluateConfig, words: dict[str, list[str]] | None) -> list[Item]:
    if config.task == "mmbench":
        return mmbench.read_items(
            config.questions,
            style=config.style,
            language=config.language,
            all_rounds=config.all_rounds,
        )
    return textvqa.read_items(
        config.questions,
        config.images,
        prompts=config.prompts,
        with_ocr=config.ocr,
        with_pictures=config.answers is None,
        words=words,
    )


def asked(
    config: EvaluateConfig, context: Context, items: Sequence[Item], path: Path
) -> list[Answer]:
    """The model's answers, in the order of the questions; those that are there already stay."""
    import torch

    from fovea.vlm.speaker import load_speaker

    speaker = load_speaker(config.model or config.hub, seed=config.seed, device=context.device)
    generator = torch.Generator().manual_seed(config.seed)
    batches = {
        str(start): items[start : start + config.batch]
        for start in range(0, len(items), config.batch)
    }
    for start in context.each(batches):
        batch = batches[start]
        texts = speaker.answer(
            [item.model_input for item in batch],
            [item.image for item in batch],
            most=config.most_tokens,
            shape=config.shape,
            temperature=config.temperature,
            generator=generator,
        )
        with path.open("a", encoding="utf-8") as file:
            for item, text in zip(batch, texts, strict=True):
                file.write(Answer(item.id, item.prompt, text).line(model_name(config)) + "\n")
    by_key = {(found.id, found.prompt): found for found in read_answers(path)}
    return [by_key[item.id, item.prompt] for item in items]


def _textvqa(
    config: EvaluateConfig, items: Sequence[Item], answers: Sequence[Answer], where: Path
) -> tuple[dict[str, float], list[Shown]]:
    mean, scored = textvqa.score(items, answers, where=where, processor=config.processor)
    shown = [
        Shown(one.item, one.text, one.score, ", ".join(dict.fromkeys(one.item.facts["answers"])))
        for one in scored
    ]
    return {"accuracy": mean}, shown


def _mmbench(
    items: Sequence[Item], answers: Sequence[Answer], where: Path
) -> tuple[dict[str, float], list[Shown]]:
    rows = mmbench.choices(items, answers, where=where)
    asked = questions(rows)
    scores = {
        "accuracy": circular_accuracy(asked),
        "vanilla": vanilla_accuracy(rows),
        **{f"group/{name}": value for name, value in report(asked).items() if name != "Overall"},
    }
    shown = [
        Shown(item, row.prediction, float(row.is_hit), row.answer)
        for item, row in zip(items, rows, strict=True)
    ]
    return scores, shown


def _write(
    config: EvaluateConfig,
    context: Context,
    answers: Sequence[Answer],
    scores: dict[str, float],
    shown: Sequence[Shown],
) -> None:
    lines = [answer.line(model_name(config)) for answer in answers]
    write_text(context.output("answers"), "\n".join(lines) + "\n")
    document: dict[str, Any] = {
        "task": config.task,
        "scores": scores,
        "tags": {name: str(value) for name, value in config.tags.items()},
        "questions": _by_question(config.task, shown),
    }
    write_json(context.output("scores"), document)
    write_text(
        context.output("page"), answers_page(config.task, scores, shown, tags=document["tags"])
    )


def model_name(config: EvaluateConfig) -> str:
    """What the lines of answers call the model."""
    return config.model.name if config.model else config.hub or "answers"


def _by_question(task: str, shown: Sequence[Shown]) -> dict[str, float]:
    """A score a question; of MMBench a question counts if all its rotations do."""
    found: dict[str, float] = {}
    for number, one in enumerate(shown):
        id = one.item.id
        if task == "mmbench":
            key = str(int(id) % 1_000_000)
            found[key] = min(found.get(key, 1.0), one.score)
        else:
            found[id if id not in found else f"{id}-{number}"] = one.score
    return found
