"""What known trainers need, so that a study file only says what it searches.

An adapter fills in `target.command`: how the trainer is called, how its settings are handed over,
where its numbers are, which variables it wants. Each part can be said otherwise in the study file.
Beyond that it knows the trainer's settings and its traps, and says what would waste the trials.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from fovea.dialect import merge
from fovea.errors import ConfigError, Problem
from fovea.tuning.foreign.fields import LLAMAFACTORY, TRAINER

Settings = Mapping[str, Any]
Ways: TypeAlias = Mapping[str, Literal["min", "max"]]
Check = Callable[[Settings, Sequence[str]], Iterator[str]]
"""Given the settings below all trials and the metrics that are looked for, says what is amiss."""


def _nothing(settings: Settings, metrics: Sequence[str]) -> Iterator[str]:
    yield from ()


@dataclass(frozen=True)
class Adapter:
    """A trainer that is known."""

    preset: dict[str, Any]
    """Of `target.command`."""
    words: tuple[str, ...] = ()
    """Added to an argv of one's own, by pairs, where it does not say them itself."""
    known: frozenset[str] = frozenset()
    """All its settings, where that is known."""
    metrics: Ways = field(default_factory=dict[str, Literal["min", "max"]])
    """Those whose direction is known."""
    own: tuple[str, ...] = ()
    """Settings that each trial must have of its own, and no study file may say."""
    problems: Check = _nothing
    notes: Check = _nothing


# Its own reporting goes where the study's does; for W&B and MLflow see `tracks/doubles.py`.
_REPORTING = {"TENSORBOARD_LOGGING_DIR": "{trial_dir}/tb"}
_STATES = [
    {"trainer_state": "out/checkpoint-*/trainer_state.json"},
    {"trainer_state": "out/trainer_state.json"},
]
_LOSSES: Ways = {"loss": "min", "eval_loss": "min", "train_loss": "min"}
_QUALITY: Ways = {"psnr": "max", "ssim": "max", "l1": "min"}
_NUMBER = r"-?(?:\d[\d.]*(?:[eE][-+]?\d+)?|nan|inf)"
EVALUATING = (
    rf"\[ITER (?P<step>\d+)\] Evaluating test:.*?L1[ :]+(?P<l1>{_NUMBER})"
    rf".*?PSNR[ :]+(?P<psnr>{_NUMBER})(?:.*?SSIM[ :]+(?P<ssim>{_NUMBER}))?"
)
"""How scripts in the line of 3D Gaussian Splatting say their scores on the console."""


def _required(settings: Settings, metrics: Sequence[str]) -> Iterator[str]:
    """What LLaMA-Factory cannot do without."""
    if settings.get("do_train") is not True:
        yield "do_train is not true, so nothing would be trained; add do_train: true"
    for name, example in (
        ("model_name_or_path", "a model"),
        ("stage", "sft"),
        ("finetuning_type", "lora"),
        ("template", "qwen"),
        ("dataset", "a name of dataset_info.json"),
    ):
        if settings.get(name) is None:
            yield f"{name} is missing; add {name}: ({example})"


def _evaluated(settings: Settings, metrics: Sequence[str]) -> Iterator[str]:
    """What would leave a study without the metric it looks for."""
    if not any(metric.startswith("eval_") for metric in metrics):
        return
    if str(settings.get("eval_strategy", "no")) in ("no", "False"):
        yield "Nothing is evaluated while training: eval_strategy is no. Fix eval_strategy: steps."
    if not settings.get("val_size") and not settings.get("eval_dataset"):
        yield "There is nothing to evaluate on: give val_size: 0.1, or an eval_dataset."
    sets = settings.get("eval_dataset")
    is_several = len(sets) > 1 if isinstance(sets, list) else "," in str(sets or "")
    if is_several and "eval_loss" in metrics:
        yield "With several eval sets there is no eval_loss, but an eval_<set>_loss for each."


ADAPTERS: dict[str, Adapter] = {
    "generic": Adapter({}),
    # A script that asks for its settings and reports by `fovea.TrialHandle`.
    "handle": Adapter(
        {
            "config": {"write": "trial.yaml"},
            "env": {"FOVEA_TRIAL_CONFIG": "{config}"},
            "metrics": [{"jsonl": "reported.jsonl"}],
        }
    ),
    "llamafactory": Adapter(
        {
            "argv": ["llamafactory-cli", "train", "{config}"],
            # All of it stands in the file: beside a file, words are read as key=value pairs, and
            # `--learning_rate 1e-4` would become two unknown keys.
            "config": {
                "write": "trial.yaml",
                "inject": {"output_dir": "{trial_dir}/out", "report_to": "none"},
            },
            "env": _REPORTING,
            "metrics": [
                {
                    "jsonl": "out/trainer_log.jsonl",
                    "step": "current_steps",
                    "take": [
                        "loss",
                        "eval_loss",
                        "predict_loss",
                        "reward",
                        "accuracy",
                        "lr",
                        "throughput",
                        "total_tokens",
                        "vram_allocated",
                        "vram_reserved",
                    ],
                },
                {"json": "out/all_results.json", "final": True},
            ],
            "progress": {"jsonl": "out/trainer_log.jsonl", "percent": "percentage"},
            "resume": "out/checkpoint-*",
        },
        known=TRAINER | LLAMAFACTORY,
        metrics={**_LOSSES, "eval_accuracy": "max", "accuracy": "max", "reward": "max"},
        own=("output_dir",),
        problems=_required,
        notes=_evaluated,
    ),
    "hf-trainer": Adapter(
        {
            "args": ["--{name}", "{value}"],
            "env": _REPORTING,
            "metrics": [
                {
                    "tensorboard": "tb",
                    "rename": {"train/loss": "loss", "eval/loss": "eval_loss"},
                },
                *_STATES,
                {"json": "out/all_results.json", "final": True},
            ],
        },
        words=("--output_dir", "{trial_dir}/out", "--report_to", "tensorboard"),
        metrics=_LOSSES,
    ),
    "lightning": Adapter(
        {
            "args": "--{name}={value}",
            "metrics": [{"csv": "out/**/metrics.csv"}, {"tensorboard": "out"}],
        },
        words=("--trainer.default_root_dir", "{trial_dir}/out"),
        metrics={"val_loss": "min", "val/AP": "max"},
    ),
    "gsplat": Adapter(
        {
            "args": ["--{name}", "{value}"],
            "metrics": [{"regex": EVALUATING}, {"tensorboard": "out/tb"}],
        },
        words=("--result_dir", "{trial_dir}/out"),
        metrics={**_QUALITY, **{f"val/{name}": way for name, way in _QUALITY.items()}},
    ),
    "gs-ir": Adapter(
        {
            "args": ["--{name}", "{value}"],
            "flag": True,
            "metrics": [{"regex": EVALUATING}],
        },
        words=("-m", "{trial_dir}/out"),
        metrics=_QUALITY,
    ),
}


def find(name: str) -> Adapter:
    """The adapter of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ADAPTERS:
        near = difflib.get_close_matches(name, ADAPTERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        text = f"there is no adapter {name}{hint} There are: {', '.join(ADAPTERS)}"
        raise ConfigError(text, (Problem("target.command.adapter", "unknown", text, name),))
    return ADAPTERS[name]


def filled(adapter: Adapter, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a study file says of its command, over what the adapter knows."""
    whole = merge(adapter.preset, {k: v for k, v in given.items() if v is not None})
    argv: list[str] = list(whole.get("argv") or ())
    if argv:
        for name, value in zip(adapter.words[::2], adapter.words[1::2], strict=True):
            is_said = any(word == name or word.startswith(f"{name}=") for word in argv)
            argv += [] if is_said else [name, value]
        whole["argv"] = argv
    return whole
