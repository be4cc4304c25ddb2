"""Weights load strictly by key, from the disk and not through memory."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sharp_golden import filled_state
from torch import Tensor

from fovea.errors import ArtifactError, BackendError, DataError
from fovea.photo import weights
from fovea.photo.model.architecture import Architecture
from fovea.photo.model.keys import public_shapes
from fovea.photo.model.network import predict_ndc
from fovea.photo.model.picture import depth_to_network
from fovea.photo.weights import Published, cached_weights, find_weights, load_network

ENCODER = "monodepth_model.monodepth_predictor.encoder."
Change = Callable[[dict[str, Tensor]], object]


@pytest.fixture(scope="module")
def state(goldens: Path) -> dict[str, Tensor]:
    return filled_state(goldens / "sharp", "tiny")


@pytest.fixture
def saved(state: dict[str, Tensor], tmp_path: Path) -> Callable[[Change], Path]:
    """A file of the state dict after a change."""

    def save(change: Change) -> Path:
        changed = dict(state)
        change(changed)
        torch.save(changed, tmp_path / "changed.pt")
        return tmp_path / "changed.pt"

    return save


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no licence accepted."""
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(weights.LICENCE_ENV, raising=False)
    return tmp_path / "cache" / "weights"


def test_the_whole_published_list_of_keys_is_known(goldens: Path) -> None:
    listed = json.loads((goldens / "sharp" / "state_dict.json").read_text())
    shapes = {key: tuple(entry["shape"]) for key, entry in listed["state_dict"].items()}
    assert public_shapes(Architecture.sharp()) == shapes
    assert Architecture.of_shapes(shapes) == Architecture.sharp()


@pytest.mark.parametrize("size", ["tiny", "thin"])
def test_an_architecture_is_found_from_shapes(size: str, goldens: Path) -> None:
    shapes = json.loads((goldens / "sharp" / f"{size}_state_shapes.json").read_text())
    architecture = Architecture.of_shapes(shapes)
    assert architecture == getattr(Architecture, size)()
    assert public_shapes(architecture, classes=10) == {k: tuple(v) for k, v in shapes.items()}


@pytest.mark.skipif(
    not Path("/proc/self/maps").is_file(), reason="asks Linux which memory is a file's"
)
def test_parameters_are_the_files_own_memory(saved: Callable[[Change], Path]) -> None:
    path = saved(lambda state: None)
    network = load_network(path)
    mapped = torch.load(path, mmap=True, weights_only=True)
    for key, value in network.state_dict().items():
        assert torch.equal(value, mapped[key]), key
    assert all(_is_mapped(parameter, path) for parameter in network.parameters())


def _is_mapped(values: Tensor, path: Path) -> bool:
    """Whether the values lie where the kernel has mapped the file."""
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [line[0].split("-") for line in maps if line[-1] == str(path)]
    return any(int(a, 16) <= values.data_ptr() < int(b, 16) for a, b in ranges)


def test_what_inference_never_runs_is_not_built(saved: Callable[[Change], Path]) -> None:
    network = load_network(saved(lambda state: None))
    keys = set(network.state_dict())
    assert not any(".head." in key and "_encoder." in key for key in keys)
    assert not any("fusions.4.resnet1" in key or key.startswith("depth_align") for key in keys)


def test_safetensors_load_as_well(state: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "tiny.safetensors")
    network = load_network(tmp_path / "tiny.safetensors", dtype=torch.bfloat16)
    assert network.dtype == torch.bfloat16
    key = ENCODER + "fuse_lowres.bias"
    assert torch.equal(network.state_dict()[key], state[key].bfloat16())


def test_a_missing_key_is_named(saved: Callable[[Change], Path]) -> None:
    key = ENCODER + "patch_encoder.blocks.2.ls1.gamma"
    with pytest.raises(ArtifactError, match=rf"the key '{key}' 64 is missing"):
        load_network(saved(lambda state: state.pop(key)))


def test_a_missing_key_that_tells_a_size_is_named(saved: Callable[[Change], Path]) -> None:
    key = ENCODER + "patch_encoder.pos_embed"
    with pytest.raises(ArtifactError, match=rf"the key '{key}' 1x17x64 is missing"):
        load_network(saved(lambda state: state.pop(key)))


def test_a_missing_unused_key_is_named(saved: Callable[[Change], Path]) -> None:
    key = "depth_alignment.scale_map_estimator.conv_out.bias"
    with pytest.raises(ArtifactError, match=rf"the key '{key}' 1 is missing"):
        load_network(saved(lambda state: state.pop(key)))


def test_a_misspelt_key_is_named_with_the_one_nearby(saved: Callable[[Change], Path]) -> None:
    def misspell(state: dict[str, Tensor]) -> None:
        state[ENCODER + "fuse_lowress.bias"] = state.pop(ENCODER + "fuse_lowres.bias")

    with pytest.raises(ArtifactError, match=r"fuse_lowres\.bias' 80 is missing\. There is '.*ress"):
        load_network(saved(misspell))


def test_an_extra_key_is_named(saved: Callable[[Change], Path]) -> None:
    with pytest.raises(ArtifactError, match=r"the key 'ema\.decay' 1 is unknown"):
        load_network(saved(lambda state: state.update({"ema.decay": torch.zeros(1)})))


@pytest.mark.parametrize(
    "key",
    ["prediction_head.geometry_prediction_head.weight", "feature_model.texture_head.3.weight"],
)
def test_a_misshaped_key_is_named_with_both_shapes(
    key: str, saved: Callable[[Change], Path]
) -> None:
    with pytest.raises(ArtifactError, match=rf"'{key}' has shape \d+x\d+x1x1 in SHARP and 5x8x1x1"):
        load_network(saved(lambda state: state.update({key: torch.zeros(5, 8, 1, 1)})))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_by_key(
    value: float, saved: Callable[[Change], Path]
) -> None:
    key = "feature_model.fusion.out_conv.bias"

    def spoil(state: dict[str, Tensor]) -> None:
        state[key] = state[key].clone()
        state[key][3] = value

    with pytest.raises(ArtifactError, match=rf"1 of 16 values of '{key}' .* are NaN or infinite"):
        load_network(saved(spoil))


def test_large_finite_values_are_not_refused(saved: Callable[[Change], Path]) -> None:
    key = "feature_model.fusion.out_conv.bias"
    load_network(saved(lambda state: state.update({key: torch.full((16,), 3e38)})))


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut"])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read as weights"):
        load_network(path)


def test_a_list_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(ArtifactError, match="it holds a list"):
        load_network(tmp_path / "list.pt")


def test_weights_of_something_else_are_refused_with_the_key_that_is_missing(
    tmp_path: Path,
) -> None:
    torch.save({"layer.weight": torch.zeros(3, 3)}, tmp_path / "else.pt")
    with pytest.raises(ArtifactError, match=r"has the key '.*patch_embed\.proj\.weight'"):
        load_network(tmp_path / "else.pt")


def test_a_given_depth_map_moves_the_depth(saved: Callable[[Change], Path]) -> None:
    path = saved(lambda state: None)
    network = load_network(path, alignment=True)
    size = network.architecture.network_size
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    given = depth_to_network(torch.linspace(1, 4, 12).reshape(3, 4).numpy(), size=size)
    free, drawn = (predict_ndc(network, image, 0.8, depth=depth) for depth in (None, given))
    expected = network.align(free.depth_m, given)
    torch.testing.assert_close(drawn.depth_m, expected)
    assert not torch.allclose(drawn.depth_m, free.depth_m)
    with pytest.raises(DataError, match="alignment=True"):
        predict_ndc(load_network(path), image, 0.8, depth=given)
    with pytest.raises(DataError, match="multiples of 16 px"):
        predict_ndc(network, image, 0.8, depth=given[..., 1:])


def test_a_depth_map_with_holes_is_refused() -> None:
    depth_m = torch.ones(4, 5).numpy()
    depth_m[2, 3] = 0
    with pytest.raises(DataError, match=r"0\.0 stands at row 2, column 3, and 1 of 20"):
        depth_to_network(depth_m)


def test_a_picture_of_another_size_is_refused(saved: Callable[[Change], Path]) -> None:
    with pytest.raises(DataError, match=r"256 x 256 px only: this one has \[128, 128\]"):
        predict_ndc(load_network(saved(lambda state: None)), torch.zeros(1, 3, 128, 128), 0.8)


def test_a_path_is_taken_as_it_is(saved: Callable[[Change], Path], tmp_path: Path) -> None:
    path = saved(lambda state: None)
    assert find_weights(path) == path
    with pytest.raises(ArtifactError, match="'sharp' or a file"):
        find_weights(tmp_path / "none.pt")


def test_without_the_licence_accepted_nothing_is_fetched(cache: Path) -> None:
    with pytest.raises(BackendError, match=r"LICENSE_MODEL.*research.*FOVEA_ACCEPT_LICENCE=1"):
        find_weights("sharp")
    assert not cache.exists()


def test_offline_a_sentence_says_what_else_there_is(cache: Path) -> None:
    nowhere = Published("http://127.0.0.1:9/sharp.pt", "L", "http://127.0.0.1:9/L", "Research.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fovea.photo.download.time.sleep", lambda seconds: None)
        with pytest.raises(BackendError, match=r"weights=PATH.*weights=lite"):
            find_weights("sharp", accept_licence=True, published=nowhere)
    assert cached_weights(nowhere) is None
    # Accepted once, it is not asked for again.
    assert (
        json.loads((cache / "sharp.pt.licence.json").read_text())["licence"]
        == "http://127.0.0.1:9/L"
    )


def test_a_cached_file_that_was_cut_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "sharp_2572gikvuh.pt").write_bytes(b"short")
    (cache / "sharp_2572gikvuh.pt.json").write_text('{"bytes": 2809}')
    with pytest.raises(ArtifactError, match="had 2809 bytes when it was downloaded and has 5 now"):
        find_weights("sharp")
