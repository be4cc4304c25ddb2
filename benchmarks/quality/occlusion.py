"""How far occlusion volumes are from rays against one surface, at the same places for all.

python benchmarks/quality/occlusion.py SURFACE.ply OCCLUSION.npz [OCCLUSION.npz ...]
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from fovea.relight.bake import places_on
from fovea.relight.surface.mesh import read_mesh
from fovea.relight.surface.rays import Tracer
from fovea.relight.volumes.occlusion import OcclusionVolume
from fovea.relight.volumes.visibility import traced_visibility

PLACES, RAYS = 8000, 1024


def main(surface: Path, volumes: list[Path]) -> None:
    mesh = read_mesh(surface)
    points, normals = places_on(mesh, np.random.default_rng(5), PLACES)
    truth = traced_visibility(Tracer(mesh), points, normals, rays=RAYS, near=1e-3)
    print(f"{PLACES} places on {surface}, {RAYS} rays each: mean visibility {truth.mean():.4f}")
    print("| volume | mode | nodes | mean error | bias | 95 % below | µs a place |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    asked = torch.from_numpy(points), torch.from_numpy(normals)
    for path in volumes:
        volume = OcclusionVolume.read(path)
        began = time.process_time()
        off = volume.visibility(*asked).numpy() - truth
        us = (time.process_time() - began) / PLACES * 1e6
        shape = " x ".join(map(str, volume.grid.shape))
        most = np.percentile(np.abs(off), 95)
        print(
            f"| {path} | {volume.mode} | {shape} | {np.abs(off).mean():.4f} | {off.mean():+.4f}"
            f" | {most:.3f} | {us:.1f} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
