"""`fovea tune worker`: join a study, from another shell or another machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fovea import console
from fovea.tuning.verbs import VERBS, said, words

if TYPE_CHECKING:
    from fovea.tuning.study import Study


def main(arguments: list[str]) -> int:
    """Run trials of a study beside its other workers until it is over."""
    parser = words.parser("worker", VERBS["worker"].summary)
    parser.add_argument("study", help="its folder, its name, or NAME@STORAGE: toy@postgresql://...")
    parser.add_argument("--folder", type=Path, help="of the study on this machine (studies/NAME)")
    parser.add_argument("--storage", help="its address, where the study file's is not whole")
    options = parser.parse_args(arguments)
    from fovea.tuning.plan import load
    from fovea.tuning.worker import Worker

    with _study(options) as study, words.stopping(study.folder, is_joining=True) as asked_to_stop:
        plan = load(study.folder / "study.yaml")
        said.beginning(study, plan)
        worker = Worker(
            study,
            plan,
            asked_to_stop=asked_to_stop,
            begin=said.values,
            tell=lambda record: said.ended(study, plan.goals[0], record),
        )
        ending = worker.work()
        (console.warn if ending.exit_code == 1 else console.say)(f"{ending.reason}.")
    return ending.exit_code


def _study(options: argparse.Namespace) -> Study:
    """The study of a folder, or by its name in a storage."""
    from fovea.tuning.study import ROOT, Study

    name, _, storage = options.study.partition("@")
    if storage and not Path(options.study).exists():
        return Study.join(name, storage, options.folder)
    given = Path(options.study)
    folder = given if (given / "study.yaml").is_file() else ROOT / given
    return Study.open(options.folder or folder, options.storage)
