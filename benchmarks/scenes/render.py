"""Render the demo scene: `python benchmarks/scenes/render.py src/fovea/samples/still_life`.

Views, light maps and true materials come out in TensoIR's layout. The path tracer is Mitsuba 3,
the denoiser Intel's Open Image Denoise (`pip install 'fovea-vision[render]'`); no code is shared
with what is later judged on the pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import mitsuba as mi
import numpy as np
from lights import LIGHTS
from PIL import Image
from shapes import Solid, vertex_normals

mi.set_variant("llvm_ad_rgb")

import still_life  # noqa: E402

SIZE = 200
FIELD_OF_VIEW = 0.6911112  # NeRF-synthetic's camera_angle_x
DISTANCE = 3.4
TRAIN_LIGHT = "studio"


def view_directions(split: str) -> np.ndarray:
    """From where cameras look at the origin [N, 3]: 60 from most sides, 20 round about."""
    if split == "train":
        count, golden = 60, np.pi * (3 - np.sqrt(5))
        z = np.sin(np.deg2rad(-14)) + (np.arange(count) + 0.5) / count * (
            0.99 - np.sin(np.deg2rad(-14))
        )
        azimuth = golden * np.arange(count)
    else:
        turn = np.arange(20) / 20
        z = np.sin(np.deg2rad(27 + 17 * np.sin(4 * np.pi * turn)))
        azimuth = 2 * np.pi * turn + 0.13
    r = np.sqrt(1 - z**2)
    return np.stack([r * np.cos(azimuth), r * np.sin(azimuth), z], axis=1)


def camera_to_world(direction: np.ndarray) -> np.ndarray:
    """OpenGL camera-to-world [4, 4] of a camera that looks at the origin from `direction`."""
    right = np.cross([0.0, 0.0, 1.0], direction)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(direction, right), direction], axis=1)
    matrix[:3, 3] = DISTANCE * direction
    return matrix


def shape(solid: Solid, *, truth: str = "") -> mi.Mesh:
    """The solid as a renderer's mesh; `truth` paints one of its properties on as plain colour."""
    colors = np.clip(solid.colors, 0, 1)
    if truth in ("roughness", "metallic"):
        colors = np.full_like(colors, getattr(solid, truth))
    reflectance = {"type": "mesh_attribute", "name": "vertex_color"}
    bsdf = {"type": "twosided", "material": {"type": "diffuse", "reflectance": reflectance}}
    if not truth:
        bsdf["material"] = {
            "type": "principled",
            "base_color": reflectance,
            "roughness": solid.roughness,
            "metallic": solid.metallic,
            "specular": 0.5,
        }
    properties = mi.Properties()
    properties["mesh_bsdf"] = mi.load_dict(bsdf)
    vertices, faces = solid.vertices, solid.faces
    mesh = mi.Mesh(solid.name, len(vertices), len(faces), has_vertex_normals=True, props=properties)
    mesh.add_attribute("vertex_color", 3, colors.astype(np.float32).ravel())
    values = mi.traverse(mesh)
    values["vertex_positions"] = vertices.astype(np.float32).ravel()
    values["vertex_normals"] = vertex_normals(vertices, faces).astype(np.float32).ravel()
    values["faces"] = faces.astype(np.uint32).ravel()
    values.update()
    return mesh


def scene(parts: list[Solid], light: np.ndarray | None, *, truth: str = "") -> mi.Scene:
    """All parts under one light; without light, only what the first hit knows."""
    content: dict = {"type": "scene"} | {part.name: shape(part, truth=truth) for part in parts}
    if light is not None:
        turn = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float)
        content["light"] = {
            "type": "envmap",
            "bitmap": mi.Bitmap(light),
            "to_world": mi.ScalarTransform4f(turn),
        }
    return mi.load_dict(content)


def sensor(matrix: np.ndarray) -> mi.Sensor:
    """Mitsuba's camera looks along +z with x to the left, ours along -z."""
    flipped = matrix @ np.diag([-1.0, 1.0, -1.0, 1.0])
    film = {
        "type": "hdrfilm",
        "width": SIZE,
        "height": SIZE,
        "pixel_format": "rgba",
        "rfilter": {"type": "box"},
    }
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": float(np.rad2deg(FIELD_OF_VIEW)),
            "fov_axis": "x",
            "to_world": mi.ScalarTransform4f(flipped),
            "film": film,
        }
    )


def path_traced(world: mi.Scene, camera: mi.Sensor, samples: int, seed: int) -> np.ndarray:
    """Linear premultiplied radiance and coverage [H, W, 4]."""
    integrator = mi.load_dict({"type": "path", "max_depth": 7, "hide_emitters": True})
    return np.array(mi.render(world, sensor=camera, integrator=integrator, spp=samples, seed=seed))


def first_hit(world: mi.Scene, camera: mi.Sensor, samples: int = 64) -> tuple[np.ndarray, ...]:
    """Colour and normal [H, W, 3] of what a pixel sees, premultiplied, and coverage [H, W, 1]."""
    cover = {"type": "direct", "hide_emitters": True}
    integrator = mi.load_dict({"type": "aov", "aovs": "a:albedo,n:sh_normal", "cover": cover})
    image = np.array(mi.render(world, sensor=camera, integrator=integrator, spp=samples))
    return image[..., -6:-3], image[..., -3:], image[..., 3:4]


def denoised(color: np.ndarray, albedo: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The radiance without its grain, guided by buffers that have none."""
    import pyoidn

    color, albedo, normal = (np.ascontiguousarray(x, np.float32) for x in (color, albedo, normal))
    return pyoidn.denoise(color, albedo=albedo, normal=normal, hdr=True)


def srgb(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def save(path: Path, color: np.ndarray, alpha: np.ndarray | None = None) -> None:
    """Write an 8-bit PNG; where alpha is zero so is the colour."""
    bytes_ = np.round(np.clip(color, 0, 1) * 255).astype(np.uint8)
    if alpha is not None:
        cover = np.round(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
        bytes_ = np.concatenate([bytes_ * (cover > 0), cover], axis=-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(bytes_.squeeze()).save(path, optimize=True)


def straight(premultiplied: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return premultiplied / np.maximum(alpha, 1e-3)


def write_view(
    folder: Path, worlds: dict, matrix: np.ndarray, lights: list[str], samples: int, seed: int
) -> None:
    """Render one camera with everything that belongs to it."""
    camera = sensor(matrix)
    albedo, normal, cover = first_hit(worlds["color"], camera)
    for light in lights:
        image = path_traced(worlds[light], camera, samples, seed)
        alpha = image[..., 3:]
        smooth = denoised(image[..., :3], albedo, normal)
        name = "rgba.png" if light == TRAIN_LIGHT else f"rgba_{light}.png"
        save(folder / name, srgb(straight(smooth, alpha)), alpha)
    if len(lights) > 1:
        length = np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        save(folder / "normal.png", normal / length * 0.5 + 0.5, cover)
        save(folder / "albedo.png", straight(albedo, cover), cover)
        for truth in ("roughness", "metallic"):
            value, _, cover = first_hit(worlds[truth], camera)
            save(folder / f"{truth}.png", straight(value[..., :1], cover))
    about = {"cam_angle_x": FIELD_OF_VIEW, "imw": SIZE, "imh": SIZE}
    about["cam_transform_mat"] = ",".join(f"{value:.8f}" for value in matrix.ravel())
    (folder / "metadata.json").write_text(json.dumps(about, indent=1) + "\n")


def write_lights(folder: Path) -> dict[str, np.ndarray]:
    """Write the light maps, and read back the values that the file holds: those are rendered."""
    folder.mkdir(parents=True, exist_ok=True)
    maps = {}
    for name, draw in LIGHTS.items():
        path = str(folder / f"{name}.hdr")
        cv2.imwrite(path, draw()[..., ::-1])
        maps[name] = np.ascontiguousarray(cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., ::-1])
    return maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=192, help="paths a pixel")
    parser.add_argument("--only", help="one view, train_000")
    options = parser.parse_args()
    began = time.perf_counter()
    maps = write_lights(options.folder / "envmaps")
    parts = still_life.solids()
    worlds = {name: scene(parts, light) for name, light in maps.items()}
    worlds |= {
        truth: scene(parts, None, truth=truth) for truth in ("color", "roughness", "metallic")
    }
    for split, lights in (("train", [TRAIN_LIGHT]), ("test", list(LIGHTS))):
        frames = []
        for number, direction in enumerate(view_directions(split)):
            name, matrix = f"{split}_{number:03d}", camera_to_world(direction)
            frames.append({"file_path": f"{name}/rgba", "transform_matrix": matrix.tolist()})
            if options.only in (None, name):
                write_view(options.folder / name, worlds, matrix, lights, options.samples, number)
                print(f"{name} at {time.perf_counter() - began:.0f} s", flush=True)
        table = {"camera_angle_x": FIELD_OF_VIEW, "frames": frames}
        (options.folder / f"transforms_{split}.json").write_text(json.dumps(table, indent=1) + "\n")
    ball = {"centre": still_life.BALL_CENTRE, "radius": still_life.BALL_RADIUS}
    (options.folder / "truth.json").write_text(json.dumps({"ball": ball}, indent=1) + "\n")


if __name__ == "__main__":
    main()
