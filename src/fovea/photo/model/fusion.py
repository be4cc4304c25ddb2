"""Blocks of convolutions that both decoders and the feature heads are made of."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))), without norms. It sees 2 pixels around each of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        """The map, a step on; works in place where no gradient is asked for."""
        y = self.residual[1](functional.relu(x))
        if y.requires_grad:
            return x + self.residual[3](functional.relu(y))
        return self.residual[3](y.relu_()).add_(x)


class FusionBlock(nn.Module):
    """Adds a finer map to a coarser one, and doubles the side where there is a next level.

    `skips` is False in the coarsest block, whose first unit a checkpoint has and nobody runs.
    """

    def __init__(self, width: int, *, doubles: bool, skips: bool = True) -> None:
        super().__init__()
        self.resnet1 = ResidualUnit(width) if skips else None
        self.resnet2 = ResidualUnit(width)
        self.deconv = nn.ConvTranspose2d(width, width, 2, stride=2, bias=False) if doubles else None
        self.out_conv = nn.Conv2d(width, width, 1)

    def forward(
        self, x: Float[Tensor, "B D h w"], skip: Float[Tensor, "B D h w"] | None = None
    ) -> Float[Tensor, "B D H W"]:
        """The fused map."""
        if self.resnet1 is not None and skip is not None:
            x = x + self.resnet1(skip)
        x = self.resnet2(x)
        if self.deconv is not None:
            x = self.deconv(x)
        return self.out_conv(x)


class NormedResidual(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), a 1x1 shortcut where the width changes.

    The norms are over groups of channels and the whole map, so a map cannot pass in tiles unless
    their statistics are taken first.
    """

    def __init__(self, width: int, width_out: int, *, groups: int) -> None:
        super().__init__()
        hidden = width_out // 2
        self.residual = nn.Sequential(
            nn.GroupNorm(groups, width),
            nn.ReLU(),
            nn.Conv2d(width, hidden, 3, padding=1),
            nn.GroupNorm(groups, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, width_out, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(width, width_out, 1) if width != width_out else None

    def forward(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D_out h w"]:
        """The map, a step on."""
        return self.residual(x) + (x if self.shortcut is None else self.shortcut(x))
