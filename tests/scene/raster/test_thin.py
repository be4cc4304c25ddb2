"""Without blur, splats thinner than a pixel are drawn by every twin, and none runs wild."""

import pytest
import torch

from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import Backend, Raster, rasterize

HEIGHT, WIDTH, FOCAL_PX = 32, 48, 50.0
LENS = [[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]]
CAMERA = Camera(
    torch.eye(4, dtype=torch.float64),
    torch.tensor(LENS, dtype=torch.float64),
    height=HEIGHT,
    width=WIDTH,
)


def needles(aspect: float, longest_px: float, count: int = 200) -> Gaussians:
    """Needles of all directions, `aspect` times as long as thick."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    z = 1.5 + 2 * random(count)
    xy = (random(count, 2) - 0.5) * WIDTH / FOCAL_PX
    quats = torch.nn.functional.normalize(random(count, 4) - 0.5, dim=-1)
    length = longest_px / FOCAL_PX * z * (0.2 + 0.8 * random(count))
    scales = torch.stack([length, length / aspect, length / aspect], dim=1)
    means = torch.cat([xy * z[:, None], z[:, None]], dim=1)
    values = means, quats, scales, 0.2 + 0.8 * random(count), random(count, 1, 3)
    return Gaussians(*(value.float() for value in values))


def drawn(gaussians: Gaussians, backend: Backend, dtype: torch.dtype) -> Raster:
    return rasterize(gaussians.to(dtype), CAMERA, near=0.01, blur=0.0, backend=backend)


@pytest.mark.parametrize("longest_px", [0.5, 6.0, 60.0])
@pytest.mark.parametrize("aspect", [1.0, 30.0, 1e3, 1e5, 1e7])
def test_thin_splats_look_the_same_in_single_and_double_precision(
    aspect: float, longest_px: float
) -> None:
    scene = needles(aspect, longest_px)
    judge = drawn(scene, "plain", torch.float64)
    for backend in ("plain", "cpu"):
        found = drawn(scene, backend, torch.float32)
        # A needle of the thinnest kind is 1e6 in its conic, where float32 has steps of 0.1: single
        # pixels on its edge may differ by a few steps of 8 bits.
        difference = (found.features.double() - judge.features).abs().amax(dim=-1)
        assert float(difference.mean()) < 2e-3
        assert float(difference.max()) < 0.05
        assert float(found.alpha.min()) >= 0
        assert float(found.alpha.max()) <= 1


def test_a_splat_between_pixel_centres_is_not_drawn_without_blur() -> None:
    one = needles(1.0, 1.0, count=1)
    tiny = Gaussians(
        torch.tensor([[0.0, 0.0, 2.0]]),
        one.quats,
        torch.full((1, 3), 1e-3),
        torch.ones(1),
        one.harmonics,
    )
    for backend in ("plain", "cpu"):
        assert float(drawn(tiny, backend, torch.float32).alpha.sum()) == 0
        assert float(rasterize(tiny, CAMERA, blur=0.3, backend=backend).alpha.sum()) > 0


def test_splats_without_any_size_are_left_out_in_every_twin() -> None:
    one = needles(1.0, 1.0, count=1)
    nothing = Gaussians(one.means, one.quats, torch.zeros(1, 3), one.opacities, one.harmonics)
    for backend in ("plain", "cpu"):
        found = drawn(nothing, backend, torch.float32)
        assert not found.visible.any()
        assert torch.isfinite(found.features).all()
