"""Finished runs, made without running anything: what pages and viewers show of them.

Three balls whose colours tell the axes, a dull ball with materials, a fitted light.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fovea.scene import harmonics
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import write_ply
from fovea.scene.radiance import write_radiance

SAMPLE = Path(__file__).parents[1] / "src/fovea/samples/still_life"


def three_balls(count: int = 1500) -> Gaussians:
    """The test picture of the axes: red left, green middle, blue right, lit from above (OpenCV)."""
    rng = np.random.default_rng(0)
    means, colors = [], []
    for x, color in ((-1.2, (0.9, 0.1, 0.1)), (0.0, (0.1, 0.8, 0.1)), (1.2, (0.1, 0.2, 0.9))):
        d = rng.normal(size=(count, 3))
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        means.append(0.5 * d + [x, 0, 0])
        colors.append(np.array(color) * (0.6 - 0.4 * d[:, 1:2]))
    n = 3 * count
    return Gaussians(
        means=torch.tensor(np.concatenate(means)).float(),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        scales=torch.full((n, 3), 0.05),
        opacities=torch.full((n,), 0.99),
        harmonics=harmonics.from_colors(torch.tensor(np.concatenate(colors)).float()),
    )


def _lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def make_run(folder: Path, scene: Path) -> Path:
    fit = folder / "stages/fit-12345678"
    (fit / "out").mkdir(parents=True)
    (fit / "pictures").mkdir()
    shutil.copy(scene, fit / "out/scene.ply")
    view = {"width": 200, "height": 200, "fx": 277.8, "fy": 277.8, "cx": 100.0, "cy": 100.0}
    view |= {"position": [0.0, 0.0, -4.0], "rotation": np.eye(3).tolist()}
    behind = {"position": [0.0, 0.0, 4.0], "rotation": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]}
    cameras = [
        view | {"name": "test_000", "split": "test"},
        view | behind | {"name": "x", "split": "train"},
    ]
    document = {"cameras": cameras, "centre": [0, 0, 0], "up": [0, -1, 0], "path": [view] * 3}
    (fit / "out/cameras.json").write_text(json.dumps(document))
    (fit / "config.yaml").write_text(f"data: {SAMPLE}\niterations: 3\n")
    points = [
        {"step": s, "metrics": {"train/loss": 1 / s, "test/psnr": 10.0 + s}} for s in (1, 2, 3)
    ]
    _lines(fit / "metrics.jsonl", [{"time": 0.0, "epoch": None} | point for point in points])
    for step in (1, 3):
        Image.new("RGB", (40, 20), (60 * step, 90, 120)).save(fit / f"pictures/test-{step:07d}.png")
    outputs = {
        name: {"kind": kind, "path": f"stages/fit-12345678/out/{file}", "size": 1, "sha256": ""}
        for name, kind, file in (
            ("scene", "gaussians", "scene.ply"),
            ("cameras", "cameras", "cameras.json"),
        )
    }
    fit_state = {"key": "fit", "use": "relight.fit", "folder": "stages/fit-12345678"}
    fit_state |= {"state": "done", "fingerprint": "12345678", "seconds": 12.5, "error": None}
    fit_state |= {"scores": {"test/psnr": 31.234, "test/ssim": 0.97}, "outputs": outputs}
    late = fit_state | {"key": "film", "use": "relight.film", "folder": "stages/film-1"}
    late |= {"state": "pending", "scores": {}, "outputs": {}, "seconds": 0.0}
    about = {"schema": 1, "id": folder.name, "name": "balls", "state": "done"}
    about |= {"started": 1000.0, "ended": 1013.0, "stages": [fit_state, late]}
    (folder / "run.json").write_text(json.dumps(about))
    progress = {"n": 1, "time": 1.0, "stage": "fit", "kind": "progress", "done": 2, "total": 3}
    note = {"n": 2, "time": 1.0, "stage": "fit", "kind": "log", "level": "info"}
    _lines(
        folder / "events.jsonl",
        [progress | {"unit": "steps", "shown": {}}, note | {"message": "three"}],
    )
    return folder


COSINE = torch.tensor([1.0] + [2 / 3] * 3 + [1 / 4] * 5 + [0.0] * 7)
"""The clamped cosine over pi, band by band."""


def dull_ball() -> Gaussians:
    """A dull grey sphere of radius 1 about the origin, whose normals are known."""
    count = 4000
    normals = torch.tensor(np.random.default_rng(0).normal(size=(count, 3))).float()
    normals = torch.nn.functional.normalize(normals, dim=1)
    ones = torch.ones(count, 1)
    return Gaussians(
        means=normals.clone(),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        scales=torch.full((count, 3), 0.05),
        opacities=torch.full((count,), 0.95),
        harmonics=harmonics.from_colors(torch.full((count, 3), 0.5)),
        extras={
            "normal": normals,
            "albedo": 0.6 * ones.repeat(1, 3),
            "roughness": 0.9 * ones,
            "metallic": 0.02 * ones,
            "transfer": harmonics.basis(normals, 3) * COSINE,
        },
    )


def map_directions(height: int, width: int) -> np.ndarray:
    """World directions of a z-up map: row 0 is +z, the centre is +x, to the right lies -y."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = 2 * np.pi * (0.5 - (np.arange(width) + 0.5) / width)
    polar, azimuth = np.meshgrid(polar, azimuth, indexing="ij")
    level = np.sin(polar)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.cos(polar)], axis=-1)


def light_map(radiance: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A map of 64 x 32 from a function of its directions in a z-up world."""
    values = radiance(map_directions(32, 64)).astype(np.float32)
    return np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values


def add_materials(folder: Path, ball: Gaussians) -> Path:
    """Put the ball into a run, seen along +y in a z-up world, and a fitted light from the left."""
    out = folder / "stages/fit-12345678/out"
    write_ply(out / "relightable.ply", ball)
    write_radiance(out / "light.hdr", light_map(lambda d: np.where(d[..., 0] < 0, 1.6, 0.02)))
    document = json.loads((out / "cameras.json").read_text())
    pose = {"position": [0, -4, 0], "rotation": [[1, 0, 0], [0, 0, 1], [0, -1, 0]]}
    document["cameras"] = [document["cameras"][0] | pose]
    document |= {"up": [0, 0, 1], "path": []}
    (out / "cameras.json").write_text(json.dumps(document))
    about = json.loads((folder / "run.json").read_text())
    outputs = about["stages"][0]["outputs"]
    for name, kind in (("relightable.ply", "gaussians"), ("light.hdr", "light")):
        path = f"stages/fit-12345678/out/{name}"
        outputs[name] = {"kind": kind, "path": path, "size": 1, "sha256": ""}
    (folder / "run.json").write_text(json.dumps(about))
    return folder
