from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest

from fovea.events.settings.simulate import (
    PHOTOGRAPHS,
    Figure,
    PixelConfig,
    RenderConfig,
    SceneConfig,
)
from fovea.events.simulate.figures import DRAWINGS, draw_figure
from fovea.events.simulate.photographs import Album, photograph
from fovea.events.simulate.pixel import PixelArray
from fovea.events.simulate.scene import Scene, make_scene
from fovea.events.stream import EventStream

CLASSES = get_args(Figure)
STILL = SceneConfig(pan=0, shake=0, zoom=0)


def scene(seed: int = 0, config: SceneConfig = STILL, height: int = 64, width: int = 96) -> Scene:
    rng = np.random.default_rng(seed)
    return make_scene(config, classes=CLASSES, height=height, width=width, seconds=3, rng=rng)


def alone(of: Scene, number: int) -> Scene:
    return replace(of, actors=[of.actors[number]])


def test_every_photograph_comes_with_scikit_image_and_is_light() -> None:
    for name in PHOTOGRAPHS:
        light = photograph(name)
        assert light.ndim == 2
        assert 0 <= light.min() < light.max() <= 1


@pytest.mark.parametrize("kind", CLASSES)
def test_a_figure_has_its_height_and_a_free_margin_in_every_phase(kind: str) -> None:
    rng = np.random.default_rng(0)
    figure = draw_figure(kind, 40.0, Album(["brick"]), rng, faces_left=False)
    assert figure.picture.shape[0] == DRAWINGS[kind].phases
    for light, cover in zip(figure.picture[..., 0], figure.cover, strict=True):
        rows = np.flatnonzero((cover > 0.5).any(axis=1))
        assert rows[-1] - rows[0] + 1 == pytest.approx(40, abs=3)
        assert not cover[0].any()
        assert not cover[-1].any()
        assert not cover[:, [0, -1]].any()
        assert (light <= cover + 1e-5).all()
        assert light[cover == 0].max(initial=0) == 0


def test_classes_differ_in_shape() -> None:
    wide = {}
    for kind in DRAWINGS:
        figure = draw_figure(
            kind, 40.0, Album(["brick"]), np.random.default_rng(0), faces_left=True
        )
        columns = [np.flatnonzero((cover > 0.5).any(axis=0)) for cover in figure.cover]
        wide[kind] = np.mean([c[-1] - c[0] + 1 for c in columns]) / 40
    assert wide["car"] > 1.8
    assert 0.7 < wide["two-wheeler"] < 1.3
    assert wide["pedestrian"] < 0.55


def test_a_box_is_where_light_differs_from_the_scene_without_its_figure() -> None:
    compared = 0
    for whole in map(scene, range(5)):
        empty = replace(whole, actors=[])
        for number, time_us in product(
            range(len(whole.actors)), range(100_000, 3_000_000, 300_000)
        ):
            single = alone(whole, number)
            for box in single.boxes(time_us, min_visible=0.9):
                changed = single.light(time_us * 1e-6) != empty.light(time_us * 1e-6)
                rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
                extent = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
                found = (box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"])
                assert np.abs(np.subtract(extent, found)).max() <= 2.5  # the blur of an edge
                compared += 1
    assert compared > 30


def test_a_figure_stands_where_its_course_says() -> None:
    compared = 0
    for whole in map(scene, range(4)):
        for number, time_us in product(
            range(len(whole.actors)), range(100_000, 3_000_000, 500_000)
        ):
            actor = whole.actors[number]
            for box in alone(whole, number).boxes(time_us, min_visible=0.99):
                place = actor.at(time_us * 1e-6)
                is_cut = box["x"] <= 0 or box["x"] + box["w"] >= 96 or box["y"] + box["h"] >= 64
                if CLASSES[actor.class_id] == "car" and not is_cut:  # it is as long to either side
                    assert abs(box["x"] + box["w"] / 2 - place.middle_px) < 1.0
                    assert abs(box["y"] + box["h"] - place.foot_px) < 1.0
                    assert abs(box["h"] - place.height_px) < 1.5
                    compared += 1
    assert compared > 2


def test_what_stands_before_a_figure_cuts_its_box() -> None:
    hidden = cut = 0
    for seed in range(6):
        whole = scene(seed, STILL.model_copy(update={"objects": (5, 6)}))
        for time_us in range(100_000, 3_000_000, 200_000):
            boxes = {box["track_id"]: box for box in whole.boxes(time_us, min_visible=0.3)}
            for number, actor in enumerate(whole.actors):
                free = alone(whole, number).boxes(time_us, min_visible=0.3)
                if actor.track_id in boxes:
                    found, (own,) = boxes[actor.track_id], free
                    assert found["x"] >= own["x"]
                    assert found["y"] >= own["y"]
                    assert found["x"] + found["w"] <= own["x"] + own["w"]
                    assert found["y"] + found["h"] <= own["y"] + own["h"]
                    cut += found["w"] * found["h"] < own["w"] * own["h"]
                else:
                    hidden += len(free)
    assert hidden > 0
    assert cut > 0


def test_boxes_lie_on_the_sensor_and_tracks_move_smoothly() -> None:
    for seed in range(4):
        made = scene(seed, SceneConfig())
        rows = np.concatenate([made.boxes(t, min_visible=0.3) for t in range(0, 3_000_000, 20_000)])
        assert (rows["x"] >= 0).all()
        assert (rows["y"] >= 0).all()
        assert (rows["x"] + rows["w"] <= 96).all()
        assert (rows["y"] + rows["h"] <= 64).all()
        for track in np.unique(rows["track_id"]):
            own = rows[rows["track_id"] == track]
            assert len(np.unique(own["class_id"])) == 1
            speed = np.abs(np.diff(own["x"] + own["w"])) / np.diff(own["t"]) * 1e6
            assert np.quantile(speed, 0.9) < 150


def test_the_events_of_a_figure_are_in_its_box() -> None:
    made = scene(3)
    ideal = PixelConfig(leak_hz=0, shot_noise_hz=0)
    pixels = PixelArray(
        ideal, height=64, width=96, rng=np.random.default_rng(0), is_settled=True
    )  # fmt: skip
    moments = list(made.moments(2.0, RenderConfig()))
    events = EventStream.joined([pixels.see(*moment) for moment in moments])
    inside = total = 0
    for time_us in range(100_000, 2_000_001, 50_000):
        window = events.between(time_us - 5000, time_us + 5000)
        within = np.zeros(len(window), bool)
        for box in made.boxes(time_us, min_visible=0.01):
            x, y = window.x + 0.5 - box["x"], window.y + 0.5 - box["y"]
            within |= (x > -2) & (x < box["w"] + 2) & (y > -2) & (y < box["h"] + 2)
        inside, total = inside + within.sum(), total + len(window)
    assert total > 300
    assert inside > 0.98 * total


def test_what_stands_still_makes_no_events() -> None:
    made = replace(scene(0), actors=[])
    pixels = PixelArray(
        PixelConfig(leak_hz=0, shot_noise_hz=0), height=64, width=96,
        rng=np.random.default_rng(0), is_settled=True,
    )  # fmt: skip
    assert sum(len(pixels.see(*moment)) for moment in made.moments(0.3, RenderConfig())) == 0


def test_light_is_given_more_often_where_things_are_faster() -> None:
    slow = scene(0, STILL.model_copy(update={"speed": (0.01, 0.02)}))
    fast = scene(0, STILL.model_copy(update={"speed": (1.0, 2.0)}))
    counts = [len(list(made.moments(0.5, RenderConfig()))) for made in (slow, fast)]
    assert counts[0] == 51
    assert counts[1] > 100


def test_a_seed_gives_the_same_scene_and_another_one_another() -> None:
    lights = [scene(seed, SceneConfig()).light(0.7) for seed in (0, 0, 1)]
    assert lights[0].tobytes() == lights[1].tobytes()
    assert lights[0].tobytes() != lights[2].tobytes()
