"""A scene becomes a film: as many frames as asked, in the picture of its photograph."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea import catalog
from fovea.errors import DataError, StoppedError
from fovea.photo.drawing import constant_colors, draw
from fovea.photo.film import Shot, film, still_numbers
from fovea.photo.lift import lift
from fovea.photo.settings.film import FilmConfig, StereoConfig
from fovea.photo.sharp_ply import camera_at_origin, read_sharp_ply, write_sharp_ply
from fovea.runs.stage import Context
from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import write_ply
from fovea.scene.video import read_video

HEIGHT, WIDTH, FOCAL_PX = 40, 60, 55.0
STAGE = catalog.stage("photo.film")


def checkers() -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    light = ((rows // 8 + columns // 8) % 2)[..., None]
    return np.where(light, [230, 120, 40], [20, 60, 160]).astype(np.uint8)


def wall(depth_m: float = 2.0) -> Gaussians:
    camera = camera_at_origin(FOCAL_PX, height=HEIGHT, width=WIDTH)
    return lift(checkers(), np.full((HEIGHT, WIDTH), depth_m), camera)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "wall.ply"
    write_sharp_ply(path, wall(), focal_px=FOCAL_PX, height=HEIGHT, width=WIDTH)
    return path


def filmed(config: FilmConfig, folder: Path, **rest: object) -> Context:
    context = Context.local(STAGE, config, folder, **rest)
    film(config, context)
    return context


def test_the_first_frame_of_a_still_film_is_the_photograph(scene: Path) -> None:
    shot = Shot.read(scene, FilmConfig(scene=scene, trajectory="still"))
    picture, depth = shot.frame(shot.cameras()[0])
    off = np.abs(picture.astype(int) - checkers())
    # Neighbours overlap, so edges are a little soft.
    assert off.mean() < 12
    assert np.median(off) <= 4
    np.testing.assert_allclose(depth, 2.0, atol=1e-3)


def test_the_reference_draws_half_a_pixel_aside_and_cuts_steps_off(scene: Path) -> None:
    config = FilmConfig(scene=scene, trajectory="still")
    ours = Shot.read(scene, config)
    theirs = Shot.read(scene, config.model_copy(update={"mode": "reference"}))
    moved = ours.cameras()[0].intrinsics - theirs.cameras()[0].intrinsics
    np.testing.assert_allclose(moved[:2, 2], 0.5)
    drawn = draw(theirs.gaussians, theirs.cameras()[0], colors=theirs.colors)
    linear = np.clip(drawn.colors.astype(np.float64), 0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    picture, _ = theirs.frame(theirs.cameras()[0])
    off = (curve * 255).astype(np.uint8).astype(int) - picture
    assert np.mean(off != 0) < 1e-3


def test_colours_are_blended_in_linear_light_and_then_encoded(scene: Path) -> None:
    both = read_sharp_ply(scene).gaussians
    half = replace(both, opacities=torch.full_like(both.opacities, 0.5))
    lens = camera_at_origin(FOCAL_PX, height=HEIGHT, width=WIDTH)
    shot = Shot(half, lens, FilmConfig(scene=scene, holes="black"))
    drawn = draw(half, lens, colors=constant_colors(half))
    picture, _ = shot.frame(lens)
    dark = float(drawn.colors[4, 4, 0])
    assert picture[4, 4, 0] == pytest.approx(255 * (1.055 * dark ** (1 / 2.4) - 0.055), abs=1)


def test_a_film_has_its_frames_its_depth_and_its_stills(scene: Path, tmp_path: Path) -> None:
    config = FilmConfig(scene=scene, steps=6, stills=3)
    context = filmed(config, tmp_path / "work")
    for name in ("video", "depth"):
        frames, rate = read_video(context.output(name))
        assert frames.shape == (6, HEIGHT, WIDTH, 3)
        assert rate == 30
    stills = sorted(path.name for path in context.output("stills").iterdir())
    assert stills == ["0000.png", "0002.png", "0004.png"]
    assert not (context.folder / "frames" / "film").exists()


@pytest.mark.parametrize("form", ["webm", "gif"])
def test_films_come_in_other_formats_too(form: str, scene: Path, tmp_path: Path) -> None:
    config = FilmConfig(scene=scene, steps=2, format=form, depth=False)  # pyright: ignore
    context = filmed(config, tmp_path / "work")
    assert context.output(form).stat().st_size > 100
    assert not context.output("video").exists()


def test_a_stopped_film_goes_on_and_ends_as_an_unbroken_one(scene: Path, tmp_path: Path) -> None:
    config = FilmConfig(scene=scene, steps=4, stills=4)
    whole = filmed(config, tmp_path / "whole")
    asked = iter([False, False, True])
    with pytest.raises(StoppedError):
        filmed(config, tmp_path / "broken", asked_to_stop=lambda: next(asked))
    shown: list[object] = []
    broken = filmed(config, tmp_path / "broken", emit=shown.append)
    for name in ("video", "depth"):
        assert broken.output(name).read_bytes() == whole.output(name).read_bytes()


def test_a_folder_of_scenes_gives_a_film_each_and_says_which_is_broken(
    scene: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.ply").write_bytes(scene.read_bytes())
    (folder / "three.ply").write_bytes(b"ply\nnot really")
    config = FilmConfig(scene=folder, steps=2, stills=1)  # pyright: ignore[reportCallIssue]
    assert config.scenes == folder
    context = Context.local(STAGE, config, tmp_path / "work")
    assert film(config, context) == {"films": 2.0, "failed": 1.0}
    names = sorted(path.name for path in context.output("films").iterdir())
    assert names == ["one.depth.mp4", "one.mp4", "two.depth.mp4", "two.mp4"]
    assert (context.output("stills") / "one_0000.png").is_file()
    assert len(context.problems) == 1
    assert "three.ply" in context.problems[0]


def test_two_eyes_are_twice_as_wide_and_glasses_take_one_width(scene: Path) -> None:
    for layout, width in (("side_by_side", 2 * WIDTH), ("crossed", 2 * WIDTH), ("anaglyph", WIDTH)):
        stereo = StereoConfig(layout=layout, baseline_mm=100)  # pyright: ignore
        shot = Shot.read(scene, FilmConfig(scene=scene, trajectory="still", stereo=stereo))
        picture, _ = shot.frame(shot.cameras()[0])
        assert picture.shape == (HEIGHT, width, 3)


def test_a_wall_in_the_plane_of_the_screen_looks_alike_to_both_eyes(scene: Path) -> None:
    stereo = StereoConfig(layout="side_by_side", baseline_mm=100)
    shot = Shot.read(scene, FilmConfig(scene=scene, trajectory="still", stereo=stereo))
    picture, _ = shot.frame(shot.cameras()[0])
    left, right = picture[:, :WIDTH].astype(int), picture[:, WIDTH:].astype(int)
    difference = np.abs(left - right)[:, 4:-4]
    # Depths are equal but for rounding, which decides who is drawn first.
    assert difference.mean() < 0.3
    assert difference.max() <= 8


def test_a_film_keeps_to_the_size_that_is_asked_for(scene: Path) -> None:
    for asked, wanted in (
        ({"width": 30}, (20, 30)),
        ({"height": 20}, (20, 30)),
        ({"height": 20, "width": 20}, (20, 20)),
        ({"longest_px": 30}, (20, 30)),
    ):
        shot = Shot.read(scene, FilmConfig(scene=scene, **asked))
        assert shot.frame(shot.cameras()[0])[0].shape[:2] == wanted


def test_the_same_scene_gives_the_same_film_twice(scene: Path, tmp_path: Path) -> None:
    config = FilmConfig(scene=scene, steps=3)
    films = [filmed(config, tmp_path / name).output("video").read_bytes() for name in "ab"]
    assert films[0] == films[1]


def test_a_scene_that_names_no_camera_is_filmed_with_a_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.ply"
    write_ply(path, wall())
    shot = Shot.read(path, FilmConfig(scene=path))
    assert (shot.lens.height, shot.lens.width) == (480, 640)
    assert float(shot.lens.intrinsics[0, 0]) == 512
    given = Shot.read(path, FilmConfig(scene=path, focal_px=700))
    assert float(given.lens.intrinsics[0, 0]) == 700


def test_a_film_of_no_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a scene"):
        filmed(FilmConfig(), tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no scene"):
        filmed(FilmConfig(scenes=tmp_path / "empty"), tmp_path / "b")


def test_stills_are_spread_evenly() -> None:
    assert still_numbers(1, 60) == [0]
    assert still_numbers(4, 60) == [0, 15, 30, 45]
    assert still_numbers(9, 3) == [0, 1, 2]


def test_depth_films_reach_to_the_deepest_of_the_first_frame(scene: Path, tmp_path: Path) -> None:
    config = FilmConfig(scene=scene, steps=1, stills=1, trajectory="still")
    context = filmed(config, tmp_path / "near")
    frames, _ = read_video(context.output("depth"))
    assert frames[0, 20, 30, 0] > 90  # the end of the map is dark red
    assert frames[0, 20, 30, 2] < 40
    capped = filmed(config.model_copy(update={"deepest_m": 20.0}), tmp_path / "far")
    assert np.asarray(Image.open(capped.output("stills") / "0000.png")).shape == (HEIGHT, WIDTH, 3)
