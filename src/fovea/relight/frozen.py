"""What views show of a geometry that stays: drawn once, kept, and shaded with new materials.

The second stage as published changes materials and light only. Where a pixel lies, how it faces and
how much of the sky it sees are the same at every step, and asking for the last is the dearest.
`P` pixels of a view that are shaded, in rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fovea.relight.shading import reference
from fovea.relight.shading.split_sum import remap_roughness
from fovea.relight.volumes.occlusion import OcclusionVolume
from fovea.scene.camera import Camera
from fovea.scene.capture.photographs import free_bytes
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize

MATERIALS = {"albedo": 3, "roughness": 1, "metallic": 1}
"""What a Gaussian is made of, and in how many channels."""
KEPT_SHARE = 0.25
"""Of the memory that is free: what is kept may take so much."""


@dataclass(frozen=True)
class FrozenView:
    """What one view shows, but for the materials.

    Attributes:
        mask: the pixels that are shaded.
        where: their numbers in the image, row by row.
        points: in the world, inside the box of the volumes.
        normals: unit.
        view: unit, towards the eye.
        visibility: of the sky; None where it was not asked for.
    """

    mask: Bool[Tensor, "h w"]
    where: Int[Tensor, " P"]
    points: Float[Tensor, "P 3"]
    normals: Float[Tensor, "P 3"]
    view: Float[Tensor, "P 3"]
    visibility: Float[Tensor, "P 1"] | None

    @property
    def bytes(self) -> int:
        """The memory it takes."""
        held = (getattr(self, each.name) for each in fields(self))
        return sum(values.numel() * values.element_size() for values in held if values is not None)

    def surface(self, materials: Float[Tensor, "h w 5"]) -> reference.Surface:
        """The pixels with materials, as an image of one row to be shaded."""
        rows = materials.reshape(-1, 5)[self.where].unsqueeze(0)
        albedo, roughness, metallic = rows.split([3, 1, 1], dim=-1)
        return reference.Surface(
            points=self.points.unsqueeze(0),
            normals=self.normals.unsqueeze(0),
            view=self.view.unsqueeze(0),
            albedo=albedo,
            roughness=roughness,
            metallic=metallic,
            mask=torch.ones_like(roughness, dtype=torch.bool),
        )

    def image(self, shaded: Float[Tensor, "1 P 3"]) -> Float[Tensor, "h w 3"]:
        """The shaded pixels where they belong, on black."""
        height, width = self.mask.shape
        black = shaded.new_zeros(height * width, 3)
        return black.index_copy(0, self.where, shaded.squeeze(0)).reshape(height, width, 3)


class FrozenViews:
    """What each of several views shows, found when it is first asked for.

    What would take too much memory is found again each time; the values are the same.

    Args:
        gaussians: with normals; they stay as they are.
        cameras: of the views.
        occlusion: what is asked for the visibility; None for none.
        bound: half the side of the cube that points are kept in.
        room: the memory that may be used, in bytes; a share of what is free when left out.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        occlusion: OcclusionVolume | None,
        *,
        bound: float,
        room: int | None = None,
    ) -> None:
        self.gaussians = gaussians
        self.cameras = cameras
        self.occlusion = occlusion
        self.bound = bound
        self.room = _room(gaussians.means.device) if room is None else room
        self._kept: dict[int, FrozenView] = {}
        self._left = self.room
        sizes = {(camera.height, camera.width) for camera in cameras}
        # The reference takes the first camera's rays for all.
        self._lens = cameras[0] if len(sizes) == 1 else None

    def __getitem__(self, number: int) -> FrozenView:
        """What the view of that number shows."""
        if number in self._kept:
            return self._kept[number]
        found = self._find(self.cameras[number])
        if found.bytes <= self._left:
            self._left -= found.bytes
            self._kept[number] = found
        return found

    def estimate_bytes(self) -> int:
        """The memory that all views will take, judging by the first."""
        return self[0].bytes * len(self.cameras)

    def draw(self, number: int, materials: Float[Tensor, "N 5"]) -> Float[Tensor, "h w 5"]:
        """Albedo, roughness as it is shaded, and metallic of a view."""
        drawn = rasterize(
            self.gaussians,
            self.cameras[number],
            features=materials.new_zeros((len(materials), 0)),
            passengers=materials,
            footprint="reference",
        ).passengers
        albedo, roughness, metallic = drawn.split([3, 1, 1], dim=-1)
        return torch.cat([albedo, remap_roughness(roughness), metallic], dim=-1)

    @torch.no_grad()
    def _find(self, camera: Camera) -> FrozenView:
        normals = self.gaussians.extras["normal"]
        drawn = rasterize(
            self.gaussians,
            camera,
            features=normals.new_zeros((len(normals), 0)),
            passengers=normals,
            footprint="reference",
        )
        one, three = torch.zeros_like(drawn.depth)[..., None], torch.zeros_like(drawn.passengers)
        maps = reference.DrawnMaps(drawn.passengers, three, one, one, drawn.alpha, drawn.depth)
        found = reference.surface(
            maps, camera, is_training=True, bound=self.bound, first_camera=self._lens
        )
        mask = found.mask.squeeze(-1)
        points, facing = found.points[mask], found.normals[mask]
        seen = None
        if self.occlusion is not None:
            seen = self.occlusion.visibility(points, facing).unsqueeze(-1)
        where = mask.reshape(-1).nonzero().squeeze(1)
        return FrozenView(mask, where, points, facing, found.view[mask], seen)


def _room(device: torch.device) -> int:
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_bytes()
    return int(KEPT_SHARE * free)
