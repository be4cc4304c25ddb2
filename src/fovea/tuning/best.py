"""Which trial is best, and its settings as a file that runs by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.errors import ArtifactError, ConfigError
from fovea.runs.durable import write_text
from fovea.tuning import history

if TYPE_CHECKING:
    from fovea.tuning.history import Record
    from fovea.tuning.study import Study


def write_best(study: Study, record: Record, path: Path | None = None) -> str:
    """Write a trial so that it runs by itself, `best.yaml`; says the command that runs it.

    Raises:
        ArtifactError: the trial's folder is gone.
    """
    path = path or study.folder / "best.yaml"
    head = heading(study, record)
    if study.file.target.command is not None:
        from fovea.tuning.foreign import best

        return best.write(study.folder, study.trial_folder(record), path, head)
    recipe = study.recipe_of(record)
    write_text(path, "\n".join([*head, f"# fovea run {path}", recipe.to_yaml()]))
    return f"fovea run {path}"


def heading(study: Study, record: Record) -> list[str]:
    """Where the settings come from, as comments: study, trial, values, seeds, date."""
    values = [f"{g.metric} = {v:.9g}" for g, v in zip(study.goals, record.values, strict=True)]
    seeds: Any = record.about.get("seeds")
    by = f", over seeds {', '.join(map(str, seeds))}" if seeds and len(seeds) > 1 else ""
    day = time.strftime("%Y-%m-%d", time.localtime(record.ended or time.time()))
    return [f"# {study.file.study}, trial {record.number}: {', '.join(values)}{by}; {day}"]


def picked(study: Study, how: str | None) -> Record:
    """The trial that a person means.

    Args:
        study: it is looked for here.
        how: `knee`, `metric:NAME` or `trial:N`; None is the best of a single goal.

    Raises:
        ArtifactError: no trial is complete.
        ConfigError: there is no such trial or goal, or several goals and no word which.
    """
    records, goals = study.records, study.goals
    front = history.front(records, goals)
    if not front:
        raise ArtifactError(
            f"{study.folder} has no complete trial yet among {len(records)}. "
            f"'fovea tune {study.folder}' goes on."
        )
    kind, _, word = (how or "").partition(":")
    names = [goal.metric for goal in goals]
    if kind == "trial":
        return _numbered(study, word)
    if kind == "metric" and word in names:
        at = names.index(word)
        return (max if goals[at].is_max else min)(front, key=lambda record: record.values[at])
    if how is None and len(goals) == 1:
        return front[0]
    if kind == "knee" and (found := history.knee(records, goals)):
        return found
    if how is not None:
        raise ConfigError(
            f"--pick {how} says no trial of {study.folder}. Say knee, trial:{front[0].number}, "
            f"or metric: with one of {', '.join(names)}."
        )
    listed = "\n".join(
        f"  trial {r.number}: "
        + ", ".join(f"{g.metric} {v:.6g}" for g, v in zip(goals, r.values, strict=True))
        for r in front
    )
    raise ConfigError(
        f"there are {len(goals)} goals, and none of these trials beats all others:\n{listed}\n"
        "Say which: --pick knee, --pick metric:NAME or --pick trial:N."
    )


def _numbered(study: Study, word: str) -> Record:
    found = next((r for r in history.complete(study.records) if str(r.number) == word), None)
    if found is None:
        raise ConfigError(
            f"trial {word} of {study.folder} is not complete; 'fovea tune status {study.folder}' "
            "lists them."
        )
    return found
