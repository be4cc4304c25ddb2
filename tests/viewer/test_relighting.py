"""What the page is given to relight a scene: which scene, which lights, and both in one file."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose

from fovea.scene.ply import write_ply
from fovea.scene.radiance import read_radiance, write_radiance
from fovea.viewer import page as viewer_page
from fovea.viewer.page import describe, export, locate
from fovea.viewer.relighting import HEAD, best_scene, pack, small_light

SAMPLE = Path(__file__).parents[2] / "src/fovea/samples/still_life"


def test_a_run_without_materials_offers_no_relighting_and_one_with_them_names_its_lights(
    run_folder, relit_run
):
    assert describe(run_folder)["relight"] is None
    relight = describe(relit_run)["relight"]
    assert relight["scene"].endswith("/relightable.ply")
    assert relight["up"] == "z"
    assert [(light["name"], light["is_fitted"]) for light in relight["lights"]] == [
        ("fit", True),
        ("dusk", False),
        ("garden", False),
        ("studio", False),
    ]
    for light in relight["lights"]:
        assert locate(relit_run, light["address"]).suffix == ".hdr"
    assert locate(relit_run, "lights/../../run") is None


def test_lights_are_those_named_in_settings_and_not_what_an_export_turned(relit_run, tmp_path):
    for name in ("own", "other"):
        write_radiance(tmp_path / f"maps/{name}.hdr", np.ones((2, 4, 3), np.float32))
    config = relit_run / "stages/fit-12345678/config.yaml"
    fitted = relit_run / "stages/fit-12345678/out/light.hdr"
    config.write_text(f"lights: {tmp_path / 'maps'}\nlight: {fitted}\n")
    names = [light["name"] for light in describe(relit_run)["relight"]["lights"]]
    assert names == ["fit", "other", "own"]
    about = relit_run / "run.json"
    about.write_text(about.read_text().replace('"relight.fit"', '"relight.export"'))
    names = [light["name"] for light in describe(relit_run)["relight"]["lights"]]
    assert names == ["other", "own", "light"]


def test_a_lone_scene_with_materials_can_be_relit_and_gives_no_lights_away(ball, tmp_path):
    write_ply(tmp_path / "ball.ply", ball[:4])
    relight = describe(tmp_path / "ball.ply")["relight"]
    assert relight == {"scene": "files/ball.ply", "lights": [], "up": [0.0, -1.0, 0.0]}
    assert locate(tmp_path / "ball.ply", "lights/dusk") is None


def test_of_two_scenes_with_materials_the_one_that_knows_its_shadows_is_relit(ball, tmp_path):
    scene = ball[:4]
    plain = replace(scene, extras={k: v for k, v in scene.extras.items() if k != "transfer"})
    for name, one in (("shadowed", scene), ("plain", plain)):
        write_ply(tmp_path / f"{name}.ply", one)
    scenes = {name: tmp_path / f"{name}.ply" for name in ("shadowed", "plain")}
    assert best_scene(scenes) == "shadowed"
    assert best_scene({"plain": tmp_path / "plain.ply"}) == "plain"


def test_a_view_knows_its_pictures_under_other_lights(run_folder):
    views = {view["name"]: view["relit"] for view in describe(run_folder)["cameras"]["views"]}
    assert set(views["test_000"]) == {"dusk", "garden"}
    assert locate(run_folder, views["test_000"]["dusk"]) == SAMPLE / "test_000/rgba_dusk.png"
    assert views["x"] == {}


def test_packed_materials_are_what_they_were_to_half_a_step_of_8_bits(ball):
    scene = ball[:50]
    content = pack(scene)
    magic, version, count, has_transfer, *scales = HEAD.unpack(content[: HEAD.size])
    assert (magic, version, count, has_transfer) == (b"FOVM", 1, 50, 1)
    assert len(content) == HEAD.size + 24 * 50
    planes = np.frombuffer(content, np.uint8, offset=HEAD.size)
    found = planes[:150].view(np.int8).reshape(50, 3) / 127
    assert_allclose(found, scene.extras["normal"].numpy(), atol=0.51 / 127)
    found = planes[8 * 50 :].view(np.int8).reshape(50, 16) / 127 * np.array(scales)
    wanted = scene.extras["transfer"].numpy()
    assert (np.abs(found - wanted) <= 0.51 / 127 * np.maximum(scales, 1e-6)).all()


def test_a_large_light_is_put_into_a_page_smaller_and_as_bright(tmp_path):
    image = np.random.default_rng(0).gamma(0.5, 2.0, (512, 1024, 3)).astype(np.float32)
    write_radiance(tmp_path / "large.hdr", image)
    content = small_light(tmp_path / "large.hdr")
    (tmp_path / "small.hdr").write_bytes(content)
    small = read_radiance(tmp_path / "small.hdr")
    assert small.shape == (128, 256, 3)
    assert_allclose(small.mean(axis=(0, 1)), image.mean(axis=(0, 1)), rtol=0.01)


def test_an_exported_page_holds_the_materials_and_the_lights(relit_run, monkeypatch):
    monkeypatch.setattr(viewer_page, "CONVERTED_BYTES", 1000)
    text = export(relit_run).read_text()
    data = json.loads(text.split('id="page-data">')[1].split("</script>")[0])
    assert data["scenes"][0]["format"] == "spz"
    relight = data["relight"]
    assert relight["scene"] == data["scenes"][0]["path"]
    assert base64.b64decode(relight["materials"].split(",")[1]).startswith(b"FOVM")
    assert [light["address"].startswith("data:") for light in relight["lights"]] == [True] * 4
    dusk = data["cameras"]["views"][0]["relit"]["dusk"]
    assert dusk.startswith("data:image/png")
