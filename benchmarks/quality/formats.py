"""Size, time and loss of each format for one scene.

python benchmarks/quality/formats.py runs/<run>/stages/<fit>/out/scene.ply
"""

import math
import sys
import tempfile
import time
from pathlib import Path

import torch

from fovea.metrics.image import PSNR
from fovea.scene.camera import Camera
from fovea.scene.files import read_gaussians, write_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize


def around(gaussians: Gaussians, count: int = 8) -> list[Camera]:
    centre = gaussians.means.median(dim=0).values
    reach = 3 * (gaussians.means - centre).norm(dim=-1).quantile(0.9)
    turns = [2 * math.pi * index / count for index in range(count)]
    places = [centre + reach * torch.tensor([math.cos(t), math.sin(t), 0.5]) for t in turns]
    return [
        Camera.look_at(p.tolist(), centre.tolist(), fov_x=0.8, height=200, width=200)
        for p in places
    ]


def main(path: Path) -> None:
    gaussians = read_gaussians(path)
    cameras = around(gaussians)
    pictures = [rasterize(gaussians, camera).features for camera in cameras]
    print(f"{len(gaussians)} Gaussians of degree {gaussians.degree}, extras {[*gaussians.extras]}")
    print("| format | bytes | a Gaussian | write s | read s | PSNR of pictures against the PLY's |")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("scene.ply", "scene.compressed.ply", "scene.spz"):
            file = Path(folder) / name
            started = time.perf_counter()
            write_gaussians(file, gaussians)
            written = time.perf_counter()
            found = read_gaussians(file)
            ended = time.perf_counter()
            psnr, size = PSNR(), file.stat().st_size
            for camera, picture in zip(cameras, pictures, strict=True):
                psnr.update(rasterize(found, camera).features, picture)
            print(
                f"| {name} | {size} | {size / len(gaussians):.1f} | {written - started:.2f} "
                f"| {ended - written:.2f} | {psnr.compute():.1f} dB |"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
