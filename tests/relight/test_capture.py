import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.errors import ArtifactError, DataError
from fovea.scene.capture import load, read_capture, scaled_size


@pytest.fixture(scope="session")
def expected(goldens: Path) -> dict:
    return json.loads((goldens / "inverse-rendering/readers/expected.json").read_text())


@pytest.fixture
def colmap(goldens: Path, tmp_path: Path) -> Path:
    source = goldens / "inverse-rendering/readers/colmap"
    return Path(shutil.copytree(source, tmp_path / "colmap"))


@pytest.fixture
def colmap_text(goldens: Path, colmap: Path) -> Path:
    shutil.rmtree(colmap / "sparse")
    shutil.copytree(goldens / "inverse-rendering/readers/colmap_text/sparse", colmap / "sparse")
    return colmap


@pytest.mark.parametrize("kind", ["colmap", "colmap_text"])
def test_a_colmap_model_is_read_as_the_reference_reads_it(kind, request, expected):
    capture = read_capture(request.getfixturevalue(kind))
    known = expected["colmap"]
    assert [view.name for view in capture.views] == known["order"]
    for view, camera in zip(capture.views, known["cameras"], strict=True):
        np.testing.assert_allclose(
            view.camera.world_to_camera, camera["world_to_cam"], rtol=0, atol=1e-9
        )
        assert view.camera.fov_x == pytest.approx(camera["fovx"], abs=1e-9)
        assert view.camera.fov_y == pytest.approx(camera["fovy"], abs=1e-9)
        assert (view.camera.width, view.camera.height) == (camera["width"], camera["height"])
    assert [view.name for view in capture.split("test")] == known["eval_test"]
    assert [view.name for view in capture.split("train")] == known["eval_train"]
    assert capture.radius == pytest.approx(known["radius_eval_train"], abs=1e-9)
    np.testing.assert_allclose(capture.points, known["points_xyz"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.rint(capture.colors * 255), known["points_rgb"])


@pytest.mark.parametrize("without_transforms", [False, True])
def test_a_tensoir_scene_is_read_from_its_transforms_or_from_its_metadata(
    without_transforms, goldens, expected, tmp_path
):
    folder = shutil.copytree(goldens / "inverse-rendering/readers/tensoir_like", tmp_path / "scene")
    if without_transforms:
        for split in ("train", "test"):
            (folder / f"transforms_{split}.json").unlink()
        order = sorted(expected["tensoir_like"]["cameras"], key=lambda c: (c["split"], c["index"]))
    else:
        order = expected["tensoir_like"]["cameras"]
    capture = read_capture(folder)
    views = (
        sorted(capture.views, key=lambda view: view.name) if without_transforms else capture.views
    )
    for view, camera in zip(views, order, strict=True):
        assert view.split == camera["split"]
        np.testing.assert_allclose(view.camera.position, camera["center"], rtol=0, atol=1e-9)
        assert view.camera.fov_x == pytest.approx(camera["fovx"], abs=1e-9)
        assert view.camera.fov_y == pytest.approx(camera["fovy"], abs=1e-9)
        assert {"normal", "albedo"} <= view.truth.keys()
    assert capture.radius == pytest.approx(expected["tensoir_like"]["radius_eval"], abs=1e-9)


def test_photographs_get_the_size_that_the_reference_gives_them(expected):
    for row in expected["resolution"]:
        size = scaled_size(width=row["w"], height=row["h"], resolution=row["r"])
        assert list(size) == row["out"], row


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((400, 400), (400, 400)), ((1080, 1920), (270, 480)), ((9000, 10), (1125, 1))],
)
def test_resolution_0_brings_the_longer_side_to_512_px_if_an_eighth_is_enough(size, wanted):
    assert scaled_size(width=size[0], height=size[1], resolution=0) == wanted


def test_every_eighth_view_is_held_out_and_none_when_asked(ball_capture):
    capture = read_capture(ball_capture)
    assert [view.name for view in capture.split("test")] == ["view_00", "view_08"]
    assert not read_capture(ball_capture, hold_out=0).split("test")


def test_instant_ngp_frames_may_have_a_lens_of_their_own_and_lack_a_photograph(own_capture):
    source = json.loads((own_capture / "transforms_train.json").read_text())
    frames = source["frames"]
    frames[3]["file_path"] = "train/not_there"
    frames[4] |= {"fl_x": 50.0, "fl_y": 51.0, "cx": 11.0, "cy": 13.0}
    document = {"fl_x": 30.0, "cx": 12.0, "cy": 12.0, "w": 24, "h": 24, "frames": frames[::-1]}
    (own_capture / "transforms_train.json").unlink()
    (own_capture / "transforms.json").write_text(json.dumps(document))
    capture = read_capture(own_capture)
    assert capture.absent == ("train/not_there",)
    assert [view.name for view in capture.views] == sorted(view.name for view in capture.views)
    assert len(capture.views) == len(frames) - 1
    lens = {view.name: view.camera.intrinsics.tolist() for view in capture.views}
    assert lens["view_04"] == [[50.0, 0.0, 11.0], [0.0, 51.0, 13.0], [0.0, 0.0, 1.0]]
    assert lens["view_05"] == [[30.0, 0.0, 12.0], [0.0, 30.0, 12.0], [0.0, 0.0, 1.0]]


def test_a_distorted_photograph_is_undistorted_before_the_fit_sees_it(own_capture):
    document = json.loads((own_capture / "transforms_train.json").read_text())
    document |= {"k1": 0.1, "p2": 0.001}
    (own_capture / "transforms_train.json").write_text(json.dumps(document))
    view = read_capture(own_capture).views[0]
    assert view.camera.distortion is not None
    assert load(view).camera.distortion is None


def test_a_photograph_lies_over_a_background_by_its_alpha(ball_capture):
    photograph = load(read_capture(ball_capture).views[0])
    white, black = photograph.over(torch.ones(3)), photograph.over(torch.zeros(3))
    alpha = photograph.pixels[..., 3:] / 255
    torch.testing.assert_close(white - black, (1 - alpha).expand(-1, -1, 3), atol=1e-6, rtol=0)
    assert photograph.half.pixels.shape == (12, 12, 4)


def test_the_focal_length_follows_the_size_of_the_photograph(ball_capture):
    view = read_capture(ball_capture).views[0]
    half, full = load(view, 2).camera, load(view, 1).camera
    assert (half.width, half.height) == (12, 12)
    torch.testing.assert_close(half.intrinsics[0, 0] * 2, full.intrinsics[0, 0])


def test_a_mask_beside_a_colmap_photograph_becomes_alpha(colmap):
    (colmap / "masks").mkdir()
    half_white = np.zeros((30, 40), np.uint8)
    half_white[:, 20:] = 255
    Image.fromarray(half_white).save(colmap / "masks/view_a.png.png")
    views = {view.name: view for view in read_capture(colmap).views}
    pixels = load(views["view_a"]).pixels
    assert pixels.shape[-1] == 4
    assert pixels[:, 0, 3].eq(0).all()
    assert pixels[:, -1, 3].eq(255).all()


# What a person reads when a capture is wrong.


def refused(folder: Path, error: type[Exception] = ArtifactError) -> str:
    with pytest.raises(error) as caught:
        read_all(folder)
    return str(caught.value)


def read_all(folder: Path) -> None:
    for view in read_capture(folder).views:
        load(view)


def test_a_folder_without_poses_is_told_what_was_looked_for_and_found(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "poses.npy").touch()
    said = refused(tmp_path)
    assert "neither COLMAP (no sparse/0), nor NeRF-synthetic (no transforms_train.json)" in said
    assert "Found: images/, poses.npy." in said


def test_photographs_in_another_folder_are_pointed_at(colmap):
    (colmap / "images").rename(colmap / "images_4")
    said = refused(colmap)
    assert "should be in images/" in said
    assert "images_4" in said
    assert "images=FOLDER" in said


def test_a_camera_model_that_cannot_be_used_is_named_with_the_way_out(colmap_text):
    path = colmap_text / "sparse/0/cameras.txt"
    path.write_text("1 NEXT_YEARS 40 30 35 20 15 7\n2 SIMPLE_PINHOLE 32 24 30 16 12\n")
    said = refused(colmap_text, DataError)
    assert "NEXT_YEARS" in said
    assert f"colmap image_undistorter --image_path {colmap_text}/images" in said


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_a_model_file_that_is_cut_short_is_named_with_its_size(colmap, name):
    path = colmap / "sparse/0" / name
    path.write_bytes(path.read_bytes()[:-5])
    said = refused(colmap)
    assert name in said
    assert f"({path.stat().st_size} bytes" in said


def test_a_text_file_named_png_is_shown_by_its_first_bytes(own_capture):
    (own_capture / "train/view_03.png").write_text("hello, not a picture")
    said = refused(own_capture, DataError)
    assert "view_03.png" in said
    assert "hello" in said


def test_a_photograph_of_another_shape_is_refused_with_both_sizes(colmap):
    Image.new("RGB", (30, 40)).save(colmap / "images/view_a.png")
    said = refused(colmap, DataError)
    assert "30x40" in said
    assert "40x30" in said


def test_a_pose_file_without_any_photograph_is_refused(own_capture):
    shutil.rmtree(own_capture / "train")
    said = refused(own_capture, DataError)
    assert "names 10, the first train/view_00" in said


def test_cameras_at_one_point_are_refused(own_capture):
    document = json.loads((own_capture / "transforms_train.json").read_text())
    for frame in document["frames"]:
        for row, value in zip(frame["transform_matrix"], (1.0, 2.0, 3.0), strict=False):
            row[3] = value
    (own_capture / "transforms_train.json").write_text(json.dumps(document))
    said = refused(own_capture, DataError)
    assert "[1.0, 2.0, 3.0]" in said


def test_a_pose_file_that_is_not_json_is_named_with_the_place(own_capture):
    (own_capture / "transforms_train.json").write_text('{"frames": [')
    assert "line 1 column" in refused(own_capture)


@pytest.mark.parametrize("matrix", [[[1, 2], [3, 4]], "identity", [[1.0] * 4] * 2])
def test_a_pose_that_is_no_matrix_is_named_with_its_frame(own_capture, matrix):
    document = json.loads((own_capture / "transforms_train.json").read_text())
    document["frames"][2]["transform_matrix"] = matrix
    (own_capture / "transforms_train.json").write_text(json.dumps(document))
    assert "frame 2" in refused(own_capture, DataError)
