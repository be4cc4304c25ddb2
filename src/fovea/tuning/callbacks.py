"""Callbacks for loops that are not ours: Hugging Face's Trainer, Lightning.

Both report what the loop logs and end it when the study asks to. With several processes the first
reports, and whether to stop is agreed on by all, since a process that leaves alone leaves the
others waiting.

    trainer = transformers.Trainer(..., callbacks=[huggingface()])
    trainer = lightning.Trainer(..., callbacks=[lightning()])
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

from fovea.errors import BackendError
from fovea.tuning.handle import TrialHandle


def huggingface(handle: TrialHandle | None = None) -> Any:
    """A `TrainerCallback`: every number that the Trainer logs, by its `global_step`.

    Raises:
        BackendError: transformers is not installed.
    """
    base: Any = _base("transformers", "TrainerCallback", "transformers")
    trial = handle or TrialHandle.here()

    class TrialCallback(base):
        """Reports to a study, and stops when it asks to."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> Any:
            numbers = _numbers(logs or {})
            if state.is_world_process_zero and numbers:
                trial.log(state.global_step, numbers)
            return control

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            if agreed(trial.should_stop()):
                control.should_training_stop = True
            return control

    return TrialCallback()


def lightning(handle: TrialHandle | None = None) -> Any:
    """A Lightning `Callback`: the logged metrics after each validation and each epoch.

    Raises:
        BackendError: neither lightning nor pytorch_lightning is installed.
    """
    package = next((p for p in ("lightning", "pytorch_lightning") if _is_there(p)), "lightning")
    module = "lightning.pytorch" if package == "lightning" else package
    base: Any = _base(module, "Callback", package)
    trial = handle or TrialHandle.here()

    class TrialCallback(base):
        """Reports to a study, and stops when it asks to."""

        def _report(self, trainer: Any) -> None:
            numbers = _numbers(trainer.callback_metrics)
            is_check = getattr(trainer, "sanity_checking", False)
            if trainer.is_global_zero and numbers and not is_check:
                trial.log(trainer.global_step, numbers)

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            self._report(trainer)

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            self._report(trainer)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            if agreed(trial.should_stop()):
                trainer.should_stop = True

    return TrialCallback()


def agreed(wish: bool) -> bool:
    """Whether any process of the training wishes it: one whole number, summed over all."""
    if not _is_there("torch"):
        return wish
    distributed: Any = importlib.import_module("torch.distributed")
    if not (distributed.is_available() and distributed.is_initialized()):
        return wish
    torch: Any = importlib.import_module("torch")
    on_gpu = distributed.get_backend() == "nccl"
    flag = torch.tensor([int(wish)], device="cuda" if on_gpu else "cpu")
    distributed.all_reduce(flag)
    return bool(flag.item())


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in logs.items():
        number = value.item() if hasattr(value, "item") else value
        if isinstance(number, int | float) and not isinstance(number, bool) and name != "epoch":
            found[name] = float(number)
    return found


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _base(module: str, name: str, package: str) -> Any:
    if not _is_there(package):
        raise BackendError(
            f"the callback is a {package} one, and {package} is not installed. "
            f"Run: pip install {package}."
        )
    return getattr(importlib.import_module(module), name)
