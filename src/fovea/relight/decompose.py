"""Colours taken apart into materials and light: the second stage, its loop written out.

The surface that was baked stays as it is. Every pixel of every photograph that looks at it says
what came from there; each step takes some thousand of them, lights their places from the light as
it is thought to be, past whatever stands in the way, and moves materials and light so that the
pixels come out right. Light from the surface itself is what the photographs show there. In the end
the materials go from the surface to the Gaussians.

Source: the task and the split of light into direct and indirect follow Liang et al., "GS-IR" (CVPR
    2024), which `mode="reference"` reproduces; Monte Carlo with visibility in place of the split
    sum as Hasselgren et al., "Shape, Light, and Material Decomposition from Images using Monte
    Carlo Rendering and Denoising" (2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from fovea.errors import ConfigError
from fovea.relight.capture.gsir import read_scene
from fovea.relight.deferred import Relighter
from fovea.relight.gbuffer import gbuffer
from fovea.relight.light import cubemap as cube
from fovea.relight.light import latlong
from fovea.relight.light.environment import DirectionSampler, Environment, Up
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.lighting import Lighting
from fovea.relight.palette import Materials, Palette
from fovea.relight.relighting import displayed, up_seen
from fovea.relight.settings.decompose import DecomposeConfig
from fovea.relight.shading import montecarlo, table
from fovea.relight.shading.montecarlo import Counts, MeshSurroundings
from fovea.relight.shading.split_sum import BlurredLight, shade_linear
from fovea.relight.sightings import Sightings, look, vertex_colors
from fovea.relight.surface.mesh import Mesh, read_mesh, write_mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.volumes.occlusion import OcclusionVolume
from fovea.runs.stage import Context
from fovea.scene.capture import Photograph, load_all, read_capture, require_masks
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
from fovea.training.every import EverySeconds, is_every

ITERATIONS, LIGHT_RES = 1000, 32
BLUR_RES = 64
MAP_HEIGHT = 128
"""Rows of the written light."""
RESAMPLE_EVERY = 10
"""Steps after which directions are drawn by the light as it is by then."""
RAMP, DECAY_FROM, LAST_RATE = 20, 0.3, 0.2
"""Steps until the rates are full; the part of the iterations from which they fall, and to what."""
WHITE = 0.99
"""A pixel this bright may have been brighter."""
HUBER = 0.1
LOSS_GAIN = 10.0
"""The photographs' error is small beside the priors' weights as people think of them."""
LOG_EVERY = 10
NEIGHBOURS, FAR_EDGES = 4, 4.0
"""Vertices that a Gaussian takes its materials from, and how many edges away its normal is not
theirs."""
DARK = 0.1
"""Radiance below which the hue of light does not matter."""


def decompose(config: DecomposeConfig, context: Context) -> dict[str, float]:
    """Find the materials of a scene and the light that it was photographed under."""
    if config.mode == "reference":
        from fovea.relight.decompose_reference import decompose_reference

        return decompose_reference(config, context)
    gaussians = read_scene(config.scene)
    photographs = _photographs(config, context)
    mesh = _surface(config)
    tracer = Tracer(mesh)
    seen = look(photographs, tracer, random=generator_for(context, "sightings"))
    context.note(f"{len(seen)} pixels show the surface of {len(mesh.faces)} triangles")
    colors = vertex_colors(seen, tracer)
    palette = Palette(mesh, colors, white=config.priors.white)
    steps = config.iterations or ITERATIONS
    loop = _resumed(config, context, palette) or _started(config, context, palette)
    studio = _Studio(
        MeshSurroundings(tracer, colors), _open_share(config, mesh, gaussians, seen), config
    )
    clock = EverySeconds(config.checkpoint_s)

    for step in range(loop.step + 1, steps + 1):
        progress = step / steps
        loop.set_rates(config, step, progress)
        if step == 1 or is_every(step - 1, RESAMPLE_EVERY):
            loop.drawn_by = loop.light.detach().exp()
        some = torch.randint(len(seen), (config.pixels,), generator=loop.generators["pixels"])
        batch = seen[some]
        materials = palette.at(batch.corners, batch.weights)
        light = loop.light.exp()
        if config.shading == "split-sum" or progress <= config.warmup:
            radiance = studio.split_sum(batch, some, materials, light)
        else:
            radiance = studio.monte_carlo(batch, materials, light, loop)
        error = _error(radiance, batch.colors)
        photographic = LOSS_GAIN * functional.huber_loss(
            error, torch.zeros_like(error), delta=HUBER
        )
        prior = palette.prior(config.priors, progress=progress)
        loss = photographic + prior + config.priors.neutral * _hue(light)
        loop.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        loop.optimizer.step()
        loop.step = step

        if is_every(step, LOG_EVERY) or step == steps:
            psnr = float(-10 * error.detach().square().mean().clamp_min(1e-10).log10())
            context.log(step, {"train/loss": float(loss.detach()), "train/psnr": psnr})
            context.progress(step, steps, "steps", psnr=psnr)
        if clock.is_due():
            context.checkpoints.save(step, loop.save)
        if context.should_stop():
            context.checkpoints.save(step, loop.save)
            context.stop()

    return _finish(loop, config, context, gaussians, mesh, palette, photographs)


@dataclass
class _Loop:
    """Everything that changes from step to step; saved and restored whole."""

    light: Tensor
    """Logarithm of the radiance, a cubemap in world axes."""
    drawn_by: Tensor
    """The light by which directions are drawn."""
    optimizer: torch.optim.Adam
    parameters: dict[str, Tensor]
    generators: dict[str, torch.Generator]
    step: int = 0

    def set_rates(self, config: DecomposeConfig, step: int, progress: float) -> None:
        """Rise over the first steps, fall exponentially in the end."""
        rates = config.rates
        fall = LAST_RATE ** max(0.0, (progress - DECAY_FROM) / (1 - DECAY_FROM))
        for group, rate in zip(
            self.optimizer.param_groups, (rates.albedo, rates.surface, rates.light), strict=True
        ):
            group["lr"] = rate * fall * min(1.0, step / RAMP)

    def save(self, folder: Path) -> None:
        """Write all of it into a checkpoint's folder."""
        state: State = {
            "step": self.step,
            "light": self.light.detach(),
            "drawn_by": self.drawn_by,
            "parameters": {name: values.detach() for name, values in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "random": random_state(self.generators),
        }
        save_state(folder, state)


class _Studio:
    """Places of a surface, lit."""

    def __init__(
        self, surroundings: MeshSurroundings, open_share: Tensor | None, config: DecomposeConfig
    ) -> None:
        self.surroundings = surroundings
        self.open_share = open_share
        self.counts = Counts.of(config.samples)

    def monte_carlo(
        self, batch: Sightings, materials: Materials, light: Tensor, loop: _Loop
    ) -> Float[Tensor, "B 3"]:
        """By rays, with what the surface gives where it hides the light."""
        arriving = montecarlo.draw(
            batch.points,
            batch.normals,
            batch.view,
            materials.roughness.detach(),
            sampler=sampler_of(loop.drawn_by),
            counts=self.counts,
            surroundings=self.surroundings,
            random=loop.generators["directions"],
        )
        return montecarlo.reflected(
            arriving,
            lambda directions: cube.sample(light, directions),
            normals=batch.normals,
            view=batch.view,
            albedo=materials.albedo,
            roughness=materials.roughness,
            metallic=materials.metallic,
        )

    def split_sum(
        self, batch: Sightings, some: Tensor, materials: Materials, light: Tensor
    ) -> Float[Tensor, "B 3"]:
        """By blurred light, of which the occlusion volume lets a share through."""
        sharp = cube.sample(light, cube.texel_directions(BLUR_RES))
        visible = None if self.open_share is None else self.open_share[some].unsqueeze(-1)
        return shade_linear(
            BlurredLight(*Prefilter(BLUR_RES, "corrected")(sharp)),
            table.table(),
            normals=batch.normals,
            view=batch.view,
            albedo=materials.albedo,
            roughness=materials.roughness,
            metallic=materials.metallic,
            visibility=visible,
            energy_conserving=True,
        ).color


def sampler_of(cubemap: Float[Tensor, "6 res res 3"]) -> DirectionSampler:
    """Directions by the power of a cubemap in world axes."""
    radiance = latlong.from_cubemap(cubemap, 2 * cubemap.shape[1])
    return Environment(radiance, up="y").importance()


def _error(radiance: Tensor, shown: Tensor) -> Float[Tensor, "B 3"]:
    """What is wrong with pixels, as sRGB; a white one cannot be too bright."""
    error = linear_to_srgb(radiance.clamp_min(1e-5)) - shown
    return torch.where(shown >= WHITE, error.clamp_max(0), error)


def _hue(light: Tensor) -> Float[Tensor, ""]:
    grey = light.mean(dim=-1, keepdim=True)
    return ((light - grey).abs() / (grey.detach() + DARK)).mean()


def _photographs(config: DecomposeConfig, context: Context) -> list[Photograph]:
    capture = read_capture(config.data, images=config.images, hold_out=config.hold_out)
    loaded = load_all(capture.split("train"), config.resolution, context)
    if any(photograph.is_cut_out for photograph in loaded):
        require_masks(
            capture,
            wanted_by="relight.decompose",
            otherwise="or leave all alpha away, and everything that the surface shows is taken",
        )
    return loaded


def _surface(config: DecomposeConfig) -> Mesh:
    if config.surface is None:
        raise ConfigError(
            "mode=corrected lights the places of a surface, and surface= was not given. Take"
            " surface.ply of relight.bake, or mode=reference, which needs none."
        )
    return read_mesh(config.surface)


def _open_share(
    config: DecomposeConfig, mesh: Mesh, gaussians: Gaussians, seen: Sightings
) -> Float[Tensor, " N"] | None:
    """The share of the sky that is open over each sighting, where a volume knows it."""
    if config.occlusion is None or (config.shading != "split-sum" and config.warmup == 0):
        return None
    volume = OcclusionVolume.read(config.occlusion)
    volume.require_scene(gaussians, where=config.occlusion)
    at_vertices = volume.visibility(torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.normals))
    return (at_vertices[seen.corners] * seen.weights).sum(dim=1)


def _adam(palette: Palette, light: Tensor) -> torch.optim.Adam:
    raw = palette.parameters
    groups = [
        {"params": [raw["albedo"]]},
        {"params": [raw["roughness"], raw["metallic"]]},
        {"params": [light]},
    ]
    return torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.99))


def _started(config: DecomposeConfig, context: Context, palette: Palette) -> _Loop:
    """An even light, as bright as makes the brightest things as white as they are taken to be."""
    res = config.light_res or LIGHT_RES
    level = math.log(max(palette.brightest, 1e-3) / config.priors.white)
    light = torch.full((6, res, res, 3), level, requires_grad=True)
    names = ("pixels", "directions")
    return _Loop(
        light,
        light.detach().exp(),
        _adam(palette, light),
        palette.parameters,
        {name: generator_for(context, name) for name in names},
    )


def _resumed(config: DecomposeConfig, context: Context, palette: Palette) -> _Loop | None:
    found = context.checkpoints.latest()
    if found is None:
        return None
    step, folder = found
    state = load_state(folder)
    loop = _started(config, context, palette)
    with torch.no_grad():
        loop.light.copy_(state["light"])
        for name, values in loop.parameters.items():
            values.copy_(state["parameters"][name])
    loop.drawn_by = state["drawn_by"]
    loop.optimizer.load_state_dict(state["optimizer"])
    restore_random_state(state["random"], loop.generators)
    loop.step = step
    context.resumed(step)
    return loop


@torch.no_grad()
def _finish(
    loop: _Loop,
    config: DecomposeConfig,
    context: Context,
    gaussians: Gaussians,
    mesh: Mesh,
    palette: Palette,
    photographs: Sequence[Photograph],
) -> dict[str, float]:
    """Write the outputs and show the first photograph beside what was made of it."""
    materials = palette.at_vertices()
    extras = {name: values.numpy() for name, values in materials._asdict().items()}
    painted = replace(mesh, extras=mesh.extras | extras)
    scene = onto_gaussians(gaussians, mesh, materials)
    cubemap = loop.light.detach().exp()
    up = up_seen([photograph.camera for photograph in photographs])
    environment = environment_of(cubemap, up)
    write_ply(context.output("scene"), scene)
    write_mesh(context.output("surface"), painted)
    write_radiance(context.output("light"), environment.radiance.numpy())
    flags = {"mode": "corrected", "gamma": True, "metallic": True, "shading": config.shading}
    Lighting(cubemap, None, flags).write(context.output("lighting"))

    first = photographs[0]
    tracer = Tracer(painted)
    buffer = gbuffer(scene, first.camera, tracer=tracer)
    shading = Relighter(environment, tracer=tracer)
    black = torch.zeros(3)
    rendered = displayed(shading.shade(buffer), buffer.alpha, black)
    shown = first.over(black)
    cover = buffer.alpha.unsqueeze(-1)
    maps = (linear_to_srgb(buffer.albedo), buffer.roughness, buffer.metallic)
    columns = [shown, rendered, *((values * cover).expand_as(shown) for values in maps)]
    context.picture(loop.step, "materials", to_uint8(torch.cat(columns, dim=1).numpy()))
    error = functional.mse_loss(rendered, shown)
    return {"train/psnr": float(-10 * error.clamp_min(1e-10).log10())}


def environment_of(cubemap: Float[Tensor, "6 res res 3"], up: Up) -> Environment:
    """A cubemap in world axes as a map whose first row looks up."""
    shape = (MAP_HEIGHT, 2 * MAP_HEIGHT)
    placed = Environment(torch.zeros(*shape, 3), up=up)
    native = latlong.directions(*shape)
    world = native @ placed.native_from_world.to(native)
    return replace(placed, radiance=cube.sample(cubemap, world))


def onto_gaussians(gaussians: Gaussians, mesh: Mesh, materials: Materials) -> Gaussians:
    """Gaussians with the materials and the normals of the surface beside them.

    Gaussians far from it keep their own normals.
    """
    tree = KDTree(mesh.vertices)
    distance, nearest = tree.query(gaussians.means.numpy(), k=NEIGHBOURS)
    weights = 1 / (distance + 0.1 * mesh.edge)
    shares = torch.from_numpy(weights / weights.sum(axis=1, keepdims=True)).float().unsqueeze(-1)
    around = torch.from_numpy(nearest)
    extras = {
        name: (values[around] * shares).sum(dim=1) for name, values in materials._asdict().items()
    }
    normals = (torch.from_numpy(mesh.normals)[around] * shares).sum(dim=1)
    own = gaussians.extras.get("normal", normals)
    is_far = torch.from_numpy(distance[:, :1] > FAR_EDGES * mesh.edge)
    extras["normal"] = torch.where(is_far, own, functional.normalize(normals, dim=-1))
    return replace(gaussians, extras=gaussians.extras | extras)
