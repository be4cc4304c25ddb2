"""What looks at a picture: a tower's low-resolution patches and high-resolution map.

`clip+convnext` is Mini-Gemini's pair: CLIP ViT-L/14 at 336 and ConvNeXt-L at 768. `clip` is the
first of them alone, LLaVA's eye. `efficientnet` takes both from one small network whose weights a
Python package carries, so that a laptop can train a model without any download.

B images, N patches, C their channels, A those of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.errors import BackendError, ConfigError, DataError
from fovea.scene.efficientnet import TAPS, Encoder, published
from fovea.training.checkpoint import read_weights
from fovea.vlm.model.convnext import LARGE, ConvNext, ConvNextShape
from fovea.vlm.model.projector import crops
from fovea.vlm.picture import DEVIATION, MEAN, low_resolution

TowerName = Literal["efficientnet", "clip", "clip+convnext"]
CLIP = "openai/clip-vit-large-patch14-336"
CONVNEXT = "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup"
OPENCLIP_FILE = "open_clip_pytorch_model.bin"
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
        grid: the first tower sees grid x grid crops of a picture that is as many times larger.
        has_whole: whether it sees the whole picture besides.
        places: where the weights of the two come from, folders or names on the hub.
    """

    def __init__(
        self,
        config: Any,
        convnext: ConvNextShape | None,
        size: int,
        *,
        grid: int = 1,
        has_whole: bool = False,
        places: tuple[str, str] = (CLIP, CONVNEXT),
    ) -> None:
        super().__init__()
        from transformers import CLIPVisionModel

        self.vision_tower = CLIPVisionModel(config)
        self.vision_tower_aux = None if convnext is None else ConvNext(convnext)
        self.low_size: int = config.image_size
        self.grid = grid
        self.has_whole = has_whole
        self.places = places
        channels = 0 if convnext is None else sum(convnext.widths)
        own = self.low_size * grid
        self.shape = TowerShape(size if channels else own, config.hidden_size, channels)

    def forward(
        self, large: Float[Tensor, "B 3 size size"]
    ) -> tuple[Float[Tensor, "B N C"], Float[Tensor, "B A height width"] | None]:
        """576 patches of 1024 channels, a map of 192 x 192 and 2880, at the published sizes."""
        small = self._views(large)
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

    def _views(self, large: Float[Tensor, "B 3 size size"]) -> Float[Tensor, "views 3 low low"]:
        """What the first tower sees: all crops of all pictures, rows first, then all wholes."""
        side, grid = self.low_size * self.grid, self.grid
        small = large if large.shape[-1] == side else low_resolution(large, side)
        views = crops(small, grid)
        if self.has_whole:
            views = torch.cat([views, low_resolution(small, self.low_size)])
        return views

    def weights(self) -> dict[str, Tensor]:
        """CLIP's from its folder in the cache of Hugging Face, ConvNeXt's from OpenCLIP's file."""
        from transformers import CLIPVisionModel

        clip, convnext = self.places
        model = _found(lambda: CLIPVisionModel.from_pretrained(clip), clip)
        found = {f"vision_tower.{k}": v for k, v in model.state_dict().items()}
        if self.vision_tower_aux is not None:
            trunk = openclip_trunk(_open_clip_file(convnext))
            found |= {f"vision_tower_aux.{k}": v for k, v in trunk.items()}
        return found


def build_tower(
    name: TowerName,
    size: int,
    *,
    clip: str = CLIP,
    convnext: str = CONVNEXT,
    grid: int = 1,
    has_whole: bool = False,
) -> Tower:
    """A tower without its weights.

    Args:
        name: which.
        size: of the picture; 0 takes the tower's own.
        clip: where its weights come from; a folder says its own sizes, a name means the published.
        convnext: the same of the second tower.
        grid: crops of the picture a side.
        has_whole: whether the whole is seen besides.

    Raises:
        ConfigError: crops are wanted of a tower that knows none.
    """
    if name == "efficientnet":
        if grid > 1 or has_whole:
            raise ConfigError(
                f"crops are for CLIP's towers; model.grid={grid} model.whole={has_whole} came with "
                "tower=efficientnet. Leave them out: it takes any model.size."
            )
        return EfficientNetTower(size or 224)
    shape = _convnext_shape(convnext) if name == "clip+convnext" else None
    places = (clip, convnext)
    config = _clip_config(clip)
    return ClipTower(
        config, shape, size or 768 * grid, grid=grid, has_whole=has_whole, places=places
    )


def _clip_config(place: str) -> Any:
    from transformers import CLIPVisionConfig

    if Path(place).is_dir():
        return CLIPVisionConfig.from_pretrained(place)
    return CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )


def _convnext_shape(place: str) -> ConvNextShape:
    """The published one, or that of the file in a folder."""
    return (
        ConvNextShape.of(openclip_trunk(_open_clip_file(place))) if Path(place).is_dir() else LARGE
    )


def openclip_trunk(path: Path) -> dict[str, Tensor]:
    """The stem and stages in an OpenCLIP file of a ConvNeXt.

    Raises:
        DataError: the file holds none.
        ArtifactError: it is no file of weights.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = read_weights(path)
    prefix = "visual.trunk."
    kept = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    kept = {k: v for k, v in kept.items() if k.startswith(("stem.", "stages."))}
    if not kept:
        raise DataError(
            f"a ConvNeXt of OpenCLIP has keys below {prefix}stem and {prefix}stages; {path} has "
            f"none among {len(state)}. Give open_clip_pytorch_model.bin of {CONVNEXT}."
        )
    return kept


def _open_clip_file(place: str) -> Path:
    from huggingface_hub import hf_hub_download

    if Path(place).is_dir():
        return Path(place) / OPENCLIP_FILE
    return Path(_found(lambda: hf_hub_download(place, OPENCLIP_FILE), place))


def _found(load: Any, name: str) -> Any:
    try:
        return load()
    except (OSError, ValueError) as error:
        raise BackendError(
            f"the tower {name} comes from Hugging Face's hub, and could not be had: "
            f"{str(error).splitlines()[0]}. Download it once (hf download {name}), or take "
            "model.tower=efficientnet, which a package carries."
        ) from error
