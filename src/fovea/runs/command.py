"""The commands that start runs: run, resume, plan, demo; and what all starters of runs share."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

from fovea import catalog, console
from fovea.config import RECIPES
from fovea.errors import ConfigError
from fovea.runs import progress
from fovea.runs.cache import Cache
from fovea.runs.plan import PlannedStage
from fovea.runs.plan import plan as plan_of
from fovea.runs.recipe import Recipe, load, stages_of
from fovea.runs.run import (
    DONE_IN_PART,
    ROOT,
    Run,
    all_runs,
    execute,
    fresh_folder,
    newest_of,
    unfinished,
)


def run_options() -> argparse.ArgumentParser:
    """The options of everything that starts a run; `parse_known_args` leaves the settings over."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("the run")
    group.add_argument("--run", type=Path, metavar="FOLDER", help="work in this folder")
    group.add_argument("--root", type=Path, default=ROOT, help="folder of all runs (%(default)s)")
    group.add_argument("--new", action="store_true", help="start anew instead of going on")
    group.add_argument("--no-reuse", action="store_true", help="take nothing from other runs")
    group.add_argument("--jobs", type=_jobs, metavar="N", help="stages at work at once, or cores")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument(
        "--deterministic", action="store_true", help="same numbers each time, or an error"
    )
    group.add_argument("--track", default="", metavar="NAMES", help="tensorboard,wandb,mlflow")
    group.add_argument("--log-format", choices=("auto", "lines", "json"), default="auto")
    group.add_argument("--dry-run", action="store_true", help="only say what would be done")
    return parser


def _jobs(word: str) -> int:
    """A number of stages from the command line; 0 for `cores`, as in a recipe."""
    if word == "cores":
        return 0
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(
            f"give how many stages may work at once, 1 or more, or cores; found {word!r}"
        )
    return int(word)


def carry_out(recipe: Recipe, options: argparse.Namespace) -> int:
    """Run a recipe as the options say, showing how it goes; gives the exit code.

    Raises:
        FoveaError: it could not start, or a stage failed; then its error.
    """
    if options.dry_run:
        return show_plan(recipe, options)
    names = [name for name in options.track.split(",") if name]
    shown = progress.display(options.log_format)
    try:
        run = execute(
            recipe,
            root=options.root,
            folder=options.run,
            new=options.new,
            reuse=not options.no_reuse,
            jobs=options.jobs,
            device=options.device,
            deterministic=options.deterministic,
            track=names,
            watch=shown.show,
        )
    finally:
        shown.close()
    return conclude(run, as_json=options.log_format == "json")


def conclude(run: Run, *, as_json: bool = False) -> int:
    """Say how a run ended, and give its exit code."""
    if not as_json:
        console.say(progress.summary(run))
    run.raise_failure()
    for stage in run.failures:
        if stage.error and not as_json:
            console.warn(f"{stage.key}: {stage.error.message}")
    for stage in run.stages:
        for problem in stage.problems if not as_json else ():
            console.warn(f"{stage.key}: {problem}")
    if run.state in ("interrupted", "cancelled") and not as_json:
        console.say(f"Stopped. 'fovea resume {run.folder}' goes on.")
    return run.exit_code


def run(arguments: list[str]) -> int:
    """`fovea run RECIPE stage.key=value ...`."""
    parser = argparse.ArgumentParser(
        prog="fovea run", description=run.__doc__, parents=[run_options()], allow_abbrev=False
    )
    parser.add_argument("recipe", help="a recipe's name, or its .yaml file")
    parser.add_argument("settings", nargs="*", help="stage.key=value, vars.name=value")
    options, flags = parser.parse_known_args(arguments)
    for note in catalog.stray_variables(os.environ):
        console.warn(note)
    return carry_out(load(options.recipe, [*options.settings, *joined(flags)]), options)


def resume(arguments: list[str]) -> int:
    """`fovea resume FOLDER`: go on with a run, with the settings it has."""
    parser = argparse.ArgumentParser(
        prog="fovea resume", description=resume.__doc__, parents=[run_options()], allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, nargs="?", help="the run; else the newest unfinished")
    options = parser.parse_args(arguments)
    options.run = Run.open(options.folder or options.run or _newest_unfinished(options.root)).folder
    return carry_out(load(options.run / "config.yaml", environment={}), options)


def plan(arguments: list[str]) -> int:
    """`fovea plan RECIPE stage.key=value ...`: say what a run would do, and why."""
    return run([*arguments, "--dry-run"])


def demo(arguments: list[str]) -> int:
    """`fovea demo`: run the recipe `demo`, then say where its page is."""
    parser = argparse.ArgumentParser(
        prog="fovea demo", description=demo.__doc__, parents=[run_options()], allow_abbrev=False
    )
    options, flags = parser.parse_known_args(arguments)
    return _carry_out_and_show(load("demo", joined(flags)), options)


def short(name: str, path: str, arguments: list[str]) -> int:
    """Run the recipe of that name on one path, and say where its page is.

    `vars.path` is the path. A setting whose first word is no stage is one of the first stage.
    """
    parser = argparse.ArgumentParser(prog="fovea", parents=[run_options()], allow_abbrev=False)
    options, flags = parser.parse_known_args(arguments)
    stages = list(stages_of(RECIPES / f"{name}.yaml"))
    words = [
        word if re.split(r"[.=\[]", word)[0] in (*stages, "vars") else f"{stages[0]}.{word}"
        for word in joined(flags)
    ]
    quoted = json.dumps(path, ensure_ascii=False)
    return _carry_out_and_show(load(name, [f"vars.path={quoted}", *words]), options)


def _carry_out_and_show(recipe: Recipe, options: argparse.Namespace) -> int:
    code = carry_out(recipe, options)
    if code in (0, DONE_IN_PART) and not options.dry_run:
        _show_page(options.run or newest_of(options.root, recipe.name))
    return code


def doctor(arguments: list[str]) -> int:
    """`fovea doctor`: what this machine has and what is missing."""
    from fovea.runs import doctor as checks

    return checks.main(arguments)


def runs(arguments: list[str]) -> int:
    """`fovea runs ls|show|diff|rm|gc|export`."""
    from fovea.runs import shelf

    return shelf.main(arguments)


def show_plan(recipe: Recipe, options: argparse.Namespace) -> int:
    """Print what a run would do with each stage."""
    root = options.run.absolute().parent if options.run else options.root
    folder = options.run or (None if options.new else unfinished(root, recipe))
    planned = plan_of(
        recipe,
        folder or fresh_folder(root, recipe.name),
        Cache(root),
        reuse=not options.no_reuse,
        before=newest_of(root, recipe.name),
    )
    title = (
        f"{recipe.name}: goes on in {folder}" if folder else f"{recipe.name}: a new run in {root}"
    )
    console.answer(
        f"{title}\n" + "\n".join(map(_plan_line, planned)), [_as_data(p) for p in planned]
    )
    return 0


def _plan_line(stage: PlannedStage) -> str:
    begins = f" from step {stage.from_step}" if stage.from_step is not None else ""
    makes = ", ".join(output.path for output in stage.step.stage.outputs.values())
    notes = "".join(f"\n{'':14}note: {note}" for note in stage.notes)
    action = "reuse" if stage.action == "link" else stage.action
    return f"  {stage.step.key:12}{action}{begins}: {stage.why}\n{'':14}makes {makes}{notes}"


def _as_data(stage: PlannedStage) -> dict[str, Any]:
    return {
        "key": stage.step.key,
        "use": stage.step.use,
        "action": stage.action,
        "why": stage.why,
        "from_step": stage.from_step,
        "fingerprint": stage.fingerprint,
        "outputs": {name: str(path) for name, path in stage.outputs.items()},
        "notes": stage.notes,
    }


def joined(flags: list[str]) -> list[str]:
    """`--fit.iterations 300` as `fit.iterations=300`; what is in that form already stays.

    Raises:
        ConfigError: a flag has no value.
    """
    found: list[str] = []
    words = list(flags)
    while words:
        word = words.pop(0).removeprefix("--")
        if "=" not in word:
            if not words or (words[0].startswith("--") and "." in words[0]):
                raise ConfigError(f"'{word}' has no value. Write {word}=VALUE.")
            word = f"{word}={words.pop(0)}"
        found.append(word)
    return found


def _newest_unfinished(root: Path) -> Path:
    ended = ("done", "cancelled")
    found = [run.folder for run in all_runs(root) if run.manifest["state"] not in ended]
    return found[-1] if found else root


def _show_page(folder: Path | None) -> None:
    if folder and importlib.util.find_spec("fovea.viewer.page"):
        page = importlib.import_module("fovea.viewer.page").export(folder)
        console.say(f"Look at it: {page}")
