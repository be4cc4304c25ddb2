"""One piece of work of a stage: an ordinary run with some settings chosen, here or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fovea.config import to_yaml
from fovea.runs.durable import write_text
from fovea.runs.recipe import Recipe
from fovea.runs.record import StageRecord
from fovea.runs.run import Run, execute
from fovea.tuning.outcome import OUT_OF_MEMORY, Outcome, answer, ended_by
from fovea.tuning.plan import Plan
from fovea.tuning.target import StageTarget
from fovea.tuning.watch import Watch


def run(
    plan: Plan,
    target: StageTarget,
    settings: Mapping[str, Any],
    folder: Path,
    number: int,
    watch: Watch,
) -> Outcome:
    """Run the stage in the trial's folder, followed by the watch.

    Raises:
        ConfigError: the stage does not take these settings.
    """
    source = f"study {plan.file.study} #{number}"
    recipe = target.recipe_of(target.config_of(settings, source=source).config)
    write_text(folder / "config.yaml", to_yaml(recipe.steps[0].config))
    write_text(folder / "command.txt", f"{_command(target, folder)}\n", is_synced=False)
    done = _done(plan, recipe, folder, watch)
    return done if isinstance(done, Outcome) else _outcome(plan, done, watch)


def _done(plan: Plan, recipe: Recipe, folder: Path, watch: Watch) -> Run | Outcome:
    """The run at its end; an outcome where that was lost on a cluster."""
    if plan.file.resources.executor == "ray":
        from fovea.tuning import remote

        return remote.execute(plan, recipe, folder, watch)
    return execute(
        recipe,
        folder=folder / "run",
        isolation=plan.file.trial.isolation,
        watch=watch,
        asked_to_stop=watch.asked_to_stop,
    )


def _command(target: StageTarget, folder: Path) -> str:
    if ":" in target.use:
        return f"fovea run {folder / 'run' / 'recipe.yaml'}"
    return f"fovea {target.name.replace('.', ' ')} --config {folder / 'config.yaml'}"


def _outcome(plan: Plan, done: Run, watch: Watch) -> Outcome:
    """What a run's end means for the study."""
    stage = done.stages[0]
    if done.state == "done":
        watch.finish()
        watch.latest |= stage.scores
        return answer(plan, stage.scores, watch, seen=sorted(watch.latest))
    if watch.reason == "interrupted" or (done.state != "failed" and not watch.reason):
        number = done.manifest.get("signal") or 0
        return Outcome("interrupted", failure="interrupted", signal=number)
    if watch.reason:
        return ended_by(plan, watch)
    code, message = (stage.error.code, stage.error.message) if stage.error else ("error", "")
    is_memory = code == "oom" or any(sign in message for sign in OUT_OF_MEMORY)
    if not is_memory:
        return Outcome("failed", failure=code, message=message)
    record = StageRecord.read(stage.folder)
    peak_mb = record.peak.get("rss_mb") if record is not None else None
    return Outcome("failed", failure="oom", message=message, peak_mb=peak_mb)
