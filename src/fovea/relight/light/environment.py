"""Light from far away, placed in a world: which way is up, turned how far, how bright.

Directions are world directions. A map's own axes (`fovea.relight.light.latlong`) meet the world's
so, before any yaw:

    up="z" (Blender, TensoIR)    row 0 looks to +z, the centre column to +x, to its right lies -y
    up="y" (the map's own axes)  row 0 looks to +y, the centre column to -z, to its right lies +x
    up=(x, y, z)                 the least rotation that takes this direction to +z, then as "z"
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.light import latlong
from fovea.scene.radiance import read_radiance

Up = Literal["z", "y"] | tuple[float, float, float]

Z_UP = ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0))
"""From a z-up world to the axes of a map."""

LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Environment:
    """A map of light and how it stands in the world.

    Attributes:
        radiance: linear, [height, width, 3], twice as wide as high.
        up: the world's up: "z", "y", or a direction.
        yaw_deg: turns the light about up, counterclockwise seen from above.
        exposure: in stops; each doubles the light.

    Raises:
        DataError: the map has another shape, or `up` is no direction.
    """

    radiance: Float[Tensor, "h w 3"]
    up: Up = "z"
    yaw_deg: float = 0.0
    exposure: float = 0.0

    def __post_init__(self) -> None:
        shape = tuple(self.radiance.shape)
        if len(shape) != 3 or shape[2] != 3 or shape[1] != 2 * shape[0]:
            raise DataError(
                "an environment is a map of [height, 2 * height, 3] radiances; found "
                f"{shape}. Give a whole latitude-longitude map."
            )
        if not isinstance(self.up, str):
            length = math.hypot(*self.up)
            if len(self.up) != 3 or not math.isfinite(length) or length == 0:
                raise DataError(
                    f"up is 'z', 'y' or a direction in the world; found {self.up}. "
                    "Give three numbers that are not all 0."
                )
        elif self.up not in ("z", "y"):
            raise DataError(
                f"up is 'z', 'y' or a direction in the world; found '{self.up}'. "
                "Blender, TensoIR and most scanned scenes are z up."
            )

    @classmethod
    def read(
        cls, path: str | Path, *, up: Up = "z", yaw_deg: float = 0.0, exposure: float = 0.0
    ) -> Environment:
        """The light of a .hdr or .exr file.

        Raises:
            ArtifactError: there is no such file.
            DataError: it is not a map of radiances.
        """
        return cls(torch.from_numpy(read_radiance(path)), up, yaw_deg, exposure)

    @cached_property
    def native_from_world(self) -> Float[Tensor, "3 3"]:
        """The rotation from world directions to the map's own axes, float64."""
        if self.up == "y":
            return _turned("y", -self.yaw_deg)
        z_up = torch.tensor(Z_UP, dtype=torch.float64) @ _turned("z", -self.yaw_deg)
        return z_up if self.up == "z" else z_up @ _to_z(self.up)

    def radiance_at(
        self, directions: Float[Tensor, "*batch 3"], *, mode: latlong.Mode = "corrected"
    ) -> Float[Tensor, "*batch 3"]:
        """The light that comes from unit directions of the world, linear between texels."""
        native = directions @ self.native_from_world.to(directions).T
        return self._gain * latlong.sample(self.radiance, native, mode=mode)

    def to_world_cubemap(
        self, res: int, *, mode: latlong.Mode = "corrected"
    ) -> Float[Tensor, "6 {res} {res} 3"]:
        """The same light on a cubemap in world axes.

        The reference has neither axes nor yaw: worlds are taken as y up, and texels hold the map's
        value at their centres.
        """
        if mode == "reference":
            return self._gain * latlong.to_cubemap(self.radiance, res, mode=mode)
        return self._gain * latlong.sample_over_texels(self.radiance, res, self.native_from_world)

    def rotated(self, yaw_deg: float) -> Environment:
        """The same light turned further about up."""
        return replace(self, yaw_deg=self.yaw_deg + yaw_deg)

    def to(self, device: torch.device | str) -> Environment:
        """The same light on another device."""
        return replace(self, radiance=self.radiance.to(device))

    def importance(self) -> DirectionSampler:
        """A sampler that prefers the directions that much light comes from."""
        return DirectionSampler.of(self.radiance, self.native_from_world)

    @property
    def _gain(self) -> float:
        return 2.0**self.exposure


@dataclass(frozen=True)
class DirectionSampler:
    """Draws directions with a density that is constant in each texel of a map.

    Attributes:
        rows: [h] cumulated shares of the rows, the last is 1.
        columns: [h * w] row + cumulated shares of the columns in it, so that they grow throughout.
        shares: [h, w] the probability of each texel.
        native_from_world: rotation to the map's axes.
        edges: [h + 1] the cosines of the angles from the pole at which rows begin and end.
    """

    rows: Float[Tensor, " h"]
    columns: Float[Tensor, " texels"]
    shares: Float[Tensor, "h w"]
    native_from_world: Float[Tensor, "3 3"]
    edges: Float[Tensor, " edges"]

    @classmethod
    def of(
        cls, radiance: Float[Tensor, "h w 3"], native_from_world: Float[Tensor, "3 3"]
    ) -> DirectionSampler:
        """A sampler of a map by luminance times solid angle; a black map is sampled evenly."""
        height, width, _ = radiance.shape
        luminance = radiance.detach().double() @ radiance.new_tensor(LUMINANCE).double()
        angles = latlong.solid_angles(height, width, dtype=torch.float64, device=radiance.device)
        power = _mean_between_texels(luminance) * angles
        power = power if bool(power.sum() > 0) else angles
        shares = power / power.sum()
        in_row = shares.sum(dim=1)
        rows = in_row.cumsum(0)
        within = shares.cumsum(dim=1) / in_row.clamp_min(1e-300).unsqueeze(1)
        within[:, -1] = 1
        numbers = torch.arange(height, dtype=torch.float64, device=radiance.device)
        columns = (within.clamp(max=1) + numbers.unsqueeze(1)).reshape(-1)
        edges = torch.linspace(0, math.pi, height + 1, dtype=torch.float64).cos()
        return cls(
            rows / rows[-1],
            columns,
            shares,
            native_from_world.to(radiance.device),
            edges.to(radiance.device),
        )

    def sample(
        self, uniforms: Float[Tensor, "*batch 2"]
    ) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch"]]:
        """World directions for uniform numbers in 0..1, and their densities per steradian.

        Even grids of uniforms give even grids of directions; inside a texel every direction is as
        likely as any other.
        """
        width = self.shares.shape[1]
        first, second = uniforms.reshape(-1, 2).double().clamp(0, 1 - 1e-12).unbind(-1)
        row, down = _invert(self.rows, first)
        texel, across = _invert(self.columns, second + row)
        column = (texel - row * width).clamp(0, width - 1)
        cosine = torch.lerp(self.edges[row], self.edges[row + 1], down)
        sine = (1 - cosine.square()).clamp_min(0).sqrt()
        phi = 2 * math.pi * ((column + across) / width - 0.5)
        native = torch.stack([sine * phi.sin(), cosine, -sine * phi.cos()], dim=-1)
        directions = (native @ self.native_from_world).to(uniforms)
        pdf = self._density(row, column).to(uniforms)
        shape = uniforms.shape[:-1]
        return directions.reshape(*shape, 3), pdf.reshape(shape)

    def pdf(self, directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
        """The density of unit world directions, per steradian."""
        height, width = self.shares.shape
        x, y, z = (directions @ self.native_from_world.to(directions).T).unbind(-1)
        row = (torch.acos(y.clamp(-1, 1)) / math.pi * height).long().clamp(0, height - 1)
        column = ((torch.atan2(x, -z) / (2 * math.pi) + 0.5) * width).long().clamp(0, width - 1)
        return self._density(row, column).to(directions)

    def _density(self, row: Tensor, column: Tensor) -> Tensor:
        angle = (self.edges[row] - self.edges[row + 1]) * (2 * math.pi / self.shares.shape[1])
        return self.shares[row, column] / angle


def _mean_between_texels(values: Tensor) -> Tensor:
    """The mean over each texel of what lies linearly between texel centres.

    Without it a texel that is black beside a bright one could never be drawn, though light comes
    from its rim.
    """
    upper, lower = (values[[0, -1]].roll(values.shape[1] // 2, dims=1)).split(1)
    tall = torch.cat([upper, values, lower])
    tall = 0.75 * values + 0.125 * (tall[:-2] + tall[2:])
    return 0.75 * tall + 0.125 * (tall.roll(1, dims=1) + tall.roll(-1, dims=1))


def _invert(cumulated: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """The step of a cumulated sum that a value falls in, and how far into it, 0..1."""
    step = torch.searchsorted(cumulated, at.contiguous(), right=True).clamp(max=len(cumulated) - 1)
    upper = cumulated[step]
    lower = torch.where(step > 0, cumulated[(step - 1).clamp_min(0)], 0)
    return step, ((at - lower) / (upper - lower).clamp_min(1e-300)).clamp(0, 1)


def _turned(axis: Literal["y", "z"], angle_deg: float) -> Float[Tensor, "3 3"]:
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    about_z = [[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]
    about_y = [[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]]
    return torch.tensor(about_z if axis == "z" else about_y, dtype=torch.float64)


def _to_z(direction: tuple[float, float, float]) -> Float[Tensor, "3 3"]:
    """The least rotation that takes a direction to +z."""
    x, y, z = (part / math.hypot(*direction) for part in direction)
    if z < -1 + 1e-12:
        return torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    # Rodrigues' formula about the cross product of the direction and z.
    k = 1 / (1 + z)
    rows = [[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, z]]
    return torch.tensor(rows, dtype=torch.float64)
