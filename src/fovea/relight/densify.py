"""Adding Gaussians where the image asks for more, and removing those that do nothing.

Small Gaussians whose centre is pulled hard on the screen are cloned, large ones split in two. What
to do stands here as functions of arrays; when to do it, the fit decides. New rows begin with zero
moments in the optimiser.

Source: Kerbl et al., "3D Gaussian Splatting" (2023), as Liang et al., "GS-IR" (2024) use it. Their
    rule that removes Gaussians of more than 20 px of radius never acts there, for the radii are set
    to zero just before it; we leave it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fovea.relight.materials import Parameters, logit
from fovea.relight.settings.fit import DensifyConfig
from fovea.scene.gaussians import rotations
from fovea.scene.rasterize import Raster

SPLIT_SHRINK = 1.6
RESET_OPACITY = 0.01


@dataclass
class Statistics:
    """How hard each Gaussian's centre was pulled on the screen, over the views that saw it."""

    pulled: Float[Tensor, " N"]
    seen: Float[Tensor, " N"]

    @classmethod
    def zeros(cls, count: int, device: torch.device | str = "cpu") -> Statistics:
        """Nothing seen yet."""
        return cls(torch.zeros(count, device=device), torch.zeros(count, device=device))

    def add(self, raster: Raster, *, height: int, width: int) -> None:
        """Take a view into account, after its backward pass.

        The gradient is in normalised device coordinates: of a pixel times half the image's size.
        """
        gradient = raster.means2d.grad
        assert gradient is not None, "means2d.retain_grad() is called before the backward pass"
        half_size = gradient.new_tensor([width / 2, height / 2])
        pull = (gradient * half_size).norm(dim=-1)
        visible = raster.visible
        self.pulled += torch.where(visible, pull, 0.0)
        self.seen += visible

    @property
    def gradients(self) -> Float[Tensor, " N"]:
        """The mean over the views; 0 where none saw it."""
        return mean_gradients(self.pulled, self.seen)


def mean_gradients(pulled: Float[Tensor, " N"], seen: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The mean pull; 0 for a Gaussian that was never seen."""
    return torch.where(seen > 0, pulled / seen.clamp_min(1), 0.0)


def clone_and_split_masks(
    gradients: Float[Tensor, " N"],
    scales: Float[Tensor, "N 3"],
    *,
    extent: float,
    config: DensifyConfig,
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Which are cloned and which are split; the strongest go first where the limit is near."""
    chosen = gradients >= config.gradient
    allowed = max(0, config.most - len(gradients))
    if int(chosen.sum()) > allowed:
        strongest = torch.topk(gradients, allowed).indices
        within = torch.zeros_like(chosen)
        within[strongest] = True
        chosen &= within
    is_large = scales.amax(dim=-1) > config.small * extent
    return chosen & ~is_large, chosen & is_large


def child_scales(scales: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """The scales of both children of a split."""
    return scales / SPLIT_SHRINK


def prune_mask(
    opacities: Float[Tensor, " N"],
    scales: Float[Tensor, "N 3"],
    *,
    extent: float,
    remove_large: bool,
    config: DensifyConfig,
) -> Bool[Tensor, " N"]:
    """Which are removed: the faint ones and, where asked, the very large ones."""
    mask = opacities < config.opacity
    return mask | (scales.amax(dim=-1) > config.large * extent) if remove_large else mask


@torch.no_grad()
def densify(
    parameters: Parameters,
    gradients: Float[Tensor, " N"],
    *,
    extent: float,
    remove_large: bool,
    config: DensifyConfig,
    generator: torch.Generator,
) -> tuple[Parameters, Int[Tensor, " M"], Bool[Tensor, " M"]]:
    """Clone, split and prune.

    Returns:
        The new raw parameters; for each row the row it came from; and whether it is new, so that
        its moments begin at zero. Order: survivors of the split, clones, first children, second
        children.
    """
    scales = parameters["scales"].exp()
    clones, splits = clone_and_split_masks(gradients, scales, extent=extent, config=config)
    kept, cloned, parents = (m.nonzero().squeeze(-1) for m in (~splits, clones, splits))
    source = torch.cat([kept, cloned, parents, parents])
    new = {name: values[source].clone() for name, values in parameters.items()}
    first_child = len(kept) + len(cloned)
    twice = source[first_child:]
    new["means"][first_child:] += offsets(
        parameters["quats"][twice], scales[twice], generator=generator
    )
    new["scales"][first_child:] = child_scales(scales[twice]).log()
    removed = prune_mask(
        new["opacities"].sigmoid(),
        new["scales"].exp(),
        extent=extent,
        remove_large=remove_large,
        config=config,
    )
    remaining = (~removed).nonzero().squeeze(-1)
    is_new = torch.arange(len(source), device=source.device) >= len(kept)
    return {name: v[remaining] for name, v in new.items()}, source[remaining], is_new[remaining]


def offsets(
    quats: Float[Tensor, "n 4"], scales: Float[Tensor, "n 3"], *, generator: torch.Generator
) -> Float[Tensor, "n 3"]:
    """Random places inside Gaussians, from their centres."""
    noise = torch.randn(scales.shape, generator=generator, dtype=scales.dtype).to(scales.device)
    axes = rotations(torch.nn.functional.normalize(quats, dim=-1))
    return (axes @ (noise * scales).unsqueeze(-1)).squeeze(-1)


def reset_opacities(raw: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Logits of opacities no higher than 0.01, so that each has to earn its place again."""
    return raw.clamp_max(logit(RESET_OPACITY))
