"""The depth head: a map of half the picture's side becomes two layers of disparity."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = 32
LAYERS = 2


class DepthHead(nn.Sequential):
    """Disparity, at least zero, of the visible surface and of the one behind it.

    Three convolutions follow each other without an activation between them. A pixel depends on 2
    pixels around it, on one of the map's around it, so that the head may pass in tiles.
    """

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv2d(width, width // 2, 3, padding=1),
            nn.ConvTranspose2d(width // 2, width // 2, 2, stride=2),
            nn.Conv2d(width // 2, HIDDEN, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(HIDDEN, LAYERS, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, input: Float[Tensor, "B D h w"]) -> Float[Tensor, "B 2 2*h 2*w"]:
        """At twice the side of the map."""
        return self.finish(self.upsample(input))

    def upsample(self, fused: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D/2 2*h 2*w"]:
        """The first two layers: the largest map of the network."""
        return self[1](self[0](fused))

    def finish(self, large: Float[Tensor, "B D/2 h w"]) -> Float[Tensor, "B 2 h w"]:
        """The other four."""
        for layer in (self[2], self[3], self[4], self[5]):
            large = layer(large)
        return large
