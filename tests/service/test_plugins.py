"""Plugins of another package, installed into a folder as pip would, used by a real service."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fovea import dialect
from fovea.service.plugins import installed

if TYPE_CHECKING:
    from conftest import Service

PHOTO = dialect.SAMPLES / "corner" / "corner_00.jpg"
CODE = '''
import torch

from fovea.photo.engine import Prediction
from fovea.scene.gaussians import Gaussians
from fovea.scene.harmonics import from_colors


def invert(pixels, settings):
    return 255 - pixels


def fails(pixels, settings):
    raise ValueError("no ink")


def half(gaussians, settings):
    return gaussians[: int(len(gaussians) * settings.get("share", 0.5))]


class Wall:
    """One Gaussian before the camera."""

    name = "wall"

    def predict(self, photograph, *, watch=None):
        one = Gaussians(
            means=torch.tensor([[0.0, 0.0, 2.0]]),
            quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
            scales=torch.full((1, 3), 0.1),
            opacities=torch.tensor([0.9]),
            harmonics=from_colors(torch.tensor([[0.5, 0.5, 0.5]])),
            color_space="linear",
        )
        return Prediction(one, None, photograph, {})


def wall(settings, device):
    return Wall()
'''
POINTS = """
[fovea.preprocess]
invert = paint:invert
fails = paint:fails
absent = paint_that_is_not_there:fn

[fovea.predictors]
wall = paint:wall

[fovea.postprocess]
half = paint:half
"""


@pytest.fixture
def paint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with plugins, where Python finds it."""
    folder = tmp_path / "site"
    about = folder / "paint-1.2.dist-info"
    about.mkdir(parents=True)
    (folder / "paint.py").write_text(CODE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: paint\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def predict(service: "Service", **fields: str) -> dict[str, Any]:
    with PHOTO.open("rb") as file:
        answer = service.client.post("/v1/tasks", files={"file": file}, data=fields)
    assert answer.status_code == 202, answer.text
    return service.wait(answer.json()["task_id"])


def test_plugins_run_in_their_order_and_one_that_breaks_is_left_out(
    paint: Path, make_service: Callable[..., "Service"], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(
        "plugins:\n  fails: {order: 1}\n  half: {share: 0.25}\n  absent: {enabled: false}\n"
        "  hafl: {share: 1}\n"
    )
    service = make_service("--config", str(tmp_path / "config.yaml"))
    listed = service.client.get("/v1/plugins").json()["plugins"]
    assert [(one["kind"], one["name"]) for one in listed] == [
        ("preprocess", "fails"),
        ("preprocess", "absent"),
        ("preprocess", "invert"),
        ("model", "wall"),
        ("postprocess", "half"),
    ]
    assert listed[4] | {"target": ""} == {
        "name": "half", "kind": "postprocess", "package": "paint", "version": "1.2", "target": "",
        "order": 100, "enabled": True, "settings": {"share": 0.25}, "trouble": "",
    }  # fmt: skip
    assert listed[1]["trouble"].startswith("ModuleNotFoundError")
    done = predict(service)
    assert done["state"] == "succeeded", done
    stages = {stage["key"]: stage for stage in done["result"]["stages"]}
    assert list(stages) == ["prepare", "predict", "finish"]
    assert stages["prepare"]["problems"] == ["the plugin fails was left out: ValueError: no ink"]
    whole = stages["predict"]["scores"]["gaussians"]
    assert stages["finish"]["scores"]["gaussians"] == int(whole * 0.25)
    task = service.client.get(f"/v1/tasks/{done['id']}").json()
    assert task["gaussians"] == int(whole * 0.25)
    assert service.client.get(task["url"]).content.startswith(b"ply\n")


def test_a_plugin_may_predict(paint: Path, make_service: Callable[..., "Service"]) -> None:
    service = make_service(
        "model.checkpoint=plugin:wall", "plugins={half: {enabled: false}, invert: {enabled: false},"
        " fails: {enabled: false}, absent: {enabled: false}}"
    )  # fmt: skip
    done = predict(service)
    assert done["state"] == "succeeded", done
    assert [stage["use"] for stage in done["result"]["stages"]] == [
        "fovea.service.plugins.stages:FOREIGN"
    ]
    assert service.client.get(f"/v1/tasks/{done['id']}").json()["gaussians"] == 1


def test_a_section_without_its_plugin_is_named(paint: Path) -> None:
    assert installed.strangers({"hafl": {}, "half": {}}) == [
        "plugins.hafl belongs to no plugin that is installed; did you mean half?"
    ]
