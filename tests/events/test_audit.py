"""An audit of labels that were made wrong on purpose, so that every number is known."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fovea.errors import DataError
from fovea.events.audit import audit
from fovea.events.dataset import EventSet, link_splits, write_recording
from fovea.events.labelling.filter import filter_labels
from fovea.events.labelling.frames import FrameLabels, labels_in
from fovea.events.labelling.judgement import Judge, moments
from fovea.events.labelling.log import join_parts, read_log, write_part
from fovea.events.labelling.quality import quality
from fovea.events.settings.audit import AuditConfig
from fovea.events.stages import AUDIT
from fovea.runs.stage import Context


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set, labels for it and their log."""

    data: EventSet
    labels: EventSet
    log: Path


def pseudo(boxes: FrameLabels, *, score: float = 0.9, shift_px: float = 0.0) -> FrameLabels:
    """The same boxes as pseudo labels."""
    rows = boxes.labels.rows.copy()
    rows[:, 0], rows[:, 6:] = 0, score
    rows[:, 1] = np.minimum(rows[:, 1] + shift_px, boxes.labels.width - 1 - rows[:, 3])
    return FrameLabels(boxes.frames, boxes.labels.with_rows(rows))


def write_case(data: EventSet, folder: Path, *, score: float = 0.9, shift_px: float = 0.0) -> Case:
    """Of each recording the second moment keeps its truth; the others get its copy as labels."""
    root, parts = folder / "labels", []
    for recording in data.split("train"):
        shown = labels_in(recording, [1])
        hidden = labels_in(recording, [at for at in range(len(recording)) if at != 1])
        made = pseudo(hidden, score=score, shift_px=shift_px)
        size = {"height": data.sensor.height, "width": data.sensor.width}
        boxes = FrameLabels.joined([*shown, *made], **size)
        found = filter_labels(boxes, min_track_len=6, method="forward or backward", inpaint=False)
        write_recording(
            root / "train" / recording.name,
            labels=found.boxes.labels.to_structured(),
            objframe_to_label=found.boxes.starts,
            objframe_to_histogram=found.boxes.numbers,
            source=recording,
        )
        parts.append(folder / f"{recording.name}.csv")
        write_part(parts[-1], recording.name, found, data.sensor.classes)
    data.sensor.write(root)
    link_splits(root, data)
    join_parts(folder / "log.csv", parts)
    return Case(data, EventSet.open(root), folder / "log.csv")


@pytest.fixture(scope="module")
def noted(micro_sets: dict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EventSet]:
    """The reference's micro data sets with their sensors noted."""
    found = {}
    for name, original in micro_sets.items():
        root = tmp_path_factory.mktemp(name)
        link_splits(root, original, ("train",))
        original.sensor.write(root)
        found[name] = EventSet.open(root)
    return found


@pytest.fixture(scope="module", params=["micro_gen1", "micro_gen4"])
def case(
    request: pytest.FixtureRequest, noted: dict, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    return write_case(noted[request.param], tmp_path_factory.mktemp("case"))


def run(case: Case, folder: Path, **more: object) -> tuple[Context, dict[str, float]]:
    given = {"data": case.data.root, "labels": case.labels.root, "log": case.log}
    config = AuditConfig(**given | more)
    context = Context.local(AUDIT, config, folder)
    return context, audit(config, context)


def test_labels_that_are_the_truth_are_right(case: Case, tmp_path: Path) -> None:
    context, scores = run(case, tmp_path)
    log = read_log(case.log)
    assert scores["precision"] == 1
    assert scores["kept"] == (log["fate"] == "kept").sum()
    assert scores["recall"] == pytest.approx(scores["kept"] / scores["truth"])
    found = json.loads(context.output("scores").read_text())
    assert found["scores"] | quality(case.labels, case.data) == found["scores"]
    removed = found["reasons"].get("removed: track too short, both ways", {"boxes": 0, "right": 1})
    assert removed["boxes"] == (log["fate"] == "removed").sum()
    assert removed["right"] == 1


def test_the_page_shows_everything_and_fetches_nothing(case: Case, tmp_path: Path) -> None:
    context, _ = run(case, tmp_path, pictures=3)
    page = context.output("page").read_text()
    headings = ("What to do", "Classes", "Thresholds", "What the filter took away", "Tracks")
    for heading in headings:
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<figure>") == 3
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_without_the_log_the_same_is_said_of_what_was_kept(case: Case, tmp_path: Path) -> None:
    _, full = run(case, tmp_path / "full")
    context, less = run(case, tmp_path / "less", log=None, pictures=0)
    assert less == full
    assert "<h2>Tracks</h2>" not in context.output("page").read_text()


def test_labels_beside_the_truth_are_wrong_and_called_so(noted: dict, tmp_path: Path) -> None:
    case = write_case(noted["micro_gen1"], tmp_path / "case", shift_px=-14)
    context, scores = run(case, tmp_path / "run", pictures=2)
    assert scores["precision"] < 0.5
    advice = json.loads(context.output("scores").read_text())["advice"]
    assert advice[0].startswith("Noisy")


def test_labels_of_too_low_a_score_do_not_count(noted: dict, tmp_path: Path) -> None:
    case = write_case(noted["micro_gen1"], tmp_path / "case", score=0.005)
    context, scores = run(case, tmp_path / "run", pictures=0)
    assert scores["kept"] == scores["recall"] == 0
    advice = json.loads(context.output("scores").read_text())["advice"]
    assert advice[0].startswith("Not one pseudo label")


def test_a_recording_that_was_left_out_counts_as_not_found(noted: dict, tmp_path: Path) -> None:
    case = write_case(noted["micro_gen1"], tmp_path / "case")
    _, before = run(case, tmp_path / "before", pictures=0, log=None)
    shutil.rmtree(case.labels.split("train")[0].folder)
    _, after = run(case, tmp_path / "after", pictures=0, log=None)
    assert after["recall"] < before["recall"]
    assert after["truth"] > before["truth"]


def test_a_threshold_is_found_for_the_precision_that_is_wanted(case: Case) -> None:
    judge = Judge(iou=0.5, least=0.01)
    for moment in moments(case.labels, case.data, read_log(case.log)):
        judge.update(moment)
    found = judge.compute()
    assert found.score_for(1.0) == pytest.approx(0.9)
    assert found.at(0.95) == (0.0, 0.0)


# Bad input


def test_where_no_truth_is_hidden_there_is_nothing_to_audit(noted: dict, tmp_path: Path) -> None:
    data = noted["micro_gen1"]
    whole = Case(data, data, tmp_path)
    with pytest.raises(DataError, match="none was: the labels show all of it"):
        run(whole, tmp_path / "run", log=None)


def test_labels_of_other_data_are_refused(noted: dict, tmp_path: Path) -> None:
    case = write_case(noted["micro_gen1"], tmp_path / "case")
    with pytest.raises(DataError, match="of the sensor"):
        run(dataclasses.replace(case, data=noted["micro_gen4"]), tmp_path / "run")
    (case.labels.root / "train" / "other").mkdir()
    with pytest.raises(DataError, match="has the recording other"):
        run(case, tmp_path / "run")


def test_a_log_of_other_labels_is_refused(case: Case, tmp_path: Path) -> None:
    lines = case.log.read_text().splitlines()
    (tmp_path / "log.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match="Give the log that was made with these labels"):
        run(case, tmp_path / "run", log=tmp_path / "log.csv")


def test_another_table_is_no_log(case: Case, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"is no log of events\.label: its columns are a, b"):
        run(case, tmp_path / "run", log=tmp_path / "log.csv")


def test_truth_that_was_changed_is_noticed(noted: dict, tmp_path: Path) -> None:
    case = write_case(noted["micro_gen1"], tmp_path / "case")
    recording = case.labels.split("train")[0]
    boxes = recording.labels.copy()
    boxes["x"] += np.where(boxes["t"] > 0, 1, 0).astype(np.float32)
    first = recording.objframe_to_label
    np.savez(recording.layout.labels, labels=boxes, objframe_idx_2_label_idx=first)
    with pytest.raises(DataError, match="differs from that of"):
        run(case, tmp_path / "run")
