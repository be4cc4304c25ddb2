"""What a study file says under `target.command`.

Only the schema stands here, and it imports nothing heavy; `adapters.py` fills in what a known
trainer needs, `command.py` checks that it all fits together.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from fovea.config import Config, setting

Kind = Literal["jsonl", "json", "csv", "trainer_state", "tensorboard", "regex", "fovea", "python"]
KINDS: tuple[Kind, ...] = (
    "jsonl", "json", "csv", "trainer_state", "tensorboard", "regex", "fovea", "python",
)  # fmt: skip
CONSOLE = "console.log"


class ConfigFile(Config):
    """The settings file that each trial gets of its own."""

    base: str | None = setting(None, "YAML or JSON file below it, beside the study file")
    write: str = setting("trial.yaml", "its name in the trial's folder, .yaml or .json")
    inject: dict[str, Any] = setting(
        {}, "settings over the base; may hold {trial_dir} and the like"
    )
    flat: bool = setting(False, "whether dots belong to the names and nest nothing")


class MetricSource(Config):
    """One place where the trainer writes numbers: a kind, and its file in the trial's folder."""

    jsonl: str | None = setting(None, "a line of JSON a point")
    json_: str | None = Field(
        default=None, alias="json", description="one JSON object, read when it changes"
    )
    csv: str | None = setting(None, "a column a metric; may be rewritten while it grows")
    trainer_state: str | None = setting(None, "Hugging Face's trainer_state.json; may be a glob")
    tensorboard: str | None = setting(None, "event files of TensorBoard; may be a glob")
    regex: str | None = setting(
        None, "an expression with the groups step, and value and name, or a group a metric"
    )
    fovea: str | None = setting(None, "a run folder of fovea")
    python: str | None = setting(
        None, "`package.module:function`, given the trial's folder, giving points"
    )
    file: str = setting(CONSOLE, "what a regex reads, in the trial's folder")
    step: str = setting("step", "the field that counts")
    take: tuple[str, ...] = setting((), "the fields to take; all numbers when left out")
    rename: dict[str, str] = setting({}, "other names for them, {eval_loss: val/loss}")
    path: str | None = setting(None, "where in a JSON object the numbers stand, a.b.c")
    final: bool = setting(False, "read when the command has ended: its numbers are the result")

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        return next(kind for kind in KINDS if self._of(kind) is not None)

    @property
    def place(self) -> str:
        """What stands behind the kind: a file, a glob, an expression or a function."""
        return self._of(self.kind) or ""

    def _of(self, kind: str) -> str | None:
        return getattr(self, "json_" if kind == "json" else kind)

    @model_validator(mode="after")
    def _is_one_kind(self) -> MetricSource:
        given = [kind for kind in KINDS if self._of(kind) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; got {given or 'none'}")
        return self


class Progress(Config):
    """How far the trainer says it is."""

    jsonl: str = setting(..., "a line of JSON a report")
    percent: str = setting("percentage", "the field with the percentage")


class CommandSettings(Config):
    """An external trainer: how it is called, how it gets its settings, where its numbers are."""

    adapter: str = setting("generic", "what a known trainer needs, filled in: llamafactory, ...")
    argv: tuple[str, ...] | None = setting(None, "the command and its words; no shell reads them")
    cwd: str | None = setting(None, "folder it works in; that of the study file when left out")
    config: ConfigFile | None = setting(None, "a settings file written for each trial")
    args: str | tuple[str, ...] | None = setting(
        None, "one word or more for each setting, `--{name}={value}`"
    )
    flag: bool = setting(
        False, "in args, a true setting is its name alone, a false one is left out"
    )
    env: dict[str, str] = setting({}, "variables of the environment, {LR: '{param:learning_rate}'}")
    metrics: tuple[MetricSource, ...] | None = setting(None, "where its numbers are")
    progress: Progress | None = setting(None, "how far it says it is")
    resume: str | None = setting(
        None,
        "glob of checkpoint folders it goes on from by itself, in the trial's folder, 'none' for "
        "a start from nothing",
    )
    allow_new: bool = setting(False, "whether settings may be searched that nobody has heard of")
