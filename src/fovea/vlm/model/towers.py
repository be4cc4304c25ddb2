"""What looks at a picture: a tower's low-resolution patches and high-resolution map.

`clip+convnext` is Mini-Gemini's pair: CLIP ViT-L/14 at 336 and ConvNeXt-L at 768. `clip` is the
first of them alone, LLaVA's eye. `efficientnet` takes both from one small network whose weights a
Python package carries, so that a laptop can train a model without any download.

B images, N patches, C their channels, A those of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.errors import BackendError, DataError
from fovea.scene.efficientnet import TAPS, Encoder, published
from fovea.vlm.model.convnext import LARGE, ConvNext, ConvNextShape
from fovea.vlm.picture import DEVIATION, MEAN, low_resolution

TowerName = Literal["efficientnet", "clip", "clip+convnext"]
CLIP = "openai/clip-vit-large-patch14-336"
CONVNEXT = "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup"
SELECTED_LAYER = -2


@dataclass(frozen=True)
class TowerShape:
    """What a tower takes and gives."""

    size: int
    """Side of the picture it takes, in pixels."""
    channels: int
    """C."""
    aux_channels: int
    """A; 0 without a map."""


class Tower(nn.Module):
    """Looks at pictures; its weights stay as they are."""

    shape: TowerShape

    def forward(
        self, large: Float[Tensor, "B 3 size size"]
    ) -> tuple[Float[Tensor, "B N C"], Float[Tensor, "B A height width"] | None]:
        """Patches, rows first, and the map behind them. Pictures are in CLIP's colours."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """The weights as they are published, by name; for those who start without a file."""
        raise NotImplementedError


class EfficientNetTower(Tower):
    """EfficientNet-Lite0: patches at stride 32, the map from strides 8 and 16.

    Args:
        size: of the picture, a multiple of 32.
    """

    def __init__(self, size: int = 224) -> None:
        super().__init__()
        self.shape = TowerShape(size, TAPS[15], TAPS[4] + TAPS[10])
        self.encoder = Encoder()

    def forward(
        self, large: Float[Tensor, "B 3 size size"]
    ) -> tuple[Float[Tensor, "B N C"], Float[Tensor, "B A height width"] | None]:
        """Patches of stride 32 and a map of stride 8."""
        mean, deviation = (large.new_tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
        maps = self.encoder(large * deviation + mean)
        fine, middle, coarse = maps[2], maps[3], maps[4]
        middle = functional.interpolate(
            middle, fine.shape[-2:], mode="bilinear", align_corners=False
        )
        return coarse.flatten(2).transpose(1, 2), torch.cat([fine, middle], dim=1)

    def weights(self) -> dict[str, Tensor]:
        """ImageNet's, from the package that carries them."""
        return {f"encoder.{name}": value for name, value in published().items()}


class ClipTower(Tower):
    """CLIP's patches before its last layer, alone or with a ConvNeXt's map behind them.

    Args:
        config: of transformers' CLIPVisionModel.
        convnext: shape of the second tower; None for none.
        size: of the picture that the second tower takes; without one the first one's own.
    """

    def __init__(self, config: Any, convnext: ConvNextShape | None, size: int) -> None:
        super().__init__()
        from transformers import CLIPVisionModel

        self.vision_tower = CLIPVisionModel(config)
        self.vision_tower_aux = None if convnext is None else ConvNext(convnext)
        self.low_size: int = config.image_size
        channels = 0 if convnext is None else sum(convnext.widths)
        self.shape = TowerShape(size if channels else self.low_size, config.hidden_size, channels)

    def forward(
        self, large: Float[Tensor, "B 3 size size"]
    ) -> tuple[Float[Tensor, "B N C"], Float[Tensor, "B A height width"] | None]:
        """576 patches of 1024 channels, a map of 192 x 192 and 2880, at the published sizes."""
        small = large if large.shape[-1] == self.low_size else low_resolution(large, self.low_size)
        seen = self.vision_tower(small, output_hidden_states=True).hidden_states
        patches = seen[SELECTED_LAYER][:, 1:]
        if self.vision_tower_aux is None:
            return patches, None
        maps = self.vision_tower_aux(large)
        side = maps[0].shape[-2:]
        raised = [
            functional.interpolate(m.float(), side, mode="bilinear", align_corners=False).to(m)
            for m in maps[1:]
        ]
        return patches, torch.cat([maps[0], *raised], dim=1)

    def weights(self) -> dict[str, Tensor]:
        """CLIP's from its folder in the cache of Hugging Face, ConvNeXt's from OpenCLIP's file."""
        from transformers import CLIPVisionModel

        model = _found(lambda: CLIPVisionModel.from_pretrained(CLIP), CLIP)
        found = {f"vision_tower.{k}": v for k, v in model.state_dict().items()}
        if self.vision_tower_aux is not None:
            trunk = openclip_trunk(_open_clip_file())
            found |= {f"vision_tower_aux.{k}": v for k, v in trunk.items()}
        return found


def build_tower(name: TowerName, size: int) -> Tower:
    """A tower without its weights.

    Args:
        name: which.
        size: of the picture; 0 takes the tower's own.
    """
    if name == "efficientnet":
        return EfficientNetTower(size or 224)
    from transformers import CLIPVisionConfig

    large = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    return ClipTower(large, LARGE if name == "clip+convnext" else None, size or 768)


def openclip_trunk(path: Path) -> dict[str, Tensor]:
    """The stem and stages in an OpenCLIP file of a ConvNeXt.

    Raises:
        DataError: the file holds none.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = cast(dict[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))
    prefix = "visual.trunk."
    kept = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    kept = {k: v for k, v in kept.items() if k.startswith(("stem.", "stages."))}
    if not kept:
        raise DataError(
            f"a ConvNeXt of OpenCLIP has keys below {prefix}stem and {prefix}stages; {path} has "
            f"none among {len(state)}. Give open_clip_pytorch_model.bin of {CONVNEXT}."
        )
    return kept


def _open_clip_file() -> Path:
    from huggingface_hub import hf_hub_download

    found = _found(lambda: hf_hub_download(CONVNEXT, "open_clip_pytorch_model.bin"), CONVNEXT)
    return Path(found)


def _found(load: Any, name: str) -> Any:
    try:
        return load()
    except (OSError, ValueError) as error:
        raise BackendError(
            f"the tower {name} comes from Hugging Face's hub, and could not be had: "
            f"{str(error).splitlines()[0]}. Download it once (hf download {name}), or take "
            "model.tower=efficientnet, which a package carries."
        ) from error
