"""The kernels' speed hangs on their layout and is lost without a word; this notices."""

import time
from collections.abc import Callable

import pytest
import torch

from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize

# Measured 26 with AVX-512; the layouts that go wrong cost three to six times as much.
MOST_UNITS = 65


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """The least of several runs: what the work costs when nobody disturbs it."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.slow
def test_drawing_and_its_gradient_cost_what_they_did():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    make = torch.Generator().manual_seed(0)
    count = 20_000
    gaussians = Gaussians(
        means=torch.randn(count, 3, generator=make),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=make), dim=-1),
        scales=torch.rand(count, 3, generator=make) * 0.04 + 0.01,
        opacities=torch.rand(count, generator=make).requires_grad_(),
        harmonics=torch.randn(count, 4, 3, generator=make),
    )
    camera = Camera.look_at((4, 1, 2), (0, 0, 0), fov_x=0.9, height=200, width=200)
    million = torch.linspace(-8, 0, 1 << 20)
    try:
        unit = cpu_seconds(lambda: torch.exp(million), 30)

        def step() -> None:
            rasterize(gaussians, camera, backend="cpu").features.sum().backward()

        step()
        units = cpu_seconds(step, 10) / unit
    finally:
        torch.set_num_threads(before)
    assert units < MOST_UNITS, f"{units:.0f} units of exp over a million floats ({unit:.2e} s)"
