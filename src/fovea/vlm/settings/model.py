"""What the model is made of."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting

NAMED: dict[str, dict[str, object]] = {
    "tiny": {"language": "tiny", "tower": "efficientnet", "size": 128},
    "small": {"language": "smollm2-135m", "tower": "efficientnet", "size": 224},
    "mgm-2b": {"language": "google/gemma-2b-it", "tower": "clip+convnext", "size": 768},
}
"""Models by name: what `auto` settings mean for each."""


class ModelConfig(Config):
    """What looks, what speaks, and what joins them."""

    name: Literal["tiny", "small", "mgm-2b"] = setting(
        "mgm-2b",
        "what `auto` below means: mgm-2b is the published one, small is made of weights that"
        " packages carry, tiny speaks the words of its data alone",
    )
    language: str = setting(
        "auto",
        "the language model: tiny, smollm2-135m, a folder, or a name on Hugging Face's hub",
        local_only=True,
        min_length=1,
    )
    tower: Literal["auto", "efficientnet", "clip", "clip+convnext"] = setting(
        "auto", "what looks at the picture"
    )
    size: int = setting(
        0, "side of the picture in pixels, a multiple of 32; 0 is the tower's own", ge=0, le=2048
    )
    projector: str = setting(
        "mlp2x_gelu", "from picture to word: linear, identity or mlp2x_gelu", min_length=1
    )
    grid: int = setting(1, "the picture is cut into grid x grid crops (HD models: 2)", ge=1, le=4)
    whole: bool = setting(False, "the whole picture is seen beside its crops")
    template: Literal["auto", "gemma", "chatml", "vicuna"] = setting(
        "auto", "how turns are written; auto goes by the language model's name"
    )

    def choice(self, name: str) -> object:
        """A setting, `auto` and 0 replaced by what the model's name means."""
        value = getattr(self, name)
        return NAMED[self.name][name] if value in ("auto", 0) else value
