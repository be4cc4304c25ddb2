"""`photo.predict`: what it makes of one photograph and of many, stopped and gone on with."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from fovea.errors import ArtifactError, BackendError, DataError, StoppedError
from fovea.photo import predict as stage
from fovea.photo.contact_sheet import writable
from fovea.photo.engine import Prediction, Watch, unwatched
from fovea.photo.photograph import Photograph
from fovea.photo.settings.predict import PredictConfig
from fovea.photo.sharp_ply import read_camera
from fovea.photo.stages import PREDICT
from fovea.runs.stage import Context
from fovea.scene.files import read_gaussians
from fovea.scene.gaussians import Gaussians


class Wall:
    """Everything stands on a wall two metres away."""

    name, limits = "wall", "It knows one wall."

    def __init__(self) -> None:
        self.seen: list[str] = []

    def predict(self, photograph: Photograph, *, watch: Watch = unwatched) -> Prediction:
        self.seen.append(photograph.name)
        watch(0, 1)
        side = 12
        y, x = torch.meshgrid(*[torch.linspace(-0.9, 0.9, side)] * 2, indexing="ij")
        means = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3) * 2
        count = len(means)
        gaussians = Gaussians(
            means=means,
            quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
            scales=torch.full((count, 3), 0.1),
            opacities=torch.full((count,), 0.9),
            harmonics=torch.zeros(count, 1, 3),
            color_space="linear",
        )
        depth = np.full((2, side, side), 2.0, np.float32)
        return Prediction(gaussians, depth, photograph, {"network": 0.1})


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall()
    monkeypatch.setattr(stage, "load_predictor", lambda settings, device: made)
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "day1").mkdir(parents=True)
    for name in ("a.jpg", "b.png", "day1/a.jpg"):
        Image.new("RGB", (32, 24), (200, 90, 30)).save(folder / name)
    (folder / "c.jpg").write_text("no picture")
    return folder


def work(photo: Path, folder: Path, **settings: Any) -> tuple[Context, dict[str, float]]:
    config = PredictConfig(photo=photo, **settings)
    context = Context.local(PREDICT, config, folder)
    return context, stage.predict(config, context)


def table(context: Context) -> dict[str, dict[str, str]]:
    with context.output("table").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_one_photograph_becomes_a_scene_that_knows_its_camera(
    photos: Path, wall: Wall, tmp_path: Path
) -> None:
    context, scores = work(photos / "a.jpg", tmp_path / "run", depth="npy", normals=True)
    assert scores == {"photographs": 1, "failed": 0, "gaussians": 144}
    assert len(read_gaussians(context.output("scene"))) == 144
    camera = read_camera(context.output("scene"))
    assert camera is not None
    assert (camera.width, camera.height) == (32, 24)
    assert not context.output("scenes").exists()
    assert np.load(context.output("depth") / "a.npy").shape == (9, 12)
    assert (context.output("depth") / "a.normals.png").is_file()
    assert context.problems == []


def test_a_folder_with_a_bad_file_is_done_but_for_that(
    photos: Path, wall: Wall, tmp_path: Path
) -> None:
    context, scores = work(photos, tmp_path / "run", recursive=True)
    assert scores == {"photographs": 3, "failed": 1, "gaussians": 3 * 144}
    scenes = sorted(path.name for path in context.output("scenes").iterdir())
    assert scenes == ["a.ply", "b.ply", "day1-a.ply"]
    (problem,) = context.problems
    assert problem.startswith("c.jpg is not a picture")
    assert table(context)["c.jpg"]["outcome"] == "failed"
    assert not context.output("scene").exists()


def test_a_bad_photograph_alone_is_an_error(photos: Path, wall: Wall, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a picture"):
        work(photos / "c.jpg", tmp_path / "run")


def test_a_folder_of_which_nothing_can_be_used_is_an_error(
    photos: Path, wall: Wall, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.png"):
        (photos / name).unlink()
    with pytest.raises(DataError, match=r"none of the 1 photographs .* c\.jpg is not a picture"):
        work(photos, tmp_path / "run")


def test_weights_that_are_missing_end_the_work(
    photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(settings: object, device: str) -> None:
        raise BackendError("no weights here; download them.")

    monkeypatch.setattr(stage, "load_predictor", refuse)
    with pytest.raises(BackendError, match="no weights"):
        work(photos, tmp_path / "run")


def test_what_is_done_stays_done_when_it_is_stopped(
    photos: Path, wall: Wall, tmp_path: Path
) -> None:
    config = PredictConfig(photo=photos)
    whole, _ = work(photos, tmp_path / "whole")
    wall.seen.clear()
    stopped = Context.local(
        PREDICT, config, tmp_path / "run", asked_to_stop=lambda: len(wall.seen) > 1
    )
    with pytest.raises(StoppedError):
        stage.predict(config, stopped)
    context = Context.local(PREDICT, config, tmp_path / "run")
    stage.predict(config, context)
    assert wall.seen == ["a", "b", "b"], "a was done before, b was stopped in the middle"
    assert len(context.problems) == 1
    for name in ("sheet", "table"):
        assert context.output(name).read_bytes() == whole.output(name).read_bytes()


def test_a_link_to_nothing_is_refused_by_name(wall: Wall, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(ArtifactError, match=r"a\.jpg: it is a link that leads to nothing"):
        work(tmp_path / "a.jpg", tmp_path / "run")


def test_the_limits_of_a_predictor_are_said(photos: Path, wall: Wall, tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    config = PredictConfig(photo=photos / "a.jpg")
    stage.predict(config, Context.local(PREDICT, config, tmp_path / "work", emit=said.append))
    assert Wall.limits in [event.get("message") for event in said]


def test_letters_that_the_sheet_cannot_write_are_named_by_number() -> None:
    font = ImageFont.load_default(size=14)
    assert writable("cat 猫.jpg", font) == "cat U+732B.jpg"
