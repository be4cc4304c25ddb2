"""Pictures painted anew by Stable Diffusion, through diffusers."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from PIL import Image

from fovea.synth.models.abilities import Repainting
from fovea.synth.models.hub import quietly
from fovea.synth.models.language import EXTRA
from fovea.synth.models.loading import importable

ATTEMPTS = 10
"""A picture that the safety checker refuses is painted again so often, with other seeds."""


class ImageToImage:
    """Stable Diffusion's image-to-image pipeline of diffusers.

    Args:
        place: its folder or name, then what it is loaded with: `name?dtype=fp16&revision=main`.
        download: whether it may be downloaded.
        device: that it computes on.
    """

    def __init__(self, place: str, *, download: bool, device: str) -> None:
        diffusers = importable("diffusers", "image_diffusion_mapper", EXTRA)
        diffusers.utils.logging.disable_progress_bar()
        name, _, told = place.partition("?")
        options = dict(word.split("=", 1) for word in told.split("&") if word)
        dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            self.pipeline: Any = quietly(
                lambda: diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(
                    name,
                    torch_dtype=dtypes[options.get("dtype", "fp32")],
                    revision=options.get("revision", "main"),
                    local_files_only=not download,
                ),
                name,
            ).to(device)
        self.pipeline.set_progress_bar_config(disable=True)

    def repainted(self, picture: Image.Image, prompt: str, how: Repainting) -> Image.Image | None:
        """The first picture that the safety checker lets pass, of the old one's size."""
        square = picture.resize((how.side, how.side), Image.Resampling.BILINEAR)
        for attempt in range(ATTEMPTS):
            generator = torch.Generator("cpu").manual_seed(how.seed + attempt)
            with warnings.catch_warnings(action="ignore", category=FutureWarning):
                made = self.pipeline(
                    prompt=prompt,
                    image=square,
                    strength=how.strength,
                    guidance_scale=how.guidance,
                    num_inference_steps=how.steps,
                    generator=generator,
                )
            refused: list[bool] | None = getattr(made, "nsfw_content_detected", None)
            if not (refused and refused[0]):
                return made.images[0].resize(picture.size, Image.Resampling.BILINEAR)
        return None
