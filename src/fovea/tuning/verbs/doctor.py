"""`fovea tune doctor`: what would waste the trials of a study, said before the first."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea import console
from fovea.tuning.verbs import VERBS, words

if TYPE_CHECKING:
    from fovea.tuning.plan import Plan

GB = 1e9


@dataclass(frozen=True)
class Advice:
    """One thing that is odd, and what to do."""

    about: str
    text: str


def main(arguments: list[str]) -> int:
    """Check the file, then say what is odd about it on this machine."""
    parser = words.parser("doctor", VERBS["doctor"].summary)
    words.add_study(parser)
    parser.add_argument("--allow-new", action="store_true", help="as of `fovea tune`")
    options = parser.parse_intermixed_args(arguments)
    plan = words.load_plan(options)
    folder = words.folder_of(options, plan.file.study)
    found = [one for check in CHECKS for one in check(plan, folder)]
    lines = [f"!!  {one.about:9} {one.text}" for one in found]
    if not found:
        lines = [f"ok  {plan.file.study}, of {plan.use}: nothing would waste its trials."]
    console.answer("\n".join(lines), [vars(one) for one in found])
    return 0


def _notes(plan: Plan, folder: Path) -> Iterator[Advice]:
    """What the check of the file has found odd."""
    for note in plan.notes:
        yield Advice("file", note)


def _split(plan: Plan, folder: Path) -> Iterator[Advice]:
    from fovea.tuning.report.view import is_of_test

    settings = plan.target.base.data | dict(plan.space.fixed)
    for goal in plan.goals:
        # A name that begins with test/ has its note already.
        if is_of_test(goal.metric, settings) and not goal.metric.startswith("test/"):
            yield Advice(
                "goal",
                f"{goal.metric} is measured on the test split, so the winner is picked on it; "
                "take a validation split, and judge the winner on data no trial has seen.",
            )


def _trackers(plan: Plan, folder: Path) -> Iterator[Advice]:
    from fovea.tuning.tracks.doubles import reported_by_trainer
    from fovea.tuning.tracks.follow import PACKAGES
    from fovea.tuning.tracks.sync import has_key

    track = plan.file.track
    own = reported_by_trainer(plan.target, dict(plan.space.fixed))
    for name in track.wanted:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            yield Advice(
                "track",
                f"{name} needs the package {PACKAGES[name]}, which is not installed, and is left "
                f"out. pip install 'fovea-vision[{name}]'.",
            )
        elif name in own:
            yield Advice(
                "track",
                f"the trainer reports to {name} itself (report_to); the study's own record is left "
                "out, so that no trial is listed twice. Say report_to: none to have the study's.",
            )
    if track.wandb and track.wandb.mode == "online" and not has_key():
        yield Advice(
            "track",
            "wandb is to be online, and no key is in WANDB_API_KEY or ~/.netrc: nothing would be "
            "sent. Run 'wandb login', or say mode: offline and 'fovea track sync' later.",
        )


def _search(plan: Plan, folder: Path) -> Iterator[Advice]:
    from fovea.tuning import pruner, sampler

    file, trials = plan.file, plan.file.budget.trials
    for package in sampler.PACKAGES.get(file.search.method, ()):
        if importlib.util.find_spec(package) is None:
            yield Advice(
                "search", f"{file.search.method} needs {package}. Run: pip install {package}."
            )
    if trials is None:
        return
    learns = file.search.method in ("bayesian", "gp", "cmaes", "auto")
    if learns and file.search.startup >= trials:
        yield Advice(
            "search",
            f"the first {file.search.startup} trials are random (search.startup), and the budget "
            f"is {trials}: nothing is ever learnt. Lower startup or raise budget.trials.",
        )
    rule = pruner.method_of(file.prune, goals=len(plan.goals))
    if rule in ("median", "percentile") and file.prune.startup >= trials:
        yield Advice(
            "prune",
            f"{rule} waits for {file.prune.startup} finished trials (prune.startup), and the "
            f"budget is {trials}: nothing is ever pruned.",
        )


def _machine(plan: Plan, folder: Path) -> Iterator[Advice]:
    from fovea.runs.device import cores, gpus

    resources, have = plan.file.resources, len(gpus())
    wanted = resources.workers * resources.gpus_per_trial
    if have and resources.executor == "local" and wanted > have:
        yield Advice(
            "resources",
            f"{resources.workers} workers with {resources.gpus_per_trial} GPUs each want {wanted}, "
            f"and there are {have}: {wanted - have} would wait. Take fewer workers.",
        )
    if not have and resources.workers > cores():
        yield Advice(
            "resources",
            f"{resources.workers} workers share {cores()} cores, so that each trial takes longer "
            "and time limits strike. Take fewer workers.",
        )


def _patience(plan: Plan, folder: Path) -> Iterator[Advice]:
    rules = plan.file.trial
    if plan.file.target.command is not None and rules.timeout is None and rules.stall is None:
        yield Advice(
            "trial",
            "a command that hangs would hold the study for ever; add trial: {stall: 30m} or a "
            "timeout.",
        )


def _disk(plan: Plan, folder: Path) -> Iterator[Advice]:
    """Whether the disk holds what the trials to come will leave, going by those that were."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < plan.file.resources.min_free:
        yield Advice(
            "disk",
            f"{free / GB:.1f} GB are free at {place}, less than resources.min_free "
            f"({plan.file.resources.min_free / GB:.1f} GB): no trial would begin. Make room.",
        )
        return
    done = [one for one in (folder / "trials").glob("*") if (one / "result.json").is_file()]
    left = (plan.file.budget.trials or 0) - len(done)
    if done and left > 0:
        size = sum(p.stat().st_size for one in done for p in one.rglob("*") if p.is_file())
        wanted = size / len(done) * left
        if wanted > free:
            yield Advice(
                "disk",
                f"{left} trials of {size / len(done) / GB:.2f} GB each are to come, and "
                f"{free / GB:.1f} GB are free. Make room, or say trial: {{keep: best:1}}.",
            )


CHECKS: tuple[Callable[[Plan, Path], Iterator[Advice]], ...] = (
    _notes, _split, _trackers, _search, _machine, _patience, _disk,
)  # fmt: skip
