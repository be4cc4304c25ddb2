"""Boxes on disk: whatever their field names and order, and the filters in their order."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.events.boxes import (
    BOX_DTYPE,
    PSEUDO_DTYPE,
    cropped,
    filtered,
    read_boxes,
    require_known_classes,
)
from fovea.events.sensor import GEN1, GEN4, Sensor


def boxes_of(*rows: tuple[float, ...]) -> np.ndarray:
    """(x, y, w, h, class_id) of each box, a tenth of a second apart."""
    boxes = np.zeros(len(rows), BOX_DTYPE)
    boxes["t"] = 100_000 * (1 + np.arange(len(rows)))
    for number, name in enumerate(("x", "y", "w", "h", "class_id")):
        boxes[name] = [row[number] for row in rows]
    boxes["class_confidence"] = 1
    return boxes


def saved(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "a_bbox.npy", array)
    return folder / "a_bbox.npy"


def test_rows_are_40_bytes_with_their_fields_every_four() -> None:
    for dtype in (BOX_DTYPE, PSEUDO_DTYPE):
        assert dtype.itemsize == 40
        assert [dtype.fields[name][1] for name in dtype.names] == [0, 8, 12, 16, 20, 24, 28, 32]


def test_older_names_orders_and_types_are_read_by_name(tmp_path: Path) -> None:
    older = np.zeros(2, [("class_id", "u1"), ("ts", "<u8"), ("h", "<f4"), ("w", "<f4"),
                         ("y", "<f4"), ("x", "<f4"), ("confidence", "<f4")])  # fmt: skip
    older["ts"], older["x"], older["h"], older["class_id"] = [5, 9], [1, 2], [3, 4], [1, 0]
    older["confidence"] = [0.5, 1]
    found = read_boxes(saved(tmp_path, older))
    assert found.dtype == BOX_DTYPE
    assert found["t"].tolist() == [5, 9]
    assert found["x"].tolist() == [1, 2]
    assert found["h"].tolist() == [3, 4]
    assert found["class_id"].tolist() == [1, 0]
    assert found["class_confidence"].tolist() == [0.5, 1]


def test_rows_with_the_names_of_today_keep_their_dtype(tmp_path: Path) -> None:
    order = ["t", "x", "y", "w", "h", "class_id", "class_confidence", "track_id"]
    packed = boxes_of((1, 2, 3, 4, 0))[order].astype([(n, BOX_DTYPE[n]) for n in order])
    found = read_boxes(saved(tmp_path, packed))
    assert found.dtype == packed.dtype


def test_a_box_without_confidence_is_certain(tmp_path: Path) -> None:
    names = ["t", "x", "y", "w", "h", "class_id"]
    bare = boxes_of((1, 2, 3, 4, 0))[names].astype([(n, BOX_DTYPE[n]) for n in names])
    assert read_boxes(saved(tmp_path, bare))["class_confidence"].tolist() == [1]


def test_what_is_no_boxes_is_refused_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a_bbox.npy holds no boxes.*class_id.*no fields"):
        read_boxes(saved(tmp_path, np.zeros((3, 8))))
    (tmp_path / "a_bbox.npy").write_bytes(b"\x93NUMPY and then nothing")
    with pytest.raises(DataError, match=r"a_bbox.npy cannot be read as boxes.*Copy it again"):
        read_boxes(tmp_path / "a_bbox.npy")


def test_falling_times_and_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    boxes = boxes_of((1, 2, 3, 4, 0), (1, 2, 3, 4, 0))
    boxes["t"] = [200, 100]
    with pytest.raises(DataError, match=r"box 1 is of 100 µs after 200 µs\. Sort"):
        read_boxes(saved(tmp_path, boxes))
    boxes = boxes_of((1, 2, 3, 4, 0), (1, float("nan"), 3, 4, 0))
    with pytest.raises(DataError, match="box 1 is not made of numbers"):
        read_boxes(saved(tmp_path, boxes))


def test_gen1_keeps_boxes_of_30_px_diagonal_and_10_px_sides() -> None:
    boxes = boxes_of((5, 5, 18, 24, 0), (5, 5, 17, 24, 0), (5, 5, 10, 40, 0), (5, 5, 9, 40, 0))
    kept = filtered(boxes, GEN1, is_train=True)
    assert kept["w"].tolist() == [18, 10]


def test_gen4_drops_classes_above_2_and_sides_below_5() -> None:
    boxes = boxes_of((5, 5, 5, 5, 2), (5, 5, 4, 90, 2), (5, 5, 50, 50, 3), (5, 5, 50, 50, 6))
    kept = filtered(boxes, GEN4, is_train=True)
    assert kept["class_id"].tolist() == [2]
    assert kept["w"].tolist() == [5]


def test_boxes_are_cut_to_the_frame_before_they_are_measured() -> None:
    boxes = boxes_of((-30, 5, 39, 40, 0), (-30, 5, 40, 40, 0), (400, 5, 40, 40, 0))
    kept = filtered(boxes, GEN1, is_train=False)
    assert kept["w"].tolist() == [10]
    assert kept["x"].tolist() == [0]


def test_only_training_drops_boxes_wider_than_nine_tenths() -> None:
    limit = 9 * GEN1.width // 10
    boxes = boxes_of((0, 5, limit, 40, 0), (0, 5, limit + 0.5, 40, 0))
    assert len(filtered(boxes, GEN1, is_train=True)) == 1
    assert len(filtered(boxes, GEN1, is_train=False)) == 2


def test_a_class_without_a_name_is_refused_with_the_names_there_are() -> None:
    boxes = boxes_of((5, 5, 40, 40, 0), (5, 5, 40, 40, 7))
    with pytest.raises(DataError, match=r"train/a: box 1 is of class 7.*0 car, 1 pedestrian"):
        require_known_classes(boxes, GEN1, "train/a")


sides = st.floats(-500, 500, width=32)


@given(st.lists(st.tuples(sides, sides, sides, sides), max_size=20))
def test_boxes_that_were_cropped_lie_in_the_frame_and_stay_when_cropped_again(
    rows: list[tuple[float, ...]],
) -> None:
    sensor = dataclasses.replace(Sensor("any", 48, 64, ("a",)))
    once = cropped(boxes_of(*[(*row, 0) for row in rows]), height=48, width=64)
    assert (once["w"] > 0).all()
    assert (once["h"] > 0).all()
    assert (once["x"] >= 0).all()
    right = once["x"].astype(np.float64) + once["w"]
    assert (right <= sensor.width - 1 + 1e-4).all()
    twice = cropped(once, height=48, width=64)
    assert len(twice) == len(once)
    assert np.allclose(twice["w"], once["w"], atol=1e-4)
