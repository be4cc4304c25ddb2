# torch leaves too many of its own types unknown for strict.
"""The one camera of the house: a pinhole with OpenCV axes.

Camera axes are x right, y down, z forward. Pixel (column i, row j) has its centre at (i + 0.5, j +
0.5), so the centre of an image is (width / 2, height / 2). Matrices act on column vectors. Angles
are in radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError

if TYPE_CHECKING:
    from fovea.scene.distortion import Distortion

OPENGL_TO_OPENCV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
ORTHONORMAL_TOLERANCE = 1e-3
"""How far R R^T may be from the identity; pose files carry six digits or so."""


@dataclass(frozen=True)
class Camera:
    """Where a picture was taken from and how.

    Attributes:
        world_to_camera: rigid, from world points to camera points.
        intrinsics: focal lengths and principal point in pixels, without skew.
        height: of the image, in pixels.
        width: of the image, in pixels.
        distortion: of the lens, or None for a pinhole. The rasteriser draws pinholes only.
        name: what the dataset calls this view.

    Anything that can become a tensor is taken; what is not a tensor yet becomes float64.

    Raises:
        DataError: a matrix has another shape, is not finite, or does not rotate rigidly; a size is
            not positive.
    """

    world_to_camera: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    height: int
    width: int
    distortion: Distortion | None = None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "world_to_camera", _matrix(self.world_to_camera))
        object.__setattr__(self, "intrinsics", _matrix(self.intrinsics))
        _check(self)

    @classmethod
    def from_fov(
        cls,
        world_to_camera: Any,
        *,
        fov_x: float,
        height: int,
        width: int,
        name: str = "",
    ) -> Camera:
        """A camera with square pixels and a centred principal point."""
        return cls(
            _matrix(world_to_camera),
            intrinsics_from_fov(fov_x, height=height, width=width),
            height=height,
            width=width,
            name=name,
        )

    @classmethod
    def from_opengl(
        cls,
        camera_to_world: Any,
        *,
        height: int,
        width: int,
        fov_x: float | None = None,
        intrinsics: Any = None,
        distortion: Distortion | None = None,
        name: str = "",
    ) -> Camera:
        """A camera from a pose with OpenGL or Blender axes: x right, y up, looking along -z.

        Give either `fov_x` or `intrinsics`.

        Raises:
            DataError: neither or both of them are given.
        """
        if (fov_x is None) == (intrinsics is None):
            raise DataError(
                "A camera needs either fov_x or intrinsics; got "
                f"fov_x={fov_x}, intrinsics={intrinsics}. "
                "Give exactly one of them."
            )
        pose = _matrix(camera_to_world) @ OPENGL_TO_OPENCV
        if fov_x is not None:
            intrinsics = intrinsics_from_fov(fov_x, height=height, width=width)
        return cls(
            torch.linalg.inv(pose),
            intrinsics,
            height=height,
            width=width,
            distortion=distortion,
            name=name,
        )

    @classmethod
    def look_at(
        cls,
        position: Sequence[float] | Tensor,
        target: Sequence[float] | Tensor,
        *,
        fov_x: float,
        height: int,
        width: int,
        up: Sequence[float] | Tensor = (0.0, 0.0, 1.0),
        name: str = "",
    ) -> Camera:
        """A camera at `position` that sees `target` in its centre, with `up` upwards.

        Raises:
            DataError: the position is the target, or it looks straight along `up`.
        """
        eye, goal, above = (torch.as_tensor(v, dtype=torch.float64) for v in (position, target, up))
        forward = goal - eye
        right = torch.linalg.cross(forward, above)
        if right.norm() < 1e-9 * above.norm() * max(1.0, float(forward.norm())):
            raise DataError(
                "look_at needs a direction that is not along up; got "
                f"position {eye.tolist()}, target {goal.tolist()}, up {above.tolist()}. "
                "Move the position or choose another up."
            )
        forward, right = forward / forward.norm(), right / right.norm()
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
        world_to_camera = torch.eye(4, dtype=torch.float64)
        world_to_camera[:3, :3] = rotation
        world_to_camera[:3, 3] = -rotation @ eye
        return cls.from_fov(world_to_camera, fov_x=fov_x, height=height, width=width, name=name)

    @property
    def rotation(self) -> Float[Tensor, "3 3"]:
        """World to camera; its rows are the camera's axes in the world."""
        return self.world_to_camera[:3, :3]

    @property
    def position(self) -> Float[Tensor, " 3"]:
        """The optical centre in the world."""
        return -self.rotation.T @ self.world_to_camera[:3, 3]

    @property
    def camera_to_world(self) -> Float[Tensor, "4 4"]:
        """The pose: columns are right, down, forward and the position."""
        return torch.linalg.inv(self.world_to_camera)

    @property
    def fov_x(self) -> float:
        """The horizontal field of view, in radians."""
        return 2 * math.atan(self.width / (2 * _focal(self)[0]))

    @property
    def fov_y(self) -> float:
        """The vertical field of view, in radians."""
        return 2 * math.atan(self.height / (2 * _focal(self)[1]))

    def resized(self, *, height: int, width: int) -> Camera:
        """The same view on another grid of pixels."""
        scale = self.intrinsics.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(
            self, intrinsics=scale[:, None] * self.intrinsics, height=height, width=width
        )

    def to(self, *args: Any, **kwargs: Any) -> Camera:
        """The same camera on another device or in another dtype, as `Tensor.to`."""
        return replace(
            self,
            world_to_camera=self.world_to_camera.to(*args, **kwargs),
            intrinsics=self.intrinsics.to(*args, **kwargs),
        )

    def directions(self, *, unit: bool = True) -> Float[Tensor, "{self.height} {self.width} 3"]:
        """World directions from the camera through the pixel centres, without lens distortion.

        Args:
            unit: of length 1; otherwise of length 1 along the optical axis, so that
                `position + depth * direction` is the point seen at that z-depth.
        """
        like = self.intrinsics
        fx, fy, cx, cy = like[0, 0], like[1, 1], like[0, 2], like[1, 2]
        columns = torch.arange(self.width, dtype=like.dtype, device=like.device) + 0.5
        rows = torch.arange(self.height, dtype=like.dtype, device=like.device) + 0.5
        y, x = torch.meshgrid((rows - cy) / fy, (columns - cx) / fx, indexing="ij")
        rays = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ self.rotation
        return rays / rays.norm(dim=-1, keepdim=True) if unit else rays

    def project(
        self, points: Float[Tensor, "*batch 3"]
    ) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch"]]:
        """The pixel coordinates and z-depths of world points; meaningless behind the camera."""
        at = points @ self.rotation.T.to(points) + self.world_to_camera[:3, 3].to(points)
        homogeneous = at @ self.intrinsics.T.to(points)
        return homogeneous[..., :2] / homogeneous[..., 2:], at[..., 2]


def intrinsics_from_fov(fov_x: float, *, height: int, width: int) -> Float[Tensor, "3 3"]:
    """Intrinsics with square pixels and a centred principal point.

    Raises:
        DataError: the field of view is not between 0 and pi.
    """
    if not 0 < fov_x < math.pi:
        raise DataError(
            f"A field of view lies between 0 and pi radians; got fov_x={fov_x}. "
            "If it is in degrees, convert it with math.radians."
        )
    focal = width / (2 * math.tan(fov_x / 2))
    return torch.tensor(
        [[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]], dtype=torch.float64
    )


def _matrix(values: Any) -> Tensor:
    if isinstance(values, Tensor) and values.is_floating_point():
        return values
    return torch.as_tensor(values, dtype=torch.float64)


def _focal(camera: Camera) -> tuple[float, float]:
    lens = camera.intrinsics.detach()
    return float(lens[0, 0]), float(lens[1, 1])


def _check(camera: Camera) -> None:
    where = f" of camera {camera.name!r}" if camera.name else " of a camera"
    for name, matrix, shape in (
        ("world_to_camera", camera.world_to_camera, (4, 4)),
        ("intrinsics", camera.intrinsics, (3, 3)),
    ):
        if matrix.shape != shape or not bool(torch.isfinite(matrix).all()):
            raise DataError(
                f"{name}{where} must be a finite {shape[0]}x{shape[1]} matrix; got shape "
                f"{tuple(matrix.shape)} with values {matrix.tolist()}. Check the pose file."
            )
    if camera.height < 1 or camera.width < 1:
        raise DataError(
            f"The image{where} must have a positive size; got height={camera.height}, "
            f"width={camera.width}."
        )
    if min(_focal(camera)) <= 0:
        raise DataError(
            f"The focal lengths{where} must be positive; got {_focal(camera)[0]} and "
            f"{_focal(camera)[1]} px."
        )
    rotation = camera.rotation.detach()
    off = float((rotation @ rotation.T - torch.eye(3).to(rotation)).abs().max())
    if off > ORTHONORMAL_TOLERANCE or float(torch.linalg.det(rotation)) < 0:
        raise DataError(
            f"world_to_camera{where} must rotate without scaling or mirroring; R R^T is off the "
            f"identity by {off:.2g}, det R = {float(torch.linalg.det(rotation)):.3g}. "
            "Divide the scale out, or use Camera.from_opengl for poses with OpenGL axes."
        )
