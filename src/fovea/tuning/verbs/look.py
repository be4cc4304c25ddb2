"""Looking at a study: how far it is, its best trial, its page, its trials as files."""

from __future__ import annotations

from pathlib import Path

from fovea import console
from fovea.tuning.verbs import VERBS, said, words
from fovea.tuning.verbs.said import written


def status(arguments: list[str]) -> int:
    """How far a study is, and its trials."""
    parser = words.parser("status", VERBS["status"].summary)
    words.add_study(parser)
    with words.open_study(parser.parse_intermixed_args(arguments)) as study:
        records = study.records
        count = {
            s: sum(r.state == s for r in records) for s in dict.fromkeys(r.state for r in records)
        }
        at_work = "a process works on it" if study.is_at_work else "nobody works on it"
        console.say(f"{study.folder}: {said.counted(count)}; {at_work}.")
        goals = [goal.metric for goal in study.goals]
        console.table(
            ["trial", "state", *goals, "seconds", "parameters"],
            [said.row(record, len(goals)) for record in records],
        )
    return 0


def best(arguments: list[str]) -> int:
    """The best trial, and best.yaml."""
    parser = words.parser("best", VERBS["best"].summary)
    words.add_study(parser)
    parser.add_argument("--out", type=Path, help="where to write it (FOLDER/best.yaml)")
    parser.add_argument(
        "--pick", metavar="HOW", help="of several goals: knee, metric:NAME or trial:N"
    )
    options = parser.parse_intermixed_args(arguments)
    from fovea.tuning.best import picked, write_best

    with words.open_study(options) as study:
        record = picked(study, options.pick)
        command = write_best(study, record, options.out)
        values = [f"{g.metric} {v:.6g}" for g, v in zip(study.goals, record.values, strict=True)]
        console.answer(
            f"trial {record.number}: {', '.join(values)}\n  {written(record.parameters)}\n"
            f"  {command}",
            {"trial": record.number, "values": record.values, "command": command}
            | {"recipe": str(options.out or study.folder / "best.yaml")}
            | {"parameters": record.parameters},
        )
    return 0


def report(arguments: list[str]) -> int:
    """Make the page, and the same as data."""
    parser = words.parser("report", VERBS["report"].summary)
    words.add_study(parser)
    parser.add_argument("--light", action="store_true", help="no script in the page")
    parser.add_argument(
        "--fanova", action="store_true", help="importances by f-ANOVA too; seconds, not moments"
    )
    parser.add_argument("--out", type=Path, help="where to write it (FOLDER/report.html)")
    options = parser.parse_intermixed_args(arguments)
    from fovea.tuning.report import write_data, write_report

    with words.open_study(options) as study:
        page = write_report(study, options.out, is_light=options.light, with_fanova=options.fanova)
        files = write_data(study)
        console.answer(str(page), {"page": str(page), "files": [str(path) for path in files]})
    return 0


def export(arguments: list[str]) -> int:
    """The trials as a table and as data."""
    parser = words.parser("export", VERBS["export"].summary)
    words.add_study(parser)
    with words.open_study(parser.parse_intermixed_args(arguments)) as study:
        from fovea.tuning.report import write_data

        paths = [str(path) for path in write_data(study)]
        console.answer("\n".join(paths), {"files": paths})
    return 0
