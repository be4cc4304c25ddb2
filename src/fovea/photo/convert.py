"""`photo.convert`: a scene in another format, in other axes, or thinned to a budget.

What that cost is seen, not guessed: the file is read back, drawn from a few views near the
photograph's, and held against pictures of the scene that came in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError
from fovea.metrics.image import psnr, ssim
from fovea.photo.settings.convert import ConvertConfig
from fovea.photo.sharp_ply import read_camera, write_sharp_ply
from fovea.runs.durable import write_text
from fovea.runs.stage import Context
from fovea.scene.axes import AxesName, from_axes, to_axes
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.files import read_gaussians, write_gaussians
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize
from fovea.scene.thinning import contributions, thin

NEAR_M = 0.01
FOCUS = 0.1
"""Quantile of the depths at which the views look, SHARP's."""
USUAL_FOV = math.radians(60)
BEST_DB = 99.0
"""Said of pictures without a difference."""
TRIES = 5
"""How often a file that is too large is written again."""
MB = 1e6


def convert(config: ConvertConfig, context: Context) -> dict[str, float]:
    """Write the scene as asked, and say what it cost."""
    whole = from_axes(read_gaussians(config.scene), config.from_axes)
    if not len(whole):
        raise DataError(f"{config.scene} holds no Gaussians, and there is nothing to convert.")
    lens = read_camera(config.scene)
    views = views_near(whole, lens, aside=config.aside, view_px=config.view_px)

    def watch(done: int, total: int) -> None:
        if context.should_stop():
            context.stop()
        context.progress(done, total, "views")

    scene = whole[whole.opacities >= config.opacity_min] if config.opacity_min else whole
    if not len(scene):
        raise DataError(
            f"opacity_min={config.opacity_min} leaves none of the {len(whole)} Gaussians of"
            f" {config.scene}. Take a smaller one."
        )
    if config.prune:
        scene = scene[contributions(scene, views, blur=0.0, watch=watch) > 0]
    if config.budget:
        scene = thin(scene, config.budget, views, strategy=config.strategy, watch=watch)
    path = context.output(config.format)
    scene = _within(config, path, scene, views, lens)
    scores = {"gaussians": float(len(scene)), "megabytes": path.stat().st_size / MB}
    if config.check:
        again = from_axes(read_gaussians(path), _axes(config))
        scores |= _likeness(again, whole, views, context)
    write_text(context.output("scores"), json.dumps(scores, indent=2) + "\n")
    return scores


def views_near(
    gaussians: Gaussians, lens: Camera | None, *, aside: float, view_px: int
) -> list[Camera]:
    """The photograph's view and four around it: right, left, below and above.

    Args:
        gaussians: the scene, with OpenCV's axes.
        lens: the photograph's camera; where nobody knows it, one at the origin, or one that sees
            the whole scene when that lies around the origin.
        aside: how far the others stand, as a part of the distance they look at.
        view_px: longer side of the views.
    """
    centre = lens or _some_camera(gaussians)
    longest = max(centre.height, centre.width)
    if longest > view_px:
        height, width = (
            max(1, round(side * view_px / longest)) for side in (centre.height, centre.width)
        )
        centre = centre.resized(height=height, width=width)
    _, depths = centre.project(gaussians.means.double())
    seen = depths[depths > NEAR_M]
    distance = float(seen.median() if not lens else _quantile(seen, FOCUS)) if len(seen) else 1.0
    step = aside * distance
    steps = [(0.0, 0.0), (step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)]
    return [_moved(centre, right, down) for right, down in (steps if aside else steps[:1])]


def _axes(config: ConvertConfig) -> AxesName:
    """Of the file."""
    if config.axes == "auto":
        return "gltf" if config.format == "glb" else config.from_axes
    return config.axes


def _within(
    config: ConvertConfig,
    path: Path,
    scene: Gaussians,
    views: Sequence[Camera],
    lens: Camera | None,
) -> Gaussians:
    """Write the scene, again with fewer Gaussians while the file is too large; what was written."""
    for _ in range(TRIES):
        _write(config, path, scene, lens)
        size = path.stat().st_size / MB
        if not config.megabytes or size <= config.megabytes:
            return scene
        budget = int(len(scene) * config.megabytes / size * 0.98)
        if budget < 1:
            break
        scene = thin(scene, budget, views, strategy=config.strategy)
    raise DataError(
        f"megabytes={config.megabytes} leaves no room for the scene: {len(scene)} Gaussians as "
        f"{config.format} take {path.stat().st_size / MB:.3f} MB. Allow more."
    )


def _write(config: ConvertConfig, path: Path, scene: Gaussians, lens: Camera | None) -> None:
    axes = _axes(config)
    plain = not scene.degree and not scene.extras
    if config.format == "ply" and lens and plain and axes == "opencv" and config.colors == "srgb":
        focal_px = float(lens.intrinsics[0, 0])
        write_sharp_ply(path, scene, focal_px=focal_px, height=lens.height, width=lens.width)
        return
    colored = in_color_space(scene, "srgb") if config.colors == "srgb" else scene
    write_gaussians(path, to_axes(colored, axes))


def _likeness(
    found: Gaussians, wanted: Gaussians, views: Sequence[Camera], context: Context
) -> dict[str, float]:
    """PSNR and SSIM of sRGB pictures, each scene blended in the space it is in."""
    psnrs: list[float] = []
    ssims: list[float] = []
    for number, view in enumerate(views):
        if context.should_stop():
            context.stop()
        one, other = (_picture(scene, view) for scene in (found, wanted))
        psnrs.append(min(BEST_DB, float(psnr(one, other))))
        ssims.append(float(ssim(one, other)))
        if number == 0:
            both = torch.cat([other, one], dim=1)
            context.picture(0, "before-after", (both * 255).round().to(torch.uint8).numpy())
        context.progress(number + 1, len(views), "pictures", psnr=psnrs[-1])
    return {"psnr": sum(psnrs) / len(psnrs), "ssim": sum(ssims) / len(ssims)}


@torch.no_grad()
def _picture(scene: Gaussians, view: Camera) -> Float[Tensor, "height width 3"]:
    drawn = rasterize(scene, view, blur=0.0, near=NEAR_M).features.clamp(0, 1)
    return linear_to_srgb(drawn) if scene.color_space == "linear" else drawn


def _some_camera(gaussians: Gaussians) -> Camera:
    """One at the origin that looks along z, or away from a scene that lies around the origin."""
    means = gaussians.means.double()
    height = width = 512
    if bool((means[:, 2] > 0).double().mean() > 0.95):
        eye = torch.eye(4, dtype=torch.float64)
        return Camera.from_fov(eye, fov_x=USUAL_FOV, height=height, width=width)
    middle = means.median(dim=0).values
    reach = _quantile((means - middle).norm(dim=1), 0.95)
    place = torch.eye(4, dtype=torch.float64)
    place[:3, 3] = -middle
    place[2, 3] += max(reach, 1e-6) / math.sin(USUAL_FOV / 2)
    return Camera.from_fov(place, fov_x=USUAL_FOV, height=height, width=width)


def _moved(camera: Camera, right: float, down: float) -> Camera:
    pose = camera.world_to_camera.clone()
    pose[:2, 3] -= torch.tensor([right, down], dtype=pose.dtype)
    return Camera(pose, camera.intrinsics, height=camera.height, width=camera.width)


def _quantile(values: Float[Tensor, " N"], share: float) -> float:
    """The value below which a share of them lies; `torch.quantile` stops at 16 million."""
    place = max(1, math.ceil(share * len(values)))
    return float(values.kthvalue(place).values)
