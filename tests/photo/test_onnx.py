"""The exported network, on NumPy and onnxruntime, gives what torch gives."""

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from sharp_golden import Golden

from fovea.errors import ArtifactError, BackendError
from fovea.photo.arrays import all_crops, composed, initialized, merged, stretched
from fovea.photo.composer import compose
from fovea.photo.engine import load_predictor
from fovea.photo.model.initializer import initialize
from fovea.photo.model.picture import resize_to_network
from fovea.photo.model.pyramid import merge_crops
from fovea.photo.onnx.runtime import OnnxNetwork
from fovea.photo.photograph import Photograph
from fovea.photo.settings.engine import EngineConfig
from fovea.photo.settings.export import ExportConfig
from fovea.photo.stages import EXPORT
from fovea.photo.weights import load_network
from fovea.runs.stage import Context

TINY = Path(str(files("fovea") / "samples" / "sharp" / "tiny.pt"))
FOCAL_PX = 260.0
NAMES = ("means", "scales", "opacities", "harmonics")

WITHOUT_TORCH = """
import sys


class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("there is no torch here")


sys.meta_path.insert(0, NoTorch())
import numpy as np
from pathlib import Path
from fovea.photo.onnx.runtime import OnnxNetwork

folder, pixels, out = map(Path, sys.argv[1:])
scene = OnnxNetwork(folder).predict(np.load(pixels), focal_px=260.0)
np.savez(out, **vars(scene))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ExportConfig(weights=TINY)
    context = Context.local(EXPORT, config, tmp_path_factory.mktemp("export"))
    scores = EXPORT.load()(config, context)
    assert scores["off"] < 1e-3
    return context.output("network")


@pytest.fixture(scope="module")
def photograph(goldens: Path) -> Photograph:
    pixels = Golden(goldens / "sharp", "tiny").picture
    return Photograph("T", pixels, FOCAL_PX, "given")


def near(found: np.ndarray, wanted: np.ndarray) -> None:
    """Within rounding: of all but one value in a hundred, 1e-3 of the standard deviation."""
    error = np.abs(found - wanted).ravel() / wanted.std()
    assert np.quantile(error, 0.99) < 1e-3


@pytest.mark.slow
def test_the_engine_onnx_sees_what_the_engine_torch_sees(
    exported: Path, photograph: Photograph
) -> None:
    torch_engine = load_predictor(EngineConfig(weights=str(TINY), precision="float32"))
    onnx_engine = load_predictor(EngineConfig(weights=str(exported)))
    wanted, found = torch_engine.predict(photograph), onnx_engine.predict(photograph)
    assert "onnxruntime" in onnx_engine.name
    for name in NAMES:
        near(getattr(found.gaussians, name).numpy(), getattr(wanted.gaussians, name).numpy())
    near(1 / found.depth_m, 1 / wanted.depth_m)


@pytest.mark.slow
def test_int8_weighs_less_and_sees_nearly_the_same(
    exported: Path, photograph: Photograph, tmp_path: Path
) -> None:
    config = ExportConfig(weights=TINY, precision="int8")
    context = Context.local(EXPORT, config, tmp_path)
    EXPORT.load()(config, context)
    reduced = context.output("network")
    sizes = [(folder / "patch_encoder.onnx.data").stat().st_size for folder in (exported, reduced)]
    assert sizes[1] < 0.6 * sizes[0]
    engines = [load_predictor(EngineConfig(weights=str(folder))) for folder in (exported, reduced)]
    assert "int8" in engines[1].name
    exact, rounded = (1 / engine.predict(photograph).depth_m for engine in engines)
    assert 0 < np.abs(rounded - exact).mean() < 0.1 * exact.std()


@pytest.mark.slow
def test_prediction_with_onnxruntime_needs_no_torch(
    exported: Path, photograph: Photograph, tmp_path: Path
) -> None:
    np.save(tmp_path / "pixels.npy", photograph.pixels)
    words = [str(exported), str(tmp_path / "pixels.npy"), str(tmp_path / "scene.npz")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    wanted = load_predictor(EngineConfig(weights=str(TINY), precision="float32"))
    scene = wanted.predict(photograph).gaussians
    with np.load(tmp_path / "scene.npz") as found:
        near(found["means"], scene.means.numpy())
        near(found["opacities"], scene.opacities.numpy())


@pytest.mark.slow
def test_a_folder_that_is_not_whole_is_refused_by_what_it_lacks(
    exported: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "network"
    shutil.copytree(exported, copy)
    (copy / "disparity.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"lacks disparity\.onnx"):
        OnnxNetwork(copy)
    about = json.loads((copy / "network.json").read_text())
    (copy / "network.json").write_text(json.dumps(about | {"format": 9}))
    with pytest.raises(ArtifactError, match="format 9"):
        OnnxNetwork(copy)
    (copy / "network.json").write_text("[")
    with pytest.raises(ArtifactError, match="cannot be read"):
        OnnxNetwork(copy)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"network\.json"):
        load_predictor(EngineConfig(weights=str(tmp_path)))


def test_engines_say_which_weights_they_take(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"photo\.export"):
        load_predictor(EngineConfig(weights=str(TINY), engine="onnx"))
    with pytest.raises(BackendError, match="folder"):
        load_predictor(EngineConfig(weights=str(tmp_path), engine="torch"))
    with pytest.raises(BackendError, match="lite"):
        load_predictor(EngineConfig(weights="lite", engine="onnx"))


# The NumPy twins of what surrounds the layers


@pytest.mark.parametrize(("height", "width"), [(48, 64), (1, 5), (300, 20)])
def test_a_photograph_is_stretched_alike(height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    wanted = resize_to_network(pixels, size=128).numpy()
    np.testing.assert_allclose(stretched(pixels, size=128), wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("overlap", [0, 1])
def test_crops_and_merging_are_alike(overlap: int) -> None:
    network = load_network(TINY)
    encoder = network.encoder
    encoder.trims = (overlap, 2 * overlap) if overlap else (0, 0)
    encoder.crop_px, encoder.patch_px = 64, 8
    image = torch.rand(1, 3, 256, 256)
    wanted = encoder.crops(image).numpy()
    overlaps = 2 * encoder.trims[0] * 8, 2 * encoder.trims[1] * 8
    found = all_crops(image.numpy(), crop_px=64, overlaps_px=overlaps)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    tokens = torch.rand(9, 65, 5)
    maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (8, 8))
    merged_maps = merge_crops(maps, batch=1, trim=overlap)
    np.testing.assert_array_equal(merged(tokens.numpy(), trim=overlap), merged_maps.numpy())


def test_base_gaussians_and_their_composition_are_alike() -> None:
    random = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, 32, 32, generator=random)
    depth_m = 0.5 + 300 * torch.rand(1, 2, 32, 32, generator=random) ** 6
    delta = 3 * torch.randn(1, 14, 2, 16, 16, generator=random)
    base = initialize(image, depth_m)
    wanted = compose(base, delta, disparity=1 / depth_m, depth_m=depth_m)
    ours = initialized(image.numpy(), depth_m[0].numpy())
    np.testing.assert_allclose(ours.features, base.features.numpy(), rtol=0, atol=1e-6)
    found = composed(ours, delta.numpy())
    for name in found._fields:
        theirs = getattr(wanted, name)[0].numpy()
        np.testing.assert_allclose(getattr(found, name), theirs, rtol=2e-5, atol=1e-6)
        assert getattr(found, name).dtype == np.float32, name
