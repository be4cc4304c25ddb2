"""Settings of relight.fit.

Schedules are written as fractions of `iterations`: that one number may be turned and the rest
follows.
"""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.relight.settings.capture import CaptureConfig


class StartConfig(Config):
    """What the fit starts from."""

    points: Literal["auto", "file", "triangulate", "random"] = setting(
        "auto",
        "the capture's own points, points triangulated from the photographs, or random ones; auto"
        " takes the first that can be had, and for cut-out photographs random ones inside them",
    )
    count: int = setting(
        30_000, "points, random ones or at most of those found", ge=10, tunable=(5_000, 100_000)
    )
    opacity: float = setting(0.1, "opacity of a Gaussian at the start", gt=0, lt=1)


class RatesConfig(Config):
    """Learning rates of the parameters' raw values."""

    means: float = setting(
        1.6e-4, "positions, times the scene's radius", gt=0, tunable=(5e-5, 2e-3), log=True
    )
    means_final: float = setting(
        1.6e-6, "the same at the last iteration; exponential in between", gt=0, log=True
    )
    harmonics: float = setting(
        2.5e-3,
        "constant colour; the directional part learns 20 times slower",
        gt=0,
        log=True,
        tunable=(5e-4, 2e-2),
    )
    opacities: float = setting(0.05, "opacities", gt=0, tunable=(5e-3, 0.2), log=True)
    scales: float = setting(5e-3, "logarithms of the scales", gt=0, tunable=(1e-3, 0.05), log=True)
    quats: float = setting(1e-3, "rotations", gt=0, log=True)
    normals: float = setting(0.05, "normals", gt=0, log=True)


class LossConfig(Config):
    """Weights of the loss's terms."""

    ssim: float = setting(0.2, "share of 1 - SSIM beside L1", ge=0, le=1, tunable=(0.0, 0.5))
    normal: float = setting(1.0, "rendered normals against the normals of the depth map", ge=0)
    normal_tv: float = setting(
        5.0, "smoothness of the normals where the photograph is smooth", ge=0
    )
    normal_from: float = setting(
        0.35, "part of the iterations after which normals are learnt", ge=0, le=1
    )
    axes: float = setting(
        0.05,
        "shortest axes of the Gaussians against the normals of the depth map; moves the geometry;"
        " like the next two in mode=corrected only, and from normal_from on",
        ge=0,
        tunable=(0.01, 0.2),
        log=True,
    )
    spread: float = setting(
        16.0, "variance of the depths that a pixel sees, over its squared depth", ge=0
    )
    thickness: float = setting(4.0, "smallest scale of the Gaussians, over their depth", ge=0)
    opacity: float = setting(0.0, "mean opacity, so that idle Gaussians fade", ge=0)
    scale: float = setting(0.0, "mean scale relative to the scene's radius", ge=0)


class DensifyConfig(Config):
    """When Gaussians are added and removed."""

    start: float = setting(1 / 60, "part of the iterations before the first time", ge=0, le=1)
    stop: float = setting(0.5, "part of the iterations after which the number stays", ge=0, le=1)
    interval: int = setting(50, "iterations between two times", ge=1)
    gradient: float = setting(
        1.5e-4,
        "mean screen gradient from which a Gaussian is cloned or split",
        gt=0,
        log=True,
        tunable=(5e-5, 1e-3),
    )
    small: float = setting(
        0.01, "largest scale of a clone, in scene radii; larger ones are split", gt=0
    )
    large: float = setting(0.1, "scale above which a Gaussian is removed, in scene radii", gt=0)
    opacity: float = setting(0.005, "opacity below which a Gaussian is removed", ge=0, lt=1)
    reset: float = setting(
        0.1, "part of the iterations between two opacity resets; 0 never resets", ge=0, le=1
    )
    most: int = setting(60_000, "most Gaussians; those with the largest gradients go first", ge=10)


class FitConfig(CaptureConfig):
    """Photographs with poses become 3D Gaussians."""

    data: Path = artifact(
        "capture", "posed photographs: NeRF-synthetic, TensoIR, COLMAP or instant-ngp"
    )
    iterations: int = setting(
        2000, "optimisation steps, one view each", ge=1, tunable=(500, 30_000)
    )
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference keeps the published system's oddities, to compare with it"
    )
    background: Literal["auto", "black", "white", "random"] = setting(
        "auto",
        "what stands behind cut-out photographs; auto is random for them and black for others",
    )
    degree: int = setting(3, "degree of the spherical harmonics", ge=0, le=3)
    degree_every: float = setting(
        1 / 30, "part of the iterations after which the degree rises by one", gt=0, le=1
    )
    coarse: float = setting(
        0.0, "part of the iterations on photographs of half the size, to begin with", ge=0, le=1
    )
    normal_grad: Literal["normals", "geometry"] = setting(
        "normals", "whether the normal losses also move the geometry", advanced=True
    )
    start: StartConfig = setting(StartConfig(), "the first Gaussians")
    rates: RatesConfig = setting(RatesConfig(), "learning rates")
    loss: LossConfig = setting(LossConfig(), "weights of the loss")
    densify: DensifyConfig = setting(DensifyConfig(), "adding and removing Gaussians")
    evaluate_every: int = setting(
        500, "iterations between two looks at test views; 0 never looks", ge=0, in_fingerprint=False
    )
    seed: int = setting(
        0, "of the first points, the order of the photographs, and random backgrounds", ge=0
    )
    checkpoint_s: float = setting(
        60.0, "seconds between two checkpoints", gt=0, in_fingerprint=False, advanced=True
    )
