"""From a photograph to a scene that one walks in, films and takes along."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.scene.ply import read_ply

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAMPLES = Path(__file__).parents[3] / "src/fovea/samples"
PHOTOGRAPH = SAMPLES / "still_life/test_003/rgba.png"


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_dropped_photograph_becomes_a_scene_to_walk_in(
    size: str, service: Any, look: Callable[..., Any]
) -> None:
    sight = look(service.url, size=size)
    page = sight.page
    sight.drop(PHOTOGRAPH)
    page.wait_for_selector(".item:has-text('rgba.png')")
    page.wait_for_selector(".item[data-state=ready] .head[aria-current]")
    sight.wait("fovea.ready && fovea.view?.mesh")
    assert re.search(r"[\d,]+ Gaussians · \d+ fps", page.inner_text(".caption"))
    page.locator("canvas").focus()
    page.keyboard.press("2")
    start = dict(zip("xyz", sight.position(), strict=True))
    page.keyboard.down("w")
    sight.wait(f"fovea.view.camera.position.distanceTo({start}) > 0.05")
    page.keyboard.up("w")
    page.keyboard.press("h")
    sight.wait(f"fovea.view.camera.position.distanceTo({start}) < 0.01")
    assert sight.complaints == []
    assert sight.foreign == []


def test_a_scene_file_is_shown_hidden_changed_and_taken_off(
    service: Any, look: Callable[..., Any]
) -> None:
    sight = look(service.url)
    page = sight.page
    sight.drop(SAMPLES / "pair/scene.ply", SAMPLES / "pair/README.txt")
    page.wait_for_selector(".toast:has-text('1 file is neither')")
    sight.wait("fovea.ready && fovea.view?.mesh")
    assert "1,728 Gaussians" in page.inner_text(".item")
    page.click("[aria-label='Hide scene.ply']")
    sight.wait("!fovea.view.mesh.visible")
    page.click("[aria-label='Show scene.ply']")
    sight.wait("fovea.view.mesh.visible")
    before = page.locator("canvas").screenshot()
    for name, value in (("exposure", "-1"), ("opacity", "0.5"), ("pace", "0"), ("amount", "0.1")):
        page.fill(f"#look-{name}", value)
    assert page.evaluate("() => [fovea.view.mesh.opacity, fovea.view.mesh.recolor.r]") == [0.5, 0.5]
    assert page.locator("canvas").screenshot() != before
    page.fill("#look-pace", "1")
    sight.wait("fovea.walk.effects.uniforms.time.value > 0.05")  # what disperses moves by itself
    page.fill("#look-amount", "0")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.input_value("#look-exposure") == "-1", "sliders stay as they were left"
    assert sight.complaints == []


def test_a_scene_is_filmed_and_downloaded_in_another_format(
    service: Any, look: Callable[..., Any], tmp_path: Path
) -> None:
    sight = look(service.url)
    page = sight.page
    sight.drop(SAMPLES / "pair/scene.ply")
    sight.wait("fovea.ready && fovea.view?.mesh")
    page.click(".tools button:has-text('Film')")
    page.check("input[value=swipe]", force=True)
    for number, wish in enumerate(("1", "320")):  # seconds, pixels
        page.select_option(f".choices >> nth=0 >> select >> nth={number}", wish)
    page.click("dialog .go")
    page.wait_for_selector("dialog video")
    sight.wait("document.querySelector('dialog video').duration > 0.9")
    page.keyboard.press("Escape")
    page.click(".tools button:has-text('Download')")
    with page.expect_download() as download:
        page.click("[aria-label='Get scene.spz']")
    download.value.save_as(tmp_path / "scene.spz")
    assert download.value.suggested_filename == "scene.spz"
    with page.expect_download() as download:
        page.click("[aria-label='Get scene.ply']")
    download.value.save_as(tmp_path / "scene.ply")
    assert len(read_ply(tmp_path / "scene.ply")) == 1728
    assert sight.complaints == []
