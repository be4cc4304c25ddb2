"""The decoder that both halves of the network use: from the coarsest map to the finest."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from fovea.photo.model.fusion import FusionBlock

LEVELS = 5


class MultiresDecoder(nn.Module):
    """Five maps become one of E0's size with `width` channels.

    `forward` runs all of it; `begin` and `step` are its parts, for one map in memory at a time.
    """

    def __init__(self, encoder_widths: Sequence[int], width: int) -> None:
        super().__init__()
        finest, *coarser = encoder_widths
        same = nn.Identity() if finest == width else nn.Conv2d(finest, width, 1, bias=False)
        self.convs = nn.ModuleList(
            [same, *(nn.Conv2d(wide, width, 3, padding=1, bias=False) for wide in coarser)]
        )
        self.fusions = nn.ModuleList(
            [
                FusionBlock(width, doubles=level > 0, skips=level < LEVELS - 1)
                for level in range(LEVELS)
            ]
        )

    def forward(self, maps: Sequence[Tensor]) -> Float[Tensor, "B D S/2 S/2"]:
        """The fused map from E0..E4."""
        fused = self.begin(maps[-1])
        for level in (3, 2, 1, 0):
            fused = self.step(level, fused, maps[level])
        return fused

    def begin(self, coarsest: Float[Tensor, "B e4 h w"]) -> Float[Tensor, "B D 2*h 2*w"]:
        """What E4 alone gives, at E3's size."""
        return self.fusions[4](self.convs[4](coarsest))

    def step(
        self, level: int, fused: Float[Tensor, "B D h w"], encoded: Float[Tensor, "B e h w"]
    ) -> Float[Tensor, "B D H W"]:
        """Adds E`level`; the result has the size of the next finer map, of E0 at level 0."""
        return self.fusions[level](fused, self.convs[level](encoded))
