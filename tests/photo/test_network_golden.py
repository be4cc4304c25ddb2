"""The network stands beside the reference's own answers, stage by stage."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sharp_golden import Golden, filled_state, named, rule_of, stages
from torch import Tensor

from fovea.photo.model.alignment import DepthAlignment
from fovea.photo.model.network import SharpNetwork, predict_ndc
from fovea.photo.model.picture import resize_to_network
from fovea.photo.unprojection import unproject
from fovea.photo.weights import load_network

EXACT = 2e-4
"""Of a standard deviation; the reference's own noise, float32 against float64, is 2e-5."""
NORMED = 2e-3
"""After a norm over a million values, whose statistics depend on the kernel."""
AFTER_NORMS = ("texture_features", "geometry_features", "delta")
FIELDS = {
    "ndc_mean_vectors": "means",
    "ndc_singular_values": "scales",
    "ndc_quaternions": "quats",
    "ndc_colors": "colors",
    "ndc_opacities": "opacities",
}
FULL_ENV = "FOVEA_SHARP_FILLED"
"""Names the file of the full network that `benchmarks/speed/filled_checkpoint.py` has written."""

NetworkOf = Callable[[str], SharpNetwork]


@pytest.fixture(scope="module")
def network_of(goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> NetworkOf:
    """A network of that size, loaded from a file that was filled by the rule."""

    def load(size: str) -> SharpNetwork:
        if size == "full":
            path = Path(os.environ.get(FULL_ENV, ""))
            if not path.is_file():
                pytest.skip(
                    "six minutes of processor time and 8 GiB: write the file by `python"
                    " benchmarks/speed/filled_checkpoint.py FILE` and name it by"
                    f" {FULL_ENV}"
                )
            return load_network(path)
        path = tmp_path_factory.mktemp(size) / f"{size}.pt"
        torch.save(filled_state(goldens / "sharp", size), path)
        return load_network(path)

    return load


@pytest.mark.parametrize("size", ["tiny", "thin", pytest.param("full", marks=pytest.mark.slow)])
def test_every_stage_agrees_with_the_reference(
    size: str, goldens: Path, network_of: NetworkOf
) -> None:
    golden, network = Golden(goldens / "sharp", size), network_of(size)
    image = resize_to_network(golden.picture, size=network.architecture.network_size)
    seen: set[str] = set()
    ndc = SimpleNamespace()
    for name, values in stages(network, image, golden.disparity_factor):
        seen.add(name)
        if name in FIELDS:
            _check_gaussians(golden, name, values)
            setattr(ndc, FIELDS[name], values[None])
        else:
            allowed = NORMED if name in AFTER_NORMS and size != "tiny" else EXACT
            assert golden.deviation(name, values).largest <= allowed, name
    others = {name for name in golden.index if not name.startswith(("metric_", "_"))}
    assert seen == others - {"depth_before_normalisation"}  # 1/x of values near the clamp
    _check_metric(golden, ndc, network_size=network.architecture.network_size)


def _check_gaussians(golden: Golden, name: str, values: Tensor) -> None:
    assert golden.deviation(name, values).percentile_99 <= 1e-3, name
    if name in ("ndc_colors", "ndc_opacities"):
        ours, theirs = golden.pair(name, values)
        assert np.abs(ours - theirs).max() <= 2e-4, name


def _check_metric(golden: Golden, ndc: SimpleNamespace, *, network_size: int) -> None:
    width, height = golden.meta["image_size"]
    gaussians = unproject(
        ndc,
        focal_px=golden.meta["focal_px"],
        height=height,
        width=width,
        network_size=network_size,
    )
    assert golden.deviation("metric_mean_vectors", gaussians.means).percentile_99 <= 1e-3
    covariances = gaussians.covariances().flatten(1)[:, [0, 1, 2, 4, 5, 8]]
    ours, theirs = golden.pair("metric_covariance", covariances)
    error = np.abs(ours - theirs).max(1) / np.abs(theirs).max(1)
    assert np.percentile(error, 99) <= 2e-3
    ours, theirs = golden.pair("metric_singular_values", gaussians.scales)
    error = np.abs(ours - theirs) / theirs
    assert np.percentile(error[:, :2], 99) <= 1e-3
    is_thick = theirs[:, 2] > 1e-2 * theirs[:, 0]
    assert np.percentile(error[is_thick, 2], 99) <= 1e-3


def test_predicting_in_one_go_gives_what_the_stages_give(
    goldens: Path, network_of: NetworkOf
) -> None:
    golden, network = Golden(goldens / "sharp", "tiny"), network_of("tiny")
    image = resize_to_network(golden.picture, size=network.architecture.network_size)
    ndc = predict_ndc(network, image, golden.disparity_factor, crops_at_once=5)
    by_stage = dict(stages(network, image, golden.disparity_factor))
    for name, values in named(ndc):
        torch.testing.assert_close(values, by_stage[name])


def test_crops_in_groups_change_nothing_that_counts(goldens: Path, network_of: NetworkOf) -> None:
    golden, network = Golden(goldens / "sharp", "tiny"), network_of("tiny")
    image = resize_to_network(golden.picture, size=network.architecture.network_size)
    together, apart = (
        predict_ndc(network, image, golden.disparity_factor, crops_at_once=count)
        for count in (None, 4)
    )
    torch.testing.assert_close(apart.disparity, together.disparity, atol=2e-5, rtol=1e-4)


def test_two_pictures_at_once_are_each_as_alone(goldens: Path, network_of: NetworkOf) -> None:
    golden, network = Golden(goldens / "sharp", "tiny"), network_of("tiny")
    image = resize_to_network(golden.picture, size=network.architecture.network_size)
    pair = torch.cat([image, image.flip(-1)])
    factors = torch.tensor([golden.disparity_factor, 1.3])
    both = predict_ndc(network, pair, factors)
    for number in range(2):
        alone = predict_ndc(network, pair[number : number + 1], factors[number : number + 1])
        torch.testing.assert_close(both.global_scale[number], alone.global_scale[0])
        torch.testing.assert_close(both.disparity[number], alone.disparity[0], atol=1e-4, rtol=1e-4)


def test_the_learned_alignment_agrees_with_the_reference(goldens: Path) -> None:
    rule, arrays = rule_of(goldens / "sharp"), np.load(goldens / "sharp" / "alignment.npz")
    alignment = DepthAlignment()
    estimator = alignment.scale_map_estimator
    alignment.load_state_dict(
        {
            key: torch.from_numpy(rule.fill_tensor(f"depth_alignment.{key}", value.shape))
            for key, value in alignment.state_dict().items()
        }
    )
    source, target = (torch.from_numpy(arrays[f"{side}_depth"]) for side in ("source", "target"))
    with torch.inference_mode():
        maps = estimator.encoder(torch.cat([1 / source, 1 / target], dim=1))
        factor = estimator(source, target)
        aligned = alignment(source.expand(-1, 2, -1, -1), target)
    np.testing.assert_allclose(maps[-1], arrays["bottleneck"], atol=2e-4)
    np.testing.assert_allclose(factor, arrays["alignment_map"], rtol=2e-4)
    torch.testing.assert_close(aligned, source * factor.expand(-1, 2, -1, -1))


@pytest.mark.parametrize("size", ["960x640", "333x517", "2000x1500"])
def test_a_photograph_is_stretched_as_the_reference_does(size: str, goldens: Path) -> None:
    width, height = map(int, size.split("x"))
    pixels = rule_of(goldens / "sharp").image(spec=(width, height, 0, 1))
    expected = np.load(goldens / "sharp" / "resize.npz")[size]
    ours = resize_to_network(pixels)[0, :, ::61, ::61]
    # A weight of the interpolation carries the rounding of a coordinate up to 2000.
    np.testing.assert_allclose(ours, expected, atol=1e-4)
