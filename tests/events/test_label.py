"""Labelling a data set: the reference's whole step, a kill, another round, and bad input."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError, ConfigError, DataError, StoppedError
from fovea.events.dataset import EventSet
from fovea.events.label import label
from fovea.events.labelling.frames import labels_in
from fovea.events.labelling.inspection import inspect
from fovea.events.labelling.log import read_log
from fovea.events.labels import IGNORE
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector
from fovea.events.model.weights import save_detector
from fovea.events.sampling import TrainingLoader
from fovea.events.sensor import GEN1
from fovea.events.settings.label import LabelConfig
from fovea.events.settings.sampling import SamplingConfig
from fovea.events.stages import LABEL
from fovea.runs.stage import Context

NAMES = ("t", "x", "y", "w", "h", "class_id", "class_confidence", "objectness")
CASES = ("wsod_tta", "wsod_plain", "full_tta")


@pytest.fixture(scope="module")
def cases(goldens: Path) -> dict:
    return json.loads((goldens / "events" / "pseudo_label_end_to_end.json").read_text())


@pytest.fixture(scope="module")
def teacher(goldens: Path, micro_sets: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's teacher: weights that a few lines of NumPy make."""
    spec = importlib.util.spec_from_file_location("fill", goldens / "events" / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    sensor = micro_sets["micro_gen1"].sensor
    detector = Detector(Architecture.of("tiny", sensor))
    state = {
        name: torch.from_numpy(fill.fill_value(name, value.shape, 0))
        for name, value in detector.state_dict().items()
    }
    detector.load_state_dict(state)
    path = tmp_path_factory.mktemp("teacher") / "detector.pt"
    save_detector(path, detector, sensor)
    return path


@pytest.fixture(scope="module")
def data(micro_sets: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's micro data set, with its sensor noted."""
    root = tmp_path_factory.mktemp("data")
    original = micro_sets["micro_gen1"]
    for split in ("train", "val", "test"):
        (root / split).symlink_to((original.root / split).resolve())
    original.sensor.write(root)
    return root


def settings_of(case: dict, data: Path, teacher: Path, **more: object) -> LabelConfig:
    budget = {"keep": "all"}
    if case["ratio"] > 0:
        budget = {"keep": "frames", "ratio": case["ratio"], "length": case["seq_len"]}
    given = {
        "data": data, "detector": teacher, "budget": budget, "tta": case["tta"],
        "confidence": case["conf"], "nms": case["nms"], "obj_thresh": case["obj_thresh"],
        "cls_thresh": case["cls_thresh"], "min_track_len": case["min_track_len"],
        "batch": case["batch"], "length": case["seq_len"], "threads": 0,
    }  # fmt: skip
    return LabelConfig(**given | more)


def run(config: LabelConfig, folder: Path, **rest: object) -> tuple[Context, dict[str, float]]:
    context = Context.local(LABEL, config, folder, **rest)
    return context, label(config, context)


@pytest.fixture(scope="module")
def made(
    cases: dict, data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Context]:
    """Each case of the reference, labelled."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("made")
    return {name: run(settings_of(cases[name], data, teacher), folder / name)[0] for name in CASES}


# The reference's step


@pytest.mark.parametrize("name", CASES)
def test_nearly_all_labels_are_the_references(made: dict, cases: dict, name: str) -> None:
    """Spec: 99 of 100 boxes within 0.05 px and 1e-3; equally sure tracks may choose otherwise."""
    same = total = 0
    for recording in EventSet.open(made[name].output("dataset")).split("train"):
        wanted = cases[name]["output"][recording.name]
        assert recording.objframe_to_histogram.tolist() == wanted["objframe_idx_2_repr_idx"]
        first = [*wanted["objframe_idx_2_label_idx"], len(wanted["labels"])]
        ours = np.stack([recording.labels[key].astype(float) for key in NAMES], axis=1)
        own = [*recording.objframe_to_label, len(ours)]
        total += len(wanted["labels"])
        for frame in range(len(own) - 1):
            found = ours[own[frame] : own[frame + 1]]
            theirs = np.array(wanted["labels"][first[frame] : first[frame + 1]])
            apart = np.abs(found[:, None] - theirs[None])
            is_same = (apart[..., 1:5] < 0.05).all(-1) & (apart[..., 5:] < 1e-3).all(-1)
            same += is_same.any(axis=0).sum()
    assert same >= 0.99 * total


@pytest.mark.parametrize("name", CASES)
def test_files_are_the_references(made: dict, cases: dict, name: str) -> None:
    root = made[name].output("dataset") / "train"
    for recording, wanted in cases[name]["output"].items():
        files = sorted(p for p in (root / recording).rglob("*") if p.is_file())
        assert [p.relative_to(root).as_posix() for p in files] == wanted["files"]
        links = [p.relative_to(root).as_posix() for p in files if p.is_symlink()]
        assert links == wanted["links"]
        with np.load(root / recording / "labels_v2" / "labels.npz") as file:
            dtype = file["labels"].dtype
            assert str([(key, dtype[key].str) for key in dtype.names]) == wanted["labels_dtype"]
            assert dtype.itemsize == 40
            assert file["objframe_idx_2_label_idx"].dtype == np.int64


@pytest.mark.parametrize("name", CASES[:2])
def test_views_are_as_good_as_the_references(made: dict, cases: dict, name: str) -> None:
    """One box overlaps by 0.5 up to the last digit; its frame may find half of its truth or not."""
    found = json.loads(made[name].output("quality").read_text())["views"]
    for key, value in cases[name]["quality"].items():
        near = 0.5 / found["num_ped"] if "@50_ped" in key else 0
        assert found[key] == pytest.approx(value, abs=near + 1e-6), key


# What was made


def test_links_lead_to_the_original_and_outlive_the_move(made: dict, micro_sets: dict) -> None:
    root = made["wsod_tta"].output("dataset")
    for link in (p for p in root.rglob("*") if p.is_symlink()):
        assert link.readlink().is_absolute()
        assert link.resolve().is_relative_to(micro_sets["micro_gen1"].root.resolve())
    assert (root / "val").is_symlink()
    assert (root / "test").is_symlink()


def test_the_log_has_a_line_for_every_box_in_their_order(made: dict) -> None:
    log = read_log(made["wsod_tta"].output("log"))
    for recording in EventSet.open(made["wsod_tta"].output("dataset")).split("train"):
        lines, labels = log.of(recording.name), labels_in(recording)
        np.testing.assert_array_equal(lines["frame"], labels.frames)
        np.testing.assert_allclose(lines["x"], labels.labels.rows[:, 1], atol=1e-3)
        is_ignored = labels.labels.class_id == IGNORE
        np.testing.assert_array_equal(is_ignored, np.isin(lines["fate"], ["removed", "inpainted"]))
        np.testing.assert_array_equal(labels.labels.is_truth, lines["fate"] == "truth")
        assert (lines["class_id"] < 2).all()


def test_a_student_can_train_on_it(made: dict) -> None:
    pseudo = EventSet.open(made["wsod_plain"].output("dataset"))
    loader = TrainingLoader(
        pseudo.split("train"), pseudo.sensor, SamplingConfig(threads=0, workers=2),
        batch=2, length=3, seed=0,
    )  # fmt: skip
    batch = next(iter(loader))
    assert any(found is not None for step in batch.labels for found in step)


def test_whole_recordings_without_visible_labels_are_labelled_too(
    cases: dict, data: Path, teacher: Path, tmp_path: Path
) -> None:
    budget = {"keep": "recordings", "ratio": 0.5, "length": 6}
    config = settings_of(cases["wsod_plain"], data, teacher, budget=budget)
    context, scores = run(config, tmp_path)
    first, second = EventSet.open(context.output("dataset")).split("train")
    assert labels_in(first).labels.is_truth.sum() == scores["truth"] > 0
    assert not labels_in(second).labels.is_truth.any()
    assert len(labels_in(second))


def test_truth_can_be_labelled_over(cases: dict, data: Path, teacher: Path, tmp_path: Path) -> None:
    config = settings_of(cases["wsod_plain"], data, teacher, use_gt=False)
    _, scores = run(config, tmp_path)
    assert scores["truth"] == 0


def test_a_teacher_that_sees_nothing_leaves_the_truth_alone(
    cases: dict, data: Path, teacher: Path, tmp_path: Path
) -> None:
    config = settings_of(cases["wsod_plain"], data, teacher, obj_thresh=[1.0])
    context, scores = run(config, tmp_path)
    assert scores["kept"] == scores["removed"] == scores["inpainted"] == 0
    assert scores["truth"] > 0
    assert scores["recall"] == 0
    assert len(EventSet.open(context.output("dataset")).split("train")) == 2


def test_a_recording_may_end_up_without_any_label(
    cases: dict, data: Path, teacher: Path, tmp_path: Path
) -> None:
    budget = {"keep": "recordings", "ratio": 0.5, "length": 6}
    config = settings_of(cases["wsod_plain"], data, teacher, budget=budget, obj_thresh=[1.0])
    context, _ = run(config, tmp_path)
    _, empty = EventSet.open(context.output("dataset")).split("train")
    assert len(empty) == len(empty.labels) == 0


def test_the_first_histograms_can_be_skipped(
    cases: dict, data: Path, teacher: Path, tmp_path: Path
) -> None:
    config = settings_of(cases["wsod_plain"], data, teacher, skip_first_t=8, inpaint=False)
    context, _ = run(config, tmp_path)
    for recording in EventSet.open(context.output("dataset")).split("train"):
        found = labels_in(recording)
        assert found.frames[~found.labels.is_truth].min() >= 8


# Only tracking


def test_only_tracking_filters_again_as_if_at_once(
    made: dict, cases: dict, data: Path, teacher: Path, tmp_path: Path
) -> None:
    unfiltered, _ = run(
        settings_of(cases["wsod_plain"], data, teacher, min_track_len=0), tmp_path / "all"
    )
    config = LabelConfig(data=unfiltered.output("dataset"), only_tracking=True, min_track_len=3)
    again, _ = run(config, tmp_path / "again")
    for one, other in zip(
        EventSet.open(again.output("dataset")).split("train"),
        EventSet.open(made["wsod_plain"].output("dataset")).split("train"),
        strict=True,
    ):
        for key in NAMES:
            np.testing.assert_array_equal(one.labels[key], other.labels[key])
        assert one.histogram_file.resolve() == other.histogram_file.resolve()


# A run that ends in the middle


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_stopped_run_goes_on_and_makes_the_same_bytes(
    made: dict, cases: dict, data: Path, teacher: Path, tmp_path: Path
) -> None:
    config = settings_of(cases["wsod_tta"], data, teacher, batch=1)
    whole, _ = run(config, tmp_path / "whole")
    asked: list[int] = []
    events: list[dict] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 4

    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", asked_to_stop=stop)
    unfinished = tmp_path / "parts" / "tmp" / "out" / "dataset" / "train"
    assert len(list(unfinished.iterdir())) < 2
    resumed, _ = run(config, tmp_path / "parts", emit=events.append)
    assert everything(resumed.out) == everything(whole.out)


def test_a_group_that_is_done_is_not_looked_at_again(
    cases: dict, data: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings_of(cases["wsod_plain"], data, teacher)
    _, scores = run(config, tmp_path)
    monkeypatch.setattr("fovea.events.labelling.teacher.Teacher.label", None)
    _, again = run(config, tmp_path)
    assert again == scores


# Bad input


def test_a_detector_of_another_sensor_is_refused(cases: dict, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    save_detector(path, Detector(Architecture.of("nano", GEN1)), GEN1)
    with pytest.raises(ArtifactError, match=r"other\.pt is a detector for gen1 \(240 x 304\)"):
        run(settings_of(cases["wsod_plain"], data, path), tmp_path / "run")


def test_pseudo_labels_are_not_labelled_over(
    made: dict, cases: dict, teacher: Path, tmp_path: Path
) -> None:
    root = made["wsod_plain"].output("dataset")
    with pytest.raises(DataError, match="the original data in every round"):
        run(settings_of(cases["wsod_plain"], root, teacher), tmp_path)


def test_only_tracking_wants_pseudo_labels(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none"):
        run(LabelConfig(data=data, only_tracking=True), tmp_path)


def test_a_detector_is_asked_for(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="detector=PATH"):
        run(LabelConfig(data=data), tmp_path)


# The look through at the end


def test_a_change_of_ground_truth_is_a_fault_of_ours(made: dict, micro_sets: dict) -> None:
    original = micro_sets["micro_gen1"].split("train")[0]
    labelled = EventSet.open(made["wsod_tta"].output("dataset")).split("train")[0]
    visible = labels_in(original, [1])
    inspect(labelled, visible, [3])
    shifted = visible.labels.with_rows(visible.labels.rows + np.float32(0.01))
    with pytest.raises(AssertionError, match="has changed"):
        inspect(labelled, type(visible)(visible.frames, shifted), [])
    with pytest.raises(AssertionError, match="shows hidden truth"):
        inspect(labelled, visible, visible.numbers.tolist())
    with pytest.raises(AssertionError, match="is gone"):
        inspect(labelled, type(visible)(visible.frames + 1000, visible.labels), [])
