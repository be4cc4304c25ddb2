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
from torch import Tensor
from torch.nn import functional

from fovea.relight import losses
from fovea.relight.cameras import write_cameras
from fovea.relight.capture import (
    Capture,
    Photograph,
    load_all,
    read_capture,
    refuse_another_capture,
)
from fovea.relight.coupling import CHANNELS, carried, coupling_loss
from fovea.relight.densify import Statistics, densify, reset_opacities
from fovea.relight.materials import Parameters, activate, initial_parameters
from fovea.relight.normals import depth_to_normals
from fovea.relight.optimizer import adam, replace_rows, replace_values, set_means_rate
from fovea.relight.scores import backdrop, render, score
from fovea.relight.settings.fit import FitConfig, LossConfig
from fovea.relight.start import start_points
from fovea.runs.stage import Context
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8
from fovea.scene.ply import write_ply
from fovea.scene.rasterize import Raster, rasterize
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
OPEN_SHARE = 1 / 8
"""Of the weights that gather depth, where nothing is cut out: leaves and sky have no one depth. It
also waits there until the number of Gaussians stays (fox: 22 -> 30 dB)."""
REMOVE_LARGE_AFTER = 0.1
"""Part of the iterations after which very large Gaussians are removed; step 3000 of the paper's
30000."""


def fit(config: FitConfig, context: Context) -> dict[str, float]:
    """Fit Gaussians to the training views of a capture and score them on the test views."""
    device = torch_device(context.device)
    capture = read_capture(config.data, images=config.images, hold_out=config.hold_out)
    train, test = load_photographs(capture, config, context)
    is_cut_out = any(photograph.is_cut_out for photograph in train)
    plan = Plan.of(config, is_cut_out=is_cut_out)
    extent = capture.radius
    loop = _resumed(config, capture, context, device) or _started(
        config, capture, train, context, device
    )
    train, test = ([view.to(device) for view in views] for views in (train, test))
    clock = EverySeconds(config.checkpoint_s)

    for step in range(loop.step + 1, config.iterations + 1):
        degree = min(config.degree, step // plan.degree_every)
        photograph = train[loop.next_view(len(train))]
        if step <= plan.coarse_until:
            photograph = photograph.half
        background = plan.background(loop.generators["background"])

        gaussians = activate(loop.parameters, degree=degree)
        with_normals = step > plan.normals_from
        is_coupled = step > plan.coupled_from and config.mode == "corrected"
        drawn = _draw(gaussians, photograph, background, config, with_normals, is_coupled)
        raster, target = drawn.raster, photograph.over(background)
        loss = losses.photometric(raster.features[..., :3], target, ssim_share=config.loss.ssim)
        if drawn.normals is not None:
            loss = loss + _normal_loss(raster, drawn.normals, target, photograph, config)
        if drawn.coupled is not None:
            loss = loss + coupling_loss(
                drawn.coupled,
                raster.alpha,
                raster.depth,
                gaussians,
                photograph.camera,
                plan.coupling,
            )
        if config.loss.opacity:
            loss = loss + config.loss.opacity * gaussians.opacities.mean()
        if config.loss.scale:
            loss = loss + config.loss.scale * gaussians.scales.mean() / extent
        loss.backward()

        if is_every(step, plan.log_every):
            _report(step, config, context, loss, raster, target, len(gaussians))
        with torch.no_grad():
            if step < plan.densify_until:
                loop.statistics.add(raster, height=target.shape[0], width=target.shape[1])
                if step > plan.densify_from and is_every(step, config.densify.interval):
                    _densify(loop, config, extent, remove_large=step > plan.remove_large_from)
                if is_every(step, plan.reset_every) or step == plan.first_reset:
                    raw = reset_opacities(loop.parameters["opacities"].detach())
                    replace_values(loop.optimizer, loop.parameters, "opacities", raw)
        # The published loop never takes its last step; neither do we, so that both end alike.
        if step < config.iterations:
            loop.optimizer.step()
        loop.optimizer.zero_grad(set_to_none=True)
        set_means_rate(
            loop.optimizer, step, rates=config.rates, extent=extent, steps=config.iterations
        )

        loop.step = step
        if is_every(step, config.evaluate_every) and step < config.iterations:
            _look(loop, config, context, test or train, "test" if test else "train")
        if clock.is_due():
            context.checkpoints.save(step, loop.save)
        if context.should_stop():
            context.checkpoints.save(step, loop.save)
            context.stop()

    return _finish(loop, config, context, capture, train, test)


@dataclass(frozen=True)
class Plan:
    """The schedule in steps, as it follows from the fractions of a config."""

    degree_every: int
    coarse_until: int
    normals_from: int
    coupled_from: int
    coupling: LossConfig
    densify_from: int
    densify_until: int
    remove_large_from: int
    reset_every: int
    first_reset: int
    log_every: int
    backdrop: str

    @classmethod
    def of(cls, config: FitConfig, *, is_cut_out: bool) -> Plan:
        """The schedule of a config."""
        steps, is_reference = config.iterations, config.mode == "reference"
        behind = config.background
        if behind == "auto":
            behind = "random" if is_cut_out and not is_reference else "black"
        densify_from = round(config.densify.start * steps)
        normals_from, densify_until = (
            round(part * steps) for part in (config.loss.normal_from, config.densify.stop)
        )
        open_share = 1.0 if is_cut_out else OPEN_SHARE
        coupling = config.loss.model_copy(
            update={
                name: getattr(config.loss, name) * open_share for name in ("spread", "thickness")
            }
        )
        return cls(
            degree_every=max(1, round(config.degree_every * steps)),
            coarse_until=round(config.coarse * steps),
            normals_from=normals_from,
            coupled_from=normals_from if is_cut_out else max(normals_from, densify_until),
            coupling=coupling,
            densify_from=densify_from,
            densify_until=densify_until,
            remove_large_from=round(REMOVE_LARGE_AFTER * steps),
            reset_every=round(config.densify.reset * steps),
            # On white, the published system resets once more when densification begins.
            first_reset=densify_from if is_reference and behind == "white" else 0,
            log_every=max(1, steps // 300),
            backdrop=behind,
        )

    def background(self, random: torch.Generator) -> Tensor:
        """The colour behind a cut-out photograph at this step."""
        return (
            torch.rand(3, generator=random)
            if self.backdrop == "random"
            else backdrop(self.backdrop)
        )


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


def load_photographs(
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


@dataclass(frozen=True)
class _Drawn:
    raster: Raster
    """Its first three features are the colours."""
    normals: Tensor | None
    """Blended, [h, w, 3], where they are learnt."""
    coupled: Tensor | None
    """What `carried` gives, blended, where it moves the geometry."""


def _draw(
    gaussians: Gaussians,
    photograph: Photograph,
    background: Tensor,
    config: FitConfig,
    with_normals: bool,
    is_coupled: bool,
) -> _Drawn:
    """Render, with all that the losses of this step look at."""
    camera = photograph.camera
    learnt = gaussians.extras["normal"]
    moves_geometry = with_normals and config.normal_grad == "geometry"
    features = [gaussians.colors(camera.position)] if is_coupled or moves_geometry else []
    features += [learnt] if moves_geometry else []
    features += [carried(gaussians, camera)] if is_coupled else []
    blended = torch.cat(features, dim=1) if features else None
    behind = background.to(gaussians.means)
    if blended is not None:
        behind = torch.cat([behind, behind.new_zeros(blended.shape[1] - 3)])
    raster = rasterize(
        gaussians,
        camera,
        features=blended,
        passengers=learnt if with_normals and not moves_geometry else None,
        background=behind,
        footprint="reference" if config.mode == "reference" else "exact",
        depth_gradient=moves_geometry or is_coupled,
    )
    raster.means2d.retain_grad()
    normals = raster.features[..., 3:6] if moves_geometry else raster.passengers
    return _Drawn(
        raster,
        normals if with_normals else None,
        raster.features[..., -CHANNELS:] if is_coupled else None,
    )


def _normal_loss(
    raster: Raster, normals: Tensor, target: Tensor, photograph: Photograph, config: FitConfig
) -> Tensor:
    is_reference = config.mode == "reference"
    if is_reference:
        normals = _without_border_gradient(normals)
    normals = functional.normalize(normals, dim=-1)
    depth = raster.depth if config.normal_grad == "geometry" else raster.depth.detach()
    seen, valid = depth_to_normals(
        depth, photograph.camera, pixel_centre=0.0 if is_reference else 0.5
    )
    if is_reference:
        valid = losses.all_components_differ_from_zero(seen)
    return config.loss.normal * losses.normal_l1(
        normals, seen, valid
    ) + config.loss.normal_tv * losses.edge_aware_tv(normals, target)


def _without_border_gradient(normals: Tensor) -> Tensor:
    """The same map, whose one-pixel border passes no gradient, as in the published kernels."""
    inside = torch.zeros_like(normals[..., :1])
    inside[1:-1, 1:-1] = 1
    return normals * inside + normals.detach() * (1 - inside)


def _densify(loop: Loop, config: FitConfig, extent: float, *, remove_large: bool) -> None:
    parameters, source, is_new = densify(
        loop.parameters,
        loop.statistics.gradients,
        extent=extent,
        remove_large=remove_large,
        config=config.densify,
        generator=loop.generators["split"],
    )
    replace_rows(loop.optimizer, parameters, source, is_new)
    loop.parameters = parameters
    loop.statistics = Statistics.zeros(len(source), source.device)


def _report(
    step: int,
    config: FitConfig,
    context: Context,
    loss: Tensor,
    raster: Raster,
    target: Tensor,
    count: int,
) -> None:
    with torch.no_grad():
        error = functional.mse_loss(raster.features[..., :3], target)
    psnr = float(-10 * torch.log10(error.clamp_min(1e-10)))
    metrics = {"train/loss": loss.item(), "train/psnr": psnr, "scene/gaussians": count}
    context.log(step, metrics)
    context.progress(step, config.iterations, "steps", psnr=psnr, gaussians=count)


def _look(
    loop: Loop, config: FitConfig, context: Context, views: Sequence[Photograph], split: str
) -> None:
    """Score a few views and keep a picture of the first, photograph on the left."""
    gaussians, behind = _current(loop, config), backdrop("black")
    chosen = views[:: max(1, len(views) // WATCHED_VIEWS)][:WATCHED_VIEWS]
    scores = score(gaussians, chosen, background=behind)
    context.log(loop.step, {f"{split}/{name}": value for name, value in scores.items()})
    pair = [chosen[0].over(behind), render(gaussians, chosen[0].camera, behind)]
    context.picture(loop.step, split, to_uint8(torch.cat(pair, dim=1).cpu().numpy()))


def _current(loop: Loop, config: FitConfig) -> Gaussians:
    degree = min(config.degree, loop.step // Plan.of(config, is_cut_out=False).degree_every)
    return activate(loop.parameters, degree=degree).detach()


def _finish(
    loop: Loop,
    config: FitConfig,
    context: Context,
    capture: Capture,
    train: list[Photograph],
    test: list[Photograph],
) -> dict[str, float]:
    """Score the scene and write the outputs."""
    gaussians = activate(loop.parameters).detach()
    behind = backdrop("white" if config.background == "white" else "black")
    some = train[:: max(1, len(train) // SCORED_TRAINING_VIEWS)][:SCORED_TRAINING_VIEWS]
    scores: dict[str, float] = {}
    for split, photographs in (("test", test), ("train", some)):
        each = score(gaussians, photographs, background=behind)
        scores |= {f"{split}/{name}": value for name, value in each.items()}
    scores["scene/gaussians"] = len(gaussians)
    context.log(config.iterations, scores)
    _look(loop, config, context, test or train, "test" if test else "train")
    write_ply(context.output("scene"), gaussians.to("cpu"))
    write_cameras(context.output("cameras"), capture, train, test)
    context.output("scores").write_text(json.dumps(scores, indent=2) + "\n")
    return scores
