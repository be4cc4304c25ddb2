"""Colours become materials and light, as published: the second stage of GS-IR and its loop.

Albedo, roughness and metallic of the Gaussians, a cubemap of light far away and a volume of light
from nearby are learnt by shading each photograph with the split sum. Flags and weights are those of
`DecomposeConfig.published`; rates are the published ones. The geometry stays as it is: in the
published code, what is left of the first stage's momentum moves it for some steps.

Source: Liang et al., "GS-IR: 3D Gaussian Splatting for Inverse Rendering" (CVPR 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.errors import ConfigError, DataError
from fovea.relight.capture.gsir import read_scene
from fovea.relight.frozen import FrozenViews
from fovea.relight.light import latlong
from fovea.relight.lighting import Lighting
from fovea.relight.published import Learnt, Shading
from fovea.relight.relighting import evenly, require_seen
from fovea.relight.scores import backdrop
from fovea.relight.settings.decompose import DecomposeConfig
from fovea.relight.shading import reference
from fovea.relight.volumes.irradiance import IrradianceVolume
from fovea.relight.volumes.occlusion import OcclusionVolume
from fovea.runs.stage import Context
from fovea.scene.capture import (
    Capture,
    Photograph,
    load_all,
    read_capture,
    refuse_another_capture,
)
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import to_uint8
from fovea.scene.ply import write_ply
from fovea.scene.radiance import write_radiance
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

ITERATIONS, LIGHT_RES = 5000, 256
RATE = 0.05
"""Of everything that is learnt."""
MATERIALS_EPSILON, LIGHT_EPSILON = 1e-15, 1e-8
MAP_HEIGHT = 512
SCORED_VIEWS, WATCHED_TIMES = 20, 10


def decompose_reference(config: DecomposeConfig, context: Context) -> dict[str, float]:
    """Learn materials and light from the training views of a capture, and write them."""
    device = torch_device(context.device)
    iterations = config.iterations or ITERATIONS
    shading = Shading.of(config.published, config.light_res or LIGHT_RES, device)
    gaussians = _scene(config.scene).to(device)
    capture = read_capture(config.data, images=config.images, hold_out=config.hold_out)
    require_seen(gaussians, [v.camera for v in capture.split("train")], config.scene, config.data)
    occlusion = _occlusion(config, gaussians, context)
    loaded = load_all(capture.split("train"), config.resolution, context)
    photographs = [each.to(device) for each in loaded]
    cameras = [photograph.camera for photograph in photographs]
    frozen = FrozenViews(gaussians, cameras, occlusion, bound=config.published.bound)
    _note_memory(frozen, context)
    loop = _resumed(capture, context, device) or _started(
        config, capture, len(gaussians), context, device
    )
    clock, log_every = EverySeconds(config.checkpoint_s), max(1, iterations // 300)
    look_every = max(1, iterations // WATCHED_TIMES)

    for step in range(loop.step + 1, iterations + 1):
        number = loop.next_view(len(photographs))
        target = _on_black(photographs[number])
        seen = shading.view(frozen, number, loop.learnt)
        loss = shading.loss(seen, target, loop.learnt)
        loss.backward()

        if is_every(step, log_every):
            psnr = _psnr(seen.picture.detach(), target)
            context.log(step, {"train/loss": loss.item(), "train/psnr": psnr})
            context.progress(step, iterations, "steps", psnr=psnr)
        # The published loop never takes its last step.
        if step < iterations:
            loop.materials_optimizer.step()
            loop.light_optimizer.step()
            with torch.no_grad():
                loop.learnt.cubemap.clamp_(min=0)
        loop.materials_optimizer.zero_grad(set_to_none=True)
        loop.light_optimizer.zero_grad(set_to_none=True)

        loop.step = step
        if is_every(step, look_every):
            _look(shading, frozen, photographs, loop, context)
        if clock.is_due():
            context.checkpoints.save(step, loop.save)
        if context.should_stop():
            context.checkpoints.save(step, loop.save)
            context.stop()

    scores = _scored(shading, frozen, photographs, loop, context)
    _write(config, context, gaussians, loop.learnt)
    return scores


@dataclass
class Loop:
    """Everything that changes from step to step; saved and restored whole."""

    learnt: Learnt
    views: torch.Generator
    capture: str
    step: int = 0
    queue: list[int] = field(default_factory=list)
    """Training views still to be seen in this round."""

    def __post_init__(self) -> None:
        betas = (0.9, 0.999)
        self.materials_optimizer = torch.optim.Adam(
            self.learnt.materials.values(), RATE, betas, MATERIALS_EPSILON, fused=True
        )
        self.light_optimizer = torch.optim.Adam(
            [self.learnt.cubemap, *self.learnt.nearby.parameters()],
            RATE,
            betas,
            LIGHT_EPSILON,
            fused=True,
        )

    def next_view(self, count: int) -> int:
        """A training view: each once a round, in random order."""
        if not self.queue:
            self.queue = torch.randperm(count, generator=self.views).tolist()
        return self.queue.pop()

    def save(self, folder: Path) -> None:
        """Write all of it into a checkpoint's folder."""
        learnt = self.learnt
        state: State = {
            "step": self.step,
            "capture": self.capture,
            "queue": self.queue,
            "materials": {name: raw.detach() for name, raw in learnt.materials.items()},
            "cubemap": learnt.cubemap.detach(),
            "aabb": learnt.nearby.aabb,
            "nearby": learnt.nearby.irradiance_coefficients.detach(),
            "materials_optimizer": self.materials_optimizer.state_dict(),
            "light_optimizer": self.light_optimizer.state_dict(),
            "random": random_state({"views": self.views}),
        }
        save_state(folder, state)


def _started(
    config: DecomposeConfig, capture: Capture, count: int, context: Context, device: torch.device
) -> Loop:
    learnt = Learnt.start(
        count,
        light_res=config.light_res or LIGHT_RES,
        bound=config.published.bound,
        random=generator_for(context, "light"),
    )
    return Loop(learnt.to(device), generator_for(context, "views"), capture.identity)


def _resumed(capture: Capture, context: Context, device: torch.device) -> Loop | None:
    found = context.checkpoints.latest()
    if found is None:
        return None
    step, folder = found
    state = load_state(folder, device=device)
    refuse_another_capture(state["capture"], capture, where=folder)
    nearby = IrradianceVolume(state["aabb"], state["nearby"])
    learnt = Learnt(state["materials"], state["cubemap"], nearby).to(device)
    loop = Loop(learnt, generator_for(context, "views"), capture.identity, step, state["queue"])
    loop.materials_optimizer.load_state_dict(state["materials_optimizer"])
    loop.light_optimizer.load_state_dict(state["light_optimizer"])
    restore_random_state(state["random"], {"views": loop.views})
    context.resumed(step)
    return loop


def _scene(path: Path) -> Gaussians:
    """The scene, constant, with its normals and without any materials."""
    gaussians = read_scene(path).detach()
    normals = gaussians.extras.get("normal")
    if normals is None or normals.shape[1] != 3:
        raise DataError(
            f"materials are learnt on a scene with normals, and {path} has"
            f" {', '.join(gaussians.extras) or 'no attributes beside its colours'}. Make one with"
            " relight.fit, and give its scene.ply."
        )
    return replace(gaussians, extras={"normal": functional.normalize(normals, dim=-1)})


def _occlusion(
    config: DecomposeConfig, gaussians: Gaussians, context: Context
) -> OcclusionVolume | None:
    if not config.published.indirect:
        return None
    if config.occlusion is None:
        raise ConfigError(
            "mode=reference with published.indirect=true needs an occlusion volume, and"
            " `occlusion` is not set. Give occlusion.npz of relight.bake mode=reference, or set"
            " published.indirect=false."
        )
    volume = OcclusionVolume.read(config.occlusion)
    volume.require_scene(gaussians, where=config.occlusion)
    if volume.mode != "reference":
        context.note(
            f"{config.occlusion} was baked in mode={volume.mode}, and is asked in that way; bake"
            " with mode=reference for the published figures",
            level="warning",
        )
    return volume.to(gaussians.means.device)


def _note_memory(frozen: FrozenViews, context: Context) -> None:
    needed = frozen.estimate_bytes()
    said = f"what the {len(frozen.cameras)} views show takes about {needed / 1e9:.2f} GB"
    if needed > frozen.room:
        said += f"; {frozen.room / 1e9:.2f} GB of it are kept, the rest is found again at each step"
    context.note(said)


def _on_black(photograph: Photograph) -> Float[Tensor, "h w 3"]:
    return photograph.over(backdrop("black", photograph.pixels.device))


def _psnr(picture: Tensor, photograph: Tensor) -> float:
    error = functional.mse_loss(picture, photograph)
    return float(-10 * torch.log10(error.clamp_min(1e-10)))


@torch.no_grad()
def _look(
    shading: Shading,
    frozen: FrozenViews,
    photographs: Sequence[Photograph],
    loop: Loop,
    context: Context,
) -> None:
    """Keep a picture: photograph, rendering, albedo and roughness."""
    seen = shading.view(frozen, 0, loop.learnt)
    albedo, roughness = seen.materials[..., :3], seen.materials[..., 3:4] * seen.mask[..., None]
    row = [
        _on_black(photographs[0]),
        seen.picture,
        linear_to_srgb(albedo.clamp(0, 1)),
        roughness.expand(-1, -1, 3),
    ]
    context.picture(loop.step, "train", to_uint8(torch.cat(row, dim=1).cpu().numpy()))


@torch.no_grad()
def _scored(
    shading: Shading,
    frozen: FrozenViews,
    photographs: Sequence[Photograph],
    loop: Loop,
    context: Context,
) -> dict[str, float]:
    """Mean loss and PSNR of some of the views that were learnt from."""
    some = evenly(len(photographs), SCORED_VIEWS)
    total = {"train/loss": 0.0, "train/psnr": 0.0}
    for number in some:
        target = _on_black(photographs[number])
        seen = shading.view(frozen, number, loop.learnt)
        total["train/loss"] += float(shading.loss(seen, target, loop.learnt)) / len(some)
        total["train/psnr"] += _psnr(seen.picture, target) / len(some)
    context.log(loop.step, total)
    return total


@torch.no_grad()
def _write(config: DecomposeConfig, context: Context, gaussians: Gaussians, learnt: Learnt) -> None:
    published = config.published
    materials = learnt.activated()
    if not published.metallic:
        # What was not shaded with must not be shaded with later.
        materials["metallic"] = torch.zeros_like(materials["metallic"])
    whole = replace(gaussians, extras=gaussians.extras | materials)
    write_ply(context.output("scene"), whole.to("cpu"))
    # In the cubemap's own axes, y up in whatever world, as published.
    image = latlong.from_cubemap(learnt.cubemap.cpu(), MAP_HEIGHT, layout="reference")
    write_radiance(context.output("light"), image.numpy())
    flags = {"mode": "reference", "up": "y", "roughness": "0.96 r + 0.04"}
    flags |= {name: getattr(published, name) for name in asdict(reference.Flags())}
    Lighting(learnt.cubemap, learnt.nearby, flags).write(context.output("lighting"))
