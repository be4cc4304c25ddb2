"""The target `command`: what a study knows of a foreign trainer before the first trial."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fovea.dialect import Document
from fovea.errors import BackendError, Problem
from fovea.tuning.foreign import adapters, template
from fovea.tuning.foreign.adapters import Adapter
from fovea.tuning.foreign.delivery import Delivery, deliver, laid, placed, read_base
from fovea.tuning.foreign.settings import CommandSettings

AT = "target.command"


@dataclass(frozen=True)
class Command:
    """A foreign trainer, called anew for each trial."""

    settings: CommandSettings
    """With what its adapter fills in."""
    adapter: Adapter
    base: Document
    folder: Path
    """Where the study file lies: relative paths start here."""

    @classmethod
    def read(cls, given: CommandSettings, folder: Path) -> Command:
        """The target of a study file in this folder.

        Raises:
            ConfigError: there is no such adapter, or the base file cannot be read.
        """
        adapter = adapters.find(given.adapter)
        said = given.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        whole = CommandSettings.model_validate(adapters.filled(adapter, said))
        base: dict[str, Any] = {}
        if whole.config is not None and whole.config.base is not None:
            base = read_base(folder / whole.config.base)
        return cls(whole, adapter, Document(base, {}), folder.absolute())

    # What a target tells its study

    @property
    def use(self) -> str:
        """What is tuned, in words."""
        words = [word for word in self.settings.argv or () if "{" not in word]
        return shlex.join(words[:3]) or self.settings.adapter

    name = use

    @property
    def metrics(self) -> Mapping[str, Literal["min", "max"]]:
        """The metrics whose direction is known."""
        return self.adapter.metrics

    @property
    def checkpoints(self) -> str:
        """A glob of what a trial only needs to go on."""
        return "" if self.settings.resume in (None, "none") else str(self.settings.resume)

    def path_problem(self, path: str) -> str:
        """What is wrong with a setting of that name; empty where nothing is."""
        if path in self.adapter.own:
            return f"{path} is each trial's own, and the study sets it; leave it out"
        if self.settings.allow_new or path in placed(self.settings):
            return ""
        if self.settings.config is None and self.settings.args is None:
            return (
                f"{path} is handed to nobody; write {{param:{path}}} into argv or env, or say "
                "args: '--{name}={value}'"
            )
        known = set(self.adapter.known) | set(_paths(self.base.data))
        if not known or path in known or (self.settings.args and not self.adapter.known):
            return ""
        near = difflib.get_close_matches(path, sorted(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{self.use} has no setting {path}{hint} (allow_new: true searches it all the same)"

    def check(self, settings: Mapping[str, Any], *, source: str) -> None:
        """Nothing is known of a foreign trainer's bounds."""

    def defaults(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """The settings below the space, by path."""
        is_flat = self.settings.config is not None and self.settings.config.flat
        below = laid(self.base.data, fixed, flat=is_flat)
        return {path: value for path, value in _leaves(below, is_flat=is_flat)}

    def identity(self) -> dict[str, Any]:
        """What makes it the same target."""
        said = self.settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        called = {name: said.get(name) for name in ("argv", "args", "flag", "env", "config")}
        if called["config"]:  # its base is compared by what stands in it
            called["config"] = {k: v for k, v in called["config"].items() if k != "base"} or None
        return {AT: self.use} | {
            f"{AT}.{name}": str(value) for name, value in called.items() if value is not None
        }

    def portable(self, given: CommandSettings) -> dict[str, Any]:
        """The target as another folder's study file would have to write it."""
        data = given.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if given.config is not None and given.config.base is not None:
            data["config"]["base"] = str(self.folder / given.config.base)
        return data | {"cwd": str(self.cwd)}

    def shown(self, settings: Mapping[str, Any], *, source: str) -> str:
        """The file and the command of a trial with these settings, for people."""
        call = self.delivery(settings, self.places(study="STUDY", number=0, folder=Path("TRIAL")))
        return "\n".join(filter(None, [call.text, f"# {call.line()}"]))

    # Checking

    def problems(self, metrics: list[str], settings: Mapping[str, Any]) -> Iterator[Problem]:
        """What would make every trial fail.

        Args:
            metrics: the names of the objectives.
            settings: a whole example, by path.
        """
        if not self.settings.argv:
            yield Problem(f"{AT}.argv", "missing", "needs a command: [python, train.py]")
        for loc, text in self._templates():
            if trouble := template.problem(text):
                yield Problem(loc, "placeholder", trouble, text)
        for n, source in enumerate(self.settings.metrics or ()):
            yield from _source_problems(f"{AT}.metrics.{n}", source.regex, source.python)
        if not self.settings.metrics:
            text = "needs a place where numbers are: [{jsonl: out/log.jsonl, step: step}]"
            yield Problem(f"{AT}.metrics", "missing", text)
        suffix = Path(self.settings.config.write).suffix if self.settings.config else ".yaml"
        if suffix not in (".yaml", ".yml", ".json"):
            text = f"is written as YAML or JSON; name it trial.yaml, not {suffix or 'without end'}"
            yield Problem(f"{AT}.config.write", "suffix", text)
        for trouble in self.adapter.problems(settings, metrics):
            yield Problem(f"{AT}.config.base", "needed", trouble)

    def notes(self, metrics: list[str], settings: Mapping[str, Any]) -> Iterator[str]:
        """What is odd."""
        yield from self.adapter.notes(settings, metrics)
        words = [*(self.settings.argv or ()), *self.settings.env.values()]
        if self.settings.config is not None and not any("{config}" in word for word in words):
            yield "A settings file is written for each trial, and no word of argv says {config}."
        for metric in metrics:
            if not any(_may_give(s.take, s.rename, metric) for s in self.settings.metrics or ()):
                yield f"No metric source gives {metric}: each has its `take`, and none takes it."

    def require(self) -> None:
        """Make sure that the command can be called.

        Raises:
            BackendError: it is not there.
        """
        program = template.fill((self.settings.argv or ("",))[0], {}, {})
        path = os.pathsep.join(
            filter(None, [self.settings.env.get("PATH"), os.environ.get("PATH")])
        )
        found = shutil.which(program, path=path)
        if found is None and not os.access(self.cwd / program, os.X_OK):
            raise BackendError(
                f"the command {program} is not found, or may not be run. Install it, activate its "
                "environment, or write its whole path into target.command.argv."
            )

    # Calling

    @property
    def cwd(self) -> Path:
        """Where it works."""
        return self.folder / (self.settings.cwd or ".")

    def places(
        self, *, study: str, number: int, folder: Path, gpu: str = "", port: int = 0, seed: int = 0
    ) -> dict[str, Any]:
        """What the placeholders of a trial stand for."""
        return {
            "study": study,
            "number": f"{number:04d}",
            "trial_dir": str(folder),
            "gpu": gpu,
            "port": port,
            "seed": seed,
        }

    def delivery(
        self, settings: Mapping[str, Any], places: Mapping[str, Any], config: Path | None = None
    ) -> Delivery:
        """The call of a trial with these settings; its file is `config`, or in its folder."""
        if config is None and self.settings.config is not None:
            config = Path(places["trial_dir"]) / self.settings.config.write
        return deliver(self.settings, self.base.data, settings, places, cwd=self.cwd, config=config)

    def _templates(self) -> Iterator[tuple[str, str]]:
        for n, word in enumerate(self.settings.argv or ()):
            if word != template.ARGS:
                yield f"{AT}.argv.{n}", word
        for name, text in self.settings.env.items():
            yield f"{AT}.env.{name}", text
        for name, value in (self.settings.config.inject if self.settings.config else {}).items():
            if isinstance(value, str):
                yield f"{AT}.config.inject.{name}", value


def _source_problems(loc: str, regex: str | None, python: str | None) -> Iterator[Problem]:
    if python is not None and not re.fullmatch(r"[\w.]+:\w+", python):
        text = f"is named package.module:function; got {python!r}"
        yield Problem(f"{loc}.python", "name", text, python)
    if regex is None:
        return
    try:
        groups = set(re.compile(regex).groupindex)
    except re.error as error:
        yield Problem(f"{loc}.regex", "regex", f"is no regular expression: {error}", regex)
        return
    if not groups - {"step", "epoch", "name"}:
        text = "has no named group with a number; write (?P<step>\\d+) and (?P<loss>[\\d.]+)"
        yield Problem(f"{loc}.regex", "groups", text, regex)


def _may_give(take: tuple[str, ...], rename: Mapping[str, str], metric: str) -> bool:
    return not take or metric in {rename.get(name, name) for name in take}


def _paths(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """All names in nested mappings, groups included."""
    for key, value in data.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")  # pyright: ignore[reportUnknownArgumentType]


def _leaves(
    data: Mapping[str, Any], prefix: str = "", *, is_flat: bool
) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value and not is_flat:
            yield from _leaves(value, f"{prefix}{key}.", is_flat=False)  # pyright: ignore
        else:
            yield f"{prefix}{key}", value
