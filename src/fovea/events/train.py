"""`events.train`: labelled recordings become a detector. Teacher and student learn here alike.

A window of histograms is unrolled through the backbone; the features of every labelled moment in it
are gathered and pass the rest of the network once. Windows of a stream carry the memory on from the
window before, those drawn at random begin with none.

Source: Gehrig and Scaramuzza, "Recurrent Vision Transformers for Object Detection with Event
Cameras" (2023); Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from jaxtyping import UInt8
from torch import Tensor, nn

from fovea.errors import DataError
from fovea.events.dataset import EventSet, Recording
from fovea.events.evaluate import evaluate_detector
from fovea.events.labels import Labels
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector, at_frames
from fovea.events.model.losses import Losses
from fovea.events.model.memory import States, detach, reset
from fovea.events.model.targets import collect_targets
from fovea.events.model.weights import load_detector, save_detector
from fovea.events.sampling import Batch, Budget, TrainingLoader
from fovea.events.sampling.budget import evenly
from fovea.events.sensor import Sensor
from fovea.events.settings.losses import LossConfig
from fovea.events.settings.train import TrainConfig
from fovea.runs.stage import Context
from fovea.training.checkpoint import State, load_state, save_state
from fovea.training.device import torch_device
from fovea.training.every import EverySeconds, is_every
from fovea.training.schedule import one_cycle

RATE_BATCH = 8
"""The batch for which the learning rate is written down."""
LOG_TIMES = 300
PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def train(config: TrainConfig, context: Context) -> dict[str, float]:
    """Learn from the training split; the validation split says which weights are kept."""
    data = EventSet.open(config.data, config.sensor)
    learnt_from, looked_at = _recordings(data, config)
    accelerator = _accelerator(config, context)
    loop = _Loop.begin(config, context, data.sensor, learnt_from, accelerator)
    loop.resume(context)
    clock = EverySeconds(config.checkpoint_s)
    log_every = max(1, config.steps // LOG_TIMES)
    _say_what_is_learnt(config, learnt_from, looked_at, context)

    while loop.step < config.steps:
        losses = loop.learn(next(loop.loader))
        loop.step += 1
        if losses is not None and is_every(loop.step, log_every):
            _report(loop, losses, config, context)
        is_last = loop.step == config.steps
        is_saved = False
        if is_last or is_every(loop.step, config.validation.every):
            is_best = _look(loop, config, context, looked_at)
            context.checkpoints.save(loop.step, loop.save, is_best=is_best)
            is_saved = True
        if not is_saved and (clock.is_due() or context.should_stop()):
            context.checkpoints.save(loop.step, loop.save)
        if context.should_stop() and not is_last:
            context.stop()
    return _finish(loop, config, context)


class Unrolled(nn.Module):
    """The detector through one window of time; its output is the loss."""

    def __init__(self, detector: Detector, settings: LossConfig) -> None:
        super().__init__()
        self.detector = detector
        self.settings = settings

    def forward(
        self,
        histograms: UInt8[Tensor, "L B bins H W"],
        labels: Sequence[Sequence[Labels | None]],
        states: States | None,
    ) -> tuple[Losses | None, States]:
        """Losses over all labelled moments, None where there are none, and the memory after."""
        features, states = self.detector.sequence_features(histograms, states)
        targets = collect_targets(labels, self.settings, self.detector.architecture.classes)
        if not len(targets):
            return None, states
        seen = at_frames(features, targets.steps, targets.lanes)
        rows = targets.rows.to(histograms.device)
        return self.detector.losses(seen, rows, self.settings), states


@dataclass
class _Loop:
    """Everything that changes from step to step; saved and restored whole."""

    config: TrainConfig
    sensor: Sensor
    accelerator: Accelerator
    unrolled: Unrolled
    optimizer: torch.optim.Optimizer
    loader: TrainingLoader
    step: int = 0
    memory: dict[int, States] = field(default_factory=dict[int, States])
    """What each stream worker's windows remember."""
    best: float = -math.inf
    best_step: int = 0

    @classmethod
    def begin(
        cls,
        config: TrainConfig,
        context: Context,
        sensor: Sensor,
        recordings: Sequence[Recording],
        accelerator: Accelerator,
    ) -> _Loop:
        """Fresh weights, or those given, before the first step."""
        detector = _detector(config, sensor)
        if accelerator.num_processes > 1:
            detector = cast(Detector, nn.SyncBatchNorm.convert_sync_batchnorm(detector))
        optimizer = torch.optim.AdamW(
            detector.parameters(),
            lr=config.schedule.rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        unrolled, prepared = accelerator.prepare(Unrolled(detector, config.loss), optimizer)
        loader = TrainingLoader(
            recordings,
            sensor,
            config.sampling,
            budget=Budget.of(config.budget),
            batch=config.batch,
            length=config.length,
            seed=config.seed,
            rank=accelerator.process_index,
            ranks=accelerator.num_processes,
        )
        return cls(config, sensor, accelerator, unrolled, prepared, loader)

    @property
    def detector(self) -> Detector:
        """The network without what surrounds it in training."""
        return self.accelerator.unwrap_model(self.unrolled).detector

    @property
    def rate(self) -> float:
        """The learning rate of the step to come."""
        schedule = self.config.schedule
        return one_cycle(
            self.step,
            peak=schedule.rate * math.sqrt(self.config.batch / RATE_BATCH),
            steps=self.config.steps,
            warmup=schedule.warmup,
            start_div=schedule.start_div,
            end_div=schedule.end_div,
        )

    def learn(self, batch: Batch) -> Losses | None:
        """One step on one batch; None where it holds no label and only the memory moves on."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.unrolled.train()
        device = self.accelerator.device
        states = self.memory.get(batch.worker)
        if states is not None:
            states = reset(states, batch.is_first.to(device))
        histograms = batch.histograms.to(device, non_blocking=True)
        with self.accelerator.autocast():
            losses, states = self.unrolled(histograms, batch.labels, states)
        self.memory[batch.worker] = detach(states)
        if losses is None:
            return None
        self.accelerator.backward(losses.total)
        if self.config.clip:
            self.accelerator.clip_grad_value_(self.unrolled.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return losses

    def save(self, folder: Any) -> None:
        """Write all of it into a checkpoint's folder."""
        scaler = self.accelerator.scaler
        state: State = {
            "step": self.step,
            "best": self.best,
            "best_step": self.best_step,
            "detector": self.detector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state(),
            "memory": {worker: list(states) for worker, states in self.memory.items()},
            "scaler": scaler.state_dict() if scaler is not None else {},
        }
        save_state(folder, state)

    def resume(self, context: Context) -> None:
        """Go on from the newest checkpoint, if there is one."""
        found = context.checkpoints.latest()
        if found is None:
            return
        step, folder = found
        state = load_state(folder, device=self.accelerator.device)
        self.step, self.best, self.best_step = step, state["best"], state["best_step"]
        self.detector.load_state_dict(state["detector"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.restore(state["loader"])
        self.memory = {worker: list(states) for worker, states in state["memory"].items()}
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        context.resumed(step)


def _accelerator(config: TrainConfig, context: Context) -> Accelerator:
    device = torch_device(context.device)
    precision = config.precision
    if precision == "auto":
        on_gpu = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp16"
        precision = on_gpu if device.type == "cuda" else "fp32"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Accelerate keeps its choices for the life of the process; a stage makes its own.
    AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]
    return Accelerator(mixed_precision=PRECISIONS[precision], cpu=device.type == "cpu")


def _detector(config: TrainConfig, sensor: Sensor) -> Detector:
    if config.weights is not None:
        detector, _ = load_detector(config.weights, sensor=sensor)
        return detector
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Detector(Architecture.of(config.size, sensor))


def _recordings(data: EventSet, config: TrainConfig) -> tuple[list[Recording], list[Recording]]:
    """Those to learn from, and those to choose weights on, if any are to be looked at."""
    settings = config.validation
    if settings.keep == "last" and not settings.every:
        return data.split("train"), []
    return data.split("train"), evenly(data.split(settings.split), settings.ratio)


def _say_what_is_learnt(
    config: TrainConfig,
    learnt_from: Sequence[Recording],
    looked_at: Sequence[Recording],
    context: Context,
) -> None:
    frames = sum(map(len, Budget.of(config.budget).visible(learnt_from).values()))
    context.note(
        f"{len(learnt_from)} recordings with {frames} labelled frames to learn from,"
        f" {len(looked_at)} to look at"
    )


def _report(loop: _Loop, losses: Losses, config: TrainConfig, context: Context) -> None:
    shown = losses.shown()
    total = shown.pop("total")
    if not math.isfinite(total):
        raise DataError(
            f"the loss is {total} at step {loop.step}: the training has diverged. Lower"
            f" schedule.rate (now {config.schedule.rate:g}), or give precision=fp32."
        )
    metrics = {f"train/{name}": value for name, value in shown.items()}
    context.log(loop.step, metrics | {"train/loss": total, "train/rate": loop.rate})
    context.progress(loop.step, config.steps, "steps", loss=round(total, 3))


def _look(
    loop: _Loop, config: TrainConfig, context: Context, recordings: Sequence[Recording]
) -> bool:
    """Score the detector; whether it is the best so far."""
    if not recordings:
        return False
    settings = config.validation
    scores = evaluate_detector(
        loop.detector,
        recordings,
        loop.sensor,
        batch=settings.batch,
        length=config.length,
        confidence=settings.confidence,
        device=loop.accelerator.device,
    )
    context.log(loop.step, {f"val/{name}": value for name, value in scores.items()})
    context.progress(loop.step, config.steps, "steps", val_ap=round(scores["AP"], 4))
    if scores["AP"] <= loop.best:
        return False
    loop.best, loop.best_step = scores["AP"], loop.step
    return True


def _finish(loop: _Loop, config: TrainConfig, context: Context) -> dict[str, float]:
    kept = loop.step
    best = context.checkpoints.best()
    if config.validation.keep == "best" and best is not None:
        kept, folder = best
        loop.detector.load_state_dict(load_state(folder)["detector"])
    found = {"val/AP": loop.best} if math.isfinite(loop.best) else {}
    about = {"step": kept, **found}
    save_detector(context.output("detector"), loop.detector, loop.sensor, about)
    return found | {"step": float(kept)}
