"""object.glb of relight.export, rendered by Blender, beside photographs from the same cameras.

    python -m venv BLENDER && BLENDER/bin/pip install bpy==5.0.1
    python benchmarks/quality/gltf.py OBJECT.glb CAPTURE --blender BLENDER/bin/python \
        --light studio=LIGHT.hdr --light relit/dusk=DUSK.hdr --out FOLDER

Blender reads the object and each map as they are, without a turn; it renders with Cycles from the
capture's test cameras. `relit/dusk` names which pictures of a view to compare with; any other name
stands for the photographs. With --truth SCENE.ply the materials of the truth are laid on a scene's
Gaussians instead, as SCENE-truth.ply, so that the export can be judged before and without
relight.decompose.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

VIEWS, SAMPLES = 4, 48
SURFACE_DEPTH = 0.03
"""How far behind the rendered depth a Gaussian may lie to belong to what is seen there."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("object", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--blender", type=Path, help="a Python that has bpy")
    parser.add_argument("--light", action="append", default=[], metavar="NAME=MAP")
    parser.add_argument("--out", type=Path, default=Path("gltf"))
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--truth", action="store_true", help="OBJECT is a scene.ply: see above")
    options = parser.parse_args()
    if options.truth:
        lay_truth(options.object, options.capture)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    report = {}
    for word in options.light:
        name, _, path = word.partition("=")
        report[name] = compare(options, name, Path(path))
    (options.out / "scores.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


def compare(options: argparse.Namespace, name: str, light: Path) -> dict[str, float]:
    """Render under one light; PSNR against the pictures of that name, over all views."""
    import numpy as np

    from fovea.scene.capture import read_capture
    from fovea.scene.image import read_image, write_image
    from fovea.scene.path import upward

    capture = read_capture(options.capture)
    test = capture.split("test")
    test = test[:: max(1, len(test) // options.views)][: options.views]
    up = upward([view.camera for view in capture.split("train")])
    assert up[2] > 0.9, "the job below takes the world to be z up"
    job = {
        "object": str(options.object.resolve()),
        "light": str(light.resolve()),
        "samples": options.samples,
        "views": [
            _view(view, options.out / f"{name.replace('/', '-')}-{view.name.replace('/', '-')}.exr")
            for view in test
        ],
    }
    path = options.out / "job.json"
    path.write_text(json.dumps(job))
    subprocess.run(
        [options.blender, Path(__file__).resolve(), "--inside", path],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    rows, errors = [], []
    for view, made in zip(test, job["views"], strict=True):
        truth = read_image(view.truth.get(name, view.image))
        shown = picture(Path(made["out"]))
        goal = truth[..., :3] * truth[..., 3:]
        errors.append(np.mean((shown - goal) ** 2))
        rows.append(np.concatenate([goal, shown, np.abs(shown - goal)], axis=1))
    write_image(options.out / f"{name.replace('/', '-')}.png", np.concatenate(rows))
    return {
        "psnr": float(np.mean(-10 * np.log10(errors))),
        "worst": float(np.min(-10 * np.log10(errors))),
    }


def picture(path: Path) -> Any:
    """A rendering as sRGB over black."""
    import numpy as np
    import OpenEXR

    from fovea.scene.color import linear_to_srgb

    with OpenEXR.File(str(path), separate_channels=True) as file:
        planes = {name.rpartition(".")[2]: c.pixels for name, c in file.channels().items()}
    alpha = planes["A"][..., None].clip(0, 1)
    linear = np.stack([planes[name] for name in "RGB"], axis=2) / np.maximum(alpha, 1e-4)
    return linear_to_srgb(linear.clip(0, 1)).astype(np.float32) * alpha


def lay_truth(scene: Path, folder: Path) -> None:
    """Write the scene with the base colour, roughness and metallic of the test views' truth."""
    import torch
    from scipy.spatial import KDTree

    from fovea.scene.capture import read_capture
    from fovea.scene.ply import read_ply, write_ply
    from fovea.scene.rasterize import rasterize

    gaussians = read_ply(scene)
    total, weight = torch.zeros(len(gaussians), 5), torch.zeros(len(gaussians))
    for view in read_capture(folder).split("test"):
        camera = view.camera.to(torch.float32)
        maps, covered = truth_maps(view)
        with torch.no_grad():
            depth = rasterize(gaussians, camera).depth
        at, z = camera.project(gaussians.means)
        column, row = at.long().unbind(-1)
        inside = (at > 0).all(-1) & (column < camera.width) & (row < camera.height)
        column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
        near = (z - depth[row, column]).abs() < SURFACE_DEPTH
        counts = (inside & near & covered[row, column]).float()
        total += counts[:, None] * maps[row, column]
        weight += counts
    seen = weight > 0
    materials = total / weight.clamp(min=1)[:, None]
    _, nearest = KDTree(gaussians.means[seen].numpy()).query(gaussians.means[~seen].numpy())
    materials[~seen] = materials[seen][torch.from_numpy(nearest)]
    extras = dict(
        zip(("albedo", "roughness", "metallic"), materials.split([3, 1, 1], 1), strict=True)
    )
    out = scene.with_name(f"{scene.stem}-truth.ply")
    write_ply(out, replace(gaussians, extras={"normal": gaussians.extras["normal"]} | extras))
    print(out)


def truth_maps(view: Any) -> tuple[Any, Any]:
    """The true materials of a view, [H, W, 5], and where it is fully covered."""
    import torch

    from fovea.scene.image import read_image

    found = {
        n: torch.from_numpy(read_image(view.truth[n])) for n in ("albedo", "roughness", "metallic")
    }
    alpha = torch.from_numpy(read_image(view.image))[..., 3]
    maps = [found["albedo"][..., :3], found["roughness"][..., :1], found["metallic"][..., :1]]
    return torch.cat(maps, dim=-1), alpha > 0.99


def _view(view: Any, out: Path) -> dict[str, Any]:
    camera = view.camera
    return {
        "out": str(out.resolve()),
        "camera_to_world": camera.camera_to_world.tolist(),
        "fov_x": camera.fov_x,
        "height": camera.height,
        "width": camera.width,
    }


def inside_blender(path: Path) -> None:
    """Render a job; runs where bpy is, and imports nothing of fovea."""
    import bpy
    from mathutils import Matrix

    job = json.loads(path.read_text())
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=job["object"])
    scene = bpy.context.scene
    world = bpy.data.worlds.new("light")
    scene.world = world
    world.use_nodes = True
    nodes = world.node_tree.nodes
    texture = nodes.new("ShaderNodeTexEnvironment")
    texture.image = bpy.data.images.load(job["light"])
    world.node_tree.links.new(texture.outputs["Color"], nodes["Background"].inputs["Color"])
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = job["samples"], True
    scene.render.film_transparent = True
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.image_settings.color_depth = "32"
    scene.render.resolution_percentage = 100
    lens = bpy.data.cameras.new("camera")
    lens.sensor_fit = "HORIZONTAL"
    eye = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(eye)
    scene.camera = eye
    for view in job["views"]:
        lens.angle = view["fov_x"]
        # Blender's cameras look along -z with y up.
        eye.matrix_world = Matrix(view["camera_to_world"]) @ Matrix.Diagonal((1, -1, -1, 1))
        scene.render.resolution_x, scene.render.resolution_y = view["width"], view["height"]
        scene.render.filepath = view["out"]
        bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--inside":
        inside_blender(Path(sys.argv[2]))
    else:
        main()
