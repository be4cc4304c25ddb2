"""Films under environments, with a shading that shows which way the light looks."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fovea.errors import DataError
from fovea.relight.film import film
from fovea.relight.lighting import Lighting
from fovea.relight.relighting import Studio
from fovea.relight.settings.film import FilmConfig
from fovea.relight.stages import FILM
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.path import pose_record
from fovea.scene.ply import write_ply
from fovea.scene.radiance import write_radiance
from fovea.scene.rasterize import rasterize
from fovea.scene.video import read_video

WIDTH = 32


@dataclass(frozen=True)
class Buffer:
    alpha: Tensor


class SideLight:
    """Colours everything with the light that comes from +x."""

    def __init__(self, environment) -> None:
        self.color = environment.radiance_at(torch.tensor([1.0, 0.0, 0.0]))

    def shade(self, buffer: Buffer) -> Tensor:
        return self.color * buffer.alpha[..., None]


@pytest.fixture(autouse=True)
def side_light(monkeypatch) -> list[Camera]:
    seen: list[Camera] = []

    def buffer(studio: Studio, camera: Camera) -> Buffer:
        seen.append(camera)
        return Buffer(rasterize(studio.gaussians, camera).alpha)

    monkeypatch.setattr(Studio, "buffer", buffer)
    monkeypatch.setattr(Studio, "under", lambda _, environment: SideLight(environment))
    return seen


@pytest.fixture
def place(tmp_path: Path, balls) -> Path:
    """A folder with a scene with materials, its cameras, and two maps."""
    count = len(balls)
    extras = {"normal": torch.ones(count, 3), "albedo": torch.full((count, 3), 0.5)}
    extras |= {name: torch.full((count, 1), 0.5) for name in ("roughness", "metallic")}
    write_ply(tmp_path / "scene.ply", replace(balls, extras=extras))
    write_ply(tmp_path / "bare.ply", balls)
    cameras = [
        Camera.look_at(at, (0, 0, 0), fov_x=0.8, height=24, width=24)
        for at in ((3 * math.cos(a), 3 * math.sin(a), 1) for a in np.linspace(0, 6, 9))
    ]
    records = [pose_record(camera) | {"split": "train"} for camera in cameras]
    (tmp_path / "cameras.json").write_text(json.dumps({"cameras": records}))
    (tmp_path / "maps").mkdir()
    for name, colors in (("red", ((0.9, 0, 0), (0, 0, 0))), ("blue", ((0, 0, 0.9), (0, 0.9, 0)))):
        half = np.repeat(np.array([colors], np.float32), 4, axis=1).reshape(1, 8, 3)
        # The half around the centre column, which looks to +x, has the first colour.
        turned = np.roll(np.repeat(half, 4, axis=0), 2, axis=1)
        write_radiance(tmp_path / f"maps/{name}.hdr", turned)
    return tmp_path


def filmed(place: Path, **settings) -> Context:
    given = {"frames": 4, "width": WIDTH, "height": WIDTH, "cameras": place / "cameras.json"}
    config = FilmConfig(**{"scene": place / "scene.ply"} | given | settings)
    context = Context.local(FILM, config, place / "work")
    film(config, context)
    return context


def middle(frame: np.ndarray, part: int = 0) -> np.ndarray:
    """The mean colour around the centre of the frame, or of one of the pictures beside another."""
    left = part * WIDTH + WIDTH // 2
    return frame[14:18, left - 2 : left + 2].reshape(-1, 3).mean(axis=0)


def test_two_lights_stand_side_by_side_in_the_order_picked(place, side_light):
    context = filmed(place, lights=place / "maps", pick=("red", "blue"))
    frames, _ = read_video(context.output("video"))
    assert frames.shape == (4, WIDTH, 2 * WIDTH, 3)
    assert middle(frames[0]).argmax() == 0
    assert middle(frames[0], 1).argmax() == 2
    assert len(side_light) == 4, "the two share what the camera sees"


def test_each_light_may_have_its_own_film(place):
    light = place / "maps/blue.hdr"
    context = filmed(place, light=light, lights=place / "maps", pick=("red",), arrange="each")
    first, _ = read_video(context.output("video"))
    second, _ = read_video(context.output("films") / "red.mp4")
    assert middle(first[0]).argmax() == 2
    assert middle(second[0]).argmax() == 0
    assert not context.output("stills").exists()


def test_a_light_turns_while_the_camera_stands(place, side_light):
    context = filmed(place, light=place / "maps/blue.hdr", turn=1, path="still", view=2)
    frames, _ = read_video(context.output("video"))
    found = [int(middle(frame).argmax()) for frame in frames[::2]]
    assert found == [2, 1], "half a turn later the other half of the map lies at +x"
    assert len(side_light) == 1


def test_the_environment_is_seen_behind_the_scene(place):
    context = filmed(place, light=place / "maps/red.hdr", background="light", path="still", view=0)
    frames, _ = read_video(context.output("video"))
    # The first camera stands at +x and looks towards -x, where the map is black.
    assert frames[0][2, 2].max() < 30
    away = filmed(
        place, light=place / "maps/red.hdr", background="light", path="still", yaw_deg=180
    )
    frames, _ = read_video(away.output("video"))
    assert frames[0][2, 2].argmax() == 0
    assert frames[0][2, 2].max() > 200


def test_stills_are_kept_by_number_from_both_ends(place):
    context = filmed(place, stills=(1, -1))
    found = sorted(path.name for path in context.output("stills").iterdir())
    assert found == ["0001.png", "0003.png"]
    with Image.open(context.output("stills") / "0001.png") as still:
        assert still.size == (WIDTH, WIDTH)


def test_a_brighter_exposure_is_a_brighter_film(place):
    means = [
        read_video(filmed(place, light=place / "maps/red.hdr", exposure=stops).output("video"))[0]
        for stops in (-2, 0)
    ]
    assert means[0].mean() < 0.8 * means[1].mean()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"background": "light"}, "no light is given"),
        ({"lights": "maps", "pick": ("green",)}, r"pick=green names no map.*blue, red"),
        ({"path": "still", "view": 30}, r"view=30.*there are 9, from 0 to 8"),
        ({"stills": (9,)}, r"stills=9.*film's 4"),
        ({"light": "maps/red.hdr", "scene": "bare.ply"}, r"no normal, albedo.*relight\.decompose"),
    ],
)
def test_what_cannot_be_filmed_is_said(place, settings, said):
    paths = {
        name: place / settings[name] for name in ("light", "lights", "scene") if name in settings
    }
    with pytest.raises(DataError, match=said):
        filmed(place, **settings | paths)


def test_cameras_of_another_scene_are_refused(place):
    records = json.loads((place / "cameras.json").read_text())["cameras"]
    for record in records:
        # As the first camera, looking to -x, and the scene lies at +x from there.
        record |= {"rotation": records[0]["rotation"], "position": [-100.0, 0.0, 0.0]}
    (place / "cameras.json").write_text(json.dumps({"cameras": records}))
    with pytest.raises(DataError, match=r"cameras\.json must see the scene.*another scene"):
        filmed(place)


def test_a_picture_of_eight_bits_is_no_light(place):
    path = place / "maps/red.hdr"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    with pytest.raises(Exception, match=r"red\.hdr"):
        filmed(place, light=path)


def test_the_learnt_light_is_filmed_where_no_other_is_given(place):
    cubemap = torch.zeros(6, 16, 16, 3)
    cubemap[0] = torch.tensor([0.0, 0.9, 0.0])
    Lighting(cubemap, None, {"mode": "corrected"}).write(place / "lighting.npz")
    context = filmed(place, lighting=place / "lighting.npz", frames=2)
    frames, _ = read_video(context.output("video"))
    assert middle(frames[0]).argmax() == 1, "face 0 of a cubemap in world axes looks to +x"
