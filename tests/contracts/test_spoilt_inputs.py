"""A damaged input is answered with a sentence by every stage; a new stage inherits that.

Each input of a stage in turn is noise, or the first half of a good one; the others are good.
"""

import random
import shutil
from pathlib import Path

import pytest
from forks import Fork, run_spoilt
from workshop import NAMES, Workshop

from fovea import catalog, dialect
from fovea.config import preset_file
from fovea.runs.artifact import KINDS


def spoil(content: bytes, how: str) -> bytes:
    return random.Random(1).randbytes(5000) if how == "noise" else content[: len(content) // 2]


def spoilt(good: Path | None, kind: str, how: str, target: Path) -> Path | None:
    """A damaged input; None where there is nothing to damage."""
    if good is not None and good.is_dir():
        shutil.copytree(good, target)
        for file in filter(Path.is_file, target.rglob("*")):
            file.write_bytes(spoil(file.read_bytes(), how))
        return target
    if KINDS[kind].is_folder or (good is None and how == "half"):
        return None
    ending = good.suffix if good else next(iter(KINDS[kind].suffixes), "")
    target = target.with_name(target.name + ending)
    target.write_bytes(spoil(good.read_bytes() if good else b"", how))
    return target


def good_input(name: str, field: str, given: dict[str, str]) -> Path | None:
    """What the tiny run took for an input."""
    found = given.get(field) or dialect.load(preset_file(name, "tiny")).data.get(field)
    path = Path(found[0] if isinstance(found, list) else found) if found else None
    path = path and (path if path.is_absolute() else dialect.SAMPLES.parent / path)
    return path if path and path.exists() else None


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_input_is_answered_with_a_sentence(
    name: str, workshop: Workshop, tmp_path: Path
) -> None:
    given = dict(word.split("=", 1) for word in workshop.inputs(name))
    for field, kind in catalog.stage(name).inputs.items():
        for how in ("noise", "half"):
            good = good_input(name, field, given)
            path = spoilt(good, kind, how, tmp_path / f"{field}-{how}")
            if path is not None:
                words = [f"{key}={value}" for key, value in (given | {field: str(path)}).items()]
                folder = tmp_path / f"run-{field}-{how}"
                Fork(folder.with_suffix(".log"), run_spoilt, name, folder, *words).wait()
