"""The door itself, and both footprints against the reference's own answers (spec of GS-IR)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fovea.errors import BackendError, DataError
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.raster import plain
from fovea.scene.raster.splats import View
from fovea.scene.rasterize import Raster, rasterize

AUX = ("normal", "albedo", "roughness", "metallic")
# float64 reproduces the reference to its own rounding; float32 differs by the rounding of ten
# blended terms, and by more in the depth, which divides by a small alpha.
TOLERANCE = {"plain": 1e-6, "cpu": 5e-6}
GRADIENT_TOLERANCE = {"plain": 1e-5, "cpu": 1e-5}
DTYPE = {"plain": torch.float64, "cpu": torch.float32}
BACKENDS = ("plain", "cpu")


@dataclass
class Scene:
    golden: Any
    camera: Camera
    inputs: dict[str, Tensor]
    background: Tensor

    @property
    def gaussians(self) -> Gaussians:
        names = ("means", "quats", "scales", "opacity", "sh")
        return Gaussians(*(self.inputs[name] for name in names))

    @property
    def aux(self) -> Tensor:
        return torch.cat([self.inputs[name] for name in AUX], dim=1)


def load(goldens, name: str, backend: str) -> Scene:
    golden = np.load(goldens / "inverse-rendering" / f"{name}.npz")
    width, height = int(golden["in_W"]), int(golden["in_H"])
    intrinsics = torch.tensor(
        [
            [width / (2 * float(golden["in_tan_fovx"])), 0, width / 2],
            [0, height / (2 * float(golden["in_tan_fovy"])), height / 2],
            [0, 0, 1],
        ]
    )
    names = ("means", "scales", "quats", "opacity", "sh", *AUX)
    dtype = DTYPE[backend]
    return Scene(
        golden=golden,
        camera=Camera(torch.from_numpy(golden["in_world_to_cam"]), intrinsics, height, width),
        inputs={n: torch.from_numpy(golden[f"in_{n}"]).to(dtype).requires_grad_() for n in names},
        background=torch.from_numpy(golden["in_bg"]).to(dtype),
    )


def draw_routed(scene: Scene, backend: str, footprint: str) -> tuple[Raster, Tensor, Tensor]:
    """Materials as passengers, so that only colour and opacity move the geometry."""
    raster = rasterize(
        scene.gaussians,
        scene.camera,
        passengers=scene.aux,
        background=scene.background,
        footprint=footprint,
        backend=backend,
    )
    return raster, raster.features, raster.passengers


def draw_full(scene: Scene, backend: str) -> tuple[Raster, Tensor, Tensor]:
    """Everything moves the geometry."""
    colors = scene.gaussians.colors(scene.camera.position)
    raster = rasterize(
        scene.gaussians,
        scene.camera,
        features=torch.cat([colors, scene.aux], dim=1),
        background=torch.nn.functional.pad(scene.background, (0, 8)),
        footprint="reference",
        backend=backend,
        depth_gradient=True,
    )
    return raster, raster.features[..., :3], raster.features[..., 3:]


def maps(raster: Raster, colors: Tensor, aux: Tensor) -> dict[str, Tensor]:
    normal, albedo, roughness, metallic = aux.split([3, 3, 1, 1], dim=-1)
    return {
        "rgb": colors,
        "normal": normal,
        "albedo": albedo,
        "roughness": roughness,
        "metallic": metallic,
        "opacity": raster.alpha,
        "depth": raster.depth,
        "T": raster.transmittance,
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "footprint", "prefix"),
    [
        ("raster", "reference", "out"),
        ("raster", "exact", "notile"),
        ("raster_edge", "reference", "out"),
    ],
)
def test_every_map_agrees_with_the_reference(goldens, name, footprint, prefix, backend):
    scene = load(goldens, name, backend)
    compared = 0
    for key, found in maps(*draw_routed(scene, backend, footprint)).items():
        if f"{prefix}_{key}" not in scene.golden:
            continue
        wanted = scene.golden[f"{prefix}_{key}"]
        atol = 1e-4 if (key, backend) == ("depth", "cpu") else TOLERANCE[backend]
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=0, atol=atol, err_msg=key)
        compared += 1
    assert compared >= 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_radii_and_visibility_agree_with_the_reference(goldens, backend):
    scene = load(goldens, "raster", backend)
    raster, _, _ = draw_routed(scene, backend, "reference")
    np.testing.assert_array_equal(raster.radii.numpy(), scene.golden["out_radius"])
    np.testing.assert_array_equal(raster.visible.numpy(), scene.golden["out_visible"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("routing", ["ref", "full"])
def test_every_gradient_agrees_with_the_reference(goldens, routing, backend):
    scene = load(goldens, "raster", backend)
    if routing == "ref":
        drawn = draw_routed(scene, backend, "reference")
    else:
        drawn = draw_full(scene, backend)
    drawn[0].means2d.retain_grad()
    found = maps(*drawn)
    keys = ["rgb", *AUX, "opacity"] + (["depth"] if routing == "full" else [])
    loss = torch.zeros((), dtype=DTYPE[backend])
    for key in keys:
        weights = torch.from_numpy(scene.golden[f"cot_{key}"]).to(loss)
        if key == "normal" and routing == "ref":  # the reference drops it on the border
            weights = torch.nn.functional.pad(weights[1:-1, 1:-1], (0, 0, 1, 1, 1, 1))
        loss = loss + (weights * found[key]).sum()
    wanted_loss = scene.golden["loss_reference_routing" if routing == "ref" else "loss_full"]
    assert float(loss.detach()) == pytest.approx(float(wanted_loss), rel=1e-6)

    loss.backward()
    gradients = {name: values.grad for name, values in scene.inputs.items()}
    half_size = torch.tensor([scene.camera.width / 2, scene.camera.height / 2])
    gradients["mean2d_ndc"] = drawn[0].means2d.grad * half_size
    for name, gradient in gradients.items():
        wanted = scene.golden[f"grad_{routing}_{name}"]
        off = np.linalg.norm(gradient.double().numpy() - wanted) / np.linalg.norm(wanted)
        assert off < GRADIENT_TOLERANCE[backend], f"{name} is off by {off:.2g}"


def test_the_projection_agrees_with_the_reference(goldens):
    golden = np.load(goldens / "inverse-rendering" / "projection.npz")
    width, height = int(golden["W"]), int(golden["H"])
    view = View(
        world_to_camera=torch.from_numpy(golden["world_to_cam"]),
        intrinsics=torch.tensor(
            [
                [float(golden["fx"]), 0, width / 2],
                [0, float(golden["fy"]), height / 2],
                [0, 0, 1],
            ],
            dtype=torch.float64,
        ),
        height=height,
        width=width,
        near=0.2,
        blur=0.3,
        in_tiles=True,
    )
    count = len(golden["means"])
    gaussians = Gaussians(
        *(torch.from_numpy(golden[name]) for name in ("means", "quats_wxyz", "scales")),
        torch.ones(count, dtype=torch.float64),
        torch.zeros(count, 1, 3, dtype=torch.float64),
    )
    splats = plain.project(gaussians, view)
    seen = golden["visible"]
    rectangle = golden["tile_rect_x0y0x1y1"]
    touches = (rectangle[:, 0] < rectangle[:, 2]) & (rectangle[:, 1] < rectangle[:, 3])
    np.testing.assert_array_equal(splats.visible.numpy(), seen & touches)
    assert bool((golden["clamped_1p3"] & seen).any()), "the bound of the Jacobian is not exercised"
    for found, name, shift in (
        (splats.means2d, "xy_pix", 0.5),
        (splats.depths, "depth", 0.0),
        (splats.conics, "conic", 0.0),
        (gaussians.covariances(), "cov3d", 0.0),
    ):
        np.testing.assert_allclose(
            found.numpy()[seen] - shift, golden[name][seen], rtol=1e-9, atol=1e-12, err_msg=name
        )
    both = seen & touches
    np.testing.assert_array_equal(splats.radii.numpy()[both], golden["radius"][both])


def one() -> tuple[Gaussians, Camera]:
    gaussians = Gaussians(
        means=torch.zeros(1, 3),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        scales=torch.full((1, 3), 0.1),
        opacities=torch.tensor([0.8]),
        harmonics=torch.zeros(1, 1, 3),
    )
    return gaussians, Camera.look_at((0, -3, 0), (0, 0, 0), fov_x=0.8, height=21, width=21)


def test_a_gaussian_before_a_background_is_mixed_by_its_opacity():
    gaussians, camera = one()
    raster = rasterize(
        gaussians, camera, features=torch.tensor([[1.0]]), background=torch.tensor([0.5])
    )
    assert float(raster.alpha[10, 10]) == pytest.approx(0.8, abs=1e-5)
    assert float(raster.features[10, 10, 0]) == pytest.approx(0.8 + 0.2 * 0.5, abs=1e-5)
    assert float(raster.depth[10, 10]) == pytest.approx(3.0, abs=1e-5)
    assert float(raster.features[0, 0, 0]) == 0.5
    assert float(raster.depth[0, 0]) == 0.0


def test_float64_is_drawn_by_the_plain_twin_unless_another_is_asked_for():
    gaussians, camera = one()
    assert rasterize(gaussians.to(torch.float64), camera).alpha.dtype == torch.float64
    with pytest.raises(BackendError, match=r"works in float32; the means are torch.float64"):
        rasterize(gaussians.to(torch.float64), camera, backend="cpu")


def test_the_cuda_twin_refuses_tensors_that_are_elsewhere():
    gaussians, camera = one()
    with pytest.raises(
        BackendError, match=r"needs tensors on the cuda device; the means are on cpu"
    ):
        rasterize(gaussians, camera, backend="cuda")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": torch.zeros(2, 3)}, r"features need shape \[1, channels\]; got \[2, 3\]"),
        ({"passengers": torch.zeros(1)}, r"passengers need shape \[1, channels\]; got \[1\]"),
        ({"features": torch.zeros(1, 3).double()}, "features are torch.float64 on cpu, the means"),
        ({"background": torch.zeros(4)}, r"each of the 3 feature channels; got shape \[4\]"),
    ],
)
def test_what_does_not_fit_the_gaussians_is_refused(changes, sentence):
    gaussians, camera = one()
    with pytest.raises(DataError, match=sentence):
        rasterize(gaussians, camera, **changes)


def test_a_lens_with_distortion_is_sent_to_be_undistorted():
    gaussians, camera = one()
    bent = Camera(
        camera.world_to_camera, camera.intrinsics, 21, 21, distortion="OPENCV k1=0.1", name="left"
    )
    with pytest.raises(DataError, match=r"camera 'left' has OPENCV k1=0.1. Undistort its image"):
        rasterize(gaussians, bent)
