"""`vlm.pack`: recipe, logs and answers become submit.zip, checked as the challenge checks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape

from fovea.errors import DataError
from fovea.runs.durable import write_text
from fovea.runs.stage import Context
from fovea.scene import page
from fovea.vlm import submission
from fovea.vlm.data import read_samples
from fovea.vlm.settings.pack import PackConfig
from fovea.vlm.submission import Place
from fovea.vlm.tasks import mmbench, textvqa
from fovea.vlm.tasks.item import read_answers
from fovea.vlm.training_log import read_log


def pack(config: PackConfig, context: Context) -> dict[str, float]:
    """Write the archive and its data card.

    Raises:
        DataError: something is wrong with it, and `strict` is asked for.
    """
    place = Place(config.name, config.split)
    files = _files(config, place)
    samples = len(read_samples(config.data))
    wrong = list(_troubles(config, place, files, samples))
    if wrong and config.strict:
        raise DataError(
            "the archive would be refused: " + " ".join(wrong) + " Mend it, or set strict=false to "
            "pack it all the same."
        )
    for sentence in wrong:
        context.note(sentence, level="warning")
    submission.pack(context.output("archive"), files)
    size_mb = context.output("archive").stat().st_size / 1e6
    if size_mb > config.most_mb:
        raise DataError(
            f"the archive may have {config.most_mb} MB, and it has {size_mb:.0f}. Leave large "
            "files out of recipe."
        )
    write_text(context.output("card"), _card(config, files, samples, wrong))
    return {"files": float(len(files)), "troubles": float(len(wrong))}


def _files(config: PackConfig, place: Place) -> dict[str, bytes]:
    """Every file of the archive by its path in it."""
    model = f"MGM-2B-Finetune-{config.name}"
    names = [path.name for path in config.recipe]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise DataError(
            f"files of solution/ need names of their own; {', '.join(sorted(doubled))} comes twice."
            " Rename one."
        )
    files = {f"solution/{path.name}": path.read_bytes() for path in config.recipe}
    script = (
        config.script.read_bytes()
        if config.script
        else submission.written_script(config.batches, place).encode()
    )
    answers = config.textvqa.read_bytes()
    if config.upload is not None:
        table = f"{place.scored}/mmbench/answers_upload/{config.split}/{model}.xlsx"
        files[table] = config.upload.read_bytes()
    return files | {
        "output/train.sh": script,
        f"{place.pretrained}/pretrain.log": config.pretrain_log.read_bytes(),
        f"{place.finetuned}/finetuning.log": config.finetune_log.read_bytes(),
        f"{place.scored}/textvqa/1_0.jsonl": answers,
        f"{place.scored}/textvqa/bm1.jsonl": answers,
        f"{place.scored}/mmbench/answers/{config.split}/{model}.jsonl": config.mmbench.read_bytes(),
    }


def _troubles(
    config: PackConfig, place: Place, files: dict[str, bytes], samples: int
) -> Iterator[str]:
    """A sentence for everything that a checker would refuse."""
    yield from submission.check_paths(files, place)
    recipes = {name: text for name, text in files.items() if name.startswith("solution/")}
    yield from submission.check_recipes(recipes)
    if samples > config.most_samples:
        yield f"{samples:,} samples were used to pretrain, and {config.most_samples:,} are allowed."
    logs = ((config.pretrain_log, samples, "stage 1"),
            (config.finetune_log, config.finetune_samples, "stage 2"))  # fmt: skip
    for (path, count, which), batch in zip(logs, config.batches, strict=True):
        yield from submission.check_log(read_log(path), count, batch, which)
    asked = config.questions and {item.id for item in textvqa.read_items(config.questions)}
    yield from submission.check_answers(read_answers(config.textvqa), asked or None, "TextVQA")
    yield from submission.check_answers(read_answers(config.mmbench), None, "MMBench")
    rows = config.table and {int(item.id) for item in mmbench.read_items(config.table)}
    if config.upload is not None:
        yield from submission.check_upload(config.upload.read_bytes(), rows or None)
    yield from submission.check_script(
        files["output/train.sh"].decode(errors="replace"), config.batches
    )


def _card(config: PackConfig, files: dict[str, bytes], samples: int, wrong: Sequence[str]) -> str:
    """One page: what the data is, how the training went, what is in the archive."""
    made = [
        submission.operators(text, name)
        for name, text in files.items()
        if name.startswith("solution/") and name.endswith((".yaml", ".yml"))
    ]
    operators = sorted(set[str]().union(*made))
    rows = [[escape(name), f"{len(text):,}"] for name, text in sorted(files.items())]
    losses = [read_log(path)[-1].loss for path in (config.pretrain_log, config.finetune_log)]
    tiles = {
        "samples to pretrain on": f"{samples:,}",
        "words an answer": f"{_words(config):.1f}",
        "last loss, stage 1": f"{losses[0]:.2f}",
        "last loss, stage 2": f"{losses[1]:.2f}",
    }
    steps = [[escape(name), "synthesis" if name in submission.SYNTHESIS else ""]
             for name in operators]  # fmt: skip
    found = page.listing(("what a checker would say",), [[escape(one)] for one in wrong])
    return page.page(
        f"Data card: {config.name}",
        page.tiles(tiles),
        page.section("Operators", page.listing(("operator", ""), steps)),
        *([page.section("Wrong", found)] if wrong else []),
        page.section("Files", page.listing(("path", "bytes"), rows)),
        lead="What was done to the data, and what is handed in.",
    )


def _words(config: PackConfig) -> float:
    rows = json.loads(config.data.read_text(encoding="utf-8"))
    said = [len(str(turn["value"]).split()) for row in rows for turn in row["conversations"][1::2]]
    return sum(said) / max(1, len(said))
