"""The network of `lite`: a picture and its focal length to two surfaces and the hidden colours.

It sees the picture small (some 256 x 192) and answers at half that size. Depth is said as the
logarithm of `focal / depth` with the focal length in units of the picture's side (the root of its
area), so that one network serves all lenses; the directions of the rays are given to it beside the
picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from fovea.scene.efficientnet import TAPS, Encoder

WIDTHS = (24, 48, 72, 96, 128)
"""Of the decoder at strides 2, 4, 8, 16 and 32."""
WEIGHTS = Path(__file__).with_name("lite.safetensors")


@dataclass(frozen=True)
class Surfaces:
    """What the network says of each pixel."""

    log_inverse: Float[Tensor, "B h w"]
    """Of the visible surface: log(focal / depth), the focal length in sides of the picture."""
    log_behind: Float[Tensor, "B h w"]
    """How much farther the surface behind it lies: log(depth behind / depth), never negative."""
    color_behind: Float[Tensor, "B 3 h w"]
    """Display values of the surface behind."""


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """A unit of the decoder."""
        return x + self.second(F.relu(self.first(F.relu(x))))


class LiteNetwork(nn.Module):
    """Encoder, and a pyramid that comes back up to half the picture's size."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        taps = list(TAPS.values())
        self.laterals = nn.ModuleList(
            nn.Conv2d(tap + (3 if k >= 2 else 0), width, 1)
            for k, (tap, width) in enumerate(zip(taps, WIDTHS, strict=True))
        )
        self.overview = nn.Linear(taps[-1], WIDTHS[-1])
        self.units = nn.ModuleList(Residual(width) for width in WIDTHS)
        self.downs = nn.ModuleList(nn.Conv2d(WIDTHS[k + 1], WIDTHS[k], 1) for k in range(4))
        self.head = nn.Conv2d(WIDTHS[0], 5, 3, padding=1)

    def forward(self, image: Float[Tensor, "B 3 H W"], focal: Float[Tensor, " B"]) -> Surfaces:
        """Sides are multiples of 32; `focal` is in sides of the picture (root of its area)."""
        maps = self.encoder(image)
        x = torch.zeros(())
        for k in reversed(range(5)):
            skip = maps[k]
            if k >= 2:
                skip = torch.cat([skip, rays(focal, skip.shape[2], skip.shape[3]).to(skip)], 1)
            skip = self.laterals[k](skip)
            if k == 4:
                x = skip + self.overview(maps[k].mean((2, 3)))[:, :, None, None]
            else:
                size = skip.shape[2:]
                x = skip + F.interpolate(self.downs[k](x), size=size, mode="bilinear")
            x = self.units[k](x)
        out = self.head(F.relu(x)).float()
        return Surfaces(out[:, 0], F.softplus(out[:, 1] - 1), torch.sigmoid(out[:, 2:]))


def rays(focal: Float[Tensor, " B"], height: int, width: int) -> Float[Tensor, "B 3 h w"]:
    """Directions x / z and y / z of the pixels' rays, and the logarithm of the focal length."""
    side = (height * width) ** 0.5
    y = (torch.arange(height, device=focal.device) + 0.5 - height / 2) / side
    x = (torch.arange(width, device=focal.device) + 0.5 - width / 2) / side
    inverse = 1 / focal[:, None, None]
    flat = torch.ones(len(focal), height, width, device=focal.device)
    planes = [x[None, None] * inverse * flat, y[None, :, None] * inverse * flat]
    return torch.stack([*planes, -torch.log(inverse) * flat], 1)
