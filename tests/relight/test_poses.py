"""Poses that are found against poses that are known, and what a person reads when none are."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch
from PIL import Image

from fovea.dialect import SAMPLES
from fovea.errors import ArtifactError, DataError, StoppedError
from fovea.relight.capture.shots import find_shots, frames_of_video
from fovea.relight.poses import poses
from fovea.relight.settings.poses import PosesConfig
from fovea.relight.stages import POSES
from fovea.relight.structure import find_features, mutual_matches, pairs_to_match
from fovea.runs.stage import Context
from fovea.scene.capture import load, read_capture
from fovea.scene.path import looked_at, upward
from fovea.scene.video import write_video

CORNER = SAMPLES / "corner"
FEW = {"pattern": "corner_0[0-6].jpg", "features": 512}


def ignore(done: int, total: int, unit: str = "") -> None:
    """Watch nothing."""


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photographs of the sample corner with poses; an eighth is grey and gets none."""
    folder = tmp_path_factory.mktemp("corner")
    for path in sorted(CORNER.glob("corner_0[0-6].jpg")):
        (folder / path.name).write_bytes(path.read_bytes())
    Image.new("RGB", (400, 300), "grey").save(folder / "corner_99.jpg")
    config = PosesConfig(photographs=folder, features=512)
    context = Context.local(POSES, config, tmp_path_factory.mktemp("run"))
    scores = poses(config, context)
    assert (scores["poses/photographs"], scores["poses/registered"]) == (8, 7)
    return context.out


def aligned(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rotation, and the positions after the similarity that fits them best (Umeyama)."""
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    left, spread, right = np.linalg.svd(b.T @ a)
    mirror = np.diag([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation = left @ mirror @ right
    scale = (spread * np.diag(mirror)).sum() / np.square(a).sum()
    return rotation, scale * a @ rotation.T + truth.mean(axis=0)


def test_found_poses_are_those_of_the_renderer(found: Path) -> None:
    truth = json.loads((CORNER / "truth.json").read_text())["photographs"]
    views = read_capture(found / "capture", hold_out=0).views
    assert [f"{view.name}.jpg" for view in views] == list(truth)[:7]
    known = [truth[f"{view.name}.jpg"] for view in views]
    places = np.array([pose["position"] for pose in known])
    rotation, moved = aligned(np.stack([v.camera.position.numpy() for v in views]), places)
    baseline = np.linalg.norm(places[:, None] - places[None], axis=-1).max()
    assert np.linalg.norm(moved - places, axis=1).max() < 0.005 * baseline
    for view, pose in zip(views, known, strict=True):
        off = view.camera.rotation.numpy() @ rotation.T @ np.array(pose["rotation"]).T
        # Seven places on a short arc leave the tilt around it loose by that much.
        assert np.degrees(np.arccos((np.trace(off) - 1) / 2)) < 1.0
    # EXIF says 36 mm of a 35 mm film, 4 % off; the photographs know better.
    assert float(views[0].camera.intrinsics[0, 0]) == pytest.approx(400, rel=0.02)


def test_the_scene_stands_upright_around_its_middle(found: Path) -> None:
    cameras = [view.camera for view in read_capture(found / "capture").views]
    np.testing.assert_allclose(upward(cameras), [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(looked_at(cameras), 0, atol=1e-6)
    assert np.median([float(c.position.norm()) for c in cameras]) == pytest.approx(4.0)


def test_points_have_the_colours_of_what_the_photographs_show_there(found: Path) -> None:
    capture = read_capture(found / "capture", hold_out=0)
    assert capture.points is not None
    assert capture.colors is not None
    photograph = load(capture.views[3])
    pixel, depth = photograph.camera.project(torch.from_numpy(capture.points))
    column, row = pixel.floor().long().unbind(-1)
    inside = (depth > 0) & (column >= 0) & (column < 400) & (row >= 0) & (row < 300)
    shown = photograph.pixels[row[inside], column[inside]].double().numpy() / 255
    alike = np.corrcoef(shown.mean(axis=1), capture.colors[inside.numpy()].mean(axis=1))[0, 1]
    assert alike > 0.8


def test_the_model_explains_what_was_seen_in_the_straight_photographs(found: Path) -> None:
    model = pycolmap.Reconstruction(found / "capture" / "sparse" / "0")
    errors = [
        np.linalg.norm(image.project_point(model.point3D(point.point3D_id).xyz) - point.xy)
        for image in model.images.values()
        for point in image.points2D
        if point.has_point3D()
    ]
    assert np.mean(errors) < 0.5
    assert {camera.model_name for camera in model.cameras.values()} == {"PINHOLE"}


def test_scores_name_the_photographs_that_got_no_pose(found: Path) -> None:
    scores = json.loads((found / "scores.json").read_text())
    assert scores["not_registered"] == ["corner_99"]
    with Image.open(found / "cameras.png") as picture:
        assert picture.size[0] > 800


def test_more_photographs_without_a_pose_than_allowed_are_an_error(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(3):
        noise = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"noise_{number}.png")
    config = PosesConfig(photographs=tmp_path, features=64)
    with pytest.raises(DataError, match="found for 0 of the 3 photographs") as caught:
        poses(config, Context.local(POSES, config, tmp_path / "run"))
    assert "Without one: noise_0, noise_1, noise_2." in str(caught.value)


def test_stopping_leaves_the_features_that_were_found(tmp_path: Path) -> None:
    config = PosesConfig(photographs=CORNER, **FEW)
    context = Context.local(POSES, config, tmp_path / "run")
    seen = []

    def is_third_time() -> bool:
        seen.append(1)
        return len(seen) > 2

    context.asked_to_stop = is_third_time
    with pytest.raises(StoppedError):
        poses(config, context)
    database = pycolmap.Database.open(tmp_path / "run/tmp/work/database.db")
    searched = [database.exists_keypoints(i.image_id) for i in database.read_all_images()]
    database.close()
    # It is asked once before the first photograph.
    assert searched == [True, True, False, False, False, False, False]


def test_features_do_not_depend_on_the_goes_they_are_found_in(tmp_path: Path) -> None:
    shots = find_shots(CORNER, "corner_0[0-2].jpg")
    config = PosesConfig(photographs=CORNER, features=128)
    tables = []
    for name, parts in {"once": (3,), "twice": (1, 3)}.items():
        for count in parts:
            with suppress(EnoughError):
                find_features(shots, tmp_path / f"{name}.db", config, stop_after(count))
        database = pycolmap.Database.open(tmp_path / f"{name}.db")
        tables.append([database.read_keypoints(n) for n in (1, 2, 3)])
        database.close()
    for once, twice in zip(*tables, strict=True):
        np.testing.assert_array_equal(once, twice)


class EnoughError(Exception):
    """Enough for now."""


def stop_after(count: int) -> Callable[[int, int, str], None]:
    def watch(done: int, total: int, unit: str) -> None:
        if done == count < total:
            raise EnoughError

    return watch


# Pairs and matches


def test_every_pair_is_matched_once_and_sequences_close_their_loops() -> None:
    config = PosesConfig(photographs=CORNER)
    assert pairs_to_match(5, config) == [(a, b) for a in range(5) for b in range(a + 1, 5)]
    in_order = config.model_copy(update={"matching": "sequential", "overlap": 2})
    pairs = pairs_to_match(40, in_order)
    assert len(set(pairs)) == len(pairs)
    assert [two for one, two in pairs if one == 0] == [1, 2, 16, 32]


def test_matches_are_mutual_and_clearly_better_than_the_second_best() -> None:
    random = np.random.default_rng(1)
    one = unit_bytes(random.random((700, 128)) ** 4)
    order = random.permutation(700)[:400]
    two = unit_bytes(one[order] + 4.0 * random.random((400, 128)))
    matches = mutual_matches(one, two)
    assert len(matches) > 300
    assert (order[matches[:, 1]] == matches[:, 0]).all()
    assert len(mutual_matches(one[:1], two)) == 0


def unit_bytes(values: np.ndarray) -> np.ndarray:
    """Descriptors of length 512 in bytes, as SIFT's are kept."""
    return np.rint(512 * values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.uint8)


# Photographs and videos


def test_features_of_a_cut_out_photograph_lie_inside_it(tmp_path: Path) -> None:
    inside = np.zeros((300, 400), bool)
    inside[60:240, 100:300] = True
    for number in range(3):
        pixels = np.asarray(Image.open(CORNER / f"corner_0{number}.jpg"))
        rgba = np.dstack([pixels, 255 * inside.astype(np.uint8)])
        Image.fromarray(rgba).save(tmp_path / f"cut_{number}.png")
    shots = find_shots(tmp_path, "**/*")
    config = PosesConfig(photographs=tmp_path, features=256)
    find_features(shots, tmp_path / "found.db", config, ignore)
    database = pycolmap.Database.open(tmp_path / "found.db")
    column, row = database.read_keypoints(1)[:, :2].astype(int).T
    database.close()
    assert len(column) > 50
    assert inside[row, column].all()


def test_photographs_of_one_name_in_several_folders_get_names_of_their_own(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"day {number}").mkdir()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"day {number}" / "IMG.1.png")
    (tmp_path / "masks").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "masks" / "IMG.1.png")
    names = [shot.name for shot in find_shots(tmp_path, "**/*")]
    assert names == ["day_0_IMG_1", "day_1_IMG_1", "day_2_IMG_1"]


def test_the_same_photographs_in_other_sizes_are_left_aside(tmp_path: Path) -> None:
    for folder, size in {"images": 8, "images_2": 4}.items():
        (tmp_path / folder).mkdir()
        for number in range(3):
            Image.new("RGB", (size, size), (number, 0, 0)).save(tmp_path / folder / f"{number}.png")
    assert [shot.name for shot in find_shots(tmp_path, "**/*")] == ["0", "1", "2"]
    assert len(find_shots(tmp_path, "images*/*")) == 6


def test_one_camera_needs_one_size(tmp_path: Path) -> None:
    for number, size in enumerate([(64, 48), (64, 48), (32, 24)]):
        Image.new("RGB", size, (number, 0, 0)).save(tmp_path / f"{number}.png")
    config = PosesConfig(photographs=tmp_path, camera="one")
    with pytest.raises(DataError, match="32x24, 64x48 px"):
        find_features(find_shots(tmp_path, "*"), tmp_path / "found.db", config, ignore)


def test_the_sharpest_frame_of_each_part_of_a_video_is_taken(tmp_path: Path) -> None:
    sharp = np.asarray(Image.open(CORNER / "corner_00.jpg").resize((160, 120)))
    blurred = np.asarray(Image.fromarray(sharp).resize((16, 12)).resize((160, 120)))
    sharp_ones = {2, 5, 10}
    frames = [sharp if number in sharp_ones else blurred for number in range(12)]
    write_video(tmp_path / "walk.mp4", frames, 10)
    shots = frames_of_video(tmp_path / "walk.mp4", 3, tmp_path / "frames", ignore)
    assert [shot.name for shot in shots] == ["frame_000002", "frame_000005", "frame_000010"]
    again = frames_of_video(tmp_path / "walk.mp4", 3, tmp_path / "frames", ignore)
    assert again == shots


def test_a_file_that_is_no_video_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "walk.txt").touch()
    config = PosesConfig(photographs=tmp_path / "walk.txt")
    with pytest.raises(ArtifactError, match=r"walk\.txt ends in \.txt"):
        poses(config, Context.local(POSES, config, tmp_path / "run"))


@pytest.mark.slow
def test_the_castle_gets_all_its_poses(data_folder: Path, tmp_path: Path) -> None:
    folder = data_folder / "multiview" / "sceaux_castle"
    config = PosesConfig(photographs=folder, features=1024, longest_px=800)
    context = Context.local(POSES, config, tmp_path)
    scores = poses(config, context)
    assert scores["poses/registered"] == 11
    assert len(read_capture(context.out / "capture").views) == 11
