"""`synth.export`: image-text data in the form that a training reads, checked on the way.

What would spoil a training silently (an empty answer, a token left over, a picture that is not
there) stops the export, or with `allow` goes into a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fovea.errors import ConfigError, DataError
from fovea.runs.durable import write_json
from fovea.runs.stage import Context
from fovea.synth.clean import write_lines
from fovea.synth.ledger import Failure
from fovea.synth.llava import (
    IMAGE,
    Conversation,
    ToLlava,
    ToRows,
    by_id,
    capped,
    to_llava,
    to_row,
    trouble_of,
)
from fovea.synth.pictures import Pictures
from fovea.synth.plan import Handling
from fovea.synth.result import about_result
from fovea.synth.sample import IMAGE_TOKEN, Fields, Sample
from fovea.synth.settings.export import ExportConfig
from fovea.synth.source import ABOUT, about, parts_of, read, root_of
from fovea.synth.webdataset import write_tars

EVERY = 2000
"""Rows from one word of progress to the next."""


def export(config: ExportConfig, context: Context) -> dict[str, float]:
    """Convert, check and write.

    Raises:
        DataError: a row would spoil training and `allow` is false.
    """
    root = root_of([config.dataset_path], config.image_root)
    rows = list(rows_of(config.dataset_path, context.folder / "read"))
    if not rows:
        raise DataError(f"{config.dataset_path} holds no row. Give a data set that is not empty.")
    if config.to == "dj":
        return _to_rows(config, context, rows, root)
    if config.to == "webdataset":
        return _to_tars(config, context, rows, root)
    return _to_llava(config, context, rows, root)


def rows_of(path: Path, folder: Path) -> Iterator[Sample]:
    """The rows of a data set; a line that cannot be read stops.

    Raises:
        DataError: which line it is.
    """
    for part in parts_of([path], folder, rows=20_000):
        for line in read(part):
            if line.sample is None:
                raise DataError(
                    f"{part.origin} line {line.line} {line.trouble}. Clean the data set first:"
                    " synth.clean puts such lines into a ledger."
                )
            yield line.sample


def _to_llava(
    config: ExportConfig, context: Context, rows: list[Sample], root: Path
) -> dict[str, float]:
    token = config.image_special_token or about(config.dataset_path).get(
        "image_special_token", IMAGE_TOKEN
    )
    restores = (
        config.original_llava_ds_path is not None
        if config.restore_questions is None
        else config.restore_questions
    )
    if restores and config.original_llava_ds_path is None:
        raise ConfigError(
            "restore_questions needs the file that the questions are in. Give"
            " original_llava_ds_path=FILE.json."
        )
    how = ToLlava(
        keep_only_first_image=config.keep_only_first_image,
        eoc_special_token=config.eoc_special_token,
        image_special_token=token,
        sent_separator=config.sent_separator,
        restore_questions=restores,
    )
    original = (
        by_id(list(rows_of(config.original_llava_ds_path, context.folder / "read")))
        if config.original_llava_ds_path
        else {}
    )
    if config.question and not restores:
        original = {str(row["id"]): _asked(row, config.question) for row in rows if "id" in row}
        how = replace(how, restore_questions=True)
    checker = _Checker(config, root, [token, config.eoc_special_token])
    found: list[Conversation] = []
    for number, row in enumerate(capped(rows, config.cap, seed=config.cap_seed, fill=config.fill)):
        _tick(context, number, len(rows))
        with Failure(keeps=config.allow) as failure:
            made = to_llava(row, how, original)
            if config.paths == "absolute" and "image" in made:
                made["image"] = str((root / made["image"]).absolute())
            checker.check(made)
            found.append(made)
        if failure.error is not None:
            checker.enter(row, failure.error)
    text = json.dumps(found, ensure_ascii=False, indent=1)
    context.output("llava").write_text(text + "\n", encoding="utf-8")
    return _told(context, checker, read=len(rows), written=len(found))


def _asked(row: Sample, question: str) -> Conversation:
    """A conversation that has the question alone."""
    head = f"{IMAGE}\n" if row.get("images") else ""
    turns = [{"from": "human", "value": f"{head}{question}"}, {"from": "gpt", "value": ""}]
    return {"id": row["id"], "conversations": turns}


def _to_rows(
    config: ExportConfig, context: Context, rows: list[Sample], root: Path
) -> dict[str, float]:
    how = ToRows(
        str_id=config.str_id,
        split_chunk=config.split_chunk,
        image_broadcast=config.image_broadcast,
        image_broadcast_pos=config.image_broadcast_pos,
        eoc_special_token=config.eoc_special_token,
        image_special_token=config.image_special_token or IMAGE_TOKEN,
        add_eoc_at_last=config.add_eoc_at_last,
        sent_separator=config.sent_separator,
        only_keep_caption=config.only_keep_caption,
    )
    checker = _Checker(config, root, [])
    made: list[Sample] = []
    for number, row in enumerate(capped(rows, config.cap, seed=config.cap_seed, fill=config.fill)):
        _tick(context, number, len(rows))
        with Failure(keeps=config.allow) as failure:
            found = to_row(row, how, rng=np.random.default_rng((context.seed, number)))
            checker.check_image(found["images"][0] if found["images"] else None)
            made.append(found)
        if failure.error is not None:
            checker.enter(row, failure.error)
    folder = context.output("dataset")
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / "res.jsonl", made)
    fields = Fields(image_token=how.image_special_token, eoc_token=how.eoc_special_token)
    write_json(folder / ABOUT, about_result(Handling(fields, root)))
    return _told(context, checker, read=len(rows), written=len(made))


def _to_tars(
    config: ExportConfig, context: Context, rows: list[Sample], root: Path
) -> dict[str, float]:
    known = about(config.dataset_path)
    fields = Fields(
        text=known.get("text_key", "text"),
        images=known.get("image_key", "images"),
        image_token=config.image_special_token or known.get("image_special_token", IMAGE_TOKEN),
        eoc_token=config.eoc_special_token,
    )
    checker = _Checker(config, root, [])
    good: list[Sample] = []
    for number, row in enumerate(capped(rows, config.cap, seed=config.cap_seed, fill=config.fill)):
        _tick(context, number, len(rows))
        with Failure(keeps=config.allow) as failure:
            if not row.get(fields.image_bytes):
                for path in row.get(fields.images) or ():
                    checker.check_image(path)
            good.append(row)
        if failure.error is not None:
            checker.enter(row, failure.error)
    write_tars(context.output("tars"), good, fields, root, most_bytes=config.shard_bytes)
    return _told(context, checker, read=len(rows), written=len(good))


class _Checker:
    """Looks at what is written, and keeps what was left out."""

    def __init__(self, config: ExportConfig, root: Path, tokens: list[str]) -> None:
        self.config = config
        self.tokens = [token for token in tokens if token != IMAGE]
        self.pictures = Pictures(root)
        self.left_out: list[dict[str, Any]] = []

    def check(self, row: Conversation) -> None:
        """Refuse a row that would spoil training.

        Raises:
            DataError: what is wrong with it.
        """
        if trouble := trouble_of(row, self.tokens):
            raise DataError(
                f"row {row['id']!r} would spoil training: {trouble}. Mend it, or give allow=true to"
                " leave such rows out."
            )
        self.check_image(row.get("image"))

    def check_image(self, path: str | None) -> None:
        """Refuse a picture that is not there, or cannot be decoded."""
        if path is None or self.config.check_images == "no":
            return
        if self.config.check_images == "exists":
            self.pictures.bytes_of(path)
            return
        self.pictures.decoded(path)
        self.pictures.release()

    def enter(self, row: Sample, error: Exception) -> None:
        """Note a row that is left out."""
        self.left_out.append(
            {"id": row.get("id"), "error": type(error).__name__, "message": str(error)}
        )


def _tick(context: Context, number: int, total: int) -> None:
    if number % EVERY == 0:
        context.progress(number, total, "rows")
        if context.should_stop():
            context.stop()


def _told(context: Context, checker: _Checker, *, read: int, written: int) -> dict[str, float]:
    if checker.left_out:
        write_lines(context.output("left_out"), checker.left_out)
        context.note(
            f"{len(checker.left_out)} rows were left out; left_out.jsonl says of each why",
            level="warning",
        )
    scores = {"read": read, "written": written, "left_out": len(checker.left_out)}
    write_json(context.output("report"), scores)
    return {name: float(value) for name, value in scores.items()}
