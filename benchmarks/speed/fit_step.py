"""What a step of `relight.fit` costs beside the rasteriser alone, on the scene of a finished fit.

    python benchmarks/speed/fit_step.py runs/2026-.../stages/fit-.../out/scene.ply

Draws the scene from training views of the demo capture, forward and backward, and then does all of
a step: activation, drawing, L1 and SSIM, normals and their losses, backward, densification's
statistics, Adam. Both are interleaved in one process; the first rounds are thrown away; medians of
wall time, so that two threads count as two.
"""

import argparse
import json
import os
import platform
import statistics
import time
from datetime import date
from pathlib import Path

import torch

from fovea.dialect import SAMPLES
from fovea.relight import losses
from fovea.relight.capture import load, read_capture
from fovea.relight.densify import Statistics
from fovea.relight.materials import activate, initial_parameters
from fovea.relight.normals import depth_to_normals
from fovea.relight.optimizer import adam
from fovea.relight.stages import RatesConfig
from fovea.scene.ply import read_ply
from fovea.scene.rasterize import rasterize
from fovea.training.device import keep_freed_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help="scene.ply of a fit of the demo capture")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", type=Path, help="where to write the record")
    options = parser.parse_args()
    keep_freed_memory()
    times = measure(options.scene, options.repeats)
    record = {name: summary(values) for name, values in times.items()}
    record |= {"scene": options.scene.name, "threads": torch.get_num_threads()}
    record |= {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    record |= {"torch": torch.__version__, "date": date.today().isoformat()}
    alone = record["rasterize"]["median_ms"]
    for name in times:
        row = record[name]
        print(
            f"{name:20} {row['median_ms']:7.1f} ms  (least {row['least_ms']:.1f})"
            f"  {row['median_ms'] / alone:.2f}x"
        )
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


def measure(scene: Path, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each round, by what was timed."""
    gaussians = read_ply(scene)
    capture = read_capture(SAMPLES / "still_life")
    photographs = [load(view) for view in capture.split("train")[:8]]
    parameters = initial_parameters(
        gaussians.means.numpy(), torch.full((len(gaussians), 3), 0.5).numpy(), degree=3
    )
    with torch.no_grad():
        parameters["scales"].copy_(gaussians.scales.log())
        parameters["quats"].copy_(gaussians.quats)
        parameters["opacities"].copy_(gaussians.opacities.logit())
    optimizer = adam(parameters, RatesConfig(), extent=capture.radius)
    counts = Statistics.zeros(len(gaussians), gaussians.means.device)
    background = torch.rand(3)

    def alone(number: int, *, with_normals: bool) -> None:
        drawn = activate(parameters)
        raster = rasterize(
            drawn,
            photographs[number % 8].camera,
            passengers=drawn.extras["normal"] if with_normals else None,
            background=background,
        )
        raster.features.sum().backward()

    def whole(number: int, *, with_normals: bool) -> None:
        photograph = photographs[number % 8]
        drawn = activate(parameters)
        raster = rasterize(
            drawn,
            photograph.camera,
            passengers=drawn.extras["normal"] if with_normals else None,
            background=background,
        )
        raster.means2d.retain_grad()
        target = photograph.over(background)
        loss = losses.photometric(raster.features, target, ssim_share=0.2)
        if with_normals:
            seen, valid = depth_to_normals(raster.depth.detach(), photograph.camera)
            normals = torch.nn.functional.normalize(raster.passengers, dim=-1)
            loss = loss + losses.normal_l1(normals, seen, valid)
            loss = loss + 5 * losses.edge_aware_tv(normals, target)
        loss.backward()
        with torch.no_grad():
            counts.add(raster, height=target.shape[0], width=target.shape[1])
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # the scene stays what it is, the arithmetic is the same
        optimizer.step()

    rounds = {
        "rasterize": lambda n: alone(n, with_normals=False),
        "step": lambda n: whole(n, with_normals=False),
        "step with normals": lambda n: whole(n, with_normals=True),
    }
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for number in range(repeats + 3):
        for name, run in rounds.items():
            optimizer.zero_grad(set_to_none=True)
            begin = time.perf_counter()
            run(number)
            if number >= 3:
                times[name].append((time.perf_counter() - begin) * 1e3)
    return times


def summary(values: list[float]) -> dict[str, float]:
    return {"median_ms": statistics.median(values), "least_ms": min(values), "most_ms": max(values)}


if __name__ == "__main__":
    main()
