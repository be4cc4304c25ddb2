from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.raster.workers import share
from fovea.scene.rasterize import rasterize


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_part_is_done_once(threads):
    done: list[tuple[int, int]] = []
    share(lambda part, parts: done.append((part, parts)), parts=37)
    assert sorted(done) == [(part, 37) for part in range(37)]


def test_an_error_in_a_part_reaches_the_caller(threads):
    def fails(part: int, parts: int) -> None:
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part"):
        share(fails, parts=4)


def test_several_callers_may_draw_at_once():
    make = torch.Generator().manual_seed(0)
    gaussians = Gaussians(
        means=torch.randn(300, 3, generator=make),
        quats=torch.nn.functional.normalize(torch.randn(300, 4, generator=make), dim=-1),
        scales=torch.rand(300, 3, generator=make) * 0.2,
        opacities=torch.rand(300, generator=make),
        harmonics=torch.randn(300, 4, 3, generator=make),
    )
    camera = Camera.look_at((3, 1, 2), (0, 0, 0), fov_x=0.9, height=60, width=80)

    def picture(_: int) -> torch.Tensor:
        return rasterize(gaussians, camera, backend="cpu").features

    alone = picture(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(image, alone) for image in pool.map(picture, range(12)))
