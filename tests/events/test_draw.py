"""Pictures of events, and boxes on them."""

from pathlib import Path

import numpy as np
import pytest

from fovea.events import draw
from fovea.events.boxes import PSEUDO_DTYPE
from fovea.events.representation import stacked_histogram
from fovea.events.stream import EventStream


def box(x: float, y: float, w: float, h: float, kind: int = 0, sure: float = 0.9) -> np.ndarray:
    boxes = np.zeros(1, PSEUDO_DTYPE)
    for name, value in zip(("x", "y", "w", "h"), (x, y, w, h), strict=True):
        boxes[name] = value
    boxes["class_id"], boxes["class_confidence"], boxes["objectness"] = kind, sure, 0.5
    return boxes


def some_events(height: int = 24, width: int = 32) -> EventStream:
    rng = np.random.default_rng(0)
    n = 300
    return EventStream(
        t=np.sort(rng.integers(0, 50_000, n)),
        x=rng.integers(0, width, n).astype(np.uint16),
        y=rng.integers(0, height, n).astype(np.uint16),
        p=rng.integers(0, 2, n).astype(np.uint8),
        height=height,
        width=width,
    )


def test_the_published_films_hold_the_same_frames(goldens: Path) -> None:
    golden = np.load(goldens / "events" / "event_frames.npz")
    factor = golden["video_frame_chw_uint8"].shape[2] // golden["histograms"].shape[2]
    assert factor == draw.PUBLISHED_FACTOR
    for number, histogram in enumerate(golden["histograms"]):
        frame = draw.histogram_picture(histogram, factor=factor)
        np.testing.assert_array_equal(
            frame.transpose(2, 0, 1), golden["video_frame_chw_uint8"][number]
        )
        tones = draw.histogram_picture(histogram, look="polarity")
        np.testing.assert_array_equal(tones, golden["log_image_hwc_uint8"][number])


@pytest.mark.parametrize("look", ["events", "polarity"])
def test_events_and_their_histogram_give_one_picture(look: str) -> None:
    events = some_events()
    from_histogram = draw.histogram_picture(
        stacked_histogram(events, cutoff=None), factor=3, look=look
    )
    np.testing.assert_array_equal(draw.stream_picture(events, factor=3, look=look), from_histogram)
    assert from_histogram.shape == (72, 96, 3)


@pytest.mark.parametrize(
    ("size", "factor"), [((24, 32), 12), ((96, 128), 4), ((240, 304), 2), ((720, 1280), 1)]
)
def test_small_sensors_are_enlarged_until_boxes_can_be_read(
    size: tuple[int, int], factor: int
) -> None:
    assert draw.factor_for(*size) == factor


def test_a_label_says_class_both_scores_and_their_product() -> None:
    found = box(1, 2, 3, 4, kind=1, sure=0.874)
    found["objectness"] = 0.912
    assert draw.label_lines(found, ("car", "ped")) == [["ped", "0.912x0.874", "0.797"]]
    assert draw.label_lines(found, ("car", "ped"), wording="short") == [["ped 0.80"]]
    assert draw.label_lines(found, ("car", "ped"), wording="none") == [[]]
    found["class_id"] = 1024
    assert draw.label_lines(found, ("car", "ped"), wording="class") == [["ignored"]]


def test_a_box_is_drawn_where_it_is_in_its_colour() -> None:
    picture = np.full((240, 320, 3), 255, np.uint8)
    style = draw.Style(factor=10, thickness=1)
    draw.draw_boxes(picture, box(4, 5, 10, 8), [[]], [draw.GREEN], style)
    drawn = (picture == draw.GREEN).all(axis=2)
    rows, columns = np.nonzero(drawn)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 130, 40, 140)
    assert (picture[60:120, 50:130] == 255).all()


@pytest.mark.parametrize(
    "place", [(0, 0), (28, 0), (0, 20), (28, 20), (-6, -6), (40, 30), (12, 10)]
)
def test_a_label_stays_inside_the_picture(place: tuple[int, int]) -> None:
    style = draw.Style.fitting(24, 32)
    picture = np.full((24 * style.factor, 32 * style.factor, 3), 255, np.uint8)
    found = box(*place, 4, 4)
    draw.draw_boxes(picture, found, [["car", "0.500x0.900", "0.450"]], [draw.RED], style)
    on_the_ground = (picture[..., 0] > 200) & (picture[..., 1] < 80)
    assert on_the_ground.sum() > 500, "a whole label is there to read"


def test_labels_of_a_crowd_lie_apart() -> None:
    style = draw.Style.fitting(240, 304)
    picture = np.full((480, 608, 3), 255, np.uint8)
    crowd = np.concatenate([box(100 + 12 * n, 100, 10, 30) for n in range(3)])
    colors = [draw.RED, draw.GREEN, draw.BLACK]
    words = draw.label_lines(crowd, ("pedestrian",), wording="short")
    draw.draw_boxes(picture, crowd, words, colors, style)
    red, green = (
        ((picture.astype(int) - np.array(color)) ** 2).sum(axis=2) < 15_000 for color in colors[:2]
    )
    assert abs(int(red.sum()) - int(green.sum())) < 0.1 * red.sum(), "none hides another"


def test_the_clock_shows_the_recordings_time_and_the_original_one_50_ms_a_histogram() -> None:
    assert draw.clock(30_875_000, 247) == "30.88s (N=0247)"
    assert draw.published_clock(247) == "12.35s (N=0247)"


def test_text_is_written_in_the_top_left_corner() -> None:
    picture = np.full((240, 320, 3), 255, np.uint8)
    draw.draw_text(picture, "12.35s (N=0247)", draw.Style.published())
    rows, columns = np.nonzero((picture != 255).any(axis=2))
    assert len(rows)
    assert rows.max() < 40
    assert columns.max() < 200
