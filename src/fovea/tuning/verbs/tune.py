"""`fovea tune STUDY.yaml`: begin a study, or go on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fovea import console
from fovea.tuning.verbs import VERBS, said, words

if TYPE_CHECKING:
    from fovea.tuning.study import Study


def main(arguments: list[str]) -> int:
    """Run trials until the budget is spent, and leave best.yaml and the page."""
    verbs = "\n".join(f"  fovea tune {v:9} STUDY   {verb.summary}" for v, verb in VERBS.items())
    parser = words.parser(
        "", "Search for better settings. The same command starts a study and goes on with it."
    )
    parser.epilog = (
        f"The other verbs (STUDY is its folder, its name, or its study file):\n{verbs}\n\n"
        f"What a study file may say:\n{_settings()}"
    )
    words.add_study(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="finished trials to stop at")
    parser.add_argument("--timeout", metavar="6h", help="time after which no new trial begins")
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time")
    parser.add_argument(
        "--amend", action="store_true", help="go on although target, goal or space has changed"
    )
    parser.add_argument(
        "--allow-new", action="store_true", help="search settings of a command nobody has heard of"
    )
    options = parser.parse_intermixed_args(arguments)
    plan = words.load_plan(options)
    from fovea.tuning.study import Study

    folder = words.folder_of(options, plan.file.study)
    with (
        Study.create(plan, folder, amend=options.amend) as study,
        words.stopping(folder) as asked_to_stop,
    ):
        said.beginning(study, plan)
        ending = study.run(
            plan,
            asked_to_stop=asked_to_stop,
            begin=said.values,
            tell=lambda record: said.ended(study, plan.goals[0], record),
        )
        (console.warn if ending.exit_code == 1 else console.say)(f"{ending.reason}.")
        conclude(study)
    return ending.exit_code


def _settings() -> str:
    """Every setting of a study file, with its default."""
    from pydantic_core import PydanticUndefined

    from fovea.declaration import branches, fields
    from fovea.dialect import line
    from fovea.tuning.definition import StudyFile

    rows: list[tuple[str, str]] = []
    for path, info in fields(StudyFile):
        is_open = info.default in (None, PydanticUndefined) or branches(info.annotation)
        name = ".".join(map(str, path)) + ("" if is_open else f"={line(info.default)}")
        rows.append((name, info.description or ""))
    return console.aligned(rows, indent=2)


def conclude(study: Study) -> None:
    """Write what a study leaves, and say where it is."""
    from fovea.tuning.best import write_best
    from fovea.tuning.report import write_report

    best = study.best
    if best is None:
        console.say(f"No trial is complete yet. Their folders: {study.folder / 'trials'}")
        return
    lines = {"page": str(write_report(study))}
    if len(study.goals) == 1:
        base = next((r for r in study.records if r.is_baseline and r.state == "complete"), None)
        gain = f", base settings {base.values[0]:.6g}" if base and base != best else ""
        lines["best"] = f"trial {best.number}: {study.goals[0].metric} {best.values[0]:.6g}{gain}"
        lines["run it"] = write_best(study, best)
    else:
        lines["choose"] = f"fovea tune best {study.folder} --pick knee"
    console.say(console.pairs(lines))
