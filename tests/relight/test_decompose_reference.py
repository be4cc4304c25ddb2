import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError, ConfigError, DataError, StoppedError
from fovea.relight import losses
from fovea.relight.bake import bake
from fovea.relight.decompose_reference import decompose_reference
from fovea.relight.fit import fit
from fovea.relight.frozen import FrozenViews
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.lighting import Lighting
from fovea.relight.published import Learnt, Shading
from fovea.relight.settings.bake import BakeConfig, SurfaceConfig
from fovea.relight.settings.decompose import DecomposeConfig, PublishedConfig
from fovea.relight.settings.fit import DensifyConfig, FitConfig, StartConfig
from fovea.relight.shading import reference
from fovea.relight.shading.split_sum import BlurredLight, remap_roughness
from fovea.relight.shading.table import table
from fovea.relight.stages import BAKE, DECOMPOSE, FIT
from fovea.relight.volumes.grid import Grid
from fovea.relight.volumes.irradiance import IrradianceVolume
from fovea.relight.volumes.lobe import half_space
from fovea.relight.volumes.occlusion import OcclusionVolume
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.capture import load, read_capture
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import read_ply, write_ply
from fovea.scene.radiance import read_radiance

LIGHT_RES, STEPS = 64, 8
ALL = PublishedConfig(tone=True, gamma=True, metallic=True, indirect=True, brdf_tv=2.0)


@pytest.fixture
def scene(balls: Gaussians) -> Gaussians:
    """The balls with normals away from the middle."""
    normals = torch.nn.functional.normalize(balls.means + 0.01, dim=-1)
    return replace(balls, extras={"normal": normals})


@pytest.fixture
def occlusion() -> OcclusionVolume:
    """A volume whose places see the upper half of the sky."""
    ids = torch.zeros(4, 4, 4, dtype=torch.int32)
    upper = half_space(torch.tensor([[0.0, 0.0, 1.0]]))
    return OcclusionVolume(Grid.cube(1.5, 4), ids, upper, 0.4, "reference")


@pytest.fixture
def files(tmp_path: Path, scene: Gaussians, occlusion: OcclusionVolume) -> dict[str, Path]:
    write_ply(tmp_path / "scene.ply", scene)
    occlusion.write(tmp_path / "occlusion.npz")
    return {"scene": tmp_path / "scene.ply", "occlusion": tmp_path / "occlusion.npz"}


def config(data: Path, files: dict[str, Path], **rest: Any) -> DecomposeConfig:
    settings: dict[str, Any] = {
        "data": data,
        "mode": "reference",
        "iterations": STEPS,
        "light_res": LIGHT_RES,
        "published": PublishedConfig(env_tv=0),  # half of the time
    }
    return DecomposeConfig(**(settings | files | rest))


def run(folder: Path, settings: DecomposeConfig, **rest: Any) -> tuple[dict, Context, list]:
    events: list[dict[str, Any]] = []
    context = Context.local(DECOMPOSE, settings, folder, emit=events.append, **rest)
    return decompose_reference(settings, context), context, events


def learnt(count: int) -> Learnt:
    """Materials, light and nearby light of which none is as at the start."""
    random = torch.Generator().manual_seed(5)
    start = Learnt.start(count, light_res=LIGHT_RES, bound=1.5, random=random)
    materials = {n: torch.randn(v.shape, generator=random) for n, v in start.materials.items()}
    coefficients = torch.rand(start.nearby.irradiance_coefficients.shape, generator=random)
    nearby = IrradianceVolume(start.nearby.aabb, coefficients)
    return Learnt(materials, start.cubemap, nearby).to(torch.device("cpu"))


@pytest.fixture
def views(ball_capture: Path) -> tuple[list, list]:
    photographs = [load(view) for view in read_capture(ball_capture).split("train")]
    black = torch.zeros(3)
    return [p.camera for p in photographs], [p.over(black) for p in photographs]


def test_a_steps_loss_is_the_sum_of_its_terms(scene, occlusion, views):
    cameras, photographs = views
    values = learnt(len(scene))
    shading = Shading.of(ALL, LIGHT_RES, torch.device("cpu"))
    frozen = FrozenViews(scene, cameras, occlusion, bound=1.5)
    found = shading.loss(shading.view(frozen, 2, values), photographs[2], values)

    # The same without anything kept: the whole image, from the library's own parts.
    whole = replace(scene, extras=scene.extras | values.activated())
    maps = reference.draw(whole, cameras[2])
    pixels = reference.surface(maps, cameras[2], is_training=True)
    picture = reference.shade_view(
        pixels,
        BlurredLight(*Prefilter(LIGHT_RES, "reference")(values.cubemap)),
        table(),
        reference.Flags(tone=True, gamma=True, metallic=True, indirect=True),
        visibility=occlusion.visibility(pixels.points, pixels.normals).unsqueeze(-1),
        irradiance=values.nearby.irradiance(pixels.points, pixels.normals),
    )
    mask = pixels.mask.squeeze(-1)
    roughness = remap_roughness(maps.roughness)
    materials = torch.cat([maps.albedo, roughness, maps.metallic], dim=-1)
    expected = (
        (picture - photographs[2]).abs().mean()
        + 2.0 * losses.masked_tv(materials, photographs[2], mask)
        + 0.001 * losses.lambertian(roughness.squeeze(-1), maps.metallic.squeeze(-1), mask)
        + 0.01 * losses.light_tv(values.cubemap, mode="reference")
    )
    assert 50 < mask.sum() < mask.numel()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_gradients_reach_all_that_is_learnt_and_no_geometry(scene, occlusion, views):
    cameras, photographs = views
    values = learnt(len(scene))
    shading = Shading.of(ALL, LIGHT_RES, torch.device("cpu"))
    geometry = [scene.means, scene.quats, scene.scales, scene.opacities, scene.extras["normal"]]
    for each in geometry:
        each.requires_grad_()
    frozen = FrozenViews(scene, cameras, occlusion, bound=1.5)
    seen = shading.view(frozen, 0, values)
    torch.nn.functional.l1_loss(seen.picture, photographs[0]).backward()
    wanted = [*values.materials.values(), values.cubemap, *values.nearby.parameters()]
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in wanted)
    assert all(each.grad is None or not each.grad.any() for each in geometry)


@pytest.mark.parametrize(
    "name", ["tone", "gamma", "metallic", "indirect", "brdf_tv", "env_tv", "lambertian"]
)
def test_each_published_setting_changes_what_it_should(scene, occlusion, views, name):
    cameras, photographs = views
    values = learnt(len(scene))
    frozen = FrozenViews(scene, cameras, occlusion, bound=1.5)
    changed = replace_setting(ALL, name, not ALL.tone if name in FLAGS else 0.0)
    pictures, found = [], []
    for published in (ALL, changed):
        shading = Shading.of(published, LIGHT_RES, torch.device("cpu"))
        seen = shading.view(frozen, 0, values)
        pictures.append(seen.picture)
        found.append(shading.loss(seen, photographs[0], values).item())
    assert found[0] != found[1]
    assert torch.equal(*pictures) == (name not in FLAGS)


FLAGS = ("tone", "gamma", "metallic", "indirect")


def replace_setting(published: PublishedConfig, name: str, value: Any) -> PublishedConfig:
    return published.model_copy(update={name: value})


def test_what_views_show_is_the_same_kept_or_found_again(scene, occlusion, views):
    kept = FrozenViews(scene, views[0], occlusion, bound=0.3)
    again = FrozenViews(scene, views[0], occlusion, bound=0.3, room=0)
    assert kept[1] is kept[1]
    assert again[1] is not again[1]
    for name in ("mask", "where", "points", "normals", "view", "visibility"):
        assert torch.equal(getattr(kept[1], name), getattr(again[1], name))
    assert kept[1].points.abs().max() == pytest.approx(0.3)
    assert kept.estimate_bytes() == kept[0].bytes * len(views[0])


def test_a_view_that_sees_nothing_pulls_at_the_light_alone(scene, occlusion):
    away = Camera.look_at((3.0, 0.0, 0.0), (6.0, 0.0, 0.0), fov_x=0.8, height=8, width=8)
    values = learnt(len(scene))
    shading = Shading.of(ALL, LIGHT_RES, torch.device("cpu"))
    seen = shading.view(FrozenViews(scene, [away], occlusion, bound=1.5), 0, values)
    shading.loss(seen, torch.zeros(8, 8, 3), values).backward()
    assert not seen.mask.any()
    assert values.cubemap.grad is not None
    assert values.cubemap.grad.isfinite().all()
    assert all(not raw.grad.any() for raw in values.materials.values())


def test_colours_are_explained_better_with_every_step(ball_capture, files, tmp_path):
    before, _, _ = run(tmp_path / "one", config(ball_capture, files, iterations=1))
    after, context, events = run(tmp_path / "many", config(ball_capture, files, iterations=20))
    assert after["train/psnr"] > before["train/psnr"] + 3
    assert after["train/loss"] < before["train/loss"]
    pictures = [event["step"] for event in events if event["kind"] == "picture"]
    assert pictures == list(range(2, 21, 2))
    units = {event["unit"] for event in events if event["kind"] == "progress"}
    assert units == {"photographs", "steps"}
    assert not context.output("surface").exists()


def test_the_last_step_is_not_taken_as_published(ball_capture, files, tmp_path):
    _, context, _ = run(
        tmp_path,
        config(
            ball_capture, files, iterations=1, published=PublishedConfig(metallic=True, env_tv=0)
        ),
    )
    extras = read_ply(context.output("scene")).extras
    start = torch.tensor(1.0).sigmoid()
    for name in ("albedo", "roughness", "metallic"):
        torch.testing.assert_close(extras[name], start.expand_as(extras[name]))


def test_what_is_written_is_what_was_learnt(ball_capture, files, scene, tmp_path):
    _, context, _ = run(tmp_path, config(ball_capture, files))
    found = read_ply(context.output("scene"))
    assert list(found.extras) == ["normal", "albedo", "roughness", "metallic"]
    torch.testing.assert_close(found.means, scene.means)
    assert found.extras["metallic"].max() < 1e-6
    lighting = Lighting.read(context.output("lighting"))
    assert lighting.cubemap.shape == (6, LIGHT_RES, LIGHT_RES, 3)
    assert lighting.cubemap.min() >= 0
    assert lighting.nearby is not None
    assert lighting.nearby.aabb.tolist() == [-1.5] * 3 + [1.5] * 3
    assert lighting.nearby.irradiance_coefficients.abs().sum() > 0
    assert (lighting.flags["gamma"], lighting.flags["metallic"]) == (True, False)
    light = read_radiance(context.output("light"))
    assert light.shape == (512, 1024, 3)
    # The middle of the upper edge looks up: +y, face 2 of the cubemap.
    top = lighting.cubemap[2, 31:33, 31:33].mean(dim=(0, 1)).numpy()
    np.testing.assert_allclose(light[0].mean(axis=0), top, rtol=0.1)


def test_without_indirect_light_no_volume_is_needed_and_none_is_learnt(
    ball_capture, files, tmp_path
):
    settings = config(
        ball_capture, files, occlusion=None, published=PublishedConfig(indirect=False, env_tv=0)
    )
    _, context, _ = run(tmp_path, settings)
    nearby = Lighting.read(context.output("lighting")).nearby
    assert nearby is not None
    assert not nearby.irradiance_coefficients.any()


def test_one_stopped_and_resumed_ends_bit_for_bit_like_an_unbroken_one(
    ball_capture, files, tmp_path
):
    settings = config(ball_capture, files)
    whole, unbroken, _ = run(tmp_path / "whole", settings)
    seen: list[dict[str, Any]] = []
    half_way = {"unit": "steps", "done": STEPS // 2}
    context = Context.local(
        DECOMPOSE,
        settings,
        tmp_path / "broken",
        emit=seen.append,
        asked_to_stop=lambda: any(half_way.items() <= event.items() for event in seen),
    )
    with pytest.raises(StoppedError):
        decompose_reference(settings, context)
    torch.manual_seed(99)
    again, resumed, events = run(tmp_path / "broken", settings)
    assert [e["step"] for e in events if e["kind"] == "rewind"] == [STEPS // 2]
    assert again == whole
    for name in ("scene", "light", "lighting"):
        assert resumed.output(name).read_bytes() == unbroken.output(name).read_bytes()


def test_another_seed_gives_another_light(ball_capture, files, tmp_path):
    settings = config(ball_capture, files, iterations=2)
    lights = [
        run(tmp_path / str(seed), settings, seed=seed)[1].output("light").read_bytes()
        for seed in (1, 2)
    ]
    assert lights[0] != lights[1]


def test_a_scene_without_normals_is_refused(ball_capture, files, balls, tmp_path):
    write_ply(files["scene"], balls)
    with pytest.raises(DataError, match=r"with normals, and .*scene\.ply has"):
        run(tmp_path, config(ball_capture, files))


def test_indirect_light_without_a_volume_is_refused(ball_capture, files, tmp_path):
    with pytest.raises(ConfigError, match="needs an occlusion volume"):
        run(tmp_path, config(ball_capture, files, occlusion=None))


def test_a_volume_baked_the_corrected_way_is_used_with_a_warning(
    ball_capture, files, occlusion, tmp_path
):
    replace(occlusion, mode="corrected").write(files["occlusion"])
    _, _, events = run(tmp_path, config(ball_capture, files, iterations=1))
    warnings = [e["message"] for e in events if e.get("level") == "warning"]
    assert any("baked in mode=corrected" in message for message in warnings)


def test_a_light_that_is_no_lighting_file_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        Lighting.read(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", cubemap=np.zeros((5, 4, 4, 3)), aabb=np.zeros(0))
    with pytest.raises(ArtifactError, match="not a fitted light"):
        Lighting.read(tmp_path / "other.npz")


def test_a_light_without_nearby_light_comes_back_as_it_was(tmp_path):
    written = Lighting(torch.rand(6, 4, 4, 3), None, {"mode": "reference", "gamma": True})
    written.write(tmp_path / "lighting.npz")
    found = Lighting.read(tmp_path / "lighting.npz")
    assert torch.equal(found.cubemap, written.cubemap)
    assert found.nearby is None
    assert found.flags == written.flags


def test_the_whole_published_path_goes_through(ball_capture, tmp_path):
    fitting = FitConfig(
        data=ball_capture,
        mode="reference",
        iterations=60,
        start=StartConfig(count=150, opacity=0.5),
        densify=DensifyConfig(reset=0),
    )
    fitted = Context.local(FIT, fitting, tmp_path / "fit")
    fit(fitting, fitted)
    baking = BakeConfig(
        scene=fitted.output("scene"),
        cameras=fitted.output("cameras"),
        mode="reference",
        resolution=6,
        cube_res=8,
        surface=SurfaceConfig(resolution=16),
    )
    baked = Context.local(BAKE, baking, tmp_path / "bake")
    bake(baking, baked)
    inputs = {"scene": fitted.output("scene"), "occlusion": baked.output("occlusion")}
    scores, context, _ = run(tmp_path / "decompose", config(ball_capture, inputs))
    assert np.isfinite(list(scores.values())).all()
    assert len(read_ply(context.output("scene"))) == len(read_ply(fitted.output("scene")))
    assert json.loads(json.dumps(Lighting.read(context.output("lighting")).flags))["mode"]
