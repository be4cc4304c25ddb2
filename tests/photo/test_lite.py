"""The built-in predictor keeps the protocol, is quick, and knows more than a wall or the ground."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError
from fovea.photo.engine import load_predictor
from fovea.photo.lite.edges import guided, sharpened, without_spikes
from fovea.photo.lite.network import WEIGHTS, LiteNetwork
from fovea.photo.lite.predictor import MOST_CELLS, LitePredictor, load_lite, network_size
from fovea.photo.lite.surfaces import Grid, discs
from fovea.photo.pair import read_pair
from fovea.photo.photograph import Photograph
from fovea.photo.settings.engine import EngineConfig
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.stereo_scores import GROUND, SCENE, WALL, evaluate_stereo
from fovea.scene.efficientnet import BATCH_NORM_EPSILON, Encoder, SameConv, folded
from fovea.scene.rasterize import rasterize

MOTORCYCLE = {"focal_px": 994.978, "baseline_mm": 193.001, "offset_px": 31.086}


@pytest.fixture(scope="module")
def lite() -> LitePredictor:
    return load_lite()


def photograph(height: int = 60, width: int = 80, focal_px: float = 70.0) -> Photograph:
    """A bright disc over a dark ground below a pale wall."""
    y, x = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels[y > 0.6 * height] = (90, 70, 40)
    pixels[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = (230, 40, 30)
    return Photograph("disc", pixels, focal_px, "assumed")


def test_the_weights_are_small_enough_to_ship() -> None:
    assert WEIGHTS.stat().st_size <= 15e6


def test_the_engine_gives_lite_by_its_name() -> None:
    assert load_predictor(EngineConfig(weights="lite")).name == "lite"


def test_a_prediction_is_metric_linear_and_finite(lite: LitePredictor) -> None:
    found = lite.predict(photograph())
    scene = found.gaussians
    assert scene.color_space == "linear"
    assert scene.degree == 0
    assert len(scene) >= 60 * 80
    for values in (scene.means, scene.scales, scene.quats, scene.harmonics):
        assert torch.isfinite(values).all()
    assert (scene.scales > 0).all()
    assert (scene.means[:, 2] > 0).all()
    assert found.depth_m.shape == (2, 60, 80)
    assert found.depth_m.dtype == np.float32
    assert set(found.seconds) == {"load", "network", "after"}


def test_the_second_surface_is_never_before_the_first(lite: LitePredictor) -> None:
    first, second = lite.predict(photograph()).depth_m
    assert (second >= first * 0.9999).all()


def test_two_predictions_are_the_same_bit_for_bit(lite: LitePredictor) -> None:
    a, b = (lite.predict(photograph()) for _ in range(2))
    assert torch.equal(a.gaussians.means, b.gaussians.means)
    assert torch.equal(a.gaussians.harmonics, b.gaussians.harmonics)


def test_seen_from_where_it_was_taken_the_scene_is_the_photograph(lite: LitePredictor) -> None:
    taken = photograph(120, 160, 150.0)
    scene = lite.predict(taken).gaussians
    drawn = rasterize(scene, taken.camera())
    assert float(drawn.alpha[4:-4, 4:-4].min()) > 0.8


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 32), (300, 90)])
def test_photographs_of_any_shape_are_taken(lite: LitePredictor, height: int, width: int) -> None:
    assert lite.predict(photograph(height, width)).depth_m.shape == (2, height, width)


def test_the_watch_is_told_the_beginning_and_the_end(lite: LitePredictor) -> None:
    told: list[tuple[int, int]] = []
    lite.predict(photograph(), watch=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)


def test_the_network_sees_multiples_of_32_near_the_shape() -> None:
    assert network_size(1000, 1500) == (192, 256)
    assert network_size(1500, 1000) == (256, 192)


def test_a_file_of_other_weights_is_refused_by_name(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ArtifactError, match=r"other\.safetensors"):
        load_lite(tmp_path / "other.safetensors")


def test_folding_takes_over_the_batch_normalisation() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(32, 3, 3, 3, generator=generator)
    norm = torch.nn.BatchNorm2d(32, eps=BATCH_NORM_EPSILON).eval()
    for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert values is not None
        values.data.uniform_(0.5, 2.0, generator=generator)
    names = {name: f"_bn0.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    state = {"_conv_stem.weight": weight}
    state |= {key: getattr(norm, name).data for name, key in names.items()}
    conv = SameConv(3, 32, 3, 2)
    conv.load_state_dict({k.removeprefix("stem."): v for k, v in folded(state).items()})
    image = torch.rand(1, 3, 8, 8, generator=generator)
    padded = torch.nn.functional.pad(image, (0, 1, 0, 1))
    expected = norm(torch.nn.functional.conv2d(padded, weight, stride=2))
    torch.testing.assert_close(conv(image), expected, rtol=1e-4, atol=1e-4)


def test_the_encoder_gives_five_maps_each_half_the_one_before() -> None:
    maps = Encoder()(torch.rand(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3),
    ]  # fmt: skip


def test_the_network_answers_at_half_the_size_for_every_lens() -> None:
    said = LiteNetwork()(torch.rand(2, 3, 64, 96), torch.tensor([0.7, 2.0]))
    assert said.log_inverse.shape == (2, 32, 48)
    assert said.color_behind.shape == (2, 3, 32, 48)
    assert (said.log_behind >= 0).all()


def test_a_guided_map_has_its_edge_where_the_picture_has_it() -> None:
    picture = np.zeros((64, 64, 3), np.float32)
    picture[:, 34:] = 1
    small = np.repeat(np.repeat([[0.0] * 4 + [1.0] * 4], 8, 0), 1, 1).astype(np.float32)
    found = sharpened(guided(small, picture, radius=9), radius=3)
    assert np.abs(found[:, :32] - found[:, :1]).max() < 0.25
    assert (found[:, 36] - found[:, 31]).min() > 0.6


def test_slopes_are_left_alone_by_the_sharpening() -> None:
    ramp = np.tile(np.linspace(0, 0.5, 64, dtype=np.float32), (64, 1))
    np.testing.assert_array_equal(sharpened(ramp, radius=2), ramp)


def test_spikes_in_the_corners_go_and_the_ground_stays() -> None:
    ground = np.tile(np.linspace(-1, 0.5, 96, dtype=np.float32)[:, None], (1, 128))
    spiked = ground.copy()
    spiked[-6:, :3] = 5
    assert without_spikes(spiked).max() < 0.7
    np.testing.assert_allclose(without_spikes(ground)[:80], ground[:80], atol=1e-6)


def test_a_disc_lies_in_its_surface() -> None:
    grid = Grid(height=33, width=33, focal_x=200.0, focal_y=200.0)
    x, _ = grid.rays()
    depth = np.tile((2 / (1 - 0.8 * x))[None], (33, 1)).astype(np.float32)  # z = 2 + 0.8 X
    scene = discs(grid, depth, np.full((33, 33, 3), 0.5, np.float32))
    w, qx, qy, qz = scene.quats[16 * 33 + 16]
    normal = torch.stack(
        [2 * (qx * qz + w * qy), 2 * (qy * qz - w * qx), 1 - 2 * (qx * qx + qy * qy)]
    )
    wanted = torch.tensor([-0.8, 0.0, 1.0]) / 1.64**0.5
    torch.testing.assert_close(normal, wanted, atol=0.02, rtol=0)


@pytest.mark.slow
def test_a_photograph_of_a_megapixel_takes_less_than_five_seconds(
    lite: LitePredictor, tmp_path: Path
) -> None:
    from fovea.photo.sharp_ply import write_sharp_ply

    taken = photograph(866, 1155, 900.0)
    lite.predict(taken)
    start = time.perf_counter()
    scene = lite.predict(taken).gaussians
    path = tmp_path / "scene.ply"
    write_sharp_ply(path, scene, focal_px=900.0, height=866, width=1155)
    assert time.perf_counter() - start < 5
    assert len(scene) <= 2 * MOST_CELLS


@pytest.mark.slow
@pytest.mark.parametrize(("name", "known"), [("motorcycle", MOTORCYCLE), ("aloe", {})])
def test_on_a_real_pair_it_beats_a_wall_and_the_ground(
    lite: LitePredictor, data_folder: Path, name: str, known: dict[str, float]
) -> None:
    folder = data_folder / "photos" / f"stereo_{name}"
    pair = read_pair(EvaluateConfig.model_validate({"scene": folder, "data": folder, **known}))
    focal_px = pair.focal_px or 0.693 * float(np.hypot(*pair.left.shape[:2]))
    taken = Photograph(name, pair.left, focal_px, "known")
    looks = evaluate_stereo(pair, lite.predict(taken).gaussians, taken.camera())
    scene = looks[SCENE].scores
    for guess in (looks[WALL].scores, looks[GROUND].scores):
        assert scene["abs_rel"] < 0.9 * guess["abs_rel"]
        assert scene["delta_1.25"] > guess["delta_1.25"] + 0.05
        assert scene["psnr_seen"] > guess["psnr_seen"]
