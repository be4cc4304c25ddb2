"""A detector is held against the boxes of a data set."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea import catalog
from fovea.errors import DataError, StoppedError
from fovea.events.dataset import EventSet
from fovea.events.detections import read_detections
from fovea.events.evaluate import evaluate, evaluate_detector
from fovea.events.inference import judged_moments
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector
from fovea.events.model.weights import save_detector
from fovea.events.sensor import GEN1
from fovea.events.settings.evaluate import EvaluateConfig
from fovea.runs.stage import Context

SENSOR = dataclasses.replace(GEN1, height=48, width=64)
LOOSE = dataclasses.replace(SENSOR.rules, evaluation_diagonal_px=4, evaluation_side_px=2)


def a_detector() -> Detector:
    torch.manual_seed(3)
    made = Detector(Architecture.of("nano", SENSOR))
    with torch.no_grad():
        for each in (*made.yolox_head.obj_preds, *made.yolox_head.cls_preds):
            each.bias.fill_(0.0)
            each.weight.normal_(std=1.0)
    return made


@pytest.fixture(scope="module")
def data(goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "val", "test"):
        (root / split).symlink_to(goldens / "events" / "micro_gen1" / split)
    dataclasses.replace(SENSOR, rules=LOOSE).write(root)
    return root


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "detector.pt"
    save_detector(path, a_detector(), SENSOR)
    return path


def evaluated(folder: Path, **settings: object) -> tuple[dict[str, float], Context]:
    config = EvaluateConfig.model_validate({"length": 3, **settings})
    context = Context.local(catalog.stage("events.evaluate"), config, folder)
    return evaluate(config, context), context


def test_a_detector_is_seen_step_by_step_whatever_the_batch_and_the_length(data: Path) -> None:
    train = EventSet.open(data).split("train")
    made = a_detector()
    found = [
        sorted(
            judged_moments(made, train, train[0].sensor, batch=batch, length=5, confidence=0.01),
            key=lambda judged: (judged.found.recording, judged.found.t_us),
        )
        for batch in (1, 2)
    ]
    assert len(found[0]) == sum(map(len, train))
    for one, other in zip(*found, strict=True):
        assert (one.found.recording, one.found.t_us) == (other.found.recording, other.found.t_us)
        np.testing.assert_array_equal(one.truth["x"], other.truth["x"])
        assert len(one.found.boxes) == len(other.found.boxes)
        for side in ("x", "class_confidence"):
            np.testing.assert_allclose(
                one.found.boxes[side], other.found.boxes[side], rtol=1e-3, atol=1e-3
            )
    first = found[0][0]
    recording = next(r for r in train if r.name == first.found.recording)
    with torch.inference_mode():
        start = max(int(recording.objframe_to_histogram[0]) - 5 + 1, 0)
        states = None
        for planes in recording.read(start, first.found.histogram + 1):
            decoded, states = made.eval()(torch.from_numpy(planes)[None], states)
    sure = (decoded[0, :, 4] * decoded[0, :, 5:].max(dim=1).values).max()
    boxes = first.found.boxes
    assert (boxes["objectness"] * boxes["class_confidence"]).max() == pytest.approx(
        float(sure), rel=1e-4
    )


def test_training_goes_on_as_it_was_and_hears_how_far_it_is(data: Path) -> None:
    train = EventSet.open(data).split("train")
    made = a_detector().train()
    heard: list[tuple[int, int]] = []
    scores = evaluate_detector(
        made, train, train[0].sensor,
        batch=2, length=4, confidence=0.1, watch=lambda done, total: heard.append((done, total)),
    )  # fmt: skip
    assert made.training
    assert heard[-1] == (len(heard), len(heard))
    assert {"AP", "AP_50", "AR_100", "AP_car", "AP_50_pedestrian"} <= scores.keys()


def test_the_stage_writes_scores_with_tags_and_every_box(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    tags = {"model": "teacher", "seed": "1"}
    told, context = evaluated(tmp_path, data=data, detector=detector, split="train", tags=tags)
    document = json.loads(context.output("scores").read_text())
    assert document["tags"] == tags
    assert told["train/AP"] == document["scores"]["AP"]
    moments, about = read_detections(context.output("detections"))
    assert about["classes"] == ["car", "pedestrian"]
    assert document["counts"]["moments"] == len(moments)
    assert document["counts"]["detections"] == sum(len(m.boxes) for m in moments) > 0
    names = [(m.recording, m.t_us) for m in moments]
    assert names == sorted(names)


def test_the_page_has_every_class_its_curves_and_as_many_pictures_as_asked(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    _, context = evaluated(tmp_path, data=data, detector=detector, split="train", pictures=3)
    markup = context.output("page").read_text()
    for name in ("car", "pedestrian", "At overlap 0.5<", "At overlap 0.75<"):
        assert name in markup
    assert markup.count("<figure>") == 3
    assert markup.count("<svg") == 2


def test_what_was_stopped_goes_on_to_the_same_bytes(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    settings = {"data": data, "detector": detector, "split": "train", "batch": 1}
    _, whole = evaluated(tmp_path / "whole", **settings)
    config = EvaluateConfig.model_validate({"length": 3, **settings})
    stage, asked = catalog.stage("events.evaluate"), iter([False, True])
    folder = tmp_path / "part"
    context = Context.local(stage, config, folder, asked_to_stop=lambda: next(asked))
    with pytest.raises(StoppedError):
        evaluate(config, context)
    _, resumed = evaluated(folder, **settings)
    for output in ("scores", "detections", "page"):
        assert resumed.output(output).read_bytes() == whole.output(output).read_bytes()


def test_backwards_recordings_are_scored_too(data: Path, detector: Path, tmp_path: Path) -> None:
    _, forward = evaluated(tmp_path / "a", data=data, detector=detector, split="train")
    _, backward = evaluated(
        tmp_path / "b", data=data, detector=detector, split="train", reverse=True
    )
    assert forward.output("detections").read_text() != backward.output("detections").read_text()


def test_four_views_see_the_same_moments_and_other_boxes(
    data: Path, detector: Path, tmp_path: Path
) -> None:
    settings = {"data": data, "detector": detector, "split": "train"}
    _, one = evaluated(tmp_path / "one", **settings)
    _, four = evaluated(tmp_path / "four", tta={"enable": True}, **settings)
    seen = [read_detections(each.output("detections"))[0] for each in (one, four)]
    places = [[(m.recording, m.t_us, m.histogram) for m in moments] for moments in seen]
    assert places[0] == places[1]
    assert any(a.boxes.tolist() != b.boxes.tolist() for a, b in zip(seen[0], seen[1], strict=True))
    with pytest.raises(ValueError, match="both ways already"):
        EvaluateConfig.model_validate(settings | {"reverse": True, "tta": {"enable": True}})


def test_recordings_without_a_box_that_counts_are_told(
    goldens: Path, detector: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "val").symlink_to(goldens / "events" / "micro_gen1" / "val")
    rules = dataclasses.replace(LOOSE, evaluation_side_px=500)
    dataclasses.replace(SENSOR, rules=rules).write(root)
    with pytest.raises(DataError, match=r"none has a box that counts: later than 0\.5 s"):
        evaluated(tmp_path / "run", data=root, detector=detector)
