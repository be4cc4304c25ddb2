"""Draw Gaussians, and let the picture's gradient move them."""

import torch

from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import write_image
from fovea.scene.rasterize import rasterize

torch.manual_seed(0)
count = 500
means = torch.randn(count, 3) * 0.4
scene = Gaussians(
    means=means.requires_grad_(),
    quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
    scales=torch.full((count, 3), 0.05),
    opacities=torch.full((count,), 0.8),
    harmonics=torch.randn(count, 1, 3),
)
camera = Camera.look_at((3.0, 0.0, 1.0), (0.0, 0.0, 0.0), fov_x=0.7, height=240, width=320)
raster = rasterize(scene, camera, background=torch.ones(3))
raster.features.mean().backward()

write_image("gaussians.png", raster.features.detach().numpy())
print(f"gaussians.png; {int(raster.visible.sum())} of {count} are seen,", end=" ")
print(f"the mean's gradient is {means.grad.norm():.1e}")
