"""A scene with materials leaves as files that independent readers understand."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from scipy.spatial import KDTree

from fovea.errors import ArtifactError, DataError
from fovea.relight.asset.atlas import texels, unwrap
from fovea.relight.asset.textures import filled
from fovea.relight.export import export, light_beside, y_up, z_up
from fovea.relight.light.environment import Environment, Up
from fovea.relight.settings.export import ExportConfig
from fovea.relight.stages import EXPORT
from fovea.relight.surface.mesh import Mesh, read_mesh, write_mesh
from fovea.relight.surface.transfer import sphere
from fovea.runs.stage import Context
from fovea.scene import harmonics
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import read_ply, write_ply
from fovea.scene.radiance import read_radiance, write_radiance

RED, GREEN = (0.6, 0.05, 0.02), (0.05, 0.4, 0.1)


def ball_of_two_halves(count: int = 1500, radius: float = 0.5) -> Gaussians:
    """Red rough plastic above z = 0, green smooth metal below."""
    normals = torch.from_numpy(sphere(count))
    above = (normals[:, 2:] > 0).float()
    return Gaussians(
        means=normals * radius,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.full((count, 3), 0.03),
        opacities=torch.full((count,), 0.95),
        harmonics=harmonics.from_colors(torch.full((count, 3), 0.5)),
        extras={
            "normal": normals,
            "albedo": above * torch.tensor(RED) + (1 - above) * torch.tensor(GREEN),
            "roughness": above * 0.8 + (1 - above) * 0.2,
            "metallic": 1 - above,
        },
    )


def ball(shift: float = 0.0) -> Mesh:
    """With ripples that few triangles cannot show."""
    made = trimesh.creation.icosphere(5, radius=0.5)
    ripples = 1 + 0.01 * np.sin(50 * made.vertices[:, 2:])
    return Mesh.from_triangles(made.vertices * ripples + shift, made.faces)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tiny preset exports, beside its inputs."""
    folder = tmp_path_factory.mktemp("export")
    write_ply(folder / "scene.ply", ball_of_two_halves())
    write_mesh(folder / "surface.ply", ball())
    light = np.random.default_rng(0).random((8, 16, 3), dtype=np.float32)
    write_radiance(folder / "sky.exr", light)
    export(config(folder), Context.local(EXPORT, config(folder), folder / "stage"))
    return folder


def config(folder: Path, **changed: Any) -> ExportConfig:
    settings: dict[str, Any] = {
        "scene": folder / "scene.ply",
        "surface": folder / "surface.ply",
        "light": folder / "sky.exr",
        "faces": 500,
        "texture": 128,
        "rays": 64,
    }
    return ExportConfig(**(settings | changed))


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    return folder / "stage" / "tmp" / "out"


@pytest.fixture(scope="module")
def tree(made: Path) -> tuple[dict, bytes]:
    """The glTF's JSON and its binary chunk, read by hand."""
    data = (made / "object.glb").read_bytes()
    assert data[:4] == b"glTF"
    length = int.from_bytes(data[12:16], "little")
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def accessor(tree: tuple[dict, bytes], number: int) -> np.ndarray:
    document, binary = tree
    about = document["accessors"][number]
    view = document["bufferViews"][about["bufferView"]]
    kind = {5126: "<f4", 5125: "<u4", 5123: "<u2"}[about["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[about["type"]]
    start = view.get("byteOffset", 0) + about.get("byteOffset", 0)
    return np.frombuffer(binary, kind, about["count"] * width, start).reshape(-1, width)


def texture(tree: tuple[dict, bytes], reference: dict) -> np.ndarray:
    document, binary = tree
    image = document["images"][document["textures"][reference["index"]]["source"]]
    view = document["bufferViews"][image["bufferView"]]
    start = view.get("byteOffset", 0)
    return np.asarray(Image.open(io.BytesIO(binary[start : start + view["byteLength"]])))


# The object


def test_an_independent_reader_finds_the_mesh_y_up(made: Path) -> None:
    scene = trimesh.load_scene(made / "object.glb")
    (mesh,) = scene.geometry.values()
    assert 300 < len(mesh.faces) <= 500
    assert np.allclose(scene.bounds, [[-0.5] * 3, [0.5] * 3], atol=0.03)
    # What was up, red, is up: in glTF that is y.
    uv = mesh.visual.uv
    picture = np.asarray(mesh.visual.material.baseColorTexture)
    top = uv[mesh.vertices[:, 1] > 0.3]
    rows = np.clip(((1 - top[:, 1]) * 128).astype(int), 0, 127)
    shown = picture[rows, np.clip((top[:, 0] * 128).astype(int), 0, 127)].mean(axis=0) / 255
    assert np.allclose(shown, linear_to_srgb(np.array(RED)), atol=0.03)


def test_accessors_are_within_their_bounds(tree: tuple[dict, bytes]) -> None:
    document, _ = tree
    (primitive,) = document["meshes"][0]["primitives"]
    attributes = primitive["attributes"]
    assert set(attributes) == {"POSITION", "NORMAL", "TANGENT", "TEXCOORD_0"}
    places = accessor(tree, attributes["POSITION"])
    about = document["accessors"][attributes["POSITION"]]
    assert np.allclose(about["min"], places.min(axis=0))
    assert np.allclose(about["max"], places.max(axis=0))
    faces = accessor(tree, primitive["indices"])
    assert faces.max() < len(places)
    uv = accessor(tree, attributes["TEXCOORD_0"])
    assert uv.min() >= 0
    assert uv.max() <= 1
    normal, tangent = (accessor(tree, attributes[n]) for n in ("NORMAL", "TANGENT"))
    assert np.allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(tangent[:, :3], axis=1), 1, atol=1e-5)
    assert np.abs((normal * tangent[:, :3]).sum(axis=1)).max() < 1e-4
    assert set(np.unique(tangent[:, 3])) <= {-1.0, 1.0}


def test_colours_are_srgb_and_the_rest_is_linear(tree: tuple[dict, bytes]) -> None:
    document, _ = tree
    (material,) = document["materials"]
    surface = material["pbrMetallicRoughness"]
    assert "extensionsUsed" not in document
    base = texture(tree, surface["baseColorTexture"]).reshape(-1, 3) / 255
    packed = texture(tree, surface["metallicRoughnessTexture"]).reshape(-1, 3) / 255
    assert material["occlusionTexture"] == surface["metallicRoughnessTexture"]
    assert surface.get("metallicFactor", 1) == surface.get("roughnessFactor", 1) == 1
    is_metal = packed[:, 2] > 0.5
    assert 0.35 < is_metal.mean() < 0.65
    for part, color, roughness in ((~is_metal, RED, 0.8), (is_metal, GREEN, 0.2)):
        assert np.allclose(
            np.median(base[part], axis=0), linear_to_srgb(np.array(color)), atol=0.01
        )
        assert np.median(packed[part, 1]) == pytest.approx(roughness, abs=0.01)
    assert np.median(packed[:, 0]) > 0.9, "nothing hides the sky from a ball"


def test_the_normal_map_gives_few_triangles_the_ripples_of_many(folder: Path) -> None:
    mesh = read_mesh(folder / "surface.ply")
    shown = texels(unwrap(mesh, faces=500, texture=128), 128)
    glb = folder / "stage" / "tmp" / "out" / "object.glb"
    picture = np.asarray(
        next(iter(trimesh.load_scene(glb).geometry.values())).visual.material.normalTexture
    )
    stored = picture[shown.covered] / 127.5 - 1
    turned = np.einsum("tij,tj->ti", shown.frames, stored)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    _, nearest = KDTree(mesh.vertices).query(shown.positions)
    with_map, without = (
        np.degrees(np.arccos(np.clip((n * mesh.normals[nearest]).sum(axis=1), -1, 1))).mean()
        for n in (turned, shown.normals)
    )
    assert without > 5
    assert with_map < 2.5


def test_each_texel_shows_the_place_whose_coordinates_it_has() -> None:
    flat = unwrap(ball(), faces=500, texture=64)
    shown = texels(flat, 64)
    rows, columns = np.nonzero(shown.covered)
    for corner in (0, 100, 300):
        near = np.abs(np.stack([columns, rows], axis=1) + 0.5 - flat.uvs[corner] * 64).sum(axis=1)
        if near.min() < 2:
            found = shown.positions[near.argmin()]
            assert np.linalg.norm(found - flat.vertices[corner]) < 0.15
    assert 0.3 < shown.covered.mean() < 1


def test_gutters_take_the_nearest_colour() -> None:
    covered = np.zeros((4, 4), bool)
    covered[1, 1] = covered[1, 3] = True
    image = filled(np.array([[0.2], [0.9]], np.float32), covered)
    assert image[0, 0, 0] == image[3, 1, 0] == np.float32(0.2)
    assert image[3, 3, 0] == np.float32(0.9)


# The Gaussians and the light


def test_the_scene_keeps_its_materials_and_gains_transfer(folder: Path, made: Path) -> None:
    given, found = read_ply(folder / "scene.ply"), read_ply(made / "relightable.ply")
    for name, rows in given.extras.items():
        assert torch.allclose(found.extras[name], rows, atol=1e-5), name
    assert found.extras["transfer"].shape == (len(given), 16)
    open_share = found.extras["transfer"][:, 0] / harmonics.C0
    assert float(open_share.mean()) == pytest.approx(1, abs=0.05)


def test_the_light_of_a_z_up_scene_is_written_as_it_is(folder: Path, made: Path) -> None:
    given = read_radiance(folder / "sky.exr")
    assert np.allclose(read_radiance(made / "light.exr"), given, atol=1e-4)
    assert np.allclose(read_radiance(made / "light.hdr"), given, atol=0.01)


@pytest.mark.parametrize("up", ["z", "y", (0.3, -0.5, 0.8)])
def test_light_and_object_stay_together_whatever_is_up(up: Up) -> None:
    """A direction in the world sees the same light as its image in Blender does."""
    given = Environment(torch.rand(64, 128, 3, dtype=torch.float64), up=up)
    smooth = replace(given, radiance=_blurred(given.radiance))
    world = torch.from_numpy(sphere(200)).double()
    in_blender = world @ z_up(smooth.up).T
    beside = Environment(light_beside(smooth), up="z")
    assert torch.allclose(beside.radiance_at(in_blender), smooth.radiance_at(world), atol=0.02)
    # Blender turns glTF's (x, y, z) into (x, -z, y).
    in_gltf = world.numpy() @ y_up(smooth.up).T
    assert np.allclose(in_gltf[:, [0, 2, 1]] * [1, -1, 1], in_blender.numpy())


def _blurred(image: torch.Tensor) -> torch.Tensor:
    planes = image.permute(2, 0, 1)[None]
    for _ in range(6):
        planes = torch.nn.functional.pad(planes, (2, 2, 0, 0), mode="circular")
        planes = torch.nn.functional.pad(planes, (0, 0, 2, 2), mode="replicate")
        planes = torch.nn.functional.avg_pool2d(planes, 5, stride=1)
    return planes[0].permute(1, 2, 0)


def test_up_becomes_up() -> None:
    assert np.allclose(y_up("z") @ [0, 0, 1], [0, 1, 0])
    assert np.allclose(y_up("y"), np.eye(3))
    tilted = np.array([0.3, -0.5, 0.8])
    assert np.allclose(y_up((0.3, -0.5, 0.8)) @ tilted / np.linalg.norm(tilted), [0, 1, 0])


def test_the_same_inputs_make_the_same_files(folder: Path, made: Path) -> None:
    export(config(folder), Context.local(EXPORT, config(folder), folder / "again"))
    for name in ("object.glb", "relightable.ply", "light.hdr", "light.exr"):
        again = folder / "again" / "tmp" / "out" / name
        assert again.read_bytes() == (made / name).read_bytes(), name


# What cannot be exported


def test_a_scene_without_materials_names_the_stage_that_makes_them(folder: Path) -> None:
    bare = replace(ball_of_two_halves(), extras={"normal": ball_of_two_halves().means})
    write_ply(folder / "bare.ply", bare)
    wrong = config(folder, scene=folder / "bare.ply")
    with pytest.raises(DataError, match=r"bare\.ply has no albedo.*relight\.decompose"):
        export(wrong, Context.local(EXPORT, wrong, folder / "stage-bare"))


def test_a_mesh_without_faces_is_refused(folder: Path) -> None:
    trimesh.PointCloud(np.eye(3)).export(folder / "points.ply")
    wrong = config(folder, surface=folder / "points.ply")
    with pytest.raises(ArtifactError, match=r"points\.ply has 3 vertices and no faces"):
        export(wrong, Context.local(EXPORT, wrong, folder / "stage-points"))


def test_the_mesh_of_another_scene_is_refused(folder: Path) -> None:
    write_mesh(folder / "other.ply", ball(shift=3.0))
    wrong = config(folder, surface=folder / "other.ply")
    with pytest.raises(DataError, match=r"surface of its own scene.*other\.ply.*relight\.bake"):
        export(wrong, Context.local(EXPORT, wrong, folder / "stage-other"))
    assert not any((folder / "stage-other").rglob("*.glb"))
