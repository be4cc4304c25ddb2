"""The demo scene's poses, normals and masks agree with each other and with its known ball."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "src/fovea/samples/still_life"
TRUTH = json.loads((FOLDER / "truth.json").read_text())["ball"]
CENTRE, RADIUS = np.array(TRUTH["centre"]), TRUTH["radius"]
TEST = json.loads((FOLDER / "transforms_test.json").read_text())


def pixels(name: str, picture: str) -> np.ndarray:
    return np.asarray(Image.open(FOLDER / name / f"{picture}.png")).astype(float) / 255


def rays(frame: dict, size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """The camera's position and the unit directions through its pixels' centres, by the files."""
    matrix = np.array(frame["transform_matrix"])
    focal = size / 2 / math.tan(TEST["camera_angle_x"] / 2)
    y, x = np.mgrid[:size, :size] + 0.5
    local = np.stack([(x - size / 2) / focal, -(y - size / 2) / focal, -np.ones_like(x)], axis=-1)
    directions = local @ matrix[:3, :3].T
    return matrix[:3, 3], directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def normals(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Normals brought to unit length after their 8 bits, and where a pixel is fully covered."""
    picture = pixels(name, "normal")
    n = picture[..., :3] * 2 - 1
    return n / np.linalg.norm(n, axis=-1, keepdims=True), picture[..., 3] > 0.99


def test_every_view_named_in_the_pose_files_is_there_and_square():
    for split, count in (("train", 60), ("test", 20)):
        frames = json.loads((FOLDER / f"transforms_{split}.json").read_text())["frames"]
        assert len(frames) == count
        for frame in frames:
            with Image.open(FOLDER / f"{frame['file_path']}.png") as image:
                assert (image.size, image.mode) == ((200, 200), "RGBA")


def test_the_pose_files_and_the_metadata_say_the_same():
    for frame in TEST["frames"]:
        about = json.loads(
            (FOLDER / frame["file_path"]).parent.joinpath("metadata.json").read_text()
        )
        matrix = [float(word) for word in about["cam_transform_mat"].split(",")]
        assert np.allclose(matrix, np.ravel(frame["transform_matrix"]), atol=1e-7)
        assert about["cam_angle_x"] == TEST["camera_angle_x"]


@pytest.mark.parametrize("frame", TEST["frames"][::5], ids=lambda frame: frame["file_path"])
def test_where_the_metal_is_a_ray_hits_the_ball_and_the_normal_is_the_balls(frame):
    name = Path(frame["file_path"]).parent.name
    position, directions = rays(frame)
    along = directions @ (CENTRE - position)
    miss = np.linalg.norm(CENTRE - position) ** 2 - along**2
    found, is_covered = normals(name)
    is_metal = (pixels(name, "metallic") > 0.999) & is_covered
    assert is_metal.sum() > 100
    # A pixel counts as metal where all its samples hit: its centre lies inside the outline.
    assert miss[is_metal].max() < RADIUS**2
    depth = along - np.sqrt(np.maximum(RADIUS**2 - miss, 0))
    expected = (position + directions * depth[..., None] - CENTRE) / RADIUS
    # 8 bits a component are 0.4 degrees; towards the rim a pixel's mean leaves its centre's normal.
    inside = is_metal & (miss < 0.5 * RADIUS**2)
    angle_deg = np.degrees(np.arccos(np.clip((expected * found).sum(-1)[inside], -1, 1)))
    assert angle_deg.mean() < 1.0
    assert angle_deg.max() < 3.0


@pytest.mark.parametrize("frame", TEST["frames"][::5], ids=lambda frame: frame["file_path"])
def test_normals_are_unit_and_face_the_camera(frame):
    name = Path(frame["file_path"]).parent.name
    found, is_covered = normals(name)
    _, directions = rays(frame)
    stored = pixels(name, "normal")[..., :3] * 2 - 1
    assert np.abs(np.linalg.norm(stored[is_covered], axis=-1) - 1).max() < 0.01
    facing = -(found * directions).sum(-1)[is_covered]
    # Smoothed vertex normals may turn a little away at an outline.
    assert (facing > 0).mean() > 0.995


def test_what_is_not_covered_holds_no_colour():
    for name in ("train_000", "test_000"):
        picture = pixels(name, "rgba")
        assert (picture[picture[..., 3] == 0] == 0).all()
        assert 0.1 < (picture[..., 3] > 0.5).mean() < 0.6


def test_nothing_is_cut_off_by_the_pictures_edge():
    for path in FOLDER.glob("*/rgba.png"):
        alpha = np.asarray(Image.open(path))[..., 3]
        rim = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert rim.max() == 0, path


def test_a_light_map_leads_to_its_brightest_highlight():
    """The studio's key lamp stands at azimuth 35 and elevation 48 degrees; so says the map."""
    cv2 = pytest.importorskip("cv2")
    light = cv2.imread(str(FOLDER / "envmaps/studio.hdr"), cv2.IMREAD_UNCHANGED)
    height, width = light.shape[:2]
    is_lamp = light.sum(axis=-1) > 10
    row, column = (np.flatnonzero(is_lamp.any(axis)).mean() + 0.5 for axis in (1, 0))
    azimuth_deg = np.degrees(2 * np.pi * (0.5 - column / width))
    elevation_deg = 90 - 180 * row / height
    assert abs(azimuth_deg - 35) < 5
    assert abs(elevation_deg - 48) < 8


def test_the_ball_mirrors_the_key_lamp_where_the_light_map_has_it():
    """At the brightest point of the brass ball, the mirrored ray leads to the key lamp."""
    azimuth, elevation = np.radians(35), np.radians(48)
    level = math.cos(elevation)
    lamp = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
    frame = TEST["frames"][0]
    _, directions = rays(frame)
    found, _ = normals("test_000")
    mirrored = directions - 2 * (directions * found).sum(-1, keepdims=True) * found
    is_metal = pixels("test_000", "metallic") > 0.999
    brightness = np.where(is_metal, pixels("test_000", "rgba")[..., :3].sum(-1), 0)
    toward = mirrored[brightness > np.quantile(brightness[is_metal], 0.97)].mean(0)
    toward /= np.linalg.norm(toward)
    # The lamp is 50 degrees wide and the brass is rough.
    assert np.degrees(np.arccos(toward @ lamp)) < 20


def test_the_sample_stays_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 8 << 20
