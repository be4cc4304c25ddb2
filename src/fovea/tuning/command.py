"""`fovea tune`: make, go on with and look at studies."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from fovea import console
from fovea.errors import ArtifactError, ConfigError
from fovea.tuning.definition import locate

if TYPE_CHECKING:
    from fovea.tuning.history import Record
    from fovea.tuning.plan import Goal, Plan
    from fovea.tuning.space import Values
    from fovea.tuning.study import Study

VERBS = {
    "plan": "check a study file, show the method, the space and a few configs; run nothing",
    "status": "how far a study is, and its trials",
    "best": "the best trial, and best.yaml, which `fovea run best.yaml` runs",
    "report": "make the page report.html",
    "export": "write trials.csv and report.json",
    "retry": "queue trials again, by number, or all that failed",
    "enqueue": "queue a trial with these parameters: key=value ...",
}
EXAMPLES = 5
"""How many configs `plan` shows."""


def main(arguments: list[str]) -> int:
    """`fovea tune STUDY.yaml`, or `fovea tune VERB STUDY`; gives the exit code."""
    if arguments and arguments[0] in VERBS:
        verbs: dict[str, Callable[[list[str]], int]] = {
            "plan": _plan,
            "status": _status,
            "best": _best,
            "report": _report,
            "export": _export,
            "retry": _retry,
            "enqueue": _enqueue,
        }
        return verbs[arguments[0]](arguments[1:])
    return _tune(arguments)


def _tune(arguments: list[str]) -> int:
    verbs = "\n".join(f"  fovea tune {verb:8} STUDY   {text}" for verb, text in VERBS.items())
    parser = _parser(
        "", "Search for better settings. The same command starts a study and goes on with it."
    )
    parser.epilog = f"Looking at a study (its folder, or its study file):\n{verbs}"
    _add_study(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="finished trials to stop at")
    parser.add_argument("--timeout", metavar="6h", help="time after which no new trial begins")
    parser.add_argument(
        "--amend", action="store_true", help="go on although target, goal or space has changed"
    )
    parser.add_argument(
        "--allow-new", action="store_true", help="search settings of a command nobody has heard of"
    )
    options = parser.parse_intermixed_args(arguments)
    plan = _load(options)
    from fovea.tuning.study import Study

    folder = _folder(options, plan.file.study)
    with Study.create(plan, folder, amend=options.amend) as study, _stopping() as asked_to_stop:
        _say_beginning(study, plan)
        ending = study.run(
            plan,
            asked_to_stop=asked_to_stop,
            begin=_say_values,
            tell=lambda record: _say_trial(study, plan.goals[0], record),
        )
        (console.warn if ending.exit_code == 1 else console.say)(f"{ending.reason}.")
        _conclude(study)
    return ending.exit_code


def _plan(arguments: list[str]) -> int:
    parser = _parser("plan", VERBS["plan"])
    _add_study(parser)
    options = parser.parse_intermixed_args(arguments)
    plan = _load(options)
    from fovea.tuning import pruner, sampler, trial

    chosen = sampler.choose(
        plan.file.search,
        plan.space,
        goals=len(plan.goals),
        budget=plan.file.budget,
        seconds_a_trial=None,
    )
    examples = _examples(plan, chosen.method)
    rule = pruner.method_of(plan.file.prune, goals=len(plan.goals))
    budget = plan.file.budget
    facts = {
        "study": f"{plan.file.study}, of {plan.use}",
        "goal": ", ".join(f"{'max' if g.is_max else 'min'} {g.metric}" for g in plan.goals),
        "method": f"{chosen.method} ({chosen.reason})",
        "pruning": "; ".join([rule, *pruner.brackets(plan.file.prune)]),
        "budget": f"{budget.trials or 'no limit of'} trials"
        + (f", {budget.timeout:g} s" if budget.timeout else ""),
        "baseline": str(plan.baseline) if plan.baseline else "none",
    }
    if chosen.method == "grid":
        facts["grid"] = f"{sampler.grid_size(plan.space, most=10**6)} combinations"
    space = [
        (p.name, str(p.domain), " and ".join(c.text for c in p.when)) for p in plan.space.parameters
    ]
    lines = [console.pairs(facts), "", console.aligned([("PARAMETER", "RANGE", "WHEN"), *space])]
    lines += ["", *[f"note: {note}" for note in plan.notes], "", "The first trials would be:"]
    lines += [f"  {_written(values)}" for values in examples]
    configs = [trial.shown(plan, values) for values in examples]
    console.answer("\n".join(lines), facts | {"examples": examples, "configs": configs})
    return 0


def _status(arguments: list[str]) -> int:
    parser = _parser("status", VERBS["status"])
    _add_study(parser)
    with _open(parser.parse_intermixed_args(arguments)) as study:
        records = study.records
        count = {
            s: sum(r.state == s for r in records) for s in dict.fromkeys(r.state for r in records)
        }
        at_work = "a process works on it" if study.is_at_work else "nobody works on it"
        console.say(f"{study.folder}: {_counts(count)}; {at_work}.")
        goals = [goal.metric for goal in study.goals]
        console.table(
            ["trial", "state", *goals, "seconds", "parameters"],
            [_row(record, len(goals)) for record in records],
        )
    return 0


def _best(arguments: list[str]) -> int:
    parser = _parser("best", VERBS["best"])
    _add_study(parser)
    parser.add_argument("--out", type=Path, help="where to write it (FOLDER/best.yaml)")
    parser.add_argument(
        "--pick", metavar="HOW", help="of several goals: knee, metric:NAME or trial:N"
    )
    options = parser.parse_intermixed_args(arguments)
    with _open(options) as study:
        record = _picked(study, options.pick)
        command = write_best(study, record, options.out)
        values = [f"{g.metric} {v:.6g}" for g, v in zip(study.goals, record.values, strict=True)]
        console.answer(
            f"trial {record.number}: {', '.join(values)}\n  {_written(record.parameters)}\n"
            f"  {command}",
            {"trial": record.number, "values": record.values, "command": command}
            | {"recipe": str(options.out or study.folder / "best.yaml")}
            | {"parameters": record.parameters},
        )
    return 0


def _report(arguments: list[str]) -> int:
    parser = _parser("report", VERBS["report"])
    _add_study(parser)
    with _open(parser.parse_intermixed_args(arguments)) as study:
        path = write_report(study)
        console.answer(str(path), {"page": str(path)})
    return 0


def _export(arguments: list[str]) -> int:
    parser = _parser("export", VERBS["export"])
    _add_study(parser)
    with _open(parser.parse_intermixed_args(arguments)) as study:
        from fovea.tuning import report

        paths = [study.folder / "trials.csv", study.folder / "report.json"]
        paths[0].write_text(report.csv_text(study), encoding="utf-8")
        paths[1].write_text(json.dumps(report.data(study), indent=1), encoding="utf-8")
        console.answer("\n".join(map(str, paths)), {"files": list(map(str, paths))})
    return 0


def _retry(arguments: list[str]) -> int:
    parser = _parser("retry", VERBS["retry"])
    _add_study(parser, changes=False)
    parser.add_argument("trials", nargs="+", help="numbers, or 'failed'")
    options = parser.parse_intermixed_args(arguments)
    with _open(options) as study:
        failed = [r.number for r in study.records if r.state == "failed"]
        wrong = [word for word in options.trials if not (word == "failed" or word.isdigit())]
        if wrong:
            raise ConfigError(
                f"trials are given by number, or as 'failed'; got {', '.join(wrong)}."
            )
        numbers = failed if "failed" in options.trials else [int(word) for word in options.trials]
        study.retry(numbers)
        console.say(f"queued {len(numbers)} trials; 'fovea tune {study.folder}' runs them.")
    return 0


def _enqueue(arguments: list[str]) -> int:
    parser = _parser("enqueue", VERBS["enqueue"])
    _add_study(parser, changes=False)
    parser.add_argument("parameters", nargs="+", metavar="key=value", help="of the space")
    options = parser.parse_intermixed_args(arguments)
    from fovea import dialect
    from fovea.tuning.plan import load

    pairs = [word.partition("=") for word in options.parameters]
    given = {name.removeprefix("--"): dialect.parse(text) for name, _, text in pairs}
    with _open(options) as study:
        study.enqueue(load(study.folder / "study.yaml").space, given)
        console.say(f"queued; 'fovea tune {study.folder}' runs it.")
    return 0


# What the verbs share


def write_best(study: Study, record: Record, path: Path | None = None) -> str:
    """Write a trial so that it runs by itself, best.yaml; says the command that runs it."""
    path = path or study.folder / "best.yaml"
    values = [f"{g.metric} = {v:.9g}" for g, v in zip(study.goals, record.values, strict=True)]
    head = [f"# {study.file.study}, trial {record.number}: {', '.join(values)}"]
    if study.file.target.command is not None:
        from fovea.tuning.foreign import best

        return best.write(study.folder, study.trial_folder(record), path, head)
    recipe = study.recipe_of(record)
    text = "\n".join([*head, f"# fovea run {path}", recipe.to_yaml()])
    path.write_text(text, encoding="utf-8")
    return f"fovea run {path}"


def write_report(study: Study) -> Path:
    """Make the page of a study; says where."""
    from fovea.tuning import report

    path = study.folder / "report.html"
    path.write_text(report.page(study), encoding="utf-8")
    return path


def _conclude(study: Study) -> None:
    """Write what a study leaves, and say where it is."""
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


def _picked(study: Study, how: str | None) -> Record:
    """The trial that `best` should write."""
    from fovea.tuning import history

    records, goals = study.records, study.goals
    front = history.front(records, goals)
    if not front:
        raise ArtifactError(
            f"{study.folder} has no complete trial yet among {len(records)}. "
            f"'fovea tune {study.folder}' goes on."
        )
    kind, _, word = (how or "").partition(":")
    if kind == "trial" and word.isdigit():
        found = next((r for r in history.complete(records) if r.number == int(word)), None)
        if found is None:
            raise ConfigError(f"trial {word} is not complete; 'fovea tune status' lists them.")
        return found
    if kind == "metric" and word in [goal.metric for goal in goals]:
        at = [goal.metric for goal in goals].index(word)
        return (max if goals[at].is_max else min)(front, key=lambda record: record.values[at])
    if how is None and len(goals) == 1:
        return front[0]
    if kind == "knee" and (found := history.knee(records, goals)):
        return found
    listed = "\n".join(
        f"  trial {r.number}: "
        + ", ".join(f"{g.metric} {v:.6g}" for g, v in zip(goals, r.values, strict=True))
        for r in front
    )
    raise ConfigError(
        f"there are {len(goals)} goals, and none of these trials beats all others:\n{listed}\n"
        "Say which: --pick knee, --pick metric:NAME or --pick trial:N."
    )


def _examples(plan: Plan, method: str) -> list[dict[str, Any]]:
    """The parameters of the first trials, without running them."""
    from fovea.tuning import sampler, storage

    found = [plan.baseline] if plan.baseline else []
    if method == "grid":
        found += list(plan.space.combinations())[:EXAMPLES]
    while len(found) < EXAMPLES and method != "grid":
        index, goals = len(found), len(plan.goals)
        chosen = sampler.build(method, plan.file.search, plan.space, goals=goals, index=index)
        values = plan.space.suggest(storage.in_memory(goals, chosen).ask())
        found.append(plan.space.asked(values))
    return found


@contextmanager
def _stopping() -> Generator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish to stop; the second ends at once."""
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise KeyboardInterrupt
        console.say("stopping when the trial has saved; again to stop at once")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser(verb: str, text: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"fovea tune {verb}".strip(),
        description=text,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_study(parser: argparse.ArgumentParser, *, changes: bool = True) -> None:
    parser.add_argument("study", help="a study file, a study's folder, or the name of a study")
    if changes:
        parser.add_argument(
            "changes", nargs="*", metavar="key=value", help="over the study file, search.seed=3"
        )
    parser.add_argument("--folder", type=Path, help="of the study (studies/NAME)")


def _load(options: argparse.Namespace) -> Plan:
    """The study file with what the command line says over it, checked."""
    from fovea.tuning.plan import load

    words = [word.removeprefix("--") for word in options.changes]
    if getattr(options, "allow_new", False):
        words.append("target.command.allow_new=true")
    if getattr(options, "trials", None) is not None:
        words.append(f"budget.trials={options.trials}")
    if getattr(options, "timeout", None) is not None:
        words.append(f"budget.timeout={options.timeout}")
    return load(locate(options.study), words)


def _folder(options: argparse.Namespace, name: str) -> Path:
    from fovea.tuning.study import ROOT

    given = Path(options.study)
    return options.folder or (given if (given / "study.db").is_file() else ROOT / name)


def _open(options: argparse.Namespace) -> Study:
    """The study of a folder, a study file or a name."""
    from fovea.tuning.definition import read
    from fovea.tuning.study import ROOT, Study

    given = Path(options.study)
    if options.folder or given.is_dir():
        return Study.open(options.folder or given)
    if (ROOT / given / "study.db").is_file():
        return Study.open(ROOT / given)
    return Study.open(ROOT / read(locate(options.study)).study)


def _say_beginning(study: Study, plan: Plan) -> None:
    chosen = study.chosen(plan)
    done = sum(record.state in ("complete", "pruned") for record in study.records)
    goes_on = f"goes on after {done} trials" if done else "begins"
    limit = f" of {plan.file.budget.trials}" if plan.file.budget.trials else ""
    console.say(f"{plan.file.study} {goes_on}{limit}: {chosen.method}, in {study.folder}")
    for note in plan.notes:
        console.warn(note)


def _say_values(number: int, values: Values) -> None:
    if console.style.verbose:
        console.say(f"trial {number}: {_written(values)}")


def _say_trial(study: Study, goal: Goal, record: Record) -> None:
    """One line for a trial that ended."""
    if console.style.as_json:
        line = {"trial": record.number, "state": record.state, "values": record.values}
        sys.stdout.write(json.dumps(line | {"parameters": record.parameters}, default=str) + "\n")
        return
    best = study.best
    values = " ".join(f"{value:.6g}" for value in record.values) or record.failure
    mark = "  <- best" if best and best.number == record.number else ""
    console.say(
        f"trial {record.number:4}  {record.state:9} {goal.metric} {values:>10}  "
        f"{record.seconds:7.1f} s  {_written(record.parameters)}{mark}"
    )
    if record.state == "failed":
        console.warn(f"trial {record.number}: {record.message}")


def _row(record: Record, goals: int) -> list[str]:
    values = [f"{value:.6g}" for value in record.values] or [record.failure]
    values += [""] * (goals - len(values))
    note = " (base)" if record.is_baseline else ""
    state = record.state + note
    return [
        str(record.number),
        state,
        *values,
        f"{record.seconds:.1f}",
        _written(record.parameters),
    ]


def _counts(count: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in count.items()) or "no trials"


def _written(values: Any) -> str:
    """Parameters as they would be typed."""
    texts = {
        name: f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")
        for name, value in values.items()
    }
    return " ".join(f"{name}={text}" for name, text in texts.items())
