"""The learnt light of the reference mode against the shading of the published system itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fovea.relight.gbuffer import gbuffer
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.lighting import Lighting
from fovea.relight.relighting import FittedLight, Studio, displayed
from fovea.relight.settings.film import FilmConfig
from fovea.relight.shading import reference, table
from fovea.relight.shading.split_sum import BlurredLight
from fovea.relight.volumes.irradiance import IrradianceVolume
from fovea.scene.camera import Camera

CAMERA = Camera.look_at((3, 0.4, 0.8), (0, 0, 0), fov_x=0.6, height=24, width=24)


class HalfHidden:
    """Half of the sky is hidden everywhere."""

    def visibility(self, points: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        return torch.full(points.shape[:-1], 0.5)


@pytest.fixture
def materials(balls):
    random = torch.Generator().manual_seed(9)
    count = len(balls)
    extras = {
        name: torch.rand(count, width, generator=random) * 0.8 + 0.1
        for name, width in {"normal": 3, "albedo": 3, "roughness": 1, "metallic": 1}.items()
    }
    return replace(balls, extras=extras)


def learnt(**flags: bool) -> Lighting:
    random = torch.Generator().manual_seed(5)
    nearby = IrradianceVolume.dark([-1.5] * 3 + [1.5] * 3, resolution=4)
    with torch.no_grad():
        nearby.irradiance_coefficients[..., 0, :] = 0.7
    return Lighting(torch.rand(6, 64, 64, 3, generator=random), nearby, dict(flags))


@pytest.mark.parametrize(
    "flags", [{"gamma": True, "indirect": True}, {"tone": True}, {"metallic": True}]
)
def test_a_view_under_the_learnt_light_is_the_published_one(materials, tmp_path, flags):
    whole = {"tone": False, "gamma": False, "metallic": False, "indirect": False} | flags
    lighting = learnt(**whole)
    lighting.write(tmp_path / "lighting.npz")
    config = FilmConfig(scene=Path("x"), mode="reference", lighting=tmp_path / "lighting.npz")
    studio = Studio(materials, config)
    fitted = FittedLight(lighting, HalfHidden())
    buffer = gbuffer(materials, CAMERA, footprint="reference")
    found = studio.picture(fitted, buffer, torch.zeros(3))

    pixels = reference.surface(reference.draw(materials, CAMERA), CAMERA, is_training=False)
    wanted = reference.shade_view(
        pixels,
        BlurredLight(*Prefilter(64, "reference")(lighting.cubemap)),
        table.table(),
        reference.Flags(**whole),
        visibility=torch.full_like(pixels.roughness, 0.5),
        irradiance=lighting.nearby.irradiance(pixels.points, pixels.normals),
    )
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert wanted.max() > 0.2


def test_display_follows_the_flags():
    linear, alpha = torch.full((1, 1, 3), 0.5), torch.ones(1, 1)
    shown = displayed(linear, alpha, torch.zeros(3), gamma=False)
    torch.testing.assert_close(shown, linear)
    assert displayed(linear, alpha, torch.zeros(3), tone=True, gamma=False)[0, 0, 0] > 0.5


def test_the_lights_own_axes_are_kept(materials, tmp_path):
    cubemap = torch.zeros(6, 16, 16, 3)
    cubemap[4] = 1.0
    Lighting(cubemap, None, {}).write(tmp_path / "lighting.npz")
    config = FilmConfig(scene=Path("x"), lighting=tmp_path / "lighting.npz", up="z")
    light = Studio(materials, config).fitted_environment()
    above, beside = torch.tensor([0.0, 0, 1]), torch.tensor([0.0, 1, 0])
    assert light.radiance_at(above).min() > 0.99
    assert light.radiance_at(beside).max() < 0.01
