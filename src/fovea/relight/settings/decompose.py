"""Settings of relight.decompose."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting
from fovea.relight.settings.capture import CaptureConfig


class MaterialRatesConfig(Config):
    """Learning rates of the second stage, Adam's, on raw values."""

    albedo: float = setting(0.03, "base colours", gt=0, log=True, tunable=(3e-3, 0.1))
    surface: float = setting(0.06, "roughness and metallic", gt=0, log=True, tunable=(3e-3, 0.2))
    light: float = setting(
        0.1, "the light; its logarithm in mode=corrected", gt=0, log=True, tunable=(5e-3, 0.3)
    )


class PriorsConfig(Config):
    """What is thought of materials and light beside the photographs, as weights of the loss."""

    albedo: float = setting(
        0.05,
        "base colours alike where the photographs are alike",
        ge=0,
        tunable=(5e-3, 0.5),
        log=True,
    )
    roughness: float = setting(0.02, "the same of roughness", ge=0, tunable=(5e-3, 0.5), log=True)
    metallic: float = setting(0.05, "the same of metallic", ge=0, tunable=(5e-3, 0.5), log=True)
    dielectric: float = setting(0.02, "few things are of metal", ge=0)
    decided: float = setting(0.03, "a thing is of metal or it is not", ge=0)
    white: float = setting(
        0.8, "base colour of the brightest things, to begin with", gt=0, lt=1, tunable=(0.5, 0.95)
    )
    neutral: float = setting(0.02, "light without a colour of its own", ge=0)


class PublishedConfig(Config):
    """Settings of mode=reference alone: GS-IR's flags and weights."""

    tone: bool = setting(False, "bend highlights by the ACES curve")
    gamma: bool = setting(True, "compare as sRGB; without it, photographs are taken as linear")
    metallic: bool = setting(False, "learn the metallic channel")
    indirect: bool = setting(True, "use the occlusion volume and learn indirect light")
    brdf_tv: float = setting(1.0, "smoothness of the materials", ge=0)
    env_tv: float = setting(0.01, "smoothness of the light", ge=0)
    lambertian: float = setting(1e-3, "rough things, and few of metal", ge=0)
    bound: float = setting(1.5, "half the side of the cube that the volumes fill", gt=0)


class DecomposeConfig(CaptureConfig):
    """Colours are taken apart into materials and light."""

    scene: Path = artifact("gaussians", "the fitted scene; its geometry stays as it is")
    data: Path = artifact("capture", "the photographs it was fitted to")
    surface: Path | None = artifact(
        "mesh", "its surface, `surface.ply` of relight.bake; mode=corrected needs it", optional=True
    )
    occlusion: Path | None = artifact(
        "occlusion", "its occlusion volume; mode=reference with indirect light needs it",
        optional=True,
    )  # fmt: skip
    mode: Literal["corrected", "reference"] = setting(
        "corrected", "reference is the published second stage, to compare with it"
    )
    iterations: int = setting(
        0, "optimisation steps; 0 is 1000, in reference mode 5000", ge=0, tunable=(200, 5000)
    )
    shading: Literal["monte-carlo", "split-sum"] = setting(
        "monte-carlo",
        "how pixels are lit: by rays to sampled directions, or by blurred light and the occlusion"
        " volume, faster; reference mode knows the split sum alone",
    )
    warmup: float = setting(
        0.1, "part of the iterations that begins with the split sum", ge=0, le=1
    )
    pixels: int = setting(2048, "pixels a step, from all views", ge=16, tunable=(512, 8192))
    samples: int = setting(48, "directions a pixel", ge=4, tunable=(16, 256), log=True)
    light_res: int = setting(
        0, "texels along the edge of the light's cube; 0 is 32, in reference mode 256", ge=0, le=512
    )
    rates: MaterialRatesConfig = setting(
        MaterialRatesConfig(), "learning rates of mode=corrected; the published ones are 0.05"
    )
    priors: PriorsConfig = setting(PriorsConfig(), "beside the photographs, in mode=corrected")
    published: PublishedConfig = setting(PublishedConfig(), "for mode=reference alone")
    checkpoint_s: float = setting(
        30.0, "seconds between two checkpoints", gt=0, in_fingerprint=False, advanced=True
    )
