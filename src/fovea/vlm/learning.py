"""The loop of both training stages: batches in a fixed order, one schedule, a guard, checkpoints.

What differs between them (which weights learn, how pictures are cut, how samples are grouped) is
handed in. The order of samples is a function of seed and epoch alone, so that a run that was killed
goes on with the very batches that would have come.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from fovea.errors import DataError
from fovea.runs.stage import Context
from fovea.training.checkpoint import State, generator, load_state, save_state
from fovea.training.every import EverySeconds, is_every
from fovea.training.schedule import warmup_cosine
from fovea.vlm.data import Batch, Loader
from fovea.vlm.model.model import VisionLanguageModel
from fovea.vlm.parallel import accelerator as begun
from fovea.vlm.parallel import agreed, any_asked
from fovea.vlm.sampler import grouped_by_length
from fovea.vlm.settings.training import GuardConfig, LoopConfig

LOG_TIMES = 400
LAST = 20
"""Losses that a spike is told by."""


@dataclass(frozen=True)
class Plan:
    """What a stage asks of the loop."""

    batch: int
    rate: float
    by_length: bool
    settings: LoopConfig
    build: Callable[[int], VisionLanguageModel]
    """The model before its first step, from a seed; its weights to learn ask for gradients."""
    checkpoint_s: float = 300.0


class DivergedError(DataError):
    """The loss left and did not come back."""

    code = "diverged"


class Lesson(nn.Module):
    """A batch through the model; its output is the loss."""

    def __init__(self, model: VisionLanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        """Mean cross entropy of the answers in nats."""
        device = next(self.model.tokens.parameters()).device
        images = self.model.see(*self.model.look(batch.pictures.to(device)))
        rows = [row.to(device) for row in batch.rows]
        labels = [row.to(device) for row in batch.labels]
        return self.model(self.model.spliced(rows, labels, images))


@dataclass(frozen=True)
class Learnt:
    """A trained model, and how its loss went."""

    model: VisionLanguageModel
    losses: Sequence[float]
    """Of each step."""
    rates: Sequence[float]

    @property
    def loss(self) -> float:
        """Mean of the last tenth of the steps."""
        return statistics.fmean(self.losses[-max(1, len(self.losses) // 10) :])


def learn(plan: Plan, loader: Loader, context: Context) -> Learnt:
    """Train to the end.

    Raises:
        DivergedError: the loss left, and no restart is left either.
    """
    steps = steps_of(plan, len(loader.samples))
    loop = Loop.begin(plan, loader, context, steps)
    loop.resume(context)
    clock = EverySeconds(plan.checkpoint_s)
    log_every = max(1, steps // LOG_TIMES)
    while loop.step < steps:
        loss = loop.learn()
        if loop.guard.is_lost(loss):
            loop = loop.again(context)
            continue
        loop.step += 1
        is_last = loop.step == steps
        if is_every(loop.step, log_every) or is_last:
            context.log(loop.step, {"train/loss": loss, "train/rate": loop.rate(loop.step)})
            context.progress(loop.step, steps, "steps", loss=loss)
        is_asked = any_asked(loop.accelerator, context.should_stop())
        if (clock.is_due() or is_asked) and not is_last and loop.accelerator.is_main_process:
            context.checkpoints.save(loop.step, loop.save)
        if is_asked and not is_last:
            loop.accelerator.wait_for_everyone()
            context.stop()
    rates = [loop.rate(step) for step in range(1, steps + 1)]
    return Learnt(loop.model, tuple(loop.losses), rates)


def steps_of(plan: Plan, samples: int) -> int:
    """Steps of the whole training: whole batches only, as published, but at least one."""
    if plan.settings.steps:
        return plan.settings.steps
    return max(1, math.floor(samples * plan.settings.epochs / plan.batch))


@dataclass
class Guard:
    """Tells a loss that left for good from one that spikes."""

    settings: GuardConfig
    last: deque[float] = field(default_factory=lambda: deque(maxlen=LAST))
    seen: int = 0
    spikes: int = 0

    def is_lost(self, loss: float) -> bool:
        """Take a step's loss into account; whether there is no hope."""
        if not math.isfinite(loss):
            return True
        self.seen += 1
        middle = statistics.median(self.last) if self.last else loss
        is_spike = (
            self.settings.factor > 0
            and self.seen > self.settings.after
            and loss > self.settings.factor * middle
        )
        self.spikes = self.spikes + 1 if is_spike else 0
        if not is_spike:
            self.last.append(loss)
        return self.spikes >= self.settings.patience


@dataclass
class Loop:
    """Everything that changes from step to step; saved and restored whole."""

    plan: Plan
    loader: Loader
    accelerator: Accelerator
    lesson: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    seed: int
    guard: Guard
    step: int = 0
    losses: list[float] = field(default_factory=list[float])
    order: tuple[int, list[int]] = (-1, [])
    """Of the epoch that is going on."""

    @classmethod
    def begin(
        cls, plan: Plan, loader: Loader, context: Context, steps: int, seed: int | None = None
    ) -> Loop:
        """Before the first step."""
        seed = plan.settings.seed if seed is None else seed
        model = plan.build(seed)
        if plan.settings.gradient_checkpointing:
            cast(Any, model.language).gradient_checkpointing_enable()
        accelerator = begun(plan.settings, context, plan.batch, width=model.width)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            weights, lr=plan.rate, weight_decay=plan.settings.weight_decay
        )
        lesson, optimizer = accelerator.prepare(Lesson(model.train()), optimizer)
        guard = Guard(plan.settings.guard)
        return cls(plan, loader, accelerator, lesson, optimizer, steps, seed, guard)

    @property
    def model(self) -> VisionLanguageModel:
        """The model without what training wraps it in."""
        return self.accelerator.unwrap_model(self.lesson).model

    @property
    def passes(self) -> int:
        """Micro-batches a step and device."""
        settings = self.plan.settings
        return self.plan.batch // (settings.micro_batch * self.accelerator.num_processes)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1."""
        warmup = self.plan.settings.warmup
        return warmup_cosine(step, peak=self.plan.rate, steps=self.steps, warmup=warmup)

    def learn(self) -> float:
        """One step; its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        device = self.accelerator.device
        # What is left out of low-rank changes is drawn anew in each step, killed before or not.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed * 1_000_003 + self.step)
            total = sum(self._pass(number) for number in range(self.passes))
        self.losses.append(agreed(self.accelerator, total / self.passes))
        return self.losses[-1]

    def _pass(self, number: int) -> float:
        """One micro-batch; its loss. Gradients are summed up, and devices meet at the last."""
        batch = self.loader.batch(self._places(number))
        with self.accelerator.accumulate(self.lesson):
            loss = self.lesson(batch)
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients and self.plan.settings.clip:
                weights = [w for w in self.lesson.parameters() if w.requires_grad]
                self.accelerator.clip_grad_norm_(weights, self.plan.settings.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def save(self, folder: Path) -> None:
        """The state of the training, into a checkpoint's folder."""
        learnt = {n: w for n, w in self.model.named_parameters() if w.requires_grad}
        state: State = {
            "step": self.step,
            "seed": self.seed,
            "weights": {name: weight.detach() for name, weight in learnt.items()},
            "optimizer": self.optimizer.state_dict(),
            "losses": self.losses,
            "broken": self.loader.broken,
            "guard": (list(self.guard.last), self.guard.seen, self.guard.spikes),
        }
        save_state(folder, state)

    def resume(self, context: Context) -> None:
        """Go on from the last checkpoint, if there is one."""
        found = context.checkpoints.latest()
        if found is None:
            return
        state = load_state(found[1], device=self.accelerator.device)
        self.step, self.seed = int(state["step"]), int(state["seed"])
        self.model.load_state_dict(state["weights"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses = list(state["losses"])
        self.loader.broken = dict(state["broken"])
        last, self.guard.seen, self.guard.spikes = state["guard"]
        self.guard.last.extend(last)
        context.resumed(self.step)

    def again(self, context: Context) -> Loop:
        """A new beginning with the next seed.

        Raises:
            DivergedError: there were enough of them.
        """
        first = self.plan.settings.seed
        if self.seed - first >= self.plan.settings.guard.restarts:
            raise DivergedError(
                f"the loss should fall, and at step {self.step + 1} it was {self.losses[-1]:.3g} "
                f"after a median of {statistics.median(self.guard.last or [math.nan]):.3g}, for "
                f"{self.guard.spikes} steps. Lower rate, set loop.clip, or let it begin anew by "
                "loop.guard.restarts=3."
            )
        context.note(
            f"the loss left at step {self.step + 1}: beginning anew with seed {self.seed + 1}.",
            level="warning",
        )
        context.resumed(0)
        return Loop.begin(self.plan, self.loader, context, self.steps, self.seed + 1)

    def _places(self, number: int) -> Sequence[int]:
        """The samples of this device's micro-batch `number` in the present step."""
        size = self.plan.settings.micro_batch
        a_epoch = max(1, len(self.loader.samples) // self.plan.batch)
        epoch, step = divmod(self.step, a_epoch)
        if self.order[0] != epoch:
            self.order = (epoch, self._order(epoch))
        devices, rank = self.accelerator.num_processes, self.accelerator.process_index
        start = step * self.plan.batch + (number * devices + rank) * size
        order = self.order[1]
        return [order[(start + i) % len(order)] for i in range(size)]

    def _order(self, epoch: int) -> list[int]:
        samples = self.loader.samples
        draw = generator(self.seed * 1_000_003 + epoch)
        if not self.plan.by_length:
            return torch.randperm(len(samples), generator=draw).tolist()
        return grouped_by_length(
            [sample.length or 1 for sample in samples],
            batch_size=self.plan.settings.micro_batch,
            world_size=self.passes * self.accelerator.num_processes,
            generator=draw,
            kinds=generator(self.seed * 1_000_003 + epoch + 500_009),
        )
