"""Studies from Python, and in a notebook: `fovea.tune(...)` gives one with rows and pictures.

study = fovea.tune("study.yaml", trials=30)
study.best, study.trials, study.plot_history()
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fovea import console, dialect
from fovea.errors import ConfigError
from fovea.runs.durable import write_text
from fovea.tuning.ending import Ending
from fovea.tuning.history import Record
from fovea.tuning.report import pictures
from fovea.tuning.report.page import page, standing_alone
from fovea.tuning.report.view import View
from fovea.tuning.study import ROOT
from fovea.tuning.study import Study as Folder


def tune(
    study: Path | str | Mapping[str, Any],
    *changes: str,
    folder: Path | str | None = None,
    run: bool = True,
    quiet: bool = False,
    **settings: Any,
) -> Study:
    """Begin a study, or go on with it, and give it back with what came of it.

    Args:
        study: a study file, its name among those of the package, or its content as a mapping.
        changes: over it, as they would be typed: `search.seed=3`.
        folder: of the study, `studies/NAME` when left out.
        run: whether trials are run; false only opens it.
        quiet: whether no line is said for each trial.
        settings: `trials`, `timeout`, `workers`, or any group of the study file: `search={...}`.

    Raises:
        ConfigError: something in it is wrong.
    """
    from fovea.tuning.plan import load
    from fovea.tuning.verbs import said

    path, given = _file(study, folder), dict(_changes(changes))
    for short, name in (("trials", "budget.trials"), ("timeout", "budget.timeout")):
        if short in settings:
            given[name] = settings.pop(short)
    if "workers" in settings:
        given["resources.workers"] = settings.pop("workers")
    plan = load(path, given | settings)
    made = Folder.create(plan, Path(folder) if folder else None)
    if not run:
        return Study(made)

    def tell(record: Record) -> None:
        if not quiet:
            said.ended(made, plan.goal, record)

    ending = made.run(plan, tell=tell)
    if not quiet:
        console.say(f"{ending.reason}.")
    return Study(made, ending)


def opened(folder: Path | str) -> Study:
    """The study in a folder, to look at.

    Raises:
        ArtifactError: there is none.
    """
    return Study(Folder.open(Path(folder)))


class Picture:
    """A picture of a study: shows itself in a notebook, and can be saved."""

    def __init__(self, heading: str, text: str, markup: str) -> None:
        self.heading, self.text, self.markup = heading, text, markup

    def __repr__(self) -> str:
        return f"Picture({self.heading!r}): .save('picture.svg'), or shown in a notebook"

    def _repr_html_(self) -> str:
        return standing_alone(f"<p>{escape(self.text)}</p>{self.markup}")

    def save(self, path: Path | str) -> Path:
        """Write it as an SVG that stands alone, or as a page where the name ends in .html.

        Raises:
            ConfigError: it is no single picture, and cannot be one SVG.
        """
        path = Path(path)
        if path.suffix == ".html":
            write_text(path, f"<!doctype html><meta charset=utf-8>{self._repr_html_()}")
            return path
        if self.markup.count("<svg ") != 1:
            raise ConfigError(
                f"{self.heading} is {self.markup.count('<svg ')} pictures; save it as "
                f"{path.with_suffix('.html')}, or take one of them."
            )
        from fovea.tuning.report.page import style

        start = self.markup.index(">", self.markup.index("<svg ")) + 1
        head = self.markup[: start - 1].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
        look = f"{style()} svg {{ background: var(--card); font-family: system-ui, sans-serif; }}"
        write_text(path, f"{head}><style>{look}</style>{self.markup[start:]}")
        return path


class Study:
    """A study: its trials, its best, its pictures. Shows itself in a notebook."""

    def __init__(self, folder: Folder, ending: Ending | None = None) -> None:
        self.study = folder
        """The study as the command line knows it."""
        self.ending = ending
        """Why it stopped working; None where it was only opened."""

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.study.folder

    @property
    def records(self) -> list[Record]:
        """All trials, as they stand in the storage."""
        return self.study.records

    @property
    def trials(self) -> Any:
        """A row a trial: a pandas DataFrame where pandas is installed, else a list of mappings."""
        goals = [goal.metric for goal in self.study.goals]
        rows = [_row(record, goals) for record in self.records]
        if importlib.util.find_spec("pandas") is None:
            return rows
        return importlib.import_module("pandas").DataFrame(rows)

    @property
    def best(self) -> Record | None:
        """The best trial by the first goal; None where none is complete."""
        return self.study.best

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best trial; empty where none is complete."""
        best = self.best
        return dict(best.parameters) if best else {}

    @property
    def front(self) -> list[Record]:
        """The trials that no other beats in every goal."""
        return self._view().front

    @property
    def importances(self) -> dict[str, float]:
        """How much of the goal each parameter decides."""
        return self._view().importances

    def write_best(self, path: Path | str | None = None, *, pick: str | None = None) -> str:
        """Write a trial as a file that runs by itself; says the command that runs it."""
        from fovea.tuning.best import picked, write_best

        return write_best(self.study, picked(self.study, pick), Path(path) if path else None)

    def report(self, path: Path | str | None = None) -> Path:
        """Write the page; says where."""
        from fovea.tuning.report import write_report

        return write_report(self.study, Path(path) if path else None)

    def close(self) -> None:
        """Let go of the storage."""
        self.study.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Pictures

    def plot_history(self) -> Picture:
        """The goal by trial, and the best so far."""
        return self._picture(pictures.history_)

    def plot_curves(self) -> Picture:
        """The goal while the trials ran."""
        return self._picture(pictures.curves)

    def plot_importances(self) -> Picture:
        """How much each parameter decides."""
        return self._picture(pictures.importances)

    def plot_slices(self) -> Picture:
        """The goal by each parameter."""
        return self._picture(pictures.slices)

    def plot_contour(self) -> Picture:
        """The most important parameters against each other, with ranks."""
        return self._picture(pictures.contour)

    def plot_parallel(self) -> Picture:
        """All parameters at once."""
        return self._picture(pictures.parallel)

    def plot_timeline(self) -> Picture:
        """When trials worked."""
        return self._picture(pictures.timeline)

    def plot_front(self) -> Picture:
        """The goals against each other; several goals only."""
        return self._picture(pictures.front)

    def plot_hypervolume(self) -> Picture:
        """What the front covers, by trial; several goals only."""
        return self._picture(pictures.hypervolume)

    def __repr__(self) -> str:
        goals = ", ".join(f"{'max' if g.is_max else 'min'} {g.metric}" for g in self.study.goals)
        best, count = self.best, len(self.records)
        shown = f", best trial {best.number}: {best.values[0]:.6g}" if best else ""
        return f"Study({self.study.file.study!r}, {goals}, {count} trials{shown})"

    def _repr_html_(self) -> str:
        """The page's first part and its history."""
        from fovea.tuning.report import parts

        view = self._view()
        shown = [parts.head(view), parts.leaders(view)]
        shown.append(f"<section>{pictures.history_(view).svg}</section>")
        return standing_alone("".join(shown))

    def page(self) -> str:
        """The whole page, as text."""
        return page(self._view())

    def _view(self) -> View:
        return View.of(self.study)

    def _picture(self, make: Callable[[View], pictures.Picture]) -> Picture:
        made = make(self._view())
        return Picture(made.heading, made.text, made.svg)


def _row(record: Record, goals: Sequence[str]) -> dict[str, Any]:
    values = dict(zip(goals, record.values, strict=False))
    row: dict[str, Any] = {"trial": record.number, "state": record.state}
    row |= {goal: values.get(goal) for goal in goals}
    row |= {f"params.{name}": value for name, value in record.parameters.items()}
    return row | {
        "seconds": record.seconds,
        "failure": record.failure,
        "folder": record.folder,
        "baseline": record.is_baseline,
    }


def _file(study: Path | str | Mapping[str, Any], folder: Path | str | None) -> Path:
    """The study file; a mapping is written down where the study will be."""
    from fovea.tuning.definition import locate

    if not isinstance(study, Mapping):
        return locate(study)
    name = str(study.get("study", ""))
    if not name:
        raise ConfigError("a study needs a name; add study: my-study to the mapping.")
    place = Path(folder) if folder else ROOT / name
    place.mkdir(parents=True, exist_ok=True)
    path = place / "asked.yaml"
    write_text(path, dialect.dump(json.loads(json.dumps(dict(study)))))
    return path


def _changes(words: Sequence[str]) -> list[tuple[str, Any]]:
    pairs = [word.removeprefix("--").partition("=") for word in words]
    return [(name, dialect.parse(text)) for name, _, text in pairs]
