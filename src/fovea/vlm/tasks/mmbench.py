"""MMBench: multiple choice about a picture, a table with a row a rotation.

Source: Liu et al., "MMBench: Is your multi-modal model an all-around player?" (2023); prompts as
LLaVA and MGM ask them (`llava`) or as VLMEvalKit does (`vlmeval`).
"""

from __future__ import annotations

import base64
import binascii
import csv
import math
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from fovea.errors import BackendError, DataError
from fovea.metrics.choices import LETTERS, ROTATION, Choice
from fovea.vlm.tasks.item import Answer, Item, joined

Style = Literal["llava", "vlmeval"]
Language = Literal["en", "cn"]

INSTRUCTION = {
    "en": "Answer with the option's letter from the given choices directly.",
    "cn": "请直接回答选项字母。",
}
WANTED = ("index", "question", "A", "B", "image")
HANDED_IN = ("index", "question", *LETTERS, "prediction", "answer", "split")
"""Columns of the table that is uploaded; those that a table lacks are left out."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry in a written archive, so that equal tables are equal files."""


def is_missing(value: object) -> bool:
    """Whether a cell says nothing: empty, None, NaN, or the words for them."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return str(value).strip().lower() in ("", "nan", "none")


def options_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Text by letter, up to the first letter that has none."""
    options: dict[str, str] = {}
    for letter in LETTERS:
        if is_missing(row.get(letter)):
            break
        options[letter] = str(row[letter])
    return options


def prompt(
    row: Mapping[str, Any], *, style: Style = "llava", language: Language = "en", ask: bool = True
) -> str:
    """What the model is asked about a row.

    Args:
        row: a row of the table.
        style: the wording, LLaVA's or VLMEvalKit's.
        language: of the instruction in LLaVA's wording.
        ask: whether LLaVA's wording ends by asking for a single letter.
    """
    hint = "" if is_missing(row.get("hint")) else str(row["hint"])
    listed = [f"{letter}. {text}" for letter, text in options_of(row).items()]
    question = str(row["question"])
    if style == "llava":
        lines = ([hint] if hint else []) + [question, *listed]
        return "\n".join(lines + ([INSTRUCTION[language]] if ask else []))
    head = f"Hint: {hint}\n" if hint else ""
    choices = "Options:\n" + "\n".join(listed) + "\n" if listed else ""
    tail = "Please select the correct answer from the options above. \n" if listed else ""
    return f"{head}Question: {question}\n{choices}{tail}"


def read_items(
    table: Path, *, style: Style = "llava", language: Language = "en", all_rounds: bool = False
) -> list[Item]:
    """The rows of an MMBench table, pictures and all.

    Args:
        table: the TSV.
        style: the wording, LLaVA's or VLMEvalKit's.
        language: of the instruction in LLaVA's wording.
        all_rounds: rotate the options of each row here, for a table without rotations.

    Raises:
        DataError: a column is missing, a picture is not base64, an answer is no letter.
    """
    rows = _rows(table)
    if all_rounds:
        rows = [turned for row in rows for turned in rotations(row)]
    pictures = _pictures(rows, table)
    return [
        Item(
            id=str(row["index"]),
            prompt=prompt(row, style=style, language=language),
            image=pictures[number],
            facts={**{k: v for k, v in row.items() if k != "image"}, "options": options_of(row)},
        )
        for number, row in enumerate(rows)
    ]


def rotations(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row with its options turned 0, 1, 2 ... times; indices grow by a million a turn."""
    options = list(options_of(row).values())
    right = LETTERS.find(str(row.get("answer", "")))
    turned: list[dict[str, Any]] = []
    for turn in range(len(options)):
        texts = options[turn:] + options[:turn]
        new = dict(row) | dict(zip(LETTERS, texts, strict=False))
        new["index"] = str(int(row["index"]) % ROTATION + turn * ROTATION)
        if 0 <= right < len(options):
            new["answer"] = LETTERS[(right - turn) % len(options)]
        turned.append(new)
    return turned


def choices(items: Sequence[Item], answers: Iterable[Answer], *, where: Path) -> list[Choice]:
    """The answered rows, to be scored by `fovea.metrics.choices`.

    Raises:
        DataError: a row is not answered, or its table does not hold the right answers.
    """
    found: list[Choice] = []
    for item, answer in joined(items, answers, where=where):
        row = item.facts
        if is_missing(row.get("answer")):
            raise DataError(
                f"row {item.id} has no answer: the table is a test split, which the benchmark's "
                "server scores. Write the table that is handed in instead, by vlm.pack."
            )
        found.append(
            Choice(
                index=int(item.id),
                prediction=answer.text,
                options=row["options"],
                answer=str(row["answer"]),
                category=str(row.get("category", "")),
                ability=str(row.get("l2-category", "")),
            )
        )
    return found


def write_upload(
    path: Path, items: Sequence[Item], answers: Iterable[Answer], *, where: Path
) -> None:
    """The table that the benchmark's server takes: question, options and prediction as .xlsx.

    Raises:
        DataError: a row is not answered.
        BackendError: openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
    except ImportError as error:
        raise BackendError(
            f"{path} is an Excel table, and openpyxl is not installed. pip install "
            "'fovea-vision[vlm]'."
        ) from error
    known = set(items[0].facts) | {"prediction"}
    columns = [name for name in HANDED_IN if name in known]
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append(columns)
    for item, answer in joined(items, answers, where=where):
        row = {**item.facts, "index": int(item.id), "prediction": answer.text}
        sheet.append([None if is_missing(row.get(name)) else row[name] for name in columns])
    drawn = BytesIO()
    book.save(drawn)
    path.write_bytes(_dated_alike(drawn.getvalue()))


def _dated_alike(archive: bytes) -> bytes:
    """The same .xlsx without the moment in which it was written."""
    again = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(archive)) as old,
        zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in sorted(old.namelist()):
            if name != "docProps/core.xml":
                new.writestr(zipfile.ZipInfo(name, EPOCH), old.read(name))
            else:
                new.writestr(zipfile.ZipInfo(name, EPOCH), _CORE)
    return again.getvalue()


def _rows(table: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file, delimiter="\t")
        missing = [name for name in WANTED if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"an MMBench table has the columns {', '.join(WANTED)}; {table} lacks "
                f"{', '.join(missing)}. Give the benchmark's .tsv."
            )
        rows = list(reader)
    for row in rows:
        if not str(row["index"]).isdecimal():
            raise DataError(
                f"the index of a row is a number; {table} has {row['index']!r} for "
                f"{row['question']!r}. Number the rows."
            )
    if not rows:
        raise DataError(f"{table} has no rows. Give a table with questions.")
    return rows


def _pictures(rows: Sequence[Mapping[str, Any]], table: Path) -> list[bytes]:
    """Each row's picture; a short cell is the index of the row that has it."""
    by_index = {str(row["index"]): str(row["image"]) for row in rows}
    found: list[bytes] = []
    for row in rows:
        cell = str(row["image"])
        for _ in range(2):
            cell = by_index[cell] if len(cell) < 64 and cell in by_index else cell
        try:
            found.append(base64.b64decode(cell, validate=True))
        except binascii.Error as error:
            raise DataError(
                f"the picture of row {row['index']} in {table} is not base64: {error}. Give the "
                "table as it was published."
            ) from error
    return found


_CORE = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><cp:coreProperties '
    b'xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"/>'
)
