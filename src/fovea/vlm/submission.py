"""The challenge's archive: where everything stands in it, and what its checker looks for.

solution/                                   recipes and code
output/train.sh
output/training_dirs/MGM-2B-Pretrain-NAME/pretrain.log
output/training_dirs/MGM-2B-Finetune-NAME/finetuning.log
output/eval_results/MGM-2B-Finetune-NAME/textvqa/1_0.jsonl, bm1.jsonl
output/eval_results/MGM-2B-Finetune-NAME/mmbench/answers/SPLIT/MGM-2B-Finetune-NAME.jsonl
output/eval_results/MGM-2B-Finetune-NAME/mmbench/answers_upload/SPLIT/....xlsx
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from fovea.errors import DataError
from fovea.vlm.tasks.item import Answer
from fovea.vlm.training_log import LoggedStep

EPOCH = (1980, 1, 1, 0, 0, 0)
ROOTS = ("solution/", "output/")
SYNTHESIS = frozenset((
    "image_captioning_mapper", "image_captioning_from_gpt4v_mapper", "image_diffusion_mapper",
    "mllm_mapper", "sdxl_prompt2prompt_mapper", "image_tagging_vlm_mapper", "recaption_below",
    "nlpaug_en_mapper",
))  # fmt: skip
"""Operators that make something new; an entry without one is void."""
BATCH = re.compile(
    r"^\s*(?:export\s+)?(?P<name>\w*(?:BATCH_SIZE_PER_GPU|GRADIENT_ACCUMULATION_STEPS)\w*)="
    r"(?P<value>\d+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Place:
    """Where the parts of an entry stand."""

    name: str
    split: str

    @property
    def pretrained(self) -> str:
        """The folder of stage 1."""
        return f"output/training_dirs/MGM-2B-Pretrain-{self.name}"

    @property
    def finetuned(self) -> str:
        """The folder of stage 2."""
        return f"output/training_dirs/MGM-2B-Finetune-{self.name}"

    @property
    def scored(self) -> str:
        """The folder of the answers."""
        return f"output/eval_results/MGM-2B-Finetune-{self.name}"

    def wanted(self) -> dict[str, str]:
        """Every path that must be there, and what it is."""
        model = f"MGM-2B-Finetune-{self.name}"
        return {
            "output/train.sh": "the script that ran",
            f"{self.pretrained}/pretrain.log": "the log of stage 1",
            f"{self.finetuned}/finetuning.log": "the log of stage 2",
            f"{self.scored}/textvqa/bm1.jsonl": "the answers to TextVQA",
            f"{self.scored}/mmbench/answers/{self.split}/{model}.jsonl": "the answers to MMBench",
            f"{self.scored}/mmbench/answers_upload/{self.split}/{model}.xlsx": "the upload table",
        }


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the archive: sorted, and of the same bytes whenever it is written."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            about = zipfile.ZipInfo(name, EPOCH)
            about.external_attr = 0o644 << 16
            about.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(about, files[name])
    path.write_bytes(made.getvalue())


def check_paths(files: Iterable[str], place: Place) -> Iterator[str]:
    """What is missing, and what has no business here."""
    names = list(files)
    for wanted, what in place.wanted().items():
        if wanted not in names:
            yield f"{what} should be at {wanted}, and is not there."
    for name in names:
        if not name.startswith(ROOTS) or ".." in name.split("/"):
            yield f"{name} is outside of solution/ and output/."
    if not any(name.startswith("solution/") for name in names):
        yield "solution/ is empty: the recipe belongs there."


def check_recipes(recipes: Mapping[str, bytes]) -> Iterator[str]:
    """Whether a recipe makes something new."""
    found: set[str] = set()
    for name, text in recipes.items():
        if name.endswith((".yaml", ".yml")):
            found |= operators(text, name)
    if not found & SYNTHESIS:
        yield (
            f"a recipe has to hold an operator that synthesises; found "
            f"{', '.join(sorted(found)) or 'no operator'}. One of: {', '.join(sorted(SYNTHESIS))}."
        )


def operators(text: bytes, name: str) -> set[str]:
    """The names of the operators of a recipe, wherever its `process` stands.

    Raises:
        DataError: it is no YAML.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{name} should be YAML: {error}. Mend it.") from error
    return set(_operators(document))


def check_log(steps: list[LoggedStep], samples: int, batch: int, which: str) -> Iterator[str]:
    """Whether a log is one whole epoch over that many samples."""
    wanted = max(1, samples // batch)
    if len(steps) != wanted:
        yield (
            f"the log of {which} should have {wanted} steps ({samples:,} samples in batches of "
            f"{batch}); it has {len(steps)}."
        )
    if abs(steps[-1].epoch - 1.0) > 0.01:
        yield f"the log of {which} should end at epoch 1.0; it ends at {steps[-1].epoch:g}."


def check_answers(answers: list[Answer], wanted: set[str] | None, task: str) -> Iterator[str]:
    """Whether each question has one answer."""
    keys = [(answer.id, answer.prompt) for answer in answers]
    if len(set(keys)) != len(keys):
        yield f"{len(keys) - len(set(keys))} questions of {task} are answered twice."
    if wanted is not None:
        missing = wanted - {answer.id for answer in answers}
        if missing:
            some = ", ".join(sorted(missing)[:5])
            yield f"{len(missing)} questions of {task} have no answer: {some}."


def check_upload(table: bytes, wanted: set[int] | None) -> Iterator[str]:
    """Whether the upload table covers every row with a prediction."""
    from openpyxl import load_workbook

    try:
        book = load_workbook(BytesIO(table), read_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, SyntaxError) as error:
        yield f"the upload table is no Excel table (.xlsx): {error}."
        return
    if not rows:
        yield "the upload table is empty."
        return
    columns = [str(cell) for cell in rows[0]]
    if "prediction" not in columns or "index" not in columns:
        yield f"the upload table has the columns {', '.join(columns)}; prediction or index lacks."
        return
    at, said = columns.index("index"), columns.index("prediction")
    empty = [row[at] for row in rows[1:] if row[said] in (None, "")]
    if empty:
        yield f"{len(empty)} rows of the upload table have no prediction: {empty[:5]}."
    if wanted is not None:
        missing = wanted - {int(str(row[at])) for row in rows[1:] if str(row[at]).isdecimal()}
        if missing:
            yield f"{len(missing)} rows of MMBench are not in the upload: {sorted(missing)[:5]}."


def check_script(script: str, batches: tuple[int, int]) -> Iterator[str]:
    """Whether the batch sizes of train.sh multiply to what is asked; for one GPU."""
    found = {match["name"]: int(match["value"]) for match in BATCH.finditer(script)}
    for stage, wanted in zip(("PRETRAIN", "FINETUNE"), batches, strict=True):
        sizes = [value for name, value in found.items() if name.startswith(stage)]
        if not sizes:
            yield f"train.sh does not set {stage}_BATCH_SIZE_PER_GPU."
            continue
        product = 1
        for size in sizes:
            product *= size
        if wanted % product:
            yield (
                f"{stage} batches of train.sh make {product} samples a step on one GPU, and "
                f"{wanted} are asked for: no number of GPUs makes up for it."
            )


def written_script(batches: tuple[int, int], place: Place) -> str:
    """A train.sh that says what fovea ran."""
    lines = [
        "#!/bin/bash",
        "# Written by fovea vlm pack: the two stages of the training, as they ran.",
        f"EXP_NAME={place.name}",
    ]
    for stage, batch in zip(("PRETRAIN", "FINETUNE"), batches, strict=True):
        lines += [
            f"{stage}_BATCH_SIZE_PER_GPU=4",
            f"{stage}_GRADIENT_ACCUMULATION_STEPS={max(1, batch // 4)}",
        ]
    lines += [
        f"fovea vlm pretrain data.json model.name=mgm-2b batch={batches[0]} rate=1e-3",
        f"fovea vlm finetune model instructions.json batch={batches[1]} rate=2e-5",
    ]
    return "\n".join(lines) + "\n"


def _operators(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "process" and isinstance(value, list):
                for step in value:
                    yield from ([step] if isinstance(step, str) else map(str, step or {}))
            else:
                yield from _operators(value)
    elif isinstance(node, list):
        for value in node:
            yield from _operators(value)
