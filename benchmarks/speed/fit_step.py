"""How much of a step of relight.fit is the rasteriser's.

    python benchmarks/speed/fit_step.py [--gaussians 30000] [--size 200] [--threads 2]

A step is: activate, draw, loss, backward, statistics, Adam. The rasteriser's part is drawing and
its backward pass of the same Gaussians, colours of the harmonics included. CPU time of the
process, medians of interleaved repeats; ratios hold on a busy machine, milliseconds do not.
"""

import argparse
import os
import statistics
import time

# As in a stage's process; threads that spin while they wait would count as work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from fovea.relight import losses
from fovea.relight.densify import Statistics
from fovea.relight.materials import activate, initial_parameters
from fovea.relight.normals import depth_to_normals
from fovea.relight.optimizer import adam
from fovea.relight.settings.fit import LossConfig, RatesConfig
from fovea.scene.camera import Camera
from fovea.scene.rasterize import rasterize

WEIGHTS = LossConfig()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gaussians", type=int, default=30_000)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    shell = rng.normal(size=(options.gaussians, 3))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    parameters = initial_parameters(shell, rng.random(shell.shape), degree=3, opacity=0.5)
    optimizer = adam(parameters, RatesConfig(), extent=1.0)
    camera = Camera.look_at(
        (3.0, 0.5, 1.0), (0.0, 0.0, 0.0), fov_x=0.8, height=options.size, width=options.size
    )
    photograph = torch.rand(options.size, options.size, 3)
    seen = Statistics.zeros(options.gaussians)
    kinds = {
        "rasteriser alone": lambda: draw(parameters, camera, photograph),
        "step": lambda: step(parameters, optimizer, camera, photograph, seen, with_normals=False),
        "step with normals": lambda: step(
            parameters, optimizer, camera, photograph, seen, with_normals=True
        ),
    }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.repeats):
        for kind, work in kinds.items():
            times[kind].append(work())
    base = statistics.median(times["rasteriser alone"][3:])
    for kind, each in times.items():
        middle = statistics.median(each[3:])
        print(f"{kind:20} {1e3 * middle:7.1f} ms CPU   {middle / base:5.2f}")


def draw(parameters: dict, camera: Camera, photograph: torch.Tensor) -> float:
    """CPU seconds of the rasteriser, forward and backward."""
    gaussians = activate(parameters)
    gradient = torch.full_like(photograph, 1e-5)
    began = time.process_time()
    rasterize(gaussians, camera).features.backward(gradient, inputs=list(inputs(gaussians)))
    return time.process_time() - began


def inputs(gaussians):
    return (
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.harmonics,
    )


def step(parameters, optimizer, camera, photograph, seen, *, with_normals: bool) -> float:
    """CPU seconds of a whole step."""
    began = time.process_time()
    gaussians = activate(parameters)
    normals = gaussians.extras["normal"] if with_normals else None
    raster = rasterize(gaussians, camera, passengers=normals, background=torch.zeros(3))
    raster.means2d.retain_grad()
    loss = losses.photometric(raster.features, photograph, ssim_share=WEIGHTS.ssim)
    if with_normals:
        drawn = torch.nn.functional.normalize(raster.passengers, dim=-1)
        found, valid = depth_to_normals(raster.depth, camera)
        loss = loss + losses.normal_l1(drawn, found, valid)
        loss = loss + WEIGHTS.normal_tv * losses.edge_aware_tv(drawn, photograph)
    loss.backward()
    seen.add(raster, height=camera.height, width=camera.width)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.process_time() - began


if __name__ == "__main__":
    main()
