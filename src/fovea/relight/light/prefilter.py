"""Light blurred for shading: what a diffuse surface receives, and what a glossy one mirrors.

Both blurs are linear in the light: `K (area * L)`, with one weight in K for each pair of texels
that depends on the angle between them alone. So K is symmetric, which makes its gradient K again,
and it is unchanged by the 48 rotations and reflections of a cube, so that only the rows of one
eighth of a face are made: 50 MB for a cubemap of 256, whose whole matrices would take a gigabyte.

`mode="reference"` keeps the published weights of texels, which are no solid angles.

Source: Liang et al., "GS-IR" (CVPR 2024) and Munkberg et al., "Extracting Triangular 3D Models"
(CVPR 2022) for the levels and their roughness.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from fovea.errors import ConfigError, DataError
from fovea.relight.light import cubemap as cube

Mode = Literal["corrected", "reference"]

SMALLEST = 16
"""The last level, for the diffuse light and for roughness 1."""

MIRROR, GLOSSY = 0.08, 0.5
"""The roughness of the first level and of the last but one."""

DENSE_SHARE = 0.2
"""Above this share of weights that are not zero, a full matrix is faster than a list."""


@dataclass(frozen=True)
class Prefilter:
    """The blurs for cubemaps of one size.

    Attributes:
        res: of the sharpest level: 64, 128, 256 or 512.
        mode: `corrected` weighs texels by their solid angles; `reference` as published.

    Raises:
        ConfigError: there is no such size.
    """

    res: int
    mode: Mode = "corrected"

    def __post_init__(self) -> None:
        if self.res not in (64, 128, 256, 512):
            raise ConfigError(
                "light is blurred on cubemaps of 64, 128, 256 or 512 texels a side; got"
                f" {self.res}. Take 64 for a trial, 256 as published."
            )

    @property
    def levels(self) -> list[tuple[int, float]]:
        """The resolution and roughness of each level of the specular light."""
        count = int(math.log2(self.res // SMALLEST)) + 1
        glossy = [MIRROR + (GLOSSY - MIRROR) * k / (count - 2) for k in range(count - 1)]
        return [(self.res >> k, roughness) for k, roughness in enumerate([*glossy, 1.0])]

    def __call__(
        self, base: Float[Tensor, "6 res res c"]
    ) -> tuple[Float[Tensor, "6 16 16 c"], list[Float[Tensor, "6 _ _ c"]]]:
        """The diffuse light and the levels of the specular light of a cubemap."""
        mips = cube.mip_chain(base, SMALLEST)
        return self.diffuse(mips[-1]), self.specular(mips)

    def diffuse(self, cubemap: Float[Tensor, "6 res res c"]) -> Float[Tensor, "6 16 16 c"]:
        """Irradiance over pi for each normal: white light of 1 gives 1.

        The reference gives 1.046 to 1.116 then, depending on the direction.
        """
        light = cube.mip_chain(cubemap, SMALLEST)[-1]
        area = _areas(SMALLEST, self.mode, light.dtype, light.device)
        if self.mode == "reference":
            return _blur(light * area, _Cosine(0.999)) / 3.141592
        return _blur(light * area, _Cosine(1.0)) / math.pi

    def specular(self, mips: Sequence[Float[Tensor, "6 _ _ c"]]) -> list[Float[Tensor, "6 _ _ c"]]:
        """Each unfiltered level, blurred by the GGX lobe of its roughness.

        Raises:
            DataError: the levels are not those of a cubemap of this size.
        """
        sizes = [mip.shape[1] for mip in mips]
        if sizes != [res for res, _ in self.levels]:
            raise DataError(
                f"the mips of a cubemap of {self.res} have {[res for res, _ in self.levels]} texels"
                f" a side; found {sizes}. Make them with cubemap.mip_chain."
            )
        return [
            self._lobe(mip, roughness)
            for mip, (_, roughness) in zip(mips, self.levels, strict=True)
        ]

    def _lobe(self, light: Tensor, roughness: float) -> Tensor:
        area = _areas(light.shape[1], self.mode, light.dtype, light.device)
        whole = _whole(light.shape[1], roughness, self.mode, light.dtype, light.device)
        return _blur(light * area, _Glossy(roughness)) / whole


def level_of(roughness: Float[Tensor, "*batch"], levels: int) -> Float[Tensor, "*batch"]:
    """The level, between 0 and `levels - 1`, whose blur belongs to a roughness."""
    glossy = (roughness.clamp(MIRROR, GLOSSY) - MIRROR) / (GLOSSY - MIRROR) * (levels - 2)
    rough = (roughness.clamp(GLOSSY, 1) - GLOSSY) / (1 - GLOSSY) + levels - 2
    return torch.where(roughness < GLOSSY, glossy, rough)


@cache
def cutoff(roughness: float) -> float:
    """The cosine beyond which a lobe is cut off, as published.

    It is where the sum of D over even steps of the angle, without its sine, reaches 99 %.
    """
    cosines = np.cos(np.linspace(0, math.pi / 2, 1_000_000))
    cumulated = np.cumsum(_facets(cosines, roughness))
    return float(cosines[np.argmax(cumulated >= 0.99 * cumulated[-1])])


def reference_areas(res: int) -> Float[Tensor, "{res} {res}"]:
    """The published weights of a face's texels, shifted by one texel below and right of centre."""
    half = res / 2
    distance = (torch.arange(res, dtype=torch.float64) - half).abs()
    angle = torch.atan((distance + 1) / half) - torch.atan(distance / half)
    return angle.unsqueeze(1) * angle.unsqueeze(0)


@dataclass(frozen=True)
class _Cosine:
    """The weights of diffuse light, the cosine cut at `most`."""

    most: float

    def weights(self, cosines: np.ndarray) -> np.ndarray:
        return np.clip(cosines, 0, self.most)

    def least_cosine(self) -> float:
        return 0.0


@dataclass(frozen=True)
class _Glossy:
    """The weights of a GGX lobe seen along its axis: n = v = the mirrored direction."""

    roughness: float

    def weights(self, cosines: np.ndarray) -> np.ndarray:
        halfway = np.sqrt(np.clip((1 + cosines) / 2, 0, 1))
        return np.maximum(cosines, 0) * _facets(halfway, self.roughness)

    def least_cosine(self) -> float:
        return cutoff(self.roughness)


@dataclass(frozen=True)
class _Kernel:
    """The rows of K for one eighth of a face, and how the cube's 48 symmetries spread them.

    Attributes:
        weights: [rows, columns], or the weights that are not zero, row by row.
        columns: for the latter, the column of each; None for a full matrix.
        starts: where the list of each row begins.
        turned: [columns * 48] the texel that each symmetry takes each column's texel to.
        unturned: [texels] the row and symmetry that give each texel.
    """

    weights: Float[Tensor, ...]
    columns: Int[Tensor, " n"] | None
    starts: Int[Tensor, " rows"]
    turned: Int[Tensor, " turned"]
    unturned: Int[Tensor, " texels"]

    def apply(self, values: Float[Tensor, "texels c"]) -> Float[Tensor, "texels c"]:
        """K times values."""
        channels = values.shape[1]
        turned = values[self.turned].reshape(-1, 48 * channels)
        if self.columns is None:
            rows = self.weights @ turned
        else:
            rows = functional.embedding_bag(
                self.columns, turned, self.starts, per_sample_weights=self.weights, mode="sum"
            )
        return rows.reshape(-1, channels)[self.unturned]


class _Symmetric(torch.autograd.Function):
    """A symmetric matrix times values: its gradient is the same product."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kernel: _Kernel) -> Tensor:
        ctx.kernel = kernel
        return kernel.apply(values)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        return ctx.kernel.apply(grad_outputs[0].contiguous()), None


def _blur(values: Tensor, lobe: _Cosine | _Glossy) -> Tensor:
    kernel = _kernel(values.shape[1], lobe, values.dtype, values.device)
    blurred = _Symmetric.apply(values.reshape(-1, values.shape[-1]), kernel)
    assert isinstance(blurred, Tensor), "the function gives one tensor"
    return blurred.reshape(values.shape)


@cache
def _kernel(res: int, lobe: _Cosine | _Glossy, dtype: torch.dtype, device: torch.device) -> _Kernel:
    around = cube.texel_directions(res, dtype=torch.float64).reshape(-1, 3).numpy()
    own = _eighth_of_a_face(res)
    row, texel = _near(around[own], around, lobe.least_cosine())
    weights = lobe.weights((around[own][row] * around[texel]).sum(axis=1))
    used, column = np.unique(texel, return_inverse=True)
    turned = _turned(around[used], res).reshape(-1)
    unturned = np.empty(len(around), dtype=np.int64)
    unturned[_turned(around[own], res).reshape(-1)] = np.arange(len(own) * 48)
    starts = np.searchsorted(row, np.arange(len(own)))
    is_dense = len(weights) > DENSE_SHARE * len(own) * len(used)
    if is_dense:
        full = np.zeros((len(own), len(used)))
        full[row, column] = weights
        weights = full
    return _Kernel(
        torch.from_numpy(weights).to(device, dtype),
        None if is_dense else torch.from_numpy(column.reshape(-1)).to(device),
        torch.from_numpy(starts).to(device),
        torch.from_numpy(turned).to(device),
        torch.from_numpy(unturned).to(device),
    )


def _near(rows: np.ndarray, directions: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of a row and a direction whose cosine is at least so much, row by row."""
    from scipy.spatial import KDTree

    if least <= 0.5:
        row, texel = np.nonzero(rows @ directions.T >= least)
        return row, texel
    reach = math.sqrt(2 - 2 * least) * (1 + 1e-9)
    found = KDTree(directions).query_ball_point(rows, reach)
    row = np.repeat(np.arange(len(rows)), [len(near) for near in found])
    texel = np.concatenate([np.asarray(near, dtype=np.int64) for near in found])
    is_near = (rows[row] * directions[texel]).sum(axis=1) >= least
    return row[is_near], texel[is_near]


def _facets(cosines: np.ndarray, roughness: float) -> np.ndarray:
    a2 = roughness**4
    return a2 / (math.pi * (cosines**2 * (a2 - 1) + 1) ** 2)


@cache
def _whole(
    res: int, roughness: float, mode: Mode, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "6 res res 1"]:
    """The sum of a lobe's weights about each texel."""
    return _blur(_areas(res, mode, dtype, device), _Glossy(roughness))


@cache
def _areas(
    res: int, mode: Mode, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "6 res res 1"]:
    if mode == "corrected":
        return cube.solid_angles(res, dtype=dtype, device=device).unsqueeze(-1)
    return reference_areas(res).expand(6, res, res).to(device, dtype).unsqueeze(-1)


def _eighth_of_a_face(res: int) -> np.ndarray:
    row, column = np.tril_indices(res // 2)
    return row * res + column


def _turned(directions: np.ndarray, res: int) -> Int[np.ndarray, "n 48"]:
    """The texels that the rotations and reflections of the cube take directions to."""
    turned = [
        torch.from_numpy(directions[:, axes] * signs)
        for axes in map(list, itertools.permutations(range(3)))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    return np.stack([cube.nearest_texel(each, res).numpy() for each in turned], axis=1)
