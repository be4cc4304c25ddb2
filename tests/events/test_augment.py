"""Augmentation: geometry and draws of the reference, and what must hold of any draw."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fovea.events.labels import Labels
from fovea.events.sampling.augment import (
    Augmentation,
    PixelMap,
    augmented,
    drawn,
    rotated,
    towards_box,
    window_around,
    zoomed_in,
    zoomed_out,
)
from fovea.events.sampling.window import Sample
from fovea.events.settings.sampling import AugmentConfig, StreamAugmentConfig
from fovea.training.checkpoint import generator

HEIGHT, WIDTH = 48, 64
SETTINGS = AugmentConfig()


@pytest.fixture(scope="module")
def answers(goldens):
    return json.loads((goldens / "events" / "augmentation.json").read_text())


@pytest.fixture(scope="module")
def images(goldens):
    return np.load(goldens / "events" / "augmentation.npz")


@pytest.fixture(scope="module")
def labels(answers):
    rows = np.array(answers["boxes_t_x_y_w_h_cls_clsconf_obj"], np.float32)
    return Labels(rows, *answers["hw"])


def sample_of(histograms, labels, hidden=None):
    length = len(histograms)
    return Sample(
        path="recording",
        frames=np.arange(length),
        histograms=histograms,
        labels=labels,
        hidden=hidden or [None] * length,
        is_first=True,
        is_last=False,
        is_reversed=False,
        is_padded=np.zeros(length, bool),
    )


def where(case):
    return {name: case[name] for name in ("factor", "x0", "y0")}


def mapped(pixels, image):
    found = np.empty_like(image)
    pixels.apply(image, found)
    return found


def cases(answers, prefix):
    found = {name: case for name, case in answers["cases"].items() if name.startswith(prefix)}
    assert found
    return found.items()


@pytest.mark.parametrize(
    ("prefix", "change", "pixels"),
    [
        ("zoom_in", zoomed_in, PixelMap.zoom_in),
        ("zoom_out", zoomed_out, PixelMap.zoom_out),
    ],
)
def test_zooms_move_boxes_and_pixels_as_in_the_reference(
    answers, images, labels, prefix, change, pixels
):
    for name, case in cases(answers, prefix):
        found = change(labels, **where(case))
        np.testing.assert_allclose(found.rows, case["boxes"], atol=2e-5, rtol=1e-6)
        moved = mapped(pixels(HEIGHT, WIDTH, **where(case)), images["image"][None])
        np.testing.assert_array_equal(moved[0], images[name])


def test_left_for_right_is_that_of_the_reference(answers, images, labels):
    sample = sample_of(images["image"][None], [labels])
    found = augmented(sample, Augmentation(hflip=True), SETTINGS, generator(0))
    np.testing.assert_array_equal(found.histograms[0], images["hflip"])
    np.testing.assert_allclose(found.labels[0].rows, answers["cases"]["hflip"]["boxes"], atol=2e-5)


def test_rotations_turn_boxes_as_in_the_reference(answers, labels):
    for _, case in cases(answers, "rotate"):
        found = rotated(labels, np.deg2rad(case["angle_deg"]))
        np.testing.assert_allclose(found.rows, case["boxes"], atol=2e-5, rtol=1e-6)


def test_pixels_rotate_with_their_boxes():
    image = np.zeros((1, 1, 200, 200), np.uint8)
    image[..., 40:60, 150:180] = 1
    box = Labels(np.array([[1, 150, 40, 30, 20, 0, 1, 1]], np.float32), 200, 200)
    angle_rad = np.deg2rad(6)
    turned = mapped(PixelMap.rotation(200, 200, angle_rad), image)[0, 0]
    rows, columns = np.nonzero(turned)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(rotated(box, angle_rad).xyxy[0], seen, atol=1)


def test_a_seed_draws_what_the_reference_draws(answers):
    height, width = 240, 304
    for case in answers["randomize_draws"]:
        kind = AugmentConfig if case["mode"] == "random" else StreamAugmentConfig
        settings = kind(prob_tflip=0.5 if "tflip" in case["config"] else 0.0)
        found = drawn(settings, generator(case["torch_seed"]), height=height, width=width)
        assert found.hflip == case["h_flip"]
        assert found.tflip == case["t_flip"]
        assert (found.angle_rad != 0) == case["rotate"]
        assert (found.zoom == "in") == case["zoom_in"]
        assert (found.zoom == "out") == case["zoom_out"]
        if case["zoom_out_params"]:
            assert [found.x0, found.y0, found.factor] == case["zoom_out_params"]


def test_a_seed_places_the_window_where_the_reference_does(answers):
    for case in answers["zoom_in_window_for_one_box"]:
        height, width = case["window_hw"]
        # A factor whose integer sides are the window's, as the reference notes only these.
        factor = max(HEIGHT / (height + 0.999), WIDTH / (width + 0.999))
        assert (int(HEIGHT / factor), int(WIDTH / factor)) == (height, width)
        found = window_around(
            np.array(case["box"], np.float32), HEIGHT, WIDTH, factor, generator(case["torch_seed"])
        )
        assert list(found) == case["x0y0"]


# What must hold of any draw

boxes = st.lists(
    st.tuples(
        st.floats(0, WIDTH - 3, width=32), st.floats(0, HEIGHT - 3, width=32),
        st.floats(1, WIDTH, width=32), st.floats(1, HEIGHT, width=32),
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


def clamped_labels(found):
    rows = [[1, x, y, w, h, 0, 1, 1] for x, y, w, h in found]
    return Labels(np.array(rows, np.float32), HEIGHT, WIDTH).clamped()


@given(boxes, st.integers(0, 2**32 - 1))
def test_boxes_stay_inside_the_frame_after_any_augmentation(found, seed):
    settings = AugmentConfig(prob_rotate=0.5, max_rotate_deg=30, weight_zoom_out=8)
    random = generator(seed)
    augmentation = drawn(settings, random, height=HEIGHT, width=WIDTH)
    histograms = np.zeros((2, 20, HEIGHT, WIDTH), np.uint8)
    sample = sample_of(histograms, [None, clamped_labels(found)])
    result = augmented(sample, augmentation, settings, random)
    assert result.histograms.shape == histograms.shape
    assert result.labels[0] is None
    if result.labels[1] is not None:
        corners = result.labels[1].xyxy
        assert (corners[:, :2] >= -1e-4).all()
        assert (corners[:, 2:] <= np.array([WIDTH - 1, HEIGHT - 1]) + 1e-3).all()
        assert (corners[:, 2:] > corners[:, :2]).all()


@given(boxes, st.integers(0, 2**32 - 1))
def test_a_zoom_inwards_keeps_the_middle_of_the_box_it_aims_at(found, seed):
    # The window is of whole pixels, and its last one is cut off: up to two pixels of a box may go.
    x, y, *sides = found[0]
    labels = clamped_labels([(min(x, WIDTH - 6), min(y, HEIGHT - 6), *(max(s, 4) for s in sides))])
    aimed = towards_box([labels], Augmentation(zoom="in"), SETTINGS, generator(seed))
    assert len(zoomed_in(labels, factor=aimed.factor, x0=aimed.x0, y0=aimed.y0))


def test_left_for_right_twice_changes_nothing(images, labels):
    sample = sample_of(images["image"][None], [labels])
    twice = sample
    for _ in range(2):
        twice = augmented(twice, Augmentation(hflip=True), SETTINGS, generator(0))
    np.testing.assert_array_equal(twice.histograms, sample.histograms)
    np.testing.assert_allclose(twice.labels[0].rows, labels.rows, atol=1e-5)


def test_a_label_that_a_zoom_loses_is_none_and_hidden_ones_move_along():
    corner = Labels(np.array([[1, 0, 0, 5, 5, 0, 1, 1]], np.float32), HEIGHT, WIDTH)
    middle = Labels(np.array([[1, 30, 20, 9, 9, 0, 1, 1]], np.float32), HEIGHT, WIDTH)
    steps = np.zeros((2, 20, HEIGHT, WIDTH), np.uint8)
    # Aimed at the last step's box, a window of 32 x 42 cannot reach the corner from seed 0's place.
    found = augmented(
        sample_of(steps, [corner, middle], [middle, corner]),
        Augmentation(zoom="out", factor=1.0),
        SETTINGS,
        generator(0),
    )
    assert all(each is not None for each in (*found.labels, *found.hidden))
    aimed = Augmentation(zoom="in")
    settings = AugmentConfig(max_zoom_in=3)
    seed = next(s for s in range(99) if is_away(aimed, middle, settings, s))
    found = augmented(
        sample_of(steps, [corner, middle], [middle, corner]), aimed, settings, generator(seed)
    )
    assert found.labels[0] is None
    assert found.hidden[1] is None
    assert found.labels[1] is not None
    np.testing.assert_array_equal(found.labels[1].rows, found.hidden[0].rows)


def is_away(aimed, labels, settings, seed):
    found = towards_box([labels], aimed, settings, generator(seed))
    return found.x0 >= 5 and found.y0 >= 5


@pytest.mark.parametrize(("skip_last_box", "is_reached"), [(True, False), (False, True)])
def test_the_last_box_is_only_aimed_at_when_the_quirk_is_off(labels, skip_last_box, is_reached):
    settings = AugmentConfig(skip_last_box=skip_last_box, max_zoom_in=4)
    first, last = (Labels(rows, 4 * HEIGHT, 4 * WIDTH) for rows in two_far_boxes())
    both = replace(first, rows=np.concatenate([first.rows, last.rows]))
    reached = set()
    for seed in range(40):
        found = towards_box([both], Augmentation(zoom="in"), settings, generator(seed))
        kept = zoomed_in(both, factor=found.factor, x0=found.x0, y0=found.y0)
        reached |= set(kept.class_id.tolist()) if len(kept) == 1 else set()
    assert (1 in reached) == is_reached


def two_far_boxes():
    first = np.array([[1, 0, 0, 20, 20, 0, 1, 1]], np.float32)
    last = np.array([[1, 230, 170, 20, 20, 1, 1, 1]], np.float32)
    return first, last


def test_without_boxes_nothing_is_zoomed_into_and_it_is_said(caplog):
    sample = sample_of(np.ones((1, 20, HEIGHT, WIDTH), np.uint8), [None])
    found = augmented(sample, Augmentation(zoom="in"), SETTINGS, generator(0))
    np.testing.assert_array_equal(found.histograms, sample.histograms)
    assert "without boxes" in caplog.text


def test_a_rotation_is_drawn_to_both_sides_within_its_range():
    settings = AugmentConfig(prob_rotate=1.0)
    angles = np.rad2deg(
        [drawn(settings, generator(s), height=9, width=9).angle_rad for s in range(50)]
    )
    assert (np.abs(angles) >= 2).all()
    assert (np.abs(angles) <= 6).all()
    assert angles.min() < 0 < angles.max()


def test_resizing_is_pytorchs_nearest_exact():
    image = np.arange(20, dtype=np.uint8).reshape(1, 1, 4, 5)
    for factor in (1.0, 1.3, 2.0):
        small = torch.nn.functional.interpolate(
            torch.from_numpy(image).float(),
            size=(int(4 / factor), int(5 / factor)),
            mode="nearest-exact",
        )
        found = mapped(PixelMap.zoom_out(4, 5, factor=factor, x0=0, y0=0), image)
        height, width = small.shape[-2:]
        np.testing.assert_array_equal(found[..., :height, :width], small.numpy())
        assert found.sum() == small.sum()
