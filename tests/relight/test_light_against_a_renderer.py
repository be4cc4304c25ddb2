"""Our light and surface against pictures that Mitsuba rendered: the bundled scene's test views."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

import fovea
from fovea.relight.light.environment import Environment
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.shading import brdf, table
from fovea.relight.shading.split_sum import BlurredLight, shade_linear
from fovea.scene.camera import Camera
from fovea.scene.color import srgb_to_linear
from fovea.scene.image import read_image

SCENE = Path(fovea.__file__).parent / "samples" / "still_life"
LIGHTS = {"studio": "rgba.png", "dusk": "rgba_dusk.png", "garden": "rgba_garden.png"}


@cache
def pixels(light: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Surface and picture where little hides the sky: upper sides, no metal, nothing clipped."""
    folder = SCENE / "test_003"
    meta = json.loads((folder / "metadata.json").read_text())
    pose = [float(number) for number in meta["cam_transform_mat"].split(",")]
    picture = torch.from_numpy(read_image(folder / LIGHTS[light]))
    height, width = picture.shape[:2]
    camera = Camera.from_opengl(
        torch.tensor(pose).double().reshape(4, 4),
        fov_x=meta["cam_angle_x"],
        height=height,
        width=width,
    )
    maps = {
        name: torch.from_numpy(read_image(folder / f"{name}.png"))[..., :3]
        for name in ("albedo", "normal", "roughness", "metallic")
    }
    normals = torch.nn.functional.normalize(2 * maps["normal"] - 1, dim=-1)
    upper = (normals[..., 2] > 0.3) & (normals[..., 2] < 0.95)
    keep = upper & (picture[..., 3] == 1) & (maps["metallic"][..., 0] < 0.1)
    keep &= (picture[..., :3] < 0.98).all(dim=-1)
    surface = {
        "normals": normals[keep],
        "view": -camera.directions().float()[keep],
        "albedo": maps["albedo"][keep],
        "roughness": maps["roughness"][keep][:, :1],
        "metallic": maps["metallic"][keep][:, :1],
    }
    return surface, srgb_to_linear(picture[..., :3][keep])


def split_sum(environment: Environment, surface: dict[str, torch.Tensor]) -> torch.Tensor:
    blurred = BlurredLight(*Prefilter(64)(environment.to_world_cubemap(64)))
    return shade_linear(blurred, table.table(), energy_conserving=True, **surface).color


def error_db(shaded: torch.Tensor, truth: torch.Tensor) -> float:
    return -10 * (shaded.clamp(0, 1) - truth).square().mean().log10().item()


def read(light: str, **how) -> Environment:
    return Environment.read(SCENE / f"envmaps/{light}.hdr", **how)


@pytest.mark.parametrize("light", LIGHTS)
def test_the_split_sum_is_as_bright_as_the_render(light):
    surface, truth = pixels(light)
    shaded = split_sum(read(light), surface)
    # Other objects hide some of the sky and reflect some light.
    assert (shaded.mean() / truth.mean()).item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("light", LIGHTS)
def test_z_up_without_yaw_is_how_the_light_stood(light):
    surface, truth = pixels(light)
    best = error_db(split_sum(read(light), surface), truth)
    for turned in ({"up": "y"}, {"yaw_deg": 30}, {"yaw_deg": -30}, {"yaw_deg": 180}):
        assert error_db(split_sum(read(light, **turned), surface), truth) < best - 0.5, turned


@pytest.mark.parametrize("light", LIGHTS)
def test_drawn_directions_and_the_brdf_give_the_same_as_the_split_sum(light):
    torch.manual_seed(0)
    surface, _ = pixels(light)
    environment = read(light)
    directions, pdf = environment.importance().sample(torch.rand(len(surface["view"]), 128, 2))
    response = brdf.evaluate(
        light_dirs=directions, **{name: value.unsqueeze(1) for name, value in surface.items()}
    )
    drawn = (response * environment.radiance_at(directions) / pdf.unsqueeze(-1)).mean(dim=1)
    blurred = split_sum(environment, surface)
    assert (drawn.mean() / blurred.mean()).item() == pytest.approx(1, abs=0.03)
    torch.testing.assert_close(drawn.mean(dim=0), blurred.mean(dim=0), rtol=0.04, atol=0)
