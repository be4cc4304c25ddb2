"""How well a scene made of the left picture of a pair foretells the right one.

Three things are scored in the same way: the scene, a wall, and the ground. The wall is the left
photograph at one depth; the ground's inverse depth grows evenly from the top of the picture to its
bottom. All get the scale and shift of their inverse depth from the truth (`aligned`); a scene in
metres is scored as it is as well (`raw`), where the pair is calibrated.

The right view of something at depth z is the left pixel moved by f b / z - offset, f and b being
the pair's, whatever focal length the scene was made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from fovea.metrics.depth import Alignment, Method, align_inverse_depth, depth_scores
from fovea.metrics.image import ssim_map
from fovea.metrics.metric import MeanMetric
from fovea.photo.drawing import Picture, constant_colors, draw
from fovea.photo.lift import lift
from fovea.photo.pair import StereoPair
from fovea.scene.camera import Camera
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussians import Gaussians

Depth = Float[np.ndarray, "height width"]
SCENE, WALL, GROUND, RAW = "scene", "wall", "ground", "raw"
"""What is scored, by name; `raw` is the scene without alignment."""


@dataclass(frozen=True)
class Look:
    """One method's answer, and what it scores.

    Attributes:
        depth: of the left picture, aligned.
        right: the foretold right picture.
        scores: by name.
        alignment: that was applied.
    """

    depth: Depth
    right: Picture
    scores: dict[str, float]
    alignment: Alignment


def evaluate_stereo(
    pair: StereoPair,
    gaussians: Gaussians,
    lens: Camera,
    *,
    align: Method = "least_squares",
    metrics: Mapping[str, MeanMetric] | None = None,
) -> dict[str, Look]:
    """Score a scene of the left picture beside a wall and the ground.

    Args:
        pair: the truth.
        gaussians: the scene, in the left camera.
        lens: of the camera the scene was made with, at the origin, of any size.
        align: how scale and shift of the inverse depth are found.
        metrics: further ones for the right picture, by name, such as LPIPS.

    Returns:
        `scene`, `wall`, `ground`, and `raw` where the pair is calibrated.
    """
    height, width = pair.disparity.shape
    lens = lens.resized(height=height, width=width)
    truth, seen = pair.depth(), pair.seen_by_both()
    scene = in_color_space(gaussians, "linear")
    drawn = draw(scene, lens, colors=constant_colors(scene))
    predicted = np.where(drawn.alpha > 0.5, drawn.depth, 0.0).astype(np.float64)
    rows = np.repeat(((np.arange(height) + 0.5) / height)[:, None], width, axis=1)
    guesses = {SCENE: predicted, WALL: np.ones_like(rows), GROUND: 1 / rows}
    methods: dict[str, Method] = dict.fromkeys(guesses, align)
    if pair.is_metric:
        guesses[RAW], methods[RAW] = predicted, "none"
    looks: dict[str, Look] = {}
    for name, guess in guesses.items():
        alignment = align_inverse_depth(guess, truth, method=methods[name])
        depth = alignment.depth(guess)
        if name in (WALL, GROUND):
            moved = lift(pair.left, depth, lens)
        else:
            moved = aligned(scene, alignment)
        right = right_view(moved, lens, pair)
        scores = depth_scores(depth, truth) | view_scores(right, pair.right, seen, metrics or {})
        looks[name] = Look(depth, right, scores, alignment)
    return looks


def aligned(gaussians: Gaussians, alignment: Alignment) -> Gaussians:
    """The scene with its inverse depths scaled and shifted, each Gaussian along its own ray."""
    kept = gaussians[gaussians.means[:, 2] > 0]
    z = kept.means[:, 2].double().cpu().numpy()
    share = torch.from_numpy(alignment.depth(z) / z).to(kept.means)[:, None]
    return replace(kept, means=kept.means * share, scales=kept.scales * share)


def right_view(gaussians: Gaussians, lens: Camera, pair: StereoPair) -> Picture:
    """What the right camera sees, filled where nothing is."""
    focal_px = float(lens.intrinsics[0, 0])
    pose, intrinsics = lens.world_to_camera.clone(), lens.intrinsics.clone()
    pose[0, 3] -= pair.scale / focal_px
    intrinsics[0, 2] += pair.offset_px
    camera = replace(lens, world_to_camera=pose, intrinsics=intrinsics)
    drawn = draw(gaussians, camera, colors=constant_colors(gaussians))
    return drawn.filled().picture(gaussians.color_space)


def view_scores(
    picture: Picture,
    truth: Picture,
    seen: Bool[np.ndarray, "height width"],
    metrics: Mapping[str, MeanMetric],
) -> dict[str, float]:
    """PSNR and SSIM of a picture, over all of it and over the pixels that could be known."""
    image, target = (
        torch.from_numpy(values).to(torch.float32) / 255 for values in (picture, truth)
    )
    error = (image - target).square().mean(dim=-1)
    similarity = ssim_map(image, target).mean(dim=-1)
    mask = torch.from_numpy(seen)
    scores = {"psnr": _decibels(error), "ssim": float(similarity.mean())}
    if mask.any():
        scores |= {"psnr_seen": _decibels(error[mask]), "ssim_seen": float(similarity[mask].mean())}
    for name, metric in metrics.items():
        metric.reset()
        metric.update(image, target)
        scores[name] = metric.compute()
    return scores


def _decibels(squared_error: torch.Tensor) -> float:
    return float(-10 * torch.log10(squared_error.double().mean()))
