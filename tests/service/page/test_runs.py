"""The page of a job whose run has a scene: the viewer inside it, with the light to turn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import add_materials, dull_ball, make_run, three_balls

from fovea.scene.ply import write_ply

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STILL = (
    "fovea.relight?.light && !fovea.relight.left && !fovea.relight.waiting && !fovea.view.asked"
    " && !fovea.view.spark.sorting && !fovea.view.spark.sortDirty"
)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_scene_of_a_relighting_run_is_drawn_and_its_light_turns(
    size: str, service: Any, look: Callable[..., Any], tmp_path: Path
) -> None:
    write_ply(tmp_path / "balls.ply", three_balls(200))
    run = service.folder / f"2026-11-21_1200_relit-{size}_abcd"
    job = service.adopt(
        add_materials(make_run(run, tmp_path / "balls.ply"), dull_ball()), "relight"
    )
    sight = look(service.url, size=size)
    page = sight.page
    sight.go(f"jobs/{job}")
    viewer = sight.viewer()
    sight.wait(STILL, inside=viewer)
    page.wait_for_timeout(1000)
    assert viewer.evaluate(f"() => Boolean({STILL})"), "it draws while nothing changes"
    frame = page.locator(".view-frame iframe")
    width = frame.bounding_box()["width"]
    assert width > (1100 if size == "desktop" else 340)
    before = frame.screenshot()
    viewer.fill("#turn", "180")
    sight.wait(STILL, inside=viewer)
    assert frame.screenshot() != before
    assert viewer.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert sight.complaints == []
    assert sight.foreign == []
