"""The split sum's table: how much of the light around it a glossy surface gives back.

For one roughness and one n.v, a surface of reflectance F0 gives back `F0 * scale + bias` of an even
surrounding. Rows of the table are roughness, columns n.v, values stand for texel centres.

Source: Karis, "Real Shading in Unreal Engine 4" (2013), with height-correlated Smith shadowing. The
integral over half vectors is done by Gauss-Legendre rules instead of samples.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fovea.scene.raster.compiled import cache_folder

POINTS = 16
"""Of each rule. 12 are off by 3e-4, 16 by 8e-5, 32 by 3e-5 at the worst."""

_log = logging.getLogger(__name__)


def table(
    size: int = 256,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "{size} {size} 2"]:
    """Scale and bias by roughness and n.v; made once, then kept in the cache folder."""
    return _kept(size).to(device=device, dtype=dtype)


def lookup(
    table: Float[Tensor, "size size 2"],
    n_dot_v: Float[Tensor, "*batch"],
    roughness: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch 2"]:
    """Scale and bias, linear between texel centres and constant beyond the outermost.

    Gradients reach both arguments and the table.
    """
    # grid_sample would do, but it crashes where a coordinate is not a number (torch 2.13).
    size = table.shape[0]
    rows = (roughness * size - 0.5).clamp(0, size - 1).unsqueeze(-1)
    columns = (n_dot_v.clamp(1e-4, 1) * size - 0.5).clamp(0, size - 1).unsqueeze(-1)
    top, left = (at.detach().long().clamp(0, size - 2) for at in (rows, columns))
    down, across = rows - top, columns - left
    flat, first = table.reshape(-1, 2), (top * size + left).squeeze(-1)
    upper = torch.lerp(flat[first], flat[first + 1], across)
    lower = torch.lerp(flat[first + size], flat[first + size + 1], across)
    return torch.lerp(upper, lower, down)


@cache
def _kept(size: int) -> Float[Tensor, "size size 2"]:
    path = cache_folder().parent / "tables" / f"split_sum_{size}_{POINTS}.npy"
    kept = _found(path)
    if kept is not None and kept.shape == (size, size, 2):
        return torch.from_numpy(kept)
    values = integrate(size)
    try:
        _keep(path, values)
    except OSError as error:
        _log.info("the split-sum table is not kept in %s: %s", path.parent, error)
    return torch.from_numpy(values)


def _found(path: Path) -> np.ndarray | None:
    try:
        return np.load(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        _log.warning("%s is damaged and is made again: %s", path, error)
        return None


def _keep(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.npy")
    np.save(draft, values)
    draft.replace(path)


def integrate(size: int) -> Float[np.ndarray, "{size} {size} 2"]:
    """The table, float64."""
    centres = (np.arange(size) + 0.5) / size
    return np.stack([_row(roughness, centres) for roughness in centres])


def _row(roughness: float, n_dot_v: np.ndarray) -> np.ndarray:
    """Scale and bias of one roughness for all n.v.

    Half vectors lie at the angle theta from the normal, and theta = atan(alpha tan psi) makes their
    density sin(2 psi), smooth for every roughness. Up to half the eye's height above the horizon
    light comes in from all around; beyond, only from a part of the circle that shrinks to nothing.
    """
    alpha, theta_v = roughness**2, np.arccos(n_dot_v)
    psi = np.arctan(np.tan((math.pi / 2 + np.stack([-theta_v, theta_v])) / 2) / alpha)
    inner, outer = _rule(0 * psi[0], psi[0]), _rule(psi[0], psi[1], is_eased=True)
    total = np.zeros((len(n_dot_v), 2))
    for (points, weights), is_cut in ((inner, False), (outer, True)):
        theta = np.arctan(alpha * np.tan(points))
        limit = _widest(theta, n_dot_v) if is_cut else np.full_like(theta, math.pi)
        total += _ring(theta, limit, weights * np.sin(2 * points), n_dot_v, alpha)
    return total


def _widest(theta: np.ndarray, n_dot_v: np.ndarray) -> np.ndarray:
    """How far half vectors may turn from the eye's plane before the light sets."""
    n_dot_v = n_dot_v[:, None]
    sine_v = np.sqrt(1 - n_dot_v**2)
    needed = n_dot_v / (2 * np.cos(theta)) - n_dot_v * np.cos(theta)
    return np.arccos(np.clip(needed / (sine_v * np.sin(theta)), -1, 1))


def _ring(
    theta: np.ndarray, limit: np.ndarray, weights: np.ndarray, n_dot_v: np.ndarray, alpha: float
) -> np.ndarray:
    """The part of the integral at these angles, over turns from 0 to the limit."""
    turn, turn_weights = _rule(np.zeros(1), np.ones(1))
    n_dot_v, n_dot_h = n_dot_v[:, None, None], np.cos(theta)[..., None]
    sine_v, a2 = np.sqrt(1 - n_dot_v**2), alpha**2
    v_dot_h = sine_v * np.sin(theta)[..., None] * np.cos(limit[..., None] * turn[0])
    v_dot_h += n_dot_v * n_dot_h
    n_dot_l = np.maximum(2 * v_dot_h * n_dot_h - n_dot_v, 0)
    towards_light = n_dot_l * np.sqrt(n_dot_v**2 * (1 - a2) + a2)
    towards_eye = n_dot_v * np.sqrt(n_dot_l**2 * (1 - a2) + a2)
    given_back = 2 / (towards_light + towards_eye) * n_dot_l * v_dot_h / n_dot_h
    given_back *= weights[..., None] * (limit[..., None] / math.pi) * turn_weights[0]
    fresnel = (1 - v_dot_h) ** 5
    parts = [(1 - fresnel) * given_back, fresnel * given_back]
    return np.stack([part.sum(axis=(1, 2)) for part in parts], axis=1)


def _rule(
    start: np.ndarray, end: np.ndarray, *, is_eased: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights from `start` to `end`, [..., points].

    Eased points crowd at both ends, where the integrand behaves like a square root.
    """
    at, weights = np.polynomial.legendre.leggauss(POINTS)
    at, weights = (at + 1) / 2, weights / 2
    if is_eased:
        weights = weights * math.pi / 2 * np.sin(math.pi * at)
        at = (1 - np.cos(math.pi * at)) / 2
    length = (end - start)[:, None]
    return start[:, None] + length * at, length * weights
