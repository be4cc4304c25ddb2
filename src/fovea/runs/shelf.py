"""Looking at runs: list, show, compare, export, and remove what is not needed any more."""

from __future__ import annotations

import argparse
import csv
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea import console, dialect
from fovea.errors import ArtifactError, BusyError, ConfigError
from fovea.runs import progress, tracking
from fovea.runs.durable import discard
from fovea.runs.lock import is_held
from fovea.runs.record import StageRecord, size_of
from fovea.runs.run import ROOT, Run, all_runs

LAST = "last"
DAY_S = 86400.0


def main(words: list[str]) -> int:
    """`fovea runs ls|show|diff|rm|gc|export`."""
    options = _parser().parse_args(words)
    action: Callable[[argparse.Namespace], None] = options.action
    action(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fovea runs", description=main.__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of all runs (%(default)s)")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    named = {"run": "a folder, its name or the end of it, or 'last'"}

    def verb(name: str, action: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        inner = verbs.add_parser(name, help=action.__doc__, description=action.__doc__)
        inner.set_defaults(action=action)
        # As of `fovea runs` itself, so that it may stand on either side of the verb.
        inner.add_argument(
            "--root", type=Path, default=argparse.SUPPRESS, help="folder of all runs"
        )
        return inner

    verb("ls", ls)
    verb("show", show).add_argument("run", nargs="?", default=LAST, help=named["run"])
    compared = verb("diff", diff)
    compared.add_argument("run", help=named["run"])
    compared.add_argument("other", nargs="?", default=LAST, help=named["run"])
    verb("rm", rm).add_argument("run", nargs="+", help=named["run"])
    collector = verb("gc", gc)
    collector.add_argument("--older-than", type=float, default=7, metavar="DAYS", help="(7)")
    collector.add_argument("--apply", action="store_true", help="remove it; else only list it")
    exporter = verb("export", export)
    exporter.add_argument("run", nargs="?", default=LAST, help=named["run"])
    exporter.add_argument("--to", default="zip", help="zip, csv, tensorboard, wandb or mlflow")
    exporter.add_argument("--out", type=Path, help="the file to write, for zip and csv")
    return parser


def find(name: str, root: Path) -> Run:
    """The run of that name: a folder, a folder's name in `root` or the end of one, or `last`.

    Raises:
        ArtifactError: there is none, or several.
    """
    if (Path(name) / "run.json").is_file():
        return Run.open(name)
    runs = all_runs(root)
    fitting = runs[-1:] if name == LAST else [r for r in runs if r.folder.name.endswith(name)]
    if len(fitting) != 1:
        found = ", ".join(run.folder.name for run in (fitting or runs)[-6:]) or "none"
        many = "fits several runs" if fitting else "is no run"
        raise ArtifactError(f"'{name}' {many} in {root}. The newest there: {found}.")
    return fitting[0]


def ls(options: argparse.Namespace) -> None:
    """List the runs, the newest last."""
    rows: list[tuple[str, ...]] = []
    for run in all_runs(options.root):
        stages = run.stages
        done = sum(stage.state == "done" for stage in stages)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.manifest["started"]))
        took = progress.duration(sum(stage.seconds for stage in stages if not stage.reused_from))
        scores = progress.scores_text(([s.scores for s in stages if s.scores] or [{}])[-1])
        rows.append(
            (run.folder.name, run.state, f"{done}/{len(stages)}", when, took, scores.strip())
        )
    if not rows and not console.style.as_json:
        console.say(f"No runs in {options.root} yet. 'fovea demo' makes one.")
        return
    console.table(("run", "state", "stages", "started", "work", "scores"), rows)


def show(options: argparse.Namespace) -> None:
    """Show a run: what it made, how long it took, its scores, and what went wrong."""
    run = find(options.run, options.root)
    lines = [progress.summary(run)]
    for stage in run.stages:
        if stage.error and stage.state != "done":
            lines += ["", f"{stage.key}: {stage.error.message}"]
            lines += [f"  | {line}" for line in stage.error.tail.splitlines()[-12:]]
    console.answer("\n".join(lines), run.manifest)


def diff(options: argparse.Namespace) -> None:
    """Compare two runs: the settings and scores in which they differ."""
    pair = [find(name, options.root) for name in (options.run, options.other)]
    columns: list[dict[str, str]] = []
    for run in pair:
        settings = tracking.settings_of(run)
        values = {f"{key}.{n}": v for key, s in settings.items() for n, v in _leaves(s)}
        for stage in run.stages:
            values |= {f"{stage.key}: {n}": progress.number(v) for n, v in stage.scores.items()}
        columns.append(values)
    first, second = columns
    rows = [
        (name, first.get(name, "-"), second.get(name, "-"))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]
    if not rows and not console.style.as_json:
        console.say("The settings and scores are the same.")
        return
    console.table(("", pair[0].folder.name, pair[1].folder.name), rows)


def rm(options: argparse.Namespace) -> None:
    """Remove runs. What other runs took over from them stays with those."""
    for run in [find(name, options.root) for name in options.run]:
        if is_held(run.folder):
            raise BusyError(f"{run.folder} is at work, and cannot be removed. Stop it first.")
        freed = size_of(run.folder)
        discard(run.folder)
        console.say(f"removed {run.folder} ({progress.size(freed)})")


@dataclass(frozen=True)
class Waste:
    """Something that can go, and why."""

    path: Path
    why: str
    size: int


def gc(options: argparse.Namespace) -> None:
    """List what can go: old unfinished runs, former settings, checkpoints of done stages."""
    found = [
        waste
        for run in all_runs(options.root)
        if not is_held(run.folder)
        for waste in _wasted(run, time.time() - options.older_than * DAY_S)
    ]
    found += _never_begun(options.root)
    for waste in found if options.apply else ():
        discard(waste.path)
    if not console.style.as_json:
        total = progress.size(sum(waste.size for waste in found))
        verb = "removed" if options.apply else "can go; --apply removes it"
        console.say(f"{total} {verb}")
    rows = [(waste.path, progress.size(waste.size), waste.why) for waste in found]
    if rows or console.style.as_json:
        console.table(("folder", "size", "why"), rows)


def _never_begun(root: Path) -> list[Waste]:
    """Folders of runs that were killed before they had written anything."""
    return [
        Waste(lock.parent, "killed before it began", size_of(lock.parent))
        for lock in sorted(root.glob("*/run.lock"))
        if not (lock.parent / "run.json").is_file() and not is_held(lock.parent)
    ]


def _wasted(run: Run, before: float) -> Iterator[Waste]:
    manifest = run.manifest
    if (manifest["ended"] or manifest["started"]) > before:
        return
    if manifest["state"] != "done":
        yield Waste(run.folder, f"{run.state}, and old", size_of(run.folder))
        return
    current = {stage.folder for stage in run.stages}
    for folder in sorted((run.folder / "stages").iterdir()):
        if folder not in current:
            yield Waste(folder, "made with former settings", size_of(folder))
        elif (folder / "ckpt").is_dir():
            record = StageRecord.read(folder)
            if record and record.state == "done":
                size = size_of(folder / "ckpt")
                yield Waste(folder / "ckpt", "checkpoints of a finished stage", size)


def export(options: argparse.Namespace) -> None:
    """Give a run away: as a zip, its numbers as CSV, or told anew to a tracker."""
    run = find(options.run, options.root)
    if options.to in tracking.KINDS:
        tracking.replay(run, options.to)
        console.say(f"told {options.to} about {run.folder.name}")
        return
    writers = {"zip": write_zip, "csv": write_csv}
    if options.to not in writers:
        known = ", ".join([*writers, *tracking.KINDS])
        raise ConfigError(f"--to '{options.to}' is not known. Choose one of: {known}.")
    path: Path = options.out or Path(f"{run.folder.name}.{options.to}")
    writers[options.to](run, path)
    console.say(f"wrote {path} ({progress.size(path.stat().st_size)})")


def write_zip(run: Run, path: Path) -> None:
    """Everything but checkpoints and what is in the making."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(run.folder.rglob("*")):
            inside = file.relative_to(run.folder)
            is_private = {"ckpt", "tmp"} & set(inside.parts) or inside.name.startswith("run.lock")
            if file.is_file() and not is_private:
                archive.write(file, Path(run.folder.name) / inside)


def write_csv(run: Run, path: Path) -> None:
    """Every point of every metric, a row each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("stage", "step", "epoch", "time", "metric", "value"))
        for stage in run.stages:
            for point in run.metrics(stage.key):
                for name, value in point["metrics"].items():
                    where = (stage.key, point["step"], point.get("epoch"), point["time"])
                    writer.writerow((*where, name, value))


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    group = dialect.mapping(value)
    for name, inner in group.items():
        yield from _leaves(inner, f"{prefix}.{name}" if prefix else name)
    if not group:
        yield prefix, str(value)
