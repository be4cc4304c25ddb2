import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fovea.errors import StoppedError
from fovea.relight.fit import fit
from fovea.relight.plan import Plan
from fovea.relight.settings.fit import DensifyConfig, FitConfig, LossConfig, StartConfig
from fovea.relight.stages import FIT
from fovea.runs.stage import Context
from fovea.scene.ply import read_ply

STEPS = 24


def config(data: Path, **rest: Any) -> FitConfig:
    settings: dict[str, Any] = {
        "data": data,
        "iterations": STEPS,
        "evaluate_every": 10,
        "start": StartConfig(count=150),
        "densify": DensifyConfig(interval=4, gradient=1e-5, most=400),
        "loss": LossConfig(normal_from=0.3),
    }
    return FitConfig(**(settings | rest))


def run(folder: Path, settings: FitConfig, **rest: Any) -> tuple[dict[str, float], Context, list]:
    events: list[dict[str, Any]] = []
    context = Context.local(FIT, settings, folder, emit=events.append, **rest)
    return fit(settings, context), context, events


def test_a_fit_gets_nearer_to_photographs_it_has_not_seen(ball_capture, tmp_path):
    before, _, _ = run(tmp_path / "short", config(ball_capture, iterations=2))
    after, context, events = run(tmp_path / "long", config(ball_capture, iterations=120))
    assert after["test/psnr"] > before["test/psnr"] + 3
    scene = read_ply(context.output("scene"))
    assert len(scene) == after["scene/gaussians"]
    torch.testing.assert_close(scene.extras["normal"].norm(dim=-1), torch.ones(len(scene)))
    assert json.loads(context.output("scores").read_text()) == after
    cameras = json.loads(context.output("cameras").read_text())
    assert [view["split"] for view in cameras["cameras"]] == ["test"] * 2 + ["train"] * 8
    pictures = [event for event in events if event["kind"] == "picture"]
    assert {event["step"] for event in pictures} == {*range(10, 121, 10)}


def test_a_fit_stopped_and_resumed_ends_bit_for_bit_like_an_unbroken_one(ball_capture, tmp_path):
    settings = config(ball_capture)
    whole, unbroken, _ = run(tmp_path / "whole", settings)
    seen: list[dict[str, Any]] = []
    half_way = {"unit": "steps", "done": STEPS // 2}
    context = Context.local(
        FIT,
        settings,
        tmp_path / "broken",
        emit=seen.append,
        asked_to_stop=lambda: any(half_way.items() <= event.items() for event in seen),
    )
    with pytest.raises(StoppedError):
        fit(settings, context)
    # Whatever happened to the global generators meanwhile must not matter.
    torch.manual_seed(99)
    again, resumed, events = run(tmp_path / "broken", settings)
    assert [e["step"] for e in events if e["kind"] == "rewind"] == [STEPS // 2]
    assert again == whole
    assert resumed.output("scene").read_bytes() == unbroken.output("scene").read_bytes()


def test_a_fit_can_be_stopped_before_its_first_step(ball_capture, tmp_path):
    with pytest.raises(StoppedError):
        run(tmp_path, config(ball_capture), asked_to_stop=lambda: True)


def test_another_seed_gives_another_scene(ball_capture, tmp_path):
    one, _, _ = run(tmp_path / "one", config(ball_capture), seed=1)
    two, _, _ = run(tmp_path / "two", config(ball_capture), seed=2)
    assert one != two


@pytest.mark.parametrize(
    "rest",
    [
        {"mode": "reference"},
        {"mode": "reference", "background": "white"},
        {"normal_grad": "geometry"},
        {"coarse": 0.5},
        {"loss": LossConfig(opacity=0.01, scale=0.01)},
        {"densify": DensifyConfig(interval=4, reset=0.25)},
        {"degree": 0},
    ],
)
def test_each_way_of_fitting_ends_with_a_scene(ball_capture, tmp_path, rest):
    scores, context, _ = run(tmp_path, config(ball_capture, iterations=12, **rest))
    assert np.isfinite(list(scores.values())).all()
    assert len(read_ply(context.output("scene"))) > 0


def test_at_30000_iterations_the_schedule_is_the_papers():
    settings = FitConfig(
        data=Path("x"), iterations=30000, mode="reference", densify=DensifyConfig(reset=0.1)
    )
    plan = Plan.of(settings, is_cut_out=True)
    assert (plan.degree_every, plan.densify_from, plan.densify_until) == (1000, 500, 15000)
    assert (plan.remove_large_from, plan.reset_every, plan.backdrop) == (3000, 3000, "black")


def test_a_fit_says_how_many_photographs_are_missing(own_capture, tmp_path):
    (own_capture / "train/view_05.png").unlink()
    _, _, events = run(tmp_path, config(own_capture, iterations=2))
    said = [event["message"] for event in events if event["kind"] == "log"]
    assert any("1 views of balls have no photograph" in message for message in said)
