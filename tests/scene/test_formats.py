"""Scenes as SOG, .splat and glTF: written, read back, and what is said of bad files."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from fovea.errors import ArtifactError
from fovea.scene.files import read_gaussians, write_gaussians
from fovea.scene.gaussian_color import in_color_space
from fovea.scene.gaussian_gltf import EXTENSION
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import C0, from_colors
from fovea.scene.sog import write_sog

STEP = 1 / 255


def scene(count: int = 500, degree: int = 0, color_space: str = "srgb") -> Gaussians:
    make = torch.Generator().manual_seed(count + degree)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=make)

    constant = from_colors(torch.rand(count, 3, generator=make))
    varying = normal(count, (degree + 1) ** 2 - 1, 3) * 0.1
    return Gaussians(
        normal(count, 3) * torch.tensor([3.0, 1.0, 1.0]) + torch.tensor([0.0, 0.0, 5.0]),
        torch.nn.functional.normalize(normal(count, 4), dim=-1),
        (normal(count, 3) * 0.5 - 4).exp(),
        torch.rand(count, generator=make),
        torch.cat([constant, varying], dim=1),
        color_space,
    )


def matched(found: Gaussians, wanted: Gaussians) -> Gaussians:
    """In the order of `wanted`: some formats sort."""
    assert len(found) == len(wanted)
    _, index = KDTree(found.means.numpy()).query(wanted.means.numpy())
    assert len(set(index.tolist())) == len(wanted)
    return found[torch.from_numpy(index)]


def colors(gaussians: Gaussians) -> torch.Tensor:
    return gaussians.harmonics[:, 0] * C0 + 0.5


def covariance_error(found: Gaussians, wanted: Gaussians) -> torch.Tensor:
    one, other = found.covariances(), wanted.covariances()
    return (one - other).abs().amax((1, 2)) / other.abs().amax((1, 2))


def written(path: Path, gaussians: Gaussians) -> Gaussians:
    write_gaussians(path, gaussians)
    return matched(read_gaussians(path), gaussians)


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("color_space", ["srgb", "linear"])
def test_gltf_keeps_every_value_and_the_colour_space(
    degree: int, color_space: str, tmp_path: Path
) -> None:
    wanted = scene(degree=degree, color_space=color_space)
    found = written(tmp_path / "a.glb", wanted)
    assert found.color_space == color_space
    assert torch.equal(found.means, wanted.means)
    assert torch.equal(found.harmonics, wanted.harmonics)
    assert torch.equal(found.opacities, wanted.opacities)
    assert float(covariance_error(found, wanted).max()) < 3e-6


def test_splat_keeps_places_exactly_and_the_rest_to_a_step(tmp_path: Path) -> None:
    wanted = scene()
    found = written(tmp_path / "a.splat", wanted)
    assert torch.equal(found.means, wanted.means)
    assert torch.equal(found.scales, wanted.scales)
    assert float((colors(found) - colors(wanted)).abs().max()) < 0.51 * STEP
    assert float((found.opacities - wanted.opacities).abs().max()) < 0.51 * STEP
    turn = (found.quats * wanted.quats).sum(dim=1).abs()
    assert float(torch.acos(turn.clamp_max(1)).max()) < 0.01


def test_splat_begins_with_what_shows_most(tmp_path: Path) -> None:
    write_gaussians(tmp_path / "a.splat", scene())
    found = read_gaussians(tmp_path / "a.splat")
    size = found.scales.double().prod(dim=1) * found.opacities
    # Opacities are stored in steps, by which neighbours may change places.
    assert bool((size[1:] <= size[:-1] * 1.05 + 1e-6).all())


@pytest.mark.parametrize("degree", [0, 2, 3])
def test_sog_is_near_in_every_value(degree: int, tmp_path: Path) -> None:
    wanted = scene(degree=degree)
    found = written(tmp_path / "a.sog", wanted)
    assert found.degree == degree
    # 65535 steps over ln(1 + |x|) of the range.
    assert float((found.means - wanted.means).abs().max()) < 1e-3
    # 256 entries for all logarithms of scales: a step of a fiftieth.
    assert float((found.scales.log() - wanted.scales.log()).abs().quantile(0.99)) < 0.02
    assert float((colors(found) - colors(wanted)).abs().max()) < 0.01
    assert float((found.opacities - wanted.opacities).abs().max()) < 0.51 * STEP
    turn = (found.quats * wanted.quats).sum(dim=1).abs()
    assert float(torch.acos(turn.clamp_max(1)).max()) < 0.01
    assert float((found.harmonics[:, 1:] - wanted.harmonics[:, 1:]).abs().sum()) < 0.01 * (
        wanted.harmonics[:, 1:].numel() or 1
    )


def test_sog_can_be_a_folder_and_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    wanted = scene()
    write_sog(tmp_path / "folder", wanted)
    write_sog(tmp_path / "a.sog", wanted)
    first = (tmp_path / "a.sog").read_bytes()
    write_sog(tmp_path / "a.sog", wanted)
    assert (tmp_path / "a.sog").read_bytes() == first
    one, other = (read_gaussians(tmp_path / name) for name in ("folder", "a.sog"))
    assert torch.equal(one.means, other.means)
    assert torch.equal(read_gaussians(tmp_path / "folder" / "meta.json").quats, one.quats)


def test_large_scenes_share_a_palette_of_harmonics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovea.scene.sog.FULL_PALETTE", 100)
    monkeypatch.setattr("fovea.scene.sog.SAMPLED_PALETTE", 64)
    wanted = scene(degree=1)
    found = written(tmp_path / "a.sog", wanted)
    error = (found.harmonics[:, 1:] - wanted.harmonics[:, 1:]).square().mean().sqrt()
    assert float(error) < float(wanted.harmonics[:, 1:].std())
    with zipfile.ZipFile(tmp_path / "a.sog") as archive:
        assert json.loads(archive.read("meta.json"))["shN"]["count"] == 64


@pytest.mark.parametrize("ending", [".splat", ".sog", ".spz", ".compressed.ply"])
def test_linear_colours_are_stored_as_what_viewers_take_them_for(
    ending: str, tmp_path: Path
) -> None:
    wanted = scene(color_space="linear")
    found = written(tmp_path / f"a{ending}", in_color_space(wanted, "linear"))
    assert found.color_space == "srgb"
    assert float((colors(found) - colors(in_color_space(wanted, "srgb"))).abs().max()) < 0.02


@pytest.mark.parametrize("ending", [".splat", ".sog", ".glb"])
def test_an_empty_scene_stays_one(ending: str, tmp_path: Path) -> None:
    write_gaussians(tmp_path / f"a{ending}", scene()[:0])
    assert len(read_gaussians(tmp_path / f"a{ending}")) == 0


def test_a_gltf_s_node_moves_its_gaussians(tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    wanted = scene(20)
    write_gaussians(path, wanted)
    whole = path.read_bytes()
    (length,) = struct.unpack_from("<I", whole, 12)
    document = json.loads(whole[20 : 20 + length])
    document["nodes"][0] |= {"translation": [1.0, 2.0, 3.0], "scale": [2.0, 2.0, 2.0]}
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    path.write_bytes(
        whole[:12] + struct.pack("<I", len(text)) + whole[16:20] + text + whole[20 + length :]
    )
    found = read_gaussians(path)
    assert torch.allclose(found.means, wanted.means * 2 + torch.tensor([1.0, 2.0, 3.0]), atol=1e-5)
    assert torch.allclose(found.scales, wanted.scales * 2, rtol=1e-5)


def test_gltf_says_what_the_extension_asks_for(tmp_path: Path) -> None:
    write_gaussians(tmp_path / "a.glb", scene(7, degree=1))
    whole = (tmp_path / "a.glb").read_bytes()
    (length,) = struct.unpack_from("<I", whole, 12)
    document = json.loads(whole[20 : 20 + length])
    (primitive,) = document["meshes"][0]["primitives"]
    assert document["extensionsUsed"] == [EXTENSION]
    assert primitive["mode"] == 0
    assert primitive["extensions"][EXTENSION]["kernel"] == "ellipse"
    assert {f"{EXTENSION}:SH_DEGREE_1_COEF_{n}" for n in range(3)} < set(primitive["attributes"])
    assert len(whole) == struct.unpack_from("<I", whole, 8)[0]


@pytest.mark.parametrize("ending", [".splat", ".sog", ".glb"])
def test_missing_and_damaged_files_get_a_sentence(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    with pytest.raises(ArtifactError, match="there is no such file"):
        read_gaussians(path)
    path.write_bytes(b"no scene at all, and of 33 bytes.")
    with pytest.raises(ArtifactError, match=r"a\."):
        read_gaussians(path)
    write_gaussians(path, scene())
    path.write_bytes(path.read_bytes()[:-1001])
    with pytest.raises(ArtifactError, match=r"a\."):
        read_gaussians(path)


def test_a_sog_that_lacks_a_picture_or_is_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write_sog(folder, scene(10))
    (folder / "quats.webp").unlink()
    with pytest.raises(ArtifactError, match=r"lacks 'quats\.webp'"):
        read_gaussians(folder)
    (folder / "meta.json").write_text('{"version": 1}')
    with pytest.raises(ArtifactError, match="no SOG of version 2"):
        read_gaussians(folder)
    (folder / "meta.json").write_text('{"version": 2, "count": 3}')
    with pytest.raises(ArtifactError, match="does not fit its pictures"):
        read_gaussians(folder)


def test_a_gltf_without_gaussians_is_refused(tmp_path: Path) -> None:
    text = b'{"asset":{"version":"2.0"}} '
    head = struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A)
    (tmp_path / "a.glb").write_bytes(head + text)
    with pytest.raises(ArtifactError, match=f"no mesh has the extension {EXTENSION}"):
        read_gaussians(tmp_path / "a.glb")


def test_colours_go_to_the_other_space_and_back() -> None:
    wanted = scene(degree=1, color_space="linear")
    srgb = in_color_space(wanted, "srgb")
    assert srgb.color_space == "srgb"
    assert np.allclose(in_color_space(srgb, "linear").harmonics, wanted.harmonics, atol=2e-6)
    # What varies follows the curve's slope: a small step in linear light is that step encoded.
    delta = 1e-4
    colour = torch.tensor([[0.2, 0.2, 0.2]])
    ends = [in_color_space(_plain(colour + d), "srgb") for d in (-delta, delta)]
    varying = _plain(colour)
    slope = (colors(ends[1]) - colors(ends[0])) / (2 * delta)
    one = torch.cat([varying.harmonics, torch.ones(1, 3, 3)], dim=1)
    with_slope = Gaussians(
        varying.means, varying.quats, varying.scales, varying.opacities, one, "linear"
    )
    assert torch.allclose(in_color_space(with_slope, "srgb").harmonics[0, 1], slope[0], rtol=1e-3)


def _plain(colour: torch.Tensor) -> Gaussians:
    return Gaussians(
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.ones(1, 3),
        torch.ones(1),
        from_colors(colour),
        "linear",
    )
