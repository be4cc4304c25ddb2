"""What lies around a capture's photographs: lenses, start clouds, truth, lights, odd pictures."""

import json
import shutil
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import ExifTags, Image

from fovea.dialect import SAMPLES
from fovea.errors import ArtifactError, DataError
from fovea.scene.capture import (
    load,
    photographs,
    read_capture,
    refuse_another_capture,
    refuse_if_too_large,
    require_masks,
)
from fovea.scene.image import write_image
from fovea.scene.ply_elements import write_elements
from fovea.scene.radiance import write_radiance


def rewrite(path: Path, **changes: object) -> dict:
    """Change the keys of a JSON file; None removes one."""
    document = json.loads(path.read_text()) | changes
    document = {key: value for key, value in document.items() if value is not None}
    path.write_text(json.dumps(document))
    return document


# Lenses


@pytest.fixture
def colmap(goldens: Path, tmp_path: Path) -> Path:
    source = goldens / "inverse-rendering/readers/colmap"
    return Path(shutil.copytree(source, tmp_path / "colmap"))


@pytest.mark.parametrize("kind", ["txt", "bin"])
@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("SIMPLE_PINHOLE", [35, 19, 16]),
        ("PINHOLE", [35, 36, 19, 16]),
        ("SIMPLE_RADIAL", [35, 20, 15, 0.05]),
        ("RADIAL", [35, 20, 15, 0.05, -0.02]),
        ("OPENCV", [35, 36, 20, 15, 0.05, -0.02, 0.001, 0.002]),
        ("OPENCV_FISHEYE", [35, 36, 20, 15, 0.03, -0.01, 0.002, -0.0005]),
        ("FULL_OPENCV", [35, 36, 20, 15, 0.1, 0.02, 0.001, 0.002, 0.003, 0.05, 0.01, 0.002]),
        ("FOV", [35, 36, 20, 15, 0.5]),
        ("SIMPLE_RADIAL_FISHEYE", [35, 20, 15, 0.03]),
        ("RADIAL_FISHEYE", [35, 20, 15, 0.03, -0.01]),
        ("THIN_PRISM_FISHEYE", [35, 36, 20, 15, 0.03, -0.01, 1e-3, 2e-3, 0, 0, 2e-3, 3e-3]),
        ("SIMPLE_DIVISION", [35, 20, 15, -0.05]),
        ("SIMPLE_FISHEYE", [35, 20, 15]),
        ("EUCM", [35, 36, 20, 15, 0.6, 1.1]),
    ],
)
def test_every_model_of_colmap_is_read_as_colmap_projects(kind, model, parameters, colmap):
    lens = pycolmap.Camera(model=model, width=40, height=30, params=parameters, camera_id=1)
    words = " ".join(map(str, parameters))
    if kind == "txt":
        (colmap / "sparse/0/cameras.bin").unlink()
        text = f"1 {model} 40 30 {words}\n2 SIMPLE_PINHOLE 32 24 30 16 12\n"
        (colmap / "sparse/0/cameras.txt").write_text(text)
    else:
        written = pycolmap.Reconstruction()
        written.add_camera(lens)
        other = {"width": 32, "height": 24, "params": [30, 16, 12], "camera_id": 2}
        written.add_camera(pycolmap.Camera(model="SIMPLE_PINHOLE", **other))
        (colmap / "written").mkdir()
        written.write_binary(colmap / "written")
        shutil.copy(colmap / "written/cameras.bin", colmap / "sparse/0/cameras.bin")
    view = read_capture(colmap).views[0]
    at = np.array([[0.1, -0.2], [-0.3, 0.25]])
    bent = view.camera.distortion.distort(at) if view.camera.distortion else at
    ours = bent @ view.camera.intrinsics.numpy()[:2, :2].T + view.camera.intrinsics.numpy()[:2, 2]
    theirs = np.array([lens.img_from_cam(np.array([x, y, 1.0])) for x, y in at])
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert load(view).camera.distortion is None


def test_a_panorama_is_refused_with_the_way_to_cut_it(colmap):
    (colmap / "sparse/0/cameras.bin").write_bytes(
        np.array([1], "<u8").tobytes()
        + np.array([1, 17], "<i4").tobytes()
        + np.array([40, 30], "<u8").tobytes()
    )
    with pytest.raises(DataError, match=r"EQUIRECTANGULAR.*v360=e:flat"):
        read_capture(colmap)


def test_nerfstudio_fisheyes_and_further_radial_terms_are_read(own_capture):
    path = own_capture / "transforms_train.json"
    rewrite(path, camera_model="OPENCV_FISHEYE", k1=0.02, k4=0.001, fl_x=30.0)
    lens = read_capture(own_capture).views[0].camera.distortion
    assert (lens.model, lens.coefficients) == ("fisheye", (0.02, 0.0, 0.0, 0.001))
    rewrite(path, camera_model="OPENCV", k1=0.02, k3=0.003, k4=0)
    lens = read_capture(own_capture).views[0].camera.distortion
    assert (lens.model, lens.coefficients) == ("opencv", (0.02, 0.0, 0.0, 0.0, 0.003))
    rewrite(path, camera_model="EQUIRECTANGULAR")
    with pytest.raises(DataError, match=r"EQUIRECTANGULAR, which is no pinhole"):
        read_capture(own_capture)


def test_opengl_poses_become_the_matrices_of_the_reference(goldens, own_capture):
    known = np.load(goldens / "inverse-rendering/camera_rays.npz")
    path = own_capture / "transforms_train.json"
    frames = json.loads(path.read_text())["frames"]
    frames[0]["transform_matrix"] = known["nerf_c2w"].tolist()
    rewrite(path, frames=frames)
    camera = read_capture(own_capture).views[0].camera
    np.testing.assert_allclose(camera.world_to_camera, known["world_to_cam"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(camera.position, known["camera_center"], rtol=1e-9)


# Start clouds


def write_cloud(path: Path, count: int = 5) -> np.ndarray:
    fields = [
        *((n, "<f4") for n in ("x", "y", "z")),
        *((n, "u1") for n in ("red", "green", "blue")),
    ]
    rows = np.zeros(count, fields)
    rows["x"], rows["green"] = np.arange(count), 51
    write_elements(path, {"vertex": rows})
    return rows


@pytest.mark.parametrize("name", ["points3d.ply", "sparse/0/points3D.ply", "cloud.ply"])
def test_a_cloud_beside_the_poses_is_where_a_fit_starts(name, own_capture, colmap):
    folder = colmap if name.startswith("sparse") else own_capture
    write_cloud(folder / name)
    if name == "cloud.ply":
        path = own_capture / "transforms_train.json"
        path.rename(own_capture / "transforms.json")
        rewrite(own_capture / "transforms.json", ply_file_path="cloud.ply")
    capture = read_capture(folder)
    np.testing.assert_array_equal(capture.points[:, 0], np.arange(5))
    np.testing.assert_allclose(capture.colors, [[0, 0.2, 0]] * 5)


def test_a_cloud_with_holes_in_its_numbers_is_refused(own_capture):
    rows = write_cloud(own_capture / "points3d.ply")
    rows["y"][2] = np.inf
    write_elements(own_capture / "points3d.ply", {"vertex": rows})
    with pytest.raises(ArtifactError, match="1 of 5 points that are not finite"):
        read_capture(own_capture)


def test_nerfstudios_own_split_is_kept(own_capture):
    path = own_capture / "transforms_train.json"
    path.rename(own_capture / "transforms.json")
    rewrite(own_capture / "transforms.json", test_filenames=["train/view_03.png"])
    assert [v.name for v in read_capture(own_capture).split("test")] == ["view_03"]
    assert not read_capture(own_capture, hold_out=0).split("test")


# Truth and lights


def test_truth_lies_beside_a_view_with_its_relit_images(goldens):
    capture = read_capture(goldens / "inverse-rendering/readers/tensoir_like")
    truth = capture.split("test")[0].truth
    lights = ("bridge", "city", "fireplace", "forest", "night")
    assert set(truth) == {"normal", "albedo", *(f"relit/{light}" for light in lights)}
    assert truth["relit/city"].name == "rgba_city.png"


def test_the_sample_has_truth_and_the_lights_it_was_lit_by():
    capture = read_capture(SAMPLES / "still_life")
    assert {"normal", "albedo", "roughness", "metallic"} <= capture.split("test")[0].truth.keys()
    relit = {key.removeprefix("relit/") for v in capture.views for key in v.truth if "/" in key}
    assert relit
    assert relit < capture.environments.keys()


def test_truth_beside_a_photograph_of_another_name_carries_that_name(own_capture):
    for name in ("albedo", "rgba_dusk"):
        shutil.copy(own_capture / "train/view_00.png", own_capture / f"train/view_00_{name}.png")
    assert set(read_capture(own_capture).views[0].truth) == {"albedo", "relit/dusk"}


@pytest.mark.parametrize("place", ["balls/envmaps", "Environment_Maps/high_res_envmaps_2k"])
def test_environment_maps_are_found_in_the_capture_or_above_it(place, own_capture):
    folder = own_capture.parent / place
    folder.mkdir(parents=True)
    write_radiance(folder / "dusk.hdr", np.ones((2, 4, 3), np.float32))
    assert read_capture(own_capture).environments == {"dusk": folder / "dusk.hdr"}


# Odd pictures


def test_a_photograph_of_16_bits_is_read_with_all_its_values(own_capture):
    path = own_capture / "train/view_01.png"
    ramp = np.linspace(0, 1, 24 * 24 * 3, dtype=np.float32).reshape(24, 24, 3)
    write_image(path, ramp, bits=16)
    pixels = load(read_capture(own_capture).views[1]).pixels
    np.testing.assert_allclose(pixels.numpy() / 255, ramp, atol=0.5 / 255 + 1e-4)


def exif_turned(path: Path, orientation: int, size: tuple[int, int]) -> None:
    """A JPEG stored with its left half dark."""
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    pixels[:, : size[0] // 2] = 20
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95)


def test_a_turned_photograph_is_read_the_way_its_camera_means_it(colmap):
    # Poses of COLMAP mean the pixels as they are stored; the camera of view_a is 40x30.
    exif_turned(colmap / "images/view_a.png", 6, (40, 30))
    stored = load(read_capture(colmap).views[0]).pixels
    assert stored.shape == (30, 40, 3)
    assert stored[15, 5].max() < 60 < stored[15, 35].min()
    # Stored upright as 30x40, it fits the camera only when it is turned.
    exif_turned(colmap / "images/view_a.png", 6, (30, 40))
    turned = load(read_capture(colmap).views[0]).pixels
    assert turned.shape == (30, 40, 3)
    assert turned[5, 20].max() < 60 < turned[25, 20].min()


def test_a_photograph_of_linear_light_is_brought_to_srgb(own_capture):
    (own_capture / "train/view_02.png").unlink()
    write_radiance(own_capture / "train/view_02.exr", np.full((24, 24, 3), 0.2140, np.float32))
    pixels = load(read_capture(own_capture).views[2]).pixels
    assert pixels.float().mean() == pytest.approx(127.5, abs=0.6)


def test_a_photograph_of_linear_light_that_is_cut_off_is_refused(own_capture):
    (own_capture / "train/view_02.png").unlink()
    path = own_capture / "train/view_02.hdr"
    write_radiance(path, np.full((24, 24, 3), 0.5, np.float32))
    path.write_bytes(path.read_bytes()[:-8])
    poses = json.loads((own_capture / "transforms_train.json").read_text())
    poses["frames"][2]["file_path"] = "train/view_02.hdr"
    rewrite(own_capture / "transforms_train.json", frames=poses["frames"])
    with pytest.raises(DataError, match=r"view_02\.hdr"):
        read_capture(own_capture)


# What is said before it is too late


def test_the_memory_that_photographs_take_is_said_before_they_are_decoded(ball_capture):
    views = read_capture(ball_capture).views
    assert refuse_if_too_large(views, 1).startswith(
        "10 photographs of up to 24x24 px (width x height), brought to 24x24, take 0.0 GB"
    )


def test_photographs_that_do_not_fit_in_memory_are_refused(ball_capture, monkeypatch):
    monkeypatch.setattr(photographs, "free_bytes", lambda: 20_000)
    with pytest.raises(DataError, match=r"GB are free. Take a smaller size, resolution=8"):
        refuse_if_too_large(read_capture(ball_capture).views, 1)


def test_photographs_without_alpha_are_refused_where_masks_are_needed(own_capture):
    require_masks(read_capture(own_capture), wanted_by="bake", otherwise="")
    path = own_capture / "train/view_04.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(DataError) as caught:
        require_masks(read_capture(own_capture), wanted_by="bake", otherwise="or go away")
    said = str(caught.value)
    assert said.startswith("bake cuts the object out of every photograph, and 1 of the 10 of")
    assert "view_04.png" in said
    assert said.endswith("or go away.")


def test_a_capture_knows_itself_again_and_no_other(own_capture, ball_capture):
    capture, copy = read_capture(ball_capture), read_capture(own_capture)
    assert capture.identity == copy.identity
    path = own_capture / "transforms_train.json"
    frames = json.loads(path.read_text())["frames"]
    frames[3]["transform_matrix"][0][3] += 0.01
    rewrite(path, frames=frames)
    with pytest.raises(ArtifactError, match="made from another capture"):
        refuse_another_capture(capture.identity, read_capture(own_capture), where=Path("step-9"))


def test_photographs_that_share_a_focal_length_in_px_need_one_size(own_capture):
    path = own_capture / "train/view_04.png"
    Image.open(path).resize((12, 12)).save(path)
    read_capture(own_capture)
    rewrite(own_capture / "transforms_train.json", camera_angle_x=None, fl_x=30.0)
    with pytest.raises(DataError, match=r"12x12 px.*24x24.*Add w and h"):
        read_capture(own_capture)


@pytest.mark.parametrize("row", [[1.0, 0.0, 0.0, float("nan")], [0.0, 0.0, 0.0, 1.0]])
def test_a_pose_that_is_not_finite_or_is_flat_is_refused_with_its_frame(row, own_capture):
    path = own_capture / "transforms_train.json"
    frames = json.loads(path.read_text())["frames"]
    frames[5]["transform_matrix"][0] = row
    rewrite(path, frames=frames)
    with pytest.raises(DataError, match=r"frame 5 of .* finite"):
        read_capture(own_capture)


def test_photographs_that_are_all_one_picture_are_refused(own_capture):
    for path in sorted((own_capture / "train").glob("*.png"))[1:]:
        shutil.copy(own_capture / "train/view_00.png", path)
    with pytest.raises(DataError, match=r"all 8 photographs of .* are the same picture"):
        read_capture(own_capture)
