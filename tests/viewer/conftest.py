"""A scene, a run's folder and a browser, for the tests of the viewer."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import PATIENCE_S
from made_runs import add_materials, dull_ball, light_map, make_run, three_balls
from PIL import Image

from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import write_ply
from fovea.viewer.server import Server

SAMPLE = Path(__file__).parents[2] / "src/fovea/samples/still_life"


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "balls.ply"
    write_ply(path, three_balls())
    return path


@pytest.fixture
def run_folder(tmp_path: Path, scene: Path) -> Path:
    """A finished run as `runs` writes it: two stages, curves, pictures, a scene with cameras."""
    return make_run(tmp_path / "2026-11-21_1200_balls_abcd", scene)


@pytest.fixture(scope="session")
def ball() -> Gaussians:
    """A dull grey sphere of radius 1 about the origin, whose normals are known."""
    return dull_ball()


@pytest.fixture(scope="session")
def light_of() -> Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray]:
    """A map of 64 x 32 from a function of its directions in a z-up world."""
    return light_map


@pytest.fixture
def relit_run(tmp_path: Path, scene: Path, ball: Gaussians) -> Path:
    return add_materials(make_run(tmp_path / "relit", scene), ball)


class Sight:
    """A page in the browser, with what it complained of and what it asked from elsewhere."""

    def __init__(self, page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        home = url[: url.index("/", 8) + 1]
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note(request.url, home))

    def _note(self, url: str, home: str) -> None:
        if not url.startswith((home, "blob:", "data:")):
            self.foreign.append(url)

    def wait(self, claim: str) -> None:
        """Wait until a JavaScript expression is true; the page's policy forbids polling inside."""
        end = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(f"() => Boolean({claim})"):
            assert time.monotonic() < end, f"{claim} did not come true: {self.complaints}"
            time.sleep(0.2)

    def reset(self) -> None:
        """The panel and the camera as at first."""
        self.page.evaluate(
            "() => { const { relight, view } = fovea; relight.reset(); view.home(false);"
            " relight.find('backdrop').checked = false; relight.choose(relight.choices[0]); }"
        )
        self.wait("fovea.relight.light.name === 'fit'")

    def still(self) -> np.ndarray:
        """The grey levels of the canvas once all colours and the order are up to date."""
        self.wait(
            "!fovea.view.asked && !fovea.view.spark.sorting && !fovea.view.spark.sortDirty"
            " && fovea.view.spark.updateTimeoutId === -1"
            " && !fovea.relight.left && !fovea.relight.waiting"
        )
        shot = self.page.locator("#canvas").screenshot(timeout=PATIENCE_S * 1000)
        return np.asarray(Image.open(io.BytesIO(shot)).convert("L")).astype(float)

    def pixels(self, folder: Path) -> np.ndarray:
        """What the scene's part of the page shows."""
        path = folder / "shot.png"
        self.page.locator("#view").screenshot(path=path, timeout=PATIENCE_S * 1000)
        return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def studio(chromium, tmp_path_factory, scene: Path, ball: Gaussians) -> Iterator[Sight]:
    """One page of the ball for many tests; each begins with `studio.reset()`."""
    folder = make_run(tmp_path_factory.mktemp("studio") / "relit", scene)
    with Server(add_materials(folder, ball)) as server:
        page = chromium.new_page(viewport={"width": 960, "height": 640})
        sight = Sight(page, server.url)
        page.goto(server.url + "?lang=en&theme=dark", timeout=PATIENCE_S * 1000)
        sight.wait("window.fovea && fovea.ready && fovea.relight && fovea.relight.light")
        yield sight
        page.close()


@pytest.fixture
def look(chromium) -> Iterator[Callable[..., Sight]]:
    """Open an address and wait for the first sorted frame."""
    with contextlib.ExitStack() as opened:

        def open_page(url: str, width: int = 960, height: int = 640) -> Sight:
            page = chromium.new_page(viewport={"width": width, "height": height})
            opened.callback(page.close)
            sight = Sight(page, url)
            page.goto(url, timeout=PATIENCE_S * 1000)
            sight.wait("window.fovea && window.fovea.ready")
            return sight

        yield open_page
