"""Small data sets that the tests of the room share."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fovea.runs.stage import Context
from fovea.synth.settings.clean import CleanConfig
from fovea.synth.stages import CLEAN


class Cleaning:
    """Cleans a data set, and reads what came of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def __call__(self, data, process=(), *, name: str = "run", seed: int = 0, **settings) -> "Done":
        from fovea.synth.clean import clean

        config = CleanConfig(dataset_path=data, process=list(process), np=1, **settings)
        context = Context.local(CLEAN, config, self.folder / name, seed=seed, emit=self._heard)
        scores = clean(config, context)
        return Done(context.out, scores)

    def _heard(self, event: dict) -> None:
        if event["kind"] == "log":
            self.notes.append(event["message"])


class Done:
    """What a cleaning wrote."""

    def __init__(self, folder: Path, scores: dict[str, float]) -> None:
        self.folder = folder
        self.scores = scores

    def rows(self, name: str = "dataset/res.jsonl") -> list[dict]:
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows()]

    @property
    def errors(self) -> list[dict]:
        return self.rows("errors.jsonl")

    @property
    def report(self) -> dict:
        return json.loads((self.folder / "report.json").read_text())

    def content(self) -> dict[str, bytes]:
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in files}


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def caption(number: int, words: str) -> dict:
    return {"id": f"r{number:03d}", "text": f"<__dj__image>\n{words} <|__dj__eoc|>",
            "images": [f"images/{number:03d}.png"]}  # fmt: skip


@pytest.fixture
def cleaning(tmp_path: Path) -> Cleaning:
    return Cleaning(tmp_path / "stages")


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Forty rows with captions of 1 to 40 words, and a picture each."""
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(40):
        rows.append(caption(number, " ".join(f"word{n}" for n in range(number + 1))))
        size = (16 + number, 24)
        Image.new("RGB", size, (number * 6, 80, 40)).save(tmp_path / rows[-1]["images"][0])
    return write_rows(tmp_path / "captions.jsonl", rows)
