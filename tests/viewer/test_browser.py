"""What a visitor sees, in Debian's Chromium with software rendering."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fovea.scene.ply import read_ply
from fovea.scene.spz import write_spz
from fovea.viewer.page import export
from fovea.viewer.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Colours pass through 8-bit harmonics, blending and the browser: 40 of 255 tells hues apart.
TOLERANCE = 40
STILL_QUERY = "?lang=en&theme=light"


def balls(pixels: np.ndarray) -> list[np.ndarray]:
    """The mean colours of the left, the middle and the right ball, by where colour is."""
    hue = pixels.max(axis=2) - pixels.min(axis=2) > 60
    hue[-80:] = False  # the buttons
    columns = np.flatnonzero(hue.any(axis=0))
    edges = np.linspace(columns[0], columns[-1], 4).astype(int)
    return [pixels[:, a:b][hue[:, a:b]].mean(axis=0) for a, b in pairwise(edges)]


@pytest.mark.parametrize("kind", ["ply", "spz"])
def test_red_stands_left_green_in_the_middle_blue_right_and_light_comes_from_above(
    kind, scene, look, tmp_path
):
    path = tmp_path / f"balls.{kind}"
    if kind == "ply":
        path.write_bytes(scene.read_bytes())
    else:
        write_spz(path, read_ply(scene))
    with Server(path) as server:
        sight = look(server.url + STILL_QUERY)
        pixels = sight.pixels(tmp_path)
        wanted = ((0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.2, 0.9))
        for found, color in zip(balls(pixels), wanted, strict=True):
            assert np.abs(found - 255 * 0.6 * np.array(color)).max() < TOLERANCE
        green = pixels[:, pixels.shape[1] // 2]
        rows = np.flatnonzero(green[:, 1] - green[:, 0] > 60)
        assert green[rows[len(rows) // 8], 1] > green[rows[-len(rows) // 8], 1] + 60
        assert sight.complaints == []
        assert sight.foreign == []


def test_the_page_of_a_run_shows_stages_scores_curves_and_pictures(run_folder, look):
    with Server(run_folder) as server:
        sight = look(server.url + STILL_QUERY)
        text = sight.page.inner_text("body")
        for word in ("balls", "fit", "31.23", "0.97", "4,500 Gaussians", "waiting", "three"):
            assert word in text
        assert sight.page.locator(".plot").count() == 2
        assert sight.page.locator(".picture img").count() == 1
        assert sight.complaints == []
        assert sight.foreign == []


def test_a_photograph_is_laid_over_the_render_from_its_camera(run_folder, look):
    with Server(run_folder) as server:
        sight = look(server.url)
        sight.page.keyboard.press("]")
        sight.wait("!document.getElementById('photo').hidden")
        sight.wait("document.getElementById('photo').naturalWidth === 200")
        assert sight.page.evaluate("() => fovea.view.camera.position.toArray()") == [0, 0, -4]
        sight.page.keyboard.press("h")
        sight.wait("document.getElementById('photo').hidden")
        assert sight.complaints == []


def test_from_a_camera_behind_the_scene_red_stands_right_and_light_still_above(
    run_folder, look, tmp_path
):
    with Server(run_folder) as server:
        sight = look(server.url + STILL_QUERY)
        sight.page.evaluate("() => fovea.view.showPhoto(1)")
        sight.wait("fovea.view.photo === 1")
        sight.wait("!fovea.view.spark.sorting && !fovea.view.spark.sortDirty && !fovea.view.asked")
        pixels = sight.pixels(tmp_path)
        assert [color.argmax() for color in balls(pixels)] == [2, 1, 0]
        green = pixels[:, pixels.shape[1] // 2]
        rows = np.flatnonzero(green[:, 1] - green[:, 0] > 60)
        assert green[rows[len(rows) // 8], 1] > green[rows[-len(rows) // 8], 1] + 60


def test_dragging_orbits_and_walking_moves(scene, look):
    with Server(scene) as server:
        sight = look(server.url)

        def place() -> np.ndarray:
            return np.array(sight.page.evaluate("() => fovea.view.camera.position.toArray()"))

        before = place()
        sight.page.mouse.move(400, 300)
        sight.page.mouse.down()
        sight.page.mouse.move(500, 300, steps=4)
        sight.page.mouse.up()
        orbited = place()
        middle = np.zeros(3)
        assert np.linalg.norm(orbited - before) > 0.2
        assert orbited[0] < before[0], "the scene follows the hand, so the camera goes left"
        assert np.isclose(
            np.linalg.norm(orbited - middle), np.linalg.norm(before - middle), rtol=0.05
        )
        sight.page.keyboard.press("2")
        sight.page.keyboard.down("w")
        start = dict(zip("xyz", orbited.tolist(), strict=True))
        sight.wait(f"fovea.view.camera.position.distanceTo({start}) > 0.1")
        sight.page.keyboard.up("w")
        assert np.linalg.norm(place()) < np.linalg.norm(orbited)


def test_an_exported_page_opens_from_disk_without_a_server(run_folder, look, tmp_path):
    page = export(run_folder)
    assert page == run_folder / "page/index.html"
    alone = tmp_path / "elsewhere.html"
    page.rename(alone)
    sight = look(alone.as_uri() + STILL_QUERY)
    reds, greens, blues = balls(sight.pixels(tmp_path))
    assert reds.argmax() == 0
    assert greens.argmax() == 1
    assert blues.argmax() == 2
    assert "31.23" in sight.page.inner_text("body")
    assert [url for url in sight.foreign if not url.startswith("file:")] == []
    assert sight.complaints == []


def test_a_run_that_is_going_is_shown_again_as_it_grows(run_folder, look):
    manifest = json.loads((run_folder / "run.json").read_text())
    with Server(run_folder) as server:
        (run_folder / "run.json").write_text(json.dumps(manifest | {"state": "pending"}))
        sight = look(server.url + STILL_QUERY)
        manifest["stages"][0]["scores"]["test/psnr"] = 35.5
        (run_folder / "run.json").write_text(json.dumps(manifest))
        sight.wait("document.body.innerText.includes('35.5')")
        sight.wait("document.getElementById('state').textContent === 'done'")


def test_the_page_speaks_chinese_and_fits_a_phone(run_folder, look, tmp_path):
    with Server(run_folder) as server:
        sight = look(server.url + "?lang=zh", width=390, height=844)
        assert "阶段" in sight.page.inner_text("body")
        assert sight.page.evaluate("() => document.documentElement.scrollWidth") <= 390
        sight.page.click("#language")
        assert "Stages" in sight.page.inner_text("body").title()


def test_both_languages_have_the_same_words(scene, look):
    with Server(scene) as server:
        words = look(server.url).page.evaluate("() => fovea.words")
    assert words["en"].keys() == words["zh"].keys()


def test_a_damaged_scene_is_said_to_be_so(tmp_path, chromium):
    path = Path(tmp_path / "broken.ply")
    path.write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nend_header\n")
    with Server(path) as server:
        page = chromium.new_page()
        page.goto(server.url + STILL_QUERY)
        page.get_by_text("The scene cannot be shown").wait_for(timeout=90_000)
        page.close()
