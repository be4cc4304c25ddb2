"""Photographs with poses become 3D Gaussians: the first stage, its loop written out.

Source: Liang et al., "GS-IR: 3D Gaussian Splatting for Inverse Rendering" (CVPR 2024), on top of
    Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (2023).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from fovea.relight.cameras import write_cameras
from fovea.relight.densify import Statistics, densify, reset_opacities
from fovea.relight.materials import Parameters, activate, initial_parameters
from fovea.relight.objective import Drawn, Objective
from fovea.relight.optimizer import adam, replace_rows, replace_values, set_means_rate
from fovea.relight.plan import Plan
from fovea.relight.scores import backdrop, render, score
from fovea.relight.settings.fit import FitConfig
from fovea.relight.start import start_points
from fovea.runs.stage import Context
from fovea.scene.capture import (
    Capture,
    Photograph,
    load_all,
    read_capture,
    refuse_another_capture,
)
from fovea.scene.image import to_uint8
from fovea.scene.ply import write_ply
from fovea.training.checkpoint import (
    State,
    generator_for,
    load_state,
    random_state,
    restore_random_state,
    save_state,
)
from fovea.training.device import torch_device
from fovea.training.every import EverySeconds, is_every

SCORED_TRAINING_VIEWS = 20
WATCHED_VIEWS = 4


def fit(config: FitConfig, context: Context) -> dict[str, float]:
    """Fit Gaussians to the training views of a capture and score them on the test views."""
    device = torch_device(context.device)
    capture = read_capture(config.data, images=config.images, hold_out=config.hold_out)
    train, test = _photographs(capture, config, context)
    plan = Plan.of(config, is_cut_out=any(photograph.is_cut_out for photograph in train))
    objective = Objective(config, plan, capture.radius)
    loop = _resumed(config, capture, context, device) or _started(
        config, capture, train, context, device
    )
    train, test = ([view.to(device) for view in views] for views in (train, test))
    clock = EverySeconds(config.checkpoint_s)

    for step in range(loop.step + 1, config.iterations + 1):
        photograph = train[loop.next_view(len(train))]
        if step <= plan.coarse_until:
            photograph = photograph.half
        background = plan.background(loop.generators["background"])

        gaussians = activate(loop.parameters, degree=plan.degree(step))
        drawn = objective.draw(gaussians, photograph, background, step)
        loss = objective.loss(drawn)
        loss.backward()

        if is_every(step, plan.log_every):
            _report(step, config, context, drawn, float(loss.detach()))
        if step < plan.densify_until:
            _densify(step, loop, drawn, objective)
        # The published loop never takes its last step; neither do we, so that both end alike.
        if step < config.iterations:
            loop.optimizer.step()
        loop.optimizer.zero_grad(set_to_none=True)
        set_means_rate(
            loop.optimizer, step, rates=config.rates, extent=capture.radius, steps=config.iterations
        )

        loop.step = step
        if is_every(step, config.evaluate_every) and step < config.iterations:
            _look(loop, plan, context, test or train, "test" if test else "train")
        if clock.is_due():
            context.checkpoints.save(step, loop.save)
        if context.should_stop():
            context.checkpoints.save(step, loop.save)
            context.stop()

    return _finish(loop, objective, context, capture, train, test)


@dataclass
class Loop:
    """Everything that changes from step to step; saved and restored whole."""

    parameters: Parameters
    optimizer: torch.optim.Adam
    statistics: Statistics
    generators: dict[str, torch.Generator]
    step: int = 0
    queue: list[int] = field(default_factory=list)
    """Training views still to be seen in this round."""
    capture: str = ""
    """The identity of the capture that is fitted; a checkpoint is for no other."""

    def next_view(self, count: int) -> int:
        """A training view: each once a round, in random order."""
        if not self.queue:
            self.queue = torch.randperm(count, generator=self.generators["views"]).tolist()
        return self.queue.pop()

    def save(self, folder: Path) -> None:
        """Write all of it into a checkpoint's folder."""
        state: State = {
            "step": self.step,
            "capture": self.capture,
            "queue": self.queue,
            "parameters": {name: v.detach() for name, v in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "pulled": self.statistics.pulled,
            "seen": self.statistics.seen,
            "random": random_state(self.generators),
        }
        save_state(folder, state)


def _generators(context: Context) -> dict[str, torch.Generator]:
    names = ("views", "background", "split")
    return {name: generator_for(context, name) for name in names}


def _started(
    config: FitConfig,
    capture: Capture,
    train: Sequence[Photograph],
    context: Context,
    device: torch.device,
) -> Loop:
    points, colors = start_points(capture, train, config.start, context)
    parameters = initial_parameters(
        points, colors, degree=config.degree, opacity=config.start.opacity
    )
    parameters = {name: values.to(device) for name, values in parameters.items()}
    return Loop(
        parameters,
        adam(parameters, config.rates, extent=capture.radius),
        Statistics.zeros(len(points), device),
        _generators(context),
        capture=capture.identity,
    )


def _resumed(
    config: FitConfig, capture: Capture, context: Context, device: torch.device
) -> Loop | None:
    found = context.checkpoints.latest()
    if found is None:
        return None
    step, folder = found
    state = load_state(folder, device=device)
    refuse_another_capture(state["capture"], capture, where=folder)
    optimizer = adam(state["parameters"], config.rates, extent=capture.radius)
    optimizer.load_state_dict(state["optimizer"])
    loop = Loop(
        state["parameters"],
        optimizer,
        Statistics(state["pulled"], state["seen"]),
        _generators(context),
        step,
        state["queue"],
        capture.identity,
    )
    restore_random_state(state["random"], loop.generators)
    context.resumed(step)
    return loop


def _photographs(
    capture: Capture, config: FitConfig, context: Context
) -> tuple[list[Photograph], list[Photograph]]:
    """Decode the training and the test photographs, and say what was found."""
    views = capture.split("train") + capture.split("test")
    loaded = load_all(views, config.resolution, context)
    count = len(capture.split("train"))
    train, test = loaded[:count], loaded[count:]
    camera = train[0].camera
    context.note(
        f"{len(train)} photographs to fit and {len(test)} to test,"
        f" {camera.width}x{camera.height} px (width x height)"
    )
    if capture.absent:
        context.note(
            f"{len(capture.absent)} views of {capture.folder.name} have no photograph and are left"
            f" out: {', '.join(capture.absent[:3])}{' ...' if len(capture.absent) > 3 else ''}",
            level="warning",
        )
    return train, test


@torch.no_grad()
def _densify(step: int, loop: Loop, drawn: Drawn, objective: Objective) -> None:
    """Note how hard Gaussians are pulled; at times add and remove some, and reset opacities."""
    plan, config = objective.plan, objective.config.densify
    height, width = drawn.target.shape[:2]
    loop.statistics.add(drawn.raster, height=height, width=width)
    if step > plan.densify_from and is_every(step, config.interval):
        parameters, source, is_new = densify(
            loop.parameters,
            loop.statistics.gradients,
            extent=objective.extent,
            remove_large=step > plan.remove_large_from,
            config=config,
            generator=loop.generators["split"],
        )
        replace_rows(loop.optimizer, parameters, source, is_new)
        loop.parameters = parameters
        loop.statistics = Statistics.zeros(len(source), source.device)
    if is_every(step, plan.reset_every) or step == plan.first_reset:
        raw = reset_opacities(loop.parameters["opacities"].detach())
        replace_values(loop.optimizer, loop.parameters, "opacities", raw)


def _report(step: int, config: FitConfig, context: Context, drawn: Drawn, loss: float) -> None:
    error = functional.mse_loss(drawn.colors.detach(), drawn.target)
    psnr = float(-10 * torch.log10(error.clamp_min(1e-10)))
    count = len(drawn.gaussians)
    context.log(step, {"train/loss": loss, "train/psnr": psnr, "scene/gaussians": count})
    context.progress(step, config.iterations, "steps", psnr=psnr, gaussians=count)


def _look(
    loop: Loop, plan: Plan, context: Context, views: Sequence[Photograph], split: str
) -> None:
    """Score a few views and keep a picture of the first, photograph on the left."""
    gaussians = activate(loop.parameters, degree=plan.degree(loop.step)).detach()
    behind = backdrop("black")
    chosen = views[:: max(1, len(views) // WATCHED_VIEWS)][:WATCHED_VIEWS]
    scores = score(gaussians, chosen, background=behind)
    context.log(loop.step, {f"{split}/{name}": value for name, value in scores.items()})
    pair = [chosen[0].over(behind), render(gaussians, chosen[0].camera, behind)]
    context.picture(loop.step, split, to_uint8(torch.cat(pair, dim=1).cpu().numpy()))


def _finish(
    loop: Loop,
    objective: Objective,
    context: Context,
    capture: Capture,
    train: list[Photograph],
    test: list[Photograph],
) -> dict[str, float]:
    """Score the scene and write the outputs."""
    config, gaussians = objective.config, activate(loop.parameters).detach()
    behind = backdrop("white" if config.background == "white" else "black")
    some = train[:: max(1, len(train) // SCORED_TRAINING_VIEWS)][:SCORED_TRAINING_VIEWS]
    scores: dict[str, float] = {}
    for split, photographs in (("test", test), ("train", some)):
        each = score(gaussians, photographs, background=behind)
        scores |= {f"{split}/{name}": value for name, value in each.items()}
    scores["scene/gaussians"] = len(gaussians)
    context.log(config.iterations, scores)
    _look(loop, objective.plan, context, test or train, "test" if test else "train")
    write_ply(context.output("scene"), gaussians.to("cpu"))
    write_cameras(context.output("cameras"), capture, train, test)
    context.output("scores").write_text(json.dumps(scores, indent=2) + "\n")
    return scores
