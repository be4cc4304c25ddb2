"""The exported network: held against the detector, described, and with suppression inside."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from fovea.catalog import stage
from fovea.errors import JobError
from fovea.events.export import (
    STATES,
    _require_near,
    add_suppression,
    describe,
    empty_states,
    parity,
    traced,
)  # fmt: skip
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector
from fovea.events.model.postprocess import postprocess
from fovea.events.model.weights import save_detector
from fovea.events.sensor import Sensor
from fovea.runs.stage import Context

SENSOR = Sensor("made", 60, 90, ("car", "pedestrian"))
CONFIDENCE = 0.2


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    detector = Detector(Architecture.of("nano", SENSOR)).eval()
    with torch.no_grad():
        # Boxes that are sure of something, and overlap.
        for conv in (*detector.yolox_head.obj_preds, *detector.yolox_head.cls_preds):
            conv.bias.fill_(0.0)
            conv.weight.mul_(30)
        for conv in detector.yolox_head.reg_preds:
            conv.bias[2:] = 1.0
    return detector


@pytest.fixture(scope="module")
def network(detector) -> bytes:
    network = traced(detector, SENSOR, batch=0, opset=18)
    add_suppression(network, confidence=CONFIDENCE, iou=0.45)
    describe(network, detector, SENSOR)
    return network.SerializeToString(deterministic=True)


@pytest.mark.parametrize("batch", [1, 3])
def test_it_says_what_the_detector_says_step_after_step(network, detector, batch) -> None:
    off = parity(network, detector, SENSOR, batch=batch, seed=np.random.default_rng(0))
    assert off["boxes_px_off"] < 1e-3
    assert off["probabilities_off"] < 1e-5
    assert off["states_off"] < 1e-5


def test_what_it_keeps_is_what_suppression_keeps(network, detector) -> None:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    histograms = np.random.default_rng(1).integers(0, 8, (2, 20, 60, 90)).astype(np.uint8)
    states = dict(zip(STATES, (s.numpy() for s in empty_states(detector, SENSOR, 2)), strict=True))
    predictions, kept = session.run(["predictions", "kept"], {"histograms": histograms, **states})
    expected = postprocess(torch.from_numpy(predictions), confidence=CONFIDENCE)
    for frame, rows in enumerate(expected):
        own = kept[kept[:, 0] == frame]
        assert 0 < len(rows) < predictions.shape[1]
        boxes = predictions[frame, own[:, 2], :4]
        found = sorted((int(c), *np.round(box, 2)) for c, box in zip(own[:, 1], boxes, strict=True))
        x1, y1, x2, y2, *_, kinds = rows.double().T.numpy()
        centred = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)
        wanted = sorted((int(c), *np.round(b, 2)) for c, b in zip(kinds, centred, strict=True))
        np.testing.assert_allclose(found, wanted, atol=0.02)


def test_the_file_says_whose_it_is_and_nothing_of_where_it_was_made(network) -> None:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    assert said["sensor"] == "made"
    assert json.loads(said["classes"]) == ["car", "pedestrian"]
    assert json.loads(said["strides"]) == [8, 16, 32]
    assert [i.name for i in session.get_inputs()] == ["histograms", *STATES]
    assert session.get_inputs()[0].shape == ["batch", 20, 60, 90]
    assert b"site-packages" not in network
    assert b".py" not in network


@pytest.mark.slow
def test_the_stage_writes_a_network_of_fixed_batch(detector, tmp_path) -> None:
    save_detector(tmp_path / "detector.pt", detector, SENSOR)
    declared = stage("events.export")
    config = declared.config(detector=tmp_path / "detector.pt")
    context = Context.local(declared, config, tmp_path / "run")
    scores = declared.load()(config, context)
    assert set(scores) == set(declared.metrics)
    session = onnxruntime.InferenceSession(
        context.output("network"), providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].shape == [1, 20, 60, 90]
    assert len(session.get_outputs()) == 9


def test_a_network_that_says_something_else_is_refused(tmp_path) -> None:
    off = {"boxes_px_off": float("nan"), "probabilities_off": 0.0, "states_off": 0.0}
    with pytest.raises(JobError, match="boxes_px_off is nan"):
        _require_near(off, tmp_path / "detector.pt")
