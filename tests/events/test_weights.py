"""Detectors as files: every kind is read, and a wrong one is refused in one sentence."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fovea.errors import ArtifactError
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector
from fovea.events.model.weights import load_detector, load_weights, save_detector
from fovea.events.sensor import GEN1, GEN4, Sensor

MICRO = Sensor("micro", 48, 64, ("car", "pedestrian"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(1)
    return Detector(Architecture.of("nano", MICRO))


class Trap:
    """Would write a file if a reader of checkpoints built it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def same(one: Detector, other: Detector) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(n == m and torch.equal(a, b) for (n, a), (m, b) in pairs)


def test_our_own_file_knows_its_architecture_and_sensor(detector, tmp_path) -> None:
    path = tmp_path / "detector.pt"
    save_detector(path, detector, MICRO, {"step": 12})
    found, sensor = load_detector(path)
    assert sensor == MICRO
    assert found.architecture == detector.architecture
    assert same(found, detector)
    assert not found.training
    assert torch.load(path, weights_only=True)["extra"] == {"step": 12}
    assert list(tmp_path.iterdir()) == [path], "no draft is left"


def test_two_files_of_one_detector_are_equal(detector, tmp_path) -> None:
    files = [tmp_path / name / "detector.pt" for name in "ab"]
    for path in files:
        path.parent.mkdir()
        save_detector(path, detector, MICRO)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("kind", ["lightning", "bare", "bare with prefix", "safetensors"])
def test_published_kinds_of_files_are_read(detector, tmp_path, kind) -> None:
    state = detector.state_dict()
    named = {f"mdl.{name}": each for name, each in state.items()}
    path = tmp_path / ("x.safetensors" if kind == "safetensors" else "x.ckpt")
    if kind == "safetensors":
        save_file(named, path)
    elif kind == "lightning":
        beside = {"epoch": 3, "hyper_parameters": {"a": Path("b")}, "callbacks": {"c": {1, 2}}}
        torch.save({"state_dict": named} | beside, path)
    else:
        torch.save(state if kind == "bare" else named, path)
    found, sensor = load_detector(path, sensor=MICRO)
    assert sensor == MICRO
    assert same(found, detector)


def test_nothing_in_a_checkpoint_is_run(detector, tmp_path) -> None:
    named = {f"mdl.{name}": each for name, each in detector.state_dict().items()}
    torch.save({"state_dict": named, "trap": Trap(tmp_path / "sprung")}, tmp_path / "x.ckpt")
    found, _ = load_detector(tmp_path / "x.ckpt", sensor=MICRO)
    assert same(found, detector)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_weights_of_another_size_are_told_by_the_first_that_does_not_fit(
    detector, tmp_path, size
) -> None:
    path = tmp_path / "detector.pt"
    save_detector(path, detector, MICRO)
    with torch.device("meta"):
        other = Detector(Architecture.of(size, MICRO))
    with pytest.raises(ArtifactError) as caught:
        load_weights(other, path)
    said = str(caught.value)
    assert "backbone.stages.0.downsample_cf2cl.conv.weight" in said
    assert f"{other.architecture.embed}x20x7x7" in said
    assert "16x20x7x7" in said
    assert "looks like size nano with 2 classes" in said


def test_another_number_of_classes_is_told_with_both_shapes(detector, tmp_path) -> None:
    path = tmp_path / "x.ckpt"
    torch.save(detector.state_dict(), path)
    with pytest.raises(
        ArtifactError, match=r"cls_preds\.0\.weight of shape 3x32x1x1, and .* has 2x"
    ):
        load_detector(path, sensor=GEN4)


def test_a_detector_of_another_sensor_is_refused_with_both(detector, tmp_path) -> None:
    path = tmp_path / "detector.pt"
    save_detector(path, detector, MICRO)
    with pytest.raises(ArtifactError, match=r"for micro \(48 x 64\), whose partition are \(2, 2\)"):
        load_detector(path, sensor=Sensor("wide", 48, 96, MICRO.classes))
    with pytest.raises(ArtifactError, match=r"wanted for gen1 \(240 x 304\)"):
        load_detector(path, sensor=GEN1)


def test_missing_and_surplus_weights_are_named(detector, tmp_path) -> None:
    state = detector.state_dict()
    few = {n: v for n, v in state.items() if n != "fpn.bu_conv1.bn.weight"}
    torch.save(few, tmp_path / "few.ckpt")
    with pytest.raises(ArtifactError, match=r"has the weight fpn\.bu_conv1\.bn\.weight 64, and"):
        load_detector(tmp_path / "few.ckpt", sensor=MICRO)
    torch.save(state | {"neck.weight": torch.zeros(3)}, tmp_path / "many.ckpt")
    with pytest.raises(ArtifactError, match=r"many\.ckpt has the weight neck\.weight 3, and nano"):
        load_detector(tmp_path / "many.ckpt", sensor=MICRO)


def test_weights_alone_ask_for_the_sensor(detector, tmp_path) -> None:
    torch.save(detector.state_dict(), tmp_path / "x.ckpt")
    with pytest.raises(ArtifactError, match="Give sensor=NAME"):
        load_detector(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.ckpt", b"PK\x03\x04 not a whole archive", "cannot be read as a detector"),
        ("empty.ckpt", b"", "cannot be read as a detector"),
        ("x.safetensors", b"\x01", "cannot be read as a detector"),
        ("list.ckpt", pickle.dumps([1, 2]), "cannot be read|holds a"),
    ],
    ids=["cut", "empty", "safetensors", "pickle"],
)
def test_a_damaged_file_is_told_of(tmp_path, name, content, said) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=said):
        load_detector(tmp_path / name, sensor=MICRO)


def test_files_that_hold_no_detector_are_told_of(tmp_path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ArtifactError, match="holds a list"):
        load_detector(tmp_path / "list.pt", sensor=MICRO)
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ArtifactError, match=r"has none\. Found: conv\.weight"):
        load_detector(tmp_path / "other.pt", sensor=MICRO)
    with pytest.raises(ArtifactError, match=r"is none\. Give its path"):
        load_detector(tmp_path / "nothing.pt")
