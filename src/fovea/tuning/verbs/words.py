"""What the verbs' command lines share: how a study is named, opened and stopped."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from fovea import console
from fovea.tuning.definition import locate

if TYPE_CHECKING:
    from fovea.tuning.plan import Plan
    from fovea.tuning.study import Study


def parser(verb: str, text: str) -> argparse.ArgumentParser:
    """The parser of a verb's words."""
    return argparse.ArgumentParser(
        prog=f"fovea tune {verb}".strip(),
        description=text,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_study(to: argparse.ArgumentParser, *, changes: bool = True) -> None:
    """Which study is meant, and what is said over its file."""
    to.add_argument(
        "study", help="a study file, a study's folder, the name of a study, or NAME@STORAGE"
    )
    if changes:
        to.add_argument(
            "changes", nargs="*", metavar="key=value", help="over the study file, search.seed=3"
        )
    to.add_argument("--folder", type=Path, help="of the study (studies/NAME)")


def load_plan(options: argparse.Namespace) -> Plan:
    """The study file with what the command line says over it, checked.

    Raises:
        ConfigError: something in it is wrong.
    """
    from fovea.tuning.plan import load

    words = [word.removeprefix("--") for word in options.changes]
    if getattr(options, "allow_new", False):
        words.append("target.command.allow_new=true")
    for option, path in (
        ("trials", "budget.trials"),
        ("timeout", "budget.timeout"),
        ("workers", "resources.workers"),
    ):
        if (value := getattr(options, option, None)) is not None:
            words.append(f"{path}={value}")
    return load(locate(options.study), words)


def folder_of(options: argparse.Namespace, name: str) -> Path:
    """Where the study of that name is, or will be."""
    from fovea.tuning.study import ROOT

    given = Path(options.study)
    return options.folder or (given if (given / "study.yaml").is_file() else ROOT / name)


def open_study(options: argparse.Namespace) -> Study:
    """The study of a folder, a study file or a name.

    Raises:
        ConfigError, ArtifactError: there is none.
    """
    from fovea.tuning.definition import read
    from fovea.tuning.study import ROOT, Study

    given = Path(options.study)
    name, _, storage = options.study.partition("@")
    if storage and not given.exists():
        return Study.join(name, storage, options.folder)
    if options.folder or given.is_dir():
        return Study.open(options.folder or given)
    if (ROOT / given / "study.yaml").is_file():
        return Study.open(ROOT / given)
    return Study.open(ROOT / read(locate(options.study)).study)


@contextmanager
def stopping(folder: Path, *, is_joining: bool = False) -> Generator[Callable[[], bool]]:
    """Turn the first Ctrl-C, or `fovea tune stop`, into a wish to stop; a second one ends all.

    Args:
        folder: of the study.
        is_joining: others work on the study already, and a wish of before is still meant.
    """
    from fovea.tuning.stopping import StopNote

    heard: list[int] = []
    note = StopNote(folder)
    if not is_joining:
        note.withdraw()

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise KeyboardInterrupt
        doing = "leaving the study" if is_joining else "stopping"
        console.say(f"{doing} when the trial has saved; again to stop at once")

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(heard) or note.is_asked()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
