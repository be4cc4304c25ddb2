"""The page's arithmetic of light against the same worked out in Python."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from fovea.relight.light.environment import Environment
from fovea.relight.shading import table
from fovea.scene import harmonics
from fovea.scene.color import linear_to_srgb
from fovea.scene.ply import write_ply
from fovea.scene.radiance import read_radiance, write_radiance
from fovea.viewer.relighting import pack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

READERS = """
    const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const floats = (text) => new Float32Array(decoded(text).buffer);"""
UPS = [("z", 0.0), ("z", 70.0), ((0.3, -0.9, 0.2), -130.0), ((0.0, -1.0, 0.0), 25.0)]
UPS += [((0.0, 0.0, -1.0), 40.0), ("y", 30.0)]


def ask(sight, code: str, argument: object) -> object:
    return sight.page.evaluate(f"(given) => {{ {READERS} {code} }}", argument)


def text(content: Path | np.ndarray | bytes) -> str:
    """A file, bytes, or numbers as float32, as `decoded` and `floats` take them."""
    if isinstance(content, np.ndarray):
        content = content.astype(np.float32).tobytes()
    content = content.read_bytes() if isinstance(content, Path) else content
    return base64.b64encode(content).decode()


def random_map(height: int, seed: int = 0) -> np.ndarray:
    """Light as in photographs: dim on the whole, bright in places."""
    return np.random.default_rng(seed).gamma(0.3, 3.0, (height, 2 * height, 3)).astype(np.float32)


def spread(count: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(directions, dim=1)


@pytest.mark.parametrize("suffix", [".hdr", ".exr"])
def test_a_map_is_read_as_python_reads_it(suffix, studio, tmp_path):
    path = tmp_path / f"map{suffix}"
    write_radiance(path, random_map(16))
    code = "const map = fovea.radiance.read(decoded(given)); return [map.width, [...map.pixels]];"
    width, pixels = ask(studio, code, text(path))
    assert width == 32
    assert_allclose(np.reshape(pixels, (16, 32, 3)), read_radiance(path), rtol=1e-6)


def test_an_hdr_without_run_lengths_is_read_too(studio, tmp_path):
    rgbe = np.random.default_rng(0).integers(1, 255, (4, 8, 4)).astype(np.uint8)
    rgbe[..., 3] = 128
    path = tmp_path / "flat.hdr"
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 8\n"
    path.write_bytes(head + rgbe.tobytes())
    code = "return [...fovea.radiance.read(decoded(given)).pixels];"
    assert_allclose(ask(studio, code, text(path)), rgbe[..., :3].ravel() / 256)


@pytest.mark.parametrize("cut", [10, 40, 500])
def test_a_map_that_is_cut_off_is_refused_with_a_sentence(cut, studio, tmp_path):
    path = tmp_path / "map.hdr"
    write_radiance(path, random_map(16))
    path.write_bytes(path.read_bytes()[:cut])
    code = """
        try { fovea.radiance.read(decoded(given), "x.hdr"); }
        catch (error) { return error.message; }"""
    assert str(ask(studio, code, text(path))).startswith("x.hdr: ")


@pytest.mark.parametrize(("up", "yaw_deg"), UPS)
def test_a_light_stands_in_the_world_as_in_the_films(up, yaw_deg, studio):
    code = "return fovea.radiance.worldToMap(given[0], given[1] * Math.PI / 180);"
    found = torch.tensor(ask(studio, code, [up, yaw_deg]), dtype=torch.float64).view(3, 3)
    light = Environment(torch.ones(2, 4, 3), up=up, yaw_deg=yaw_deg)
    # The films' maps have y up and their centre at -z: (-y, z, -x) of the page's.
    axes = torch.tensor([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]], dtype=torch.float64)
    assert_allclose(axes @ found, light.native_from_world, atol=1e-9)


def test_harmonics_of_a_map_are_sums_over_its_texels(studio):
    image = random_map(32)
    up, yaw_deg = UPS[2]
    code = """
        const map = { width: 64, height: 32, pixels: floats(given[0]) };
        const turn = fovea.radiance.worldToMap(given[1], given[2] * Math.PI / 180);
        return [...fovea.radiance.harmonics(map, turn)];"""
    found = ask(studio, code, [text(image), up, yaw_deg])
    rows, columns = np.meshgrid(np.arange(32) + 0.5, np.arange(64) + 0.5, indexing="ij")
    native = np.stack(
        [
            np.sin(rows / 32 * np.pi) * np.sin(2 * np.pi * (columns / 64 - 0.5)),
            np.cos(rows / 32 * np.pi),
            -np.sin(rows / 32 * np.pi) * np.cos(2 * np.pi * (columns / 64 - 0.5)),
        ],
        axis=-1,
    )
    world = (
        torch.from_numpy(native)
        @ Environment(torch.from_numpy(image), up=up, yaw_deg=yaw_deg).native_from_world
    )
    edges = np.cos(np.arange(33) / 32 * np.pi)
    solid_angles = (edges[:-1] - edges[1:]) * 2 * np.pi / 64
    basis = harmonics.basis(world, 3).numpy()
    wanted = np.einsum("hwk,hwc,h->kc", basis, image.astype(float), solid_angles)
    assert_allclose(np.reshape(found, (16, 3)), wanted, rtol=1e-5, atol=1e-5)


def test_a_smaller_map_sends_the_same_light(studio):
    image = random_map(64)
    code = """
        const map = { width: 128, height: 64, pixels: floats(given) };
        const { harmonics, shrink, worldToMap } = fovea.radiance, turn = worldToMap([0, 0, 1], 0);
        return [map, shrink(map, 32)].map((one) => [...harmonics(one, turn)].slice(0, 3));"""
    large, small = ask(studio, code, text(image))
    assert_allclose(small, large, rtol=1e-5)


def test_mirrored_light_is_the_mean_over_the_lobe(studio):
    """Against the sum over all texels of n.l D, with half vectors between normal and light."""

    def radiance(d: np.ndarray) -> np.ndarray:
        return 1 + d[..., 0] + 0.5 * d[..., 2] ** 2 + 2 * np.exp(6 * (d[..., 1] - 1))

    rows, columns = np.meshgrid(np.arange(128) + 0.5, np.arange(256) + 0.5, indexing="ij")
    polar, azimuth = rows / 128 * np.pi, 2 * np.pi * (0.5 - columns / 256)
    level = np.sin(polar)
    d = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.cos(polar)], axis=-1)
    image = np.repeat(radiance(d)[..., None], 3, axis=2)
    normals = spread(12).numpy()
    code = """
        const map = { width: 256, height: 128, pixels: floats(given[0]) };
        const chain = fovea.prefilter.prefilter(map);
        return given[1].map((asked) => fovea.prefilter.look(chain, ...asked, [])[0]);"""
    levels = [0.2, 0.4, 0.6, 1.0] * 3
    asked = [[*normal, roughness] for normal, roughness in zip(normals, levels, strict=True)]
    found = np.asarray(ask(studio, code, [text(image), asked]))
    for normal, roughness, value in zip(normals, levels, found, strict=True):
        cosine = d @ normal
        half2 = (1 + cosine) / 2
        density = 1 / (half2 * (roughness**4 - 1) + 1) ** 2
        # p(light) is D n.h / (4 v.h), which is D / 4 where the view is the normal.
        weight = np.maximum(cosine, 0) * density * level
        # 64 samples of blurred maps; the map runs from 0 to 4.
        wanted = (weight * radiance(d)).sum() / weight.sum()
        assert value == pytest.approx(wanted, rel=0.03, abs=0.03)


def test_shading_is_diffuse_light_through_the_transfer_and_mirrored_light_by_the_split_sum(studio):
    """Under even light with no bounce, where both parts are known without the page's own maps."""
    count, light = 400, np.array([0.5, 0.3, 0.2])
    rng = np.random.default_rng(3)
    normals = spread(count).numpy()
    albedo, metallic = rng.random((count, 3)), rng.random(count)
    roughness = rng.uniform(0.1, 1.0, count)
    means = normals.copy()
    eye = np.array([0.0, 0.0, 40.0])
    basis = harmonics.basis(torch.from_numpy(normals), 3).numpy()
    bands = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5 + [0.0] * 7)
    code = """
        const { count, normals, albedo, roughness, metallic, transfer, means, eye, light } = given;
        const materials = { count, normal: floats(normals), albedo: floats(albedo),
          roughness: floats(roughness), metallic: floats(metallic), transfer: floats(transfer) };
        const shader = new fovea.Shader(materials, floats(means), new Float32Array(count).fill(1));
        shader.hasBounce = false;
        const pixels = new Float32Array(3 * 64 * 32).map((_, i) => light[i % 3]);
        const made = new fovea.lights.Light("even", { width: 64, height: 32, pixels });
        shader.setLight(made.under(fovea.radiance.worldToMap([0, 0, 1], 0), 1));
        const bytes = new Uint8Array(4 * count);
        shader.shade(bytes, eye);
        return [...bytes];"""
    given = {
        "count": count,
        "normals": text(normals),
        "albedo": text(albedo),
        "roughness": text(roughness),
        "metallic": text(metallic),
        "transfer": text(basis * bands),
        "means": text(means),
        "eye": eye.tolist(),
        "light": light.tolist(),
    }
    found = np.reshape(ask(studio, code, given), (count, 4))[:, :3] / 255
    view = (eye - means) / np.linalg.norm(eye - means, axis=1, keepdims=True)
    cosine = (view * normals).sum(axis=1)
    f0 = 0.04 * (1 - metallic[:, None]) + albedo * metallic[:, None]
    scale, offset = (
        table.lookup(
            table.table(), torch.from_numpy(cosine).float(), torch.from_numpy(roughness).float()
        )
        .numpy()
        .T[..., None]
    )
    diffuse = (1 - metallic[:, None]) * albedo * light
    wanted = linear_to_srgb(np.clip(diffuse + (f0 * scale + offset) * light, 0, 1))
    seen = cosine > 0.05
    # One step of 8 bits is 0.004; the page's table has 32 steps a side.
    assert np.abs(found - wanted)[seen].max() < 0.02
    assert np.abs(found - wanted)[seen].mean() < 0.003


def test_shadows_darken_by_the_transfer(studio, ball):
    """Half the transfer under even light halves the diffuse part."""
    code = """
        const { shader, light } = fovea.relight, own = shader.materials.transfer;
        const received = (part) => {
          shader.materials.transfer = own.map((value) => part * value);
          shader.setLight(light.under(fovea.radiance.worldToMap([0, 0, 1], 0), 1));
          return [...shader.received.slice(0, 300)];
        };
        const pair = [received(1), received(0.5)];
        shader.materials.transfer = own;
        return pair;"""
    studio.reset()
    whole, half = ask(studio, code, None)
    assert_allclose(half, np.array(whole) / 2, rtol=1e-5)


def test_materials_are_read_alike_from_a_ply_and_packed(studio, ball, tmp_path):
    scene = ball[:200]
    write_ply(tmp_path / "ball.ply", scene)
    code = """
        const names = ["normal", "albedo", "roughness", "metallic", "transfer"];
        const { fromPly, fromPacked } = fovea.materials;
        return [fromPly(decoded(given[0])), fromPacked(decoded(given[1]))].map((made) =>
          names.map((name) => [...made[name]]));"""
    packed = text(pack(scene))
    for tolerance, made in zip(
        (1e-5, 0.012), ask(studio, code, [text(tmp_path / "ball.ply"), packed]), strict=True
    ):
        for name, values in zip(
            ("normal", "albedo", "roughness", "metallic", "transfer"), made, strict=True
        ):
            wanted = scene.extras[name].numpy().ravel()
            assert_allclose(values, wanted, atol=tolerance, err_msg=name)


def test_a_ply_without_transfer_is_lit_as_if_nothing_cast_shadows(studio, ball, tmp_path):
    scene = ball[:50]
    del (extras := dict(scene.extras))["transfer"]
    write_ply(tmp_path / "ball.ply", replace(scene, extras=extras))
    code = "return [...fovea.materials.fromPly(decoded(given)).transfer];"
    found = ask(studio, code, text(tmp_path / "ball.ply"))
    assert_allclose(found, scene.extras["transfer"].numpy().ravel(), atol=1e-5)
