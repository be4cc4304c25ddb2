"""Fewer Gaussians for nearly the same picture: pruning, and merging to a budget.

A Gaussian's contribution is the sum, over all pixels of some views, of the weights with which it is
blended: none where it is transparent, hidden or out of view. The rasteriser gives it as a gradient:
that of the picture's sum by the Gaussian's own value. Merging replaces near neighbours of like
colour by one with their joint mean and covariance, and an opacity that keeps what they cover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from fovea.errors import DataError
from fovea.scene.camera import Camera
from fovea.scene.covariance import decomposed
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0
from fovea.scene.rasterize import rasterize

Strategy = Literal["both", "contribution", "merge", "opacity"]
Watch = Callable[[int, int], None]

INVISIBLE = 1 / 255
"""Opacity below which no viewer draws a Gaussian."""
LOST_SHARE = 0.02
"""`both` drops the weakest while together they add less than this share of the picture, and merges
the rest: measured, see docs/scenes.md."""
COLOR_DISTANCE = 30.0
"""How far apart colours differing by 1 are, in median scales of the neighbours, before merging."""
NEIGHBOURS = 4
MOST_OPACITY = 0.999
ROUNDS = 24


def contributions(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    *,
    blur: float = 0.3,
    watch: Watch = lambda done, total: None,
) -> Float[Tensor, " N"]:
    """What each Gaussian adds to the pictures of some views: its summed weights, in pixels.

    Args:
        gaussians: the scene.
        cameras: the views; near ones to those that will be looked from.
        blur: of the rasteriser, px^2.
        watch: told `(done, total)` views; may raise to stop.
    """
    total = torch.zeros(len(gaussians))
    scene = gaussians.detach().to("cpu", torch.float32)
    for number, camera in enumerate(cameras):
        value = torch.ones(len(scene), 1, requires_grad=True)
        drawn = rasterize(scene, camera, features=value, blur=blur, near=0.01)
        drawn.features.sum().backward()
        if value.grad is not None:
            total += value.grad[:, 0]
        watch(number + 1, len(cameras))
    return total


def thin(
    gaussians: Gaussians,
    budget: int,
    cameras: Sequence[Camera],
    *,
    strategy: Strategy = "both",
    watch: Watch = lambda done, total: None,
) -> Gaussians:
    """At most `budget` Gaussians that look like the scene from near the cameras.

    Those that add nothing to any view go first. Then, by strategy: `contribution` keeps those that
    add the most; `opacity` those of the largest opaque area, and asks no camera; `merge` joins
    neighbours; `both` drops the weakest, of which little is seen, and joins the rest.

    Args:
        gaussians: the scene; harmonics and extras of joined ones are averaged.
        budget: how many are left.
        cameras: where the scene will be looked at from.
        strategy: which ones go.
        watch: told `(done, total)` views; may raise to stop.

    Raises:
        DataError: the budget is below 1, or there is no camera to judge from.
    """
    if budget < 1:
        raise DataError(f"A scene keeps at least 1 Gaussian; got a budget of {budget}. Raise it.")
    if strategy != "opacity" and not cameras:
        raise DataError("Thinning needs a view to judge from, and got none. Give a camera.")
    if len(gaussians) <= budget:
        return gaussians
    if strategy == "opacity":
        return _strongest(gaussians, gaussians.opacities * _areas(gaussians), budget)
    weights = contributions(gaussians, cameras, watch=watch)
    if strategy == "contribution":
        return _strongest(gaussians, weights, budget)
    seen = weights > 0
    if int(seen.sum()) <= budget:
        return _strongest(gaussians, weights, budget)
    scene, weights = gaussians[seen], weights[seen]
    if strategy == "both":
        order = _order(weights)
        reached = weights[order].double().cumsum(0)
        enough = int((reached < (1 - LOST_SHARE) * reached[-1]).sum()) + 1
        kept = order[: max(budget, enough)].sort().values
        scene, weights = scene[kept], weights[kept]
    return merged(scene, weights, budget)


def without_transparent(gaussians: Gaussians, *, least: float = INVISIBLE) -> Gaussians:
    """The scene without Gaussians of an opacity below `least`."""
    return gaussians[gaussians.opacities >= least]


def merged(gaussians: Gaussians, weights: Float[Tensor, " N"], budget: int) -> Gaussians:
    """Join near neighbours of like colour, pair by pair, until `budget` are left.

    Args:
        gaussians: the scene.
        weights: how much each counts in the mean of a pair, such as its contribution.
        budget: how many are left.
    """
    scene, mass = gaussians, weights.double().clamp_min(1e-12)
    for _ in range(ROUNDS):
        surplus = len(scene) - budget
        if surplus <= 0:
            break
        pairs = _pairs(scene, mass, surplus)
        if not len(pairs):
            break
        scene, mass = _joined(scene, mass, pairs)
    return _strongest(scene, mass, budget) if len(scene) > budget else scene


def _order(weights: Tensor) -> Int[Tensor, " N"]:
    return torch.argsort(weights, descending=True, stable=True)


def _strongest(gaussians: Gaussians, weights: Tensor, budget: int) -> Gaussians:
    return gaussians[_order(weights)[:budget].sort().values]


def _areas(gaussians: Gaussians) -> Float[Tensor, " N"]:
    """Product of the two larger scales."""
    scales = gaussians.scales.sort(dim=1).values
    return scales[:, 1] * scales[:, 2]


def _pairs(scene: Gaussians, mass: Tensor, most: int) -> Int[np.ndarray, "P 2"]:
    """Pairs to join, none twice, the cheapest first; `most` at most, and half of the best.

    The cost of a pair is the squared distance of their positions and colours, in their own sizes,
    times the smaller mass: what is seen little may be moved far.
    """
    means = scene.means.double().numpy()
    colors = scene.harmonics[:, 0].double().numpy() * C0 + 0.5
    size = scene.scales.double().mean(dim=1).numpy()
    places = np.concatenate([means, colors * COLOR_DISTANCE * np.median(size)], axis=1)
    count = min(NEIGHBOURS, len(scene))
    tree: Any = KDTree(places)  # scipy's own types make an integer of what it returns
    distance, index = tree.query(places, k=count, workers=-1)
    first = np.repeat(np.arange(len(scene)), count - 1)
    second = index[:, 1:].ravel()
    weight = mass.numpy()
    scale = size[first] * size[second]
    cost = distance[:, 1:].ravel() ** 2 / np.maximum(scale, 1e-30)
    cost = cost * np.minimum(weight[first], weight[second])
    is_own = first == second
    order = np.lexsort((second, first, np.where(is_own, np.inf, cost)))
    return _disjoint(first[order], second[order], cost[order], most)


def _disjoint(first: np.ndarray, second: np.ndarray, cost: np.ndarray, most: int) -> np.ndarray:
    """Pairs that share no member: each is the best that both of its members are in."""
    rank = np.arange(len(first))
    size = int(max(first.max(initial=0), second.max(initial=0))) + 1
    best = np.full(size, len(first))
    np.minimum.at(best, first, rank)
    np.minimum.at(best, second, rank)
    chosen = (best[first] == rank) & (best[second] == rank) & (first != second) & np.isfinite(cost)
    return np.stack([first[chosen], second[chosen]], axis=1)[:most]


def _joined(
    scene: Gaussians, mass: Float[Tensor, " N"], pairs: Int[np.ndarray, "P 2"]
) -> tuple[Gaussians, Float[Tensor, " M"]]:
    """The scene with each pair as one; behind those that stay as they are."""
    one, other = (torch.from_numpy(np.ascontiguousarray(side)) for side in pairs.T)
    stays = torch.ones(len(scene), dtype=torch.bool)
    stays[one] = False
    stays[other] = False
    share = (mass[one] / (mass[one] + mass[other]))[:, None]

    def mean(values: Tensor) -> Tensor:
        part = share.reshape(-1, *[1] * (values.dim() - 1))
        return part * values[one].double() + (1 - part) * values[other].double()

    centre = mean(scene.means)
    spread = mean(scene.covariances().double())
    for side, part in ((one, share), (other, 1 - share)):
        away = scene.means[side].double() - centre
        spread = spread + part[..., None] * away[:, :, None] * away[:, None, :]
    six = spread[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    quats, scales = (torch.from_numpy(values) for values in decomposed(six.numpy()))
    covered = scene.opacities * _areas(scene)
    area = (scales[:, 0] * scales[:, 1]).clamp_min(1e-30)
    excess = (covered[one] + covered[other]) / (MOST_OPACITY * area)
    # Where two cover more than one can, opaque as it is, it grows: gaps cost more than blur.
    scales = scales * excess.clamp_min(1.0).sqrt()[:, None]
    opacities = (excess * MOST_OPACITY).clamp_max(MOST_OPACITY)
    opacities = torch.maximum(
        opacities, torch.minimum(scene.opacities[one], scene.opacities[other])
    )
    new = {
        "means": centre,
        "quats": quats,
        "scales": scales,
        "opacities": opacities,
        "harmonics": mean(scene.harmonics),
    }
    kept = scene[stays]
    whole = {
        name: torch.cat([getattr(kept, name), values.to(getattr(kept, name))])
        for name, values in new.items()
    }
    extras = {
        name: torch.cat([kept.extras[name], mean(values).to(values)])
        for name, values in scene.extras.items()
    }
    return replace(scene, **whole, extras=extras), torch.cat([mass[stays], mass[one] + mass[other]])
