"""A scene, a run's folder and a browser, for the tests of the viewer."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.scene.gaussians import Gaussians
from fovea.scene.ply import write_ply

SAMPLE = Path(__file__).parents[2] / "src/fovea/samples/still_life"
FLAGS = [
    "--no-sandbox",
    "--headless=new",
    "--enable-unsafe-swiftshader",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_S = 120  # software rendering on a busy machine


def three_balls(count: int = 1500) -> Gaussians:
    """The test picture of the axes: red left, green middle, blue right, lit from above (OpenCV)."""
    rng = np.random.default_rng(0)
    means, colors = [], []
    for x, color in ((-1.2, (0.9, 0.1, 0.1)), (0.0, (0.1, 0.8, 0.1)), (1.2, (0.1, 0.2, 0.9))):
        d = rng.normal(size=(count, 3))
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        means.append(0.5 * d + [x, 0, 0])
        colors.append(np.array(color) * (0.6 - 0.4 * d[:, 1:2]))
    n = 3 * count
    harmonics = (torch.tensor(np.concatenate(colors)) - 0.5) / 0.28209479177387814
    return Gaussians(
        means=torch.tensor(np.concatenate(means)).float(),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        scales=torch.full((n, 3), 0.05),
        opacities=torch.full((n,), 0.99),
        harmonics=harmonics.float()[:, None],
    )


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "balls.ply"
    write_ply(path, three_balls())
    return path


def _lines(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def run_folder(tmp_path: Path, scene: Path) -> Path:
    """A finished run as `runs` writes it: two stages, curves, pictures, a scene with cameras."""
    folder = tmp_path / "2026-11-21_1200_balls_abcd"
    fit = folder / "stages/fit-12345678"
    (fit / "out").mkdir(parents=True)
    (fit / "pictures").mkdir()
    shutil.copy(scene, fit / "out/scene.ply")
    view = {"width": 200, "height": 200, "fx": 277.8, "fy": 277.8, "cx": 100.0, "cy": 100.0}
    view |= {"position": [0.0, 0.0, -4.0], "rotation": np.eye(3).tolist()}
    behind = {"position": [0.0, 0.0, 4.0], "rotation": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]}
    cameras = [
        view | {"name": "test_000", "split": "test"},
        view | behind | {"name": "x", "split": "train"},
    ]
    document = {"cameras": cameras, "centre": [0, 0, 0], "up": [0, -1, 0], "path": [view] * 3}
    (fit / "out/cameras.json").write_text(json.dumps(document))
    (fit / "config.yaml").write_text(f"data: {SAMPLE}\niterations: 3\n")
    points = [
        {"step": s, "metrics": {"train/loss": 1 / s, "test/psnr": 10.0 + s}} for s in (1, 2, 3)
    ]
    _lines(fit / "metrics.jsonl", [{"time": 0.0, "epoch": None} | point for point in points])
    for step in (1, 3):
        Image.new("RGB", (40, 20), (60 * step, 90, 120)).save(fit / f"pictures/test-{step:07d}.png")
    outputs = {
        name: {"kind": kind, "path": f"stages/fit-12345678/out/{file}", "size": 1, "sha256": ""}
        for name, kind, file in (
            ("scene", "gaussians", "scene.ply"),
            ("cameras", "cameras", "cameras.json"),
        )
    }
    fit_state = {"key": "fit", "use": "relight.fit", "folder": "stages/fit-12345678"}
    fit_state |= {"state": "done", "fingerprint": "12345678", "seconds": 12.5, "error": None}
    fit_state |= {"scores": {"test/psnr": 31.234, "test/ssim": 0.97}, "outputs": outputs}
    late = fit_state | {"key": "film", "use": "relight.film", "folder": "stages/film-1"}
    late |= {"state": "pending", "scores": {}, "outputs": {}, "seconds": 0.0}
    about = {"schema": 1, "id": folder.name, "name": "balls", "state": "done"}
    about |= {"started": 1000.0, "ended": 1013.0, "stages": [fit_state, late]}
    (folder / "run.json").write_text(json.dumps(about))
    progress = {"n": 1, "time": 1.0, "stage": "fit", "kind": "progress", "done": 2, "total": 3}
    note = {"n": 2, "time": 1.0, "stage": "fit", "kind": "log", "level": "info"}
    _lines(
        folder / "events.jsonl",
        [progress | {"unit": "steps", "shown": {}}, note | {"message": "three"}],
    )
    return folder


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

    def pixels(self, folder: Path) -> np.ndarray:
        """What the scene's part of the page shows."""
        path = folder / "shot.png"
        self.page.locator("#view").screenshot(path=path, timeout=PATIENCE_S * 1000)
        return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs a browser: install Debian's package chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


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
