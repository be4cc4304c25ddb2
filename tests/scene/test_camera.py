import math

import pytest
import torch

from fovea.errors import DataError
from fovea.scene.camera import Camera


def camera_above() -> Camera:
    return Camera.look_at(
        (1.0, -3.0, 2.0), (0.1, 0.2, 0.3), fov_x=0.8, height=30, width=40, name="above"
    )


def test_look_at_puts_the_target_in_the_centre_of_the_image():
    pixel, depth = camera_above().project(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    assert pixel.tolist() == pytest.approx([20.0, 15.0])
    assert float(depth) == pytest.approx(math.dist((1.0, -3.0, 2.0), (0.1, 0.2, 0.3)))


def test_up_points_to_smaller_rows():
    higher, _ = camera_above().project(torch.tensor([0.1, 0.2, 0.5], dtype=torch.float64))
    assert float(higher[1]) < 15
    assert float(higher[0]) == pytest.approx(20.0)


def test_a_point_along_a_direction_projects_onto_that_pixels_centre():
    camera = camera_above()
    points = camera.position + 2.5 * camera.directions(unit=False)
    pixels, depths = camera.project(points)
    assert torch.allclose(depths, torch.full_like(depths, 2.5))
    assert pixels[7, 11].tolist() == pytest.approx([11.5, 7.5])
    assert pixels[29, 39].tolist() == pytest.approx([39.5, 29.5])


def test_unit_directions_have_length_one():
    lengths = camera_above().directions().norm(dim=-1)
    assert torch.allclose(lengths, torch.ones_like(lengths))


def test_resizing_keeps_what_is_seen_where():
    camera = camera_above()
    point = torch.tensor([0.5, 0.1, -0.2], dtype=torch.float64)
    small = camera.resized(height=15, width=10)
    assert (small.height, small.width) == (15, 10)
    relative = camera.project(point)[0] / torch.tensor([40.0, 30.0])
    assert torch.allclose(small.project(point)[0] / torch.tensor([10.0, 15.0]), relative)


def test_a_pose_with_opengl_axes_looks_along_its_own_minus_z():
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([0.0, 0.0, 4.0])
    camera = Camera.from_opengl(pose, fov_x=1.0, height=20, width=20)
    pixel, depth = camera.project(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    assert float(depth) == pytest.approx(4.0)
    assert float(pixel[1]) < 10  # up in the world is up in the image
    assert camera.position.tolist() == pytest.approx([0.0, 0.0, 4.0])


def test_the_fields_of_view_come_back():
    camera = camera_above()
    assert camera.fov_x == pytest.approx(0.8)
    assert camera.fov_y == pytest.approx(2 * math.atan(math.tan(0.4) * 30 / 40))


def test_the_position_follows_the_pose_for_autograd():
    matrix = camera_above().world_to_camera.clone().requires_grad_()
    camera = Camera.from_fov(matrix, fov_x=0.8, height=30, width=40)
    camera.position.sum().backward()
    assert matrix.grad is not None
    assert float(matrix.grad.abs().sum()) > 0


def test_a_pose_that_scales_is_refused_with_its_error():
    with pytest.raises(DataError, match=r"camera 'frame_7' must rotate without scaling.*is off"):
        Camera.from_fov(
            torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])),
            fov_x=0.8,
            height=3,
            width=4,
            name="frame_7",
        )


def test_a_field_of_view_in_degrees_is_noticed():
    with pytest.raises(DataError, match=r"between 0 and pi radians; got fov_x=60.*math.radians"):
        Camera.look_at((1, 0, 0), (0, 0, 0), fov_x=60, height=3, width=4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"world_to_camera": torch.eye(3)}, r"must be a finite 4x4 matrix; got shape \(3, 3\)"),
        ({"height": 0}, "must have a positive size; got height=0"),
        ({"intrinsics": -torch.eye(3)}, "focal lengths of a camera must be positive; got -1.0"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(changes, sentence):
    fields = {"world_to_camera": torch.eye(4), "intrinsics": torch.eye(3), "height": 3, "width": 4}
    with pytest.raises(DataError, match=sentence):
        Camera(**(fields | changes))


def test_looking_along_up_is_refused():
    with pytest.raises(DataError, match="not along up"):
        Camera.look_at((0, 0, 3), (0, 0, 0), fov_x=0.8, height=3, width=4)


def test_from_opengl_wants_one_way_to_say_the_focal_length():
    with pytest.raises(DataError, match="exactly one"):
        Camera.from_opengl(torch.eye(4), height=3, width=4)
