"""The relight panel in the browser: which way the light falls, and what each control does."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from fovea.scene.radiance import write_radiance
from fovea.viewer import page as viewer_page
from fovea.viewer.page import export
from fovea.viewer.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    document.getElementById("canvas").dispatchEvent(event);
}"""


def halves(sight) -> tuple[float, float]:
    """The mean level of the ball's left and of its right half."""
    grey = sight.still()
    height, width = grey.shape
    rows, middle = slice(height // 2 - 40, height // 2 + 40), width // 2
    left, right = grey[rows, middle - 125 : middle - 60], grey[rows, middle + 60 : middle + 125]
    return left.mean(), right.mean()


def drop(sight, name: str, content: bytes) -> None:
    sight.page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def map_file(folder: Path, image: np.ndarray) -> bytes:
    write_radiance(folder / "map.hdr", image)
    return (folder / "map.hdr").read_bytes()


def test_a_light_from_the_left_brightens_the_left_and_turned_by_half_the_right(studio):
    studio.reset()
    assert studio.page.locator("#relight").is_visible()
    left, right = halves(studio)
    assert left > right + 60
    studio.page.evaluate("() => fovea.relight.turnBy(180)")
    left, right = halves(studio)
    assert right > left + 60
    # A quarter back, counterclockwise seen from above: the light at -y, where the camera stands.
    studio.page.evaluate("() => fovea.relight.turnBy(-90)")
    left, right = halves(studio)
    assert abs(left - right) < 12
    assert min(left, right) > 90
    assert studio.complaints == []
    assert studio.foreign == []


def test_a_dropped_map_lights_the_scene_and_a_damaged_one_is_said_to_be_so(
    studio, light_of, tmp_path
):
    studio.reset()
    from_the_right = light_of(lambda d: np.where(d[..., 0] > 0, 1.6, 0.02))
    drop(studio, "mine.hdr", map_file(tmp_path, from_the_right))
    studio.wait("fovea.relight.chosen.name === 'mine' && fovea.relight.light.name === 'mine.hdr'")
    left, right = halves(studio)
    assert right > left + 60
    assert "mine" in studio.page.inner_text("#lights")
    drop(studio, "cut.hdr", b"#?RADIANCE\n\n-Y 9 +X 18\n")
    studio.wait("document.getElementById('notice').textContent.includes('cut.hdr')")
    assert studio.complaints == []


def test_exposure_materials_and_pictures_of_materials_change_what_is_seen(studio):
    studio.reset()
    before, _ = halves(studio)
    studio.page.locator("#exposure").fill("-1")
    assert halves(studio)[0] < before - 20
    studio.reset()
    studio.page.locator("#tint").fill("#000000")
    assert halves(studio)[0] < before - 60
    studio.reset()
    for name, level in (("roughness", 255 * 0.9), ("metallic", 255 * 0.02)):
        studio.page.locator(f"#shown input[value={name}]").check()
        assert max(abs(half - level) for half in halves(studio)) < 12, name
    studio.page.locator("#shown input[value=radiance]").check()
    assert abs(halves(studio)[0] - 127) < 8


def test_the_line_between_photograph_and_render_moves_and_leaves_the_camera(studio):
    studio.reset()
    page = studio.page
    page.evaluate("() => fovea.view.showPhoto(0)")
    studio.wait("!document.getElementById('photo').hidden")
    page.locator("#wipe").press("ArrowLeft")
    assert page.locator("#wipe").get_attribute("aria-valuenow") == "48"
    box = page.locator("#wipe").bounding_box()
    page.mouse.move(box["x"] + 14, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 74, box["y"] + 90, steps=3)
    page.mouse.up()
    assert page.locator("#wipe").bounding_box()["x"] == pytest.approx(box["x"] + 60, abs=2)
    assert page.evaluate("() => fovea.view.photo") == 0


def test_under_a_light_that_was_photographed_too_that_photograph_is_laid_over(studio):
    studio.reset()
    page = studio.page
    page.evaluate("() => fovea.view.showPhoto(0)")
    studio.wait("document.getElementById('photo').src.endsWith('photos/test_000')")
    page.evaluate("() => fovea.relight.choose(fovea.relight.choices[1])")
    studio.wait("document.getElementById('photo').src.endsWith('photos/test_000%2Fdusk')")
    assert "truth" in page.inner_text("#wipe-left")


def test_shift_and_drag_turns_the_light_and_leaves_the_camera(studio):
    studio.reset()
    page = studio.page
    place = page.evaluate("() => fovea.view.camera.position.toArray()")
    page.locator("#canvas").hover(position={"x": 60, "y": 60})
    box = page.locator("#canvas").bounding_box()
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 60, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert page.evaluate("() => fovea.relight.set.turn") > 10
    assert page.evaluate("() => fovea.view.camera.position.toArray()") == place


def test_the_backdrop_shows_the_light_where_it_comes_from(studio, light_of, tmp_path):
    studio.reset()
    page = studio.page
    ahead = light_of(lambda d: np.where(d[..., 1] > 0, 1.0, 0.0))
    page.evaluate("() => document.getElementById('backdrop').click()")
    drop(studio, "ahead.hdr", map_file(tmp_path, ahead))
    studio.wait("fovea.relight.light.name === 'ahead.hdr'")
    grey = studio.still()
    row = grey.shape[0] // 4
    assert min(grey[row, 30], grey[row, -30]) > 240, "the camera looks along +y"
    page.evaluate("() => fovea.relight.turnBy(-90)")
    grey = studio.still()
    assert grey[row, -30] > 240, "turned clockwise, the bright half lies to the right, at +x"
    assert grey[row, 30] < 15


def test_an_exported_page_relights_from_packed_materials(relit_run, look, tmp_path, monkeypatch):
    monkeypatch.setattr(viewer_page, "CONVERTED_BYTES", 1000)
    alone = tmp_path / "elsewhere.html"
    export(relit_run).rename(alone)
    sight = look(alone.as_uri() + "?lang=en&theme=dark")
    sight.wait("fovea.relight && fovea.relight.light")
    left, right = halves(sight)
    assert left > right + 60
    assert [url for url in sight.foreign if not url.startswith("file:")] == []
    assert sight.complaints == []


def test_a_scene_without_materials_shows_no_panel(scene, look):
    with Server(scene) as server:
        page = look(server.url).page
        assert not page.locator("#relight").is_visible()
        page.keyboard.press("u")
        up = page.evaluate("() => fovea.view.rig.up.toArray()")
        assert up == [0, 0, 1], "without cameras another axis can be called up"
