"""Devices and precision of a training: Accelerate, its processes, DeepSpeed's configuration.

Several processes are torchrun's; it tells each how many they are by the variable WORLD_SIZE.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin
from accelerate.state import AcceleratorState

from fovea.errors import BackendError, ConfigError
from fovea.runs.stage import Context
from fovea.vlm.settings.training import LoopConfig


def accelerator(settings: LoopConfig, context: Context, batch: int, *, width: int) -> Accelerator:
    """What spreads a training over its devices, here and in its other processes.

    Args:
        settings: of the loop.
        context: of the stage, for its device.
        batch: samples a step, on all devices together.
        width: of the language model; DeepSpeed cuts its messages by it.

    Raises:
        ConfigError: the batch does not divide into passes and devices.
        BackendError: DeepSpeed is wanted and cannot be used.
    """
    is_gpu = context.device.startswith("cuda")
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if is_gpu else "fp32"
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    passes = batch / (settings.micro_batch * processes)
    if passes != int(passes):
        raise ConfigError(
            f"a batch of {batch} samples is passes x micro_batch x devices; "
            f"{settings.micro_batch} x {processes} does not divide it. "
            "Set loop.micro_batch to a divisor."
        )
    plugin = None
    if settings.zero2_offload:
        plugin = _deepspeed(
            filled(
                settings,
                passes=int(passes),
                processes=processes,
                precision=precision,
                width=width,
            )
        )
    # Accelerate keeps its choices for the life of the process; a stage makes its own.
    AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]
    return Accelerator(
        cpu=not is_gpu,
        mixed_precision="bf16" if precision == "bf16" else "no",
        gradient_accumulation_steps=int(passes),
        deepspeed_plugin=plugin,
    )


def agreed(made: Accelerator, loss: float) -> float:
    """The mean of all processes, which then decide alike."""
    if made.num_processes == 1:
        return loss
    said = torch.tensor(loss, dtype=torch.float64 if made.device.type == "cpu" else torch.float32)
    return float(made.reduce(said.to(made.device), reduction="mean"))  # pyright: ignore[reportArgumentType], one tensor


def any_asked(made: Accelerator, is_asked: bool) -> bool:
    """Whether one of the processes was asked to stop; all of them learn it in the same step."""
    if made.num_processes == 1:
        return is_asked
    said = torch.tensor(float(is_asked), device=made.device)
    return float(made.reduce(said, reduction="sum")) > 0  # pyright: ignore[reportArgumentType], one tensor


def zero2_offload() -> dict[str, Any]:
    """The challenge's DeepSpeed configuration: ZeRO stage 2, everything that can be off the GPU."""
    off = {"device": "cpu", "pin_memory": True}
    sizes = (
        "train_micro_batch_size_per_gpu",
        "train_batch_size",
        "gradient_accumulation_steps",
    )
    return {
        "bf16": {"enabled": "auto"},
        "fp16": {
            "enabled": "auto",
            "loss_scale": 0,
            "loss_scale_window": 1000,
            "initial_scale_power": 16,
            "hysteresis": 2,
            "min_loss_scale": 1,
        },
        **dict.fromkeys(sizes, "auto"),
        "zero_optimization": {
            "stage": 2,
            "offload_optimizer": off,
            "offload_param": off,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "sub_group_size": 1e9,
            "reduce_bucket_size": "auto",
        },
    }


def filled(
    settings: LoopConfig, *, passes: int, processes: int, precision: str, width: int
) -> dict[str, Any]:
    """The same with numbers in place of `auto`: nobody else knows our batches."""
    config = zero2_offload()
    config["train_micro_batch_size_per_gpu"] = settings.micro_batch
    config["gradient_accumulation_steps"] = passes
    config["train_batch_size"] = settings.micro_batch * passes * processes
    config["bf16"]["enabled"] = precision == "bf16"
    config["fp16"]["enabled"] = False
    config["zero_optimization"]["reduce_bucket_size"] = width * width
    config["gradient_clipping"] = settings.clip
    return config


def _deepspeed(config: dict[str, Any]) -> DeepSpeedPlugin:
    # Accelerate would say so too late: after it has told all that comes later to use DeepSpeed.
    if importlib.util.find_spec("deepspeed") is None:
        raise BackendError(
            "loop.zero2_offload needs DeepSpeed, which is not installed. pip install deepspeed on "
            "a machine with an NVIDIA GPU, or leave it out."
        )
    return DeepSpeedPlugin(hf_ds_config=config)
