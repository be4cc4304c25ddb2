"""Base colours against the truth, under each of the conventions that papers use.

How bright a surface is and how bright its light cannot be told apart from photographs, so nearly
everybody scales the colours to the truth before comparing. What a ratio is taken of, in which space
images are compared and what stands behind them differ from paper to paper; numbers of two
conventions are not comparable. Colours are linear reflectances, [..., 3], straight (not multiplied
by coverage); ratios are target / ours, always of linear values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fovea.errors import DataError
from fovea.scene.color import linear_to_srgb

Scaling = Literal["none", "one", "three", "three_midpoint", "three_mean"]
"""`none`: as they are. `one`: the median ratio of the first channel for all three, as TensoIR's
single-channel mode. `three`: the median of each channel, of an even count the lower middle one, as
TensoIR's three-channel mode, GS-IR and IRGS. `three_midpoint`: the same with the mean of the two
middle ones, as NumPy's median. `three_mean`: the mean of each channel's ratios."""

LEAST = 1e-6
"""Our colours are not taken for darker than this in a ratio."""


def albedo_ratio(
    albedo: Float[Tensor, "pixels 3"], target: Float[Tensor, "pixels 3"], scaling: Scaling
) -> Float[Tensor, " 3"]:
    """The factor of each channel that brings base colours to their target.

    Args:
        albedo: ours, linear, of the pixels that count.
        target: the truth at the same pixels.
        scaling: which convention.

    Raises:
        DataError: there are no pixels, or the two differ in shape.
    """
    if albedo.shape != target.shape or len(albedo) == 0:
        raise DataError(
            "a scale of base colours is found from pixels of both, [pixels, 3]; found"
            f" {tuple(albedo.shape)} and {tuple(target.shape)}. Leave views without truth out."
        )
    if scaling == "none":
        return albedo.new_ones(3)
    ratios = target / albedo.clamp_min(LEAST)
    if scaling == "three_mean":
        return ratios.mean(dim=0)
    if scaling == "one":
        return ratios[:, :1].median(dim=0).values.expand(3)
    lower = ratios.median(dim=0).values
    if scaling == "three":
        return lower
    return (lower - (-ratios).median(dim=0).values) / 2


@dataclass(frozen=True)
class AlbedoConvention:
    """How base colours are compared; `key` names it in tables."""

    scaling: Scaling = "three"
    space: Literal["linear", "srgb"] = "linear"
    behind: Literal["stored", "white"] = "stored"
    """`stored` scales ours where the truth has coverage, leaves the rest as it is, and cuts nothing
    off (GS-IR). `white` cuts to 0..1 and lays both over white by the truth's coverage (TensoIR)."""

    @property
    def key(self) -> str:
        """`three/linear/stored`."""
        return f"{self.scaling}/{self.space}/{self.behind}"


CONVENTIONS = tuple(
    AlbedoConvention(scaling, space, behind)
    for behind in ("stored", "white")
    for space in ("linear", "srgb")
    for scaling in ("none", "one", "three", "three_midpoint", "three_mean")
)
"""All of them; the third is what GS-IR's numbers mean."""


class AlbedoPairs:
    """The base colours of a split's views and their truth; a ratio is one for the whole split."""

    def __init__(self) -> None:
        self._views: list[tuple[Tensor, Tensor, Tensor]] = []

    def __len__(self) -> int:
        return len(self._views)

    def add(
        self,
        albedo: Float[Tensor, "height width 3"],
        target: Float[Tensor, "height width 3"],
        coverage: Float[Tensor, "height width"] | Bool[Tensor, "height width"],
    ) -> None:
        """Take one view into account; `coverage` is the truth's, 0..1.

        Raises:
            DataError: the three differ in size.
        """
        if albedo.shape != target.shape or albedo.shape[:2] != coverage.shape:
            raise DataError(
                "base colours, their truth and its coverage have one size; found"
                f" {tuple(albedo.shape)}, {tuple(target.shape)} and {tuple(coverage.shape)}."
                " Resize them."
            )
        self._views.append((albedo, target, coverage.to(albedo.dtype)))

    def ratio(self, scaling: Scaling) -> Float[Tensor, " 3"]:
        """The ratio over all pixels of all views that the truth covers at all."""
        masks = [coverage > 0 for _, _, coverage in self._views]
        pairs = list(zip(self._views, masks, strict=True))
        return albedo_ratio(
            _joined(view[0][mask] for view, mask in pairs),
            _joined(view[1][mask] for view, mask in pairs),
            scaling,
        )

    def compared(
        self, convention: AlbedoConvention
    ) -> Iterator[tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 3"]]]:
        """Ours and the truth of each view, ready for any metric of images."""
        ratio = self.ratio(convention.scaling)
        for albedo, target, coverage in self._views:
            covered = coverage[..., None]
            ours = torch.where(covered > 0, albedo * ratio, albedo)
            if convention.behind == "white":
                ours, target = ours.clamp(0, 1), target.clamp(0, 1)
            if convention.space == "srgb":
                ours, target = linear_to_srgb(ours), linear_to_srgb(target)
            if convention.behind == "white":
                ours, target = (x * covered + 1 - covered for x in (ours, target))
            yield ours, target


def _joined(parts: Iterable[Tensor]) -> Tensor:
    found = list(parts)
    return torch.cat(found) if found else torch.empty(0, 3)
