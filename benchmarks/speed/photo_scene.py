"""How long a scene takes after SHARP's network: composition, unprojection, PLY with its statistics.

    python benchmarks/speed/photo_scene.py --json benchmarks/results/photo-scene-MACHINE.json

As many Gaussians as SHARP makes, with made values. Beside ours stands the usual way: float64
LAPACK decompositions of every covariance (batched SVD, measured on a part and scaled up) and a PLY
of Python tuples, row by row. Medians of wall and processor time, the first run thrown away; the
machine's load is noted.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from record import write_record

from fovea.photo.composer import Ndc, compose
from fovea.photo.model.initializer import depth_from_disparity, initialize
from fovea.photo.sharp_ply import COLUMNS, read_sharp_ply, write_sharp_ply
from fovea.photo.unprojection import ndc_to_metric, unproject
from fovea.scene.gaussians import rotations

COUNT = 2 * 768 * 768
PART = 32
CAMERA = {"focal_px": 1200.0, "height": 1080, "width": 1920}


class Made:
    """Gaussians as a composer gives them."""

    def __init__(self, count: int) -> None:
        make = torch.Generator().manual_seed(1)

        def normal(columns: int) -> torch.Tensor:
            return torch.randn(1, count, columns, generator=make)

        self.means = normal(3) + torch.tensor([0.0, 0.0, 5.0])
        self.quats = normal(4)
        self.scales = (normal(3) * 0.7 - 5).exp()
        self.colors = torch.rand(1, count, 3, generator=make)
        self.opacities = torch.rand(1, count, generator=make)


def composition() -> Callable[[], Ndc]:
    """The composer's work at SHARP's size, on made deltas; the initializer's is done before."""
    make = torch.Generator().manual_seed(2)
    disparity = torch.rand(1, 2, 1536, 1536, generator=make) + 0.1
    depth_m = depth_from_disparity(disparity, torch.tensor([1.0]))
    base = initialize(torch.rand(1, 3, 1536, 1536, generator=make), depth_m)
    delta = torch.randn(1, 14, 2, 768, 768, generator=make)
    return lambda: compose(base, delta, disparity=disparity, depth_m=depth_m)


def seconds(what: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Medians of wall and of processor time."""
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(repeats + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        what()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls[1:]), statistics.median(cpus[1:])


def lapack(made: Made, count: int) -> None:
    """Covariances, an SVD of each in float64, determinants, quaternions left out."""
    affine = torch.from_numpy(ndc_to_metric(**CAMERA)[:, :3]).float()
    quats = torch.nn.functional.normalize(made.quats[0, :count], dim=-1)
    axes = affine @ rotations(quats) * made.scales[0, :count, None, :]
    covariances = (axes @ axes.transpose(1, 2)).double()
    u, s, _ = torch.linalg.svd(covariances)
    u[:, :, 2] *= torch.linalg.det(u).sign()[:, None]
    s.sqrt()


def by_rows(path: Path, table: np.ndarray) -> None:
    rows = np.empty(len(table), dtype=[(name, "<f4") for name in COLUMNS])
    rows[:] = [tuple(row) for row in table]
    path.write_bytes(rows.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    made = Made(COUNT)
    scene = unproject(made, **CAMERA)
    table = np.random.default_rng(0).normal(size=(COUNT // PART, len(COLUMNS))).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.ply"
        found = {
            "composition": seconds(torch.no_grad()(composition()), given.repeats),
            "unprojection": seconds(lambda: unproject(made, **CAMERA), given.repeats),
            "PLY, written": seconds(lambda: write_sharp_ply(path, scene, **CAMERA), given.repeats),
            "PLY, read": seconds(lambda: read_sharp_ply(path), given.repeats),
        }
        usual = {
            "SVD of each": seconds(lambda: lapack(made, COUNT // PART), 3),
            "PLY by rows": seconds(lambda: by_rows(path, table), 3),
        }
    found |= {name: (PART * wall, PART * cpu) for name, (wall, cpu) in usual.items()}
    for name, (wall, cpu) in found.items():
        print(f"{name:14s} {wall:7.3f} s wall  {cpu:7.3f} s of a processor")
    rows = [
        {"part": name, "wall_s": round(wall, 4), "cpu_s": round(cpu, 4), "usual": name in usual}
        for name, (wall, cpu) in found.items()
    ]
    write_record(given.json, "speed/photo_scene", rows, gaussians=COUNT)


if __name__ == "__main__":
    main()
