#!/usr/bin/env python3
"""Make the pictures of docs/service-page.md: `python scripts/page_pictures.py` (needs Chromium).

A service on a free port makes a scene of scikit-image's cup of coffee (CC0), runs the recipe demo,
and its page is looked at as on a desk and on a phone. It takes a quarter of an hour, most of it for
the recipe. With the address of a running service it uses that one, and what it has made already.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import skimage.data
from PIL import Image
from playwright.sync_api import Browser, Frame, Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs/images"
COFFEE = Path(skimage.data.__file__).parent / "coffee.png"
FLAGS = ["--no-sandbox", "--headless=new", "--enable-unsafe-swiftshader", "--use-gl=angle"]
FLAGS += ["--use-angle=swiftshader", "--ignore-gpu-blocklist", "--disable-background-networking"]
DESK, PHONE = (1280, 800), (390, 844)
PATIENCE_S = 3600
MOST_BYTES = 300_000


@contextmanager
def service() -> Iterator[str]:
    """A service on a free port, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "fovea",
            "serve",
            "--port",
            "0",
            "--no-browser",
            "--no-preload",
        ]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*command, "--device", "cpu", "--workers", "2"],
            cwd=folder, env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def made(url: str, kind: str) -> str:
    """The newest job of a kind, asked for where there is none, once it has ended well."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        known = [job for job in client.get("v1/jobs").json()["jobs"] if job["kind"] == kind]
        id = (known or [client.post(f"v1/jobs/{kind}", json={}).json()])[0]["id"]
        while (job := client.get(f"v1/jobs/{id}").json())["state"] in ("queued", "running"):
            time.sleep(1)
    if job["state"] != "succeeded":
        raise SystemExit(f"{kind} did not end well: {job['message']}")
    return id


def open_page(browser: Browser, url: str, size: tuple[int, int], theme: str, lang: str) -> Page:
    """The page, as one finds it."""
    width, height = size
    profile = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if size == PHONE else 1,
        has_touch=size == PHONE,
        color_scheme="dark" if theme == "dark" else "light",
        locale=lang,
    )
    page = profile.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(url)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def go(page: Page, view: str, wait_s: float = 2.0) -> None:
    """To a view of the page."""
    page.evaluate("view => { location.hash = `#/${view}`; }", view)
    page.wait_for_selector(f"#main[data-ready='{view}']", state="attached")
    if view.startswith("scene/"):
        settle(page)
    page.wait_for_timeout(wait_s * 1000)


def settle(page: Page) -> None:
    """Until the scene is drawn in the order of its own view."""
    wait(page, "fovea.ready && fovea.view?.mesh")
    page.wait_for_timeout(3000)


def wait(page: Page | Frame, claim: str) -> None:
    """Until a JavaScript expression is true; the page's policy forbids polling inside."""
    end = time.monotonic() + PATIENCE_S
    while not page.evaluate(f"() => Boolean({claim})"):
        if time.monotonic() > end:
            raise SystemExit(f"{claim} did not come true")
        time.sleep(0.3)


def look_into(page: Page, job: str) -> None:
    """To the page of a job, until the viewer in it has drawn its scene."""
    go(page, f"jobs/{job}")
    frame = page.wait_for_selector(".view-frame iframe").content_frame()
    assert frame
    wait(frame, "fovea.ready && fovea.relight?.light && !fovea.relight.left && !fovea.view.asked")
    page.wait_for_timeout(1000)


def shot(page: Page) -> Image.Image:
    """What one sees."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def keep(name: str, picture: Image.Image) -> None:
    """Write a picture into the docs, as good as its size allows."""
    target = IMAGES / f"page_{name}.jpg"
    for quality in range(90, 40, -5):
        picture.save(target, quality=quality, optimize=True)
        if target.stat().st_size < MOST_BYTES:
            return


def beside(pictures: list[Image.Image], gap: int = 24) -> Image.Image:
    """Pictures in a row, all of one height."""
    height = min(picture.height for picture in pictures)
    scaled = [p.resize((round(p.width * height / p.height), height)) for p in pictures]
    row = Image.new(
        "RGB", (sum(p.width for p in scaled) + gap * (len(scaled) - 1), height), "white"
    )
    left = 0
    for picture in scaled:
        row.paste(picture, (left, 0))
        left += picture.width + gap
    return row


def send_coffee(page: Page) -> str:
    """Hand a photograph in; gives the job's id."""
    with page.expect_file_chooser() as chooser:
        page.locator(".go:visible").first.click()
    chooser.value.set_files([str(COFFEE)])
    page.wait_for_selector(".item[data-state=ready] .head[aria-current]:has-text('coffee')")
    return page.evaluate("() => location.hash").removeprefix("#/scene/")


def desk(browser: Browser, url: str) -> tuple[str, str]:
    """The pictures of a desk."""
    page = open_page(browser, url, DESK, "light", "en-GB")
    coffee = send_coffee(page)
    settle(page)
    page.mouse.move(640, 400)
    page.mouse.down()
    page.mouse.move(664, 392, steps=4)
    page.wait_for_timeout(300)
    page.mouse.up()
    page.wait_for_timeout(4000)
    keep("walk", shot(page))
    page.click(".tools button:has-text('Film')")
    page.select_option("dialog select >> nth=0", "1")
    page.click("dialog .go")
    page.wait_for_selector("dialog video")
    wait(page, "document.querySelector('dialog video').currentTime > 0.2")
    keep("film", shot(page))
    page.keyboard.press("Escape")
    page.fill("#look-size", "0.6")
    page.fill("#look-pace", "0")
    page.fill("#look-amount", "0.12")
    page.evaluate("() => document.activeElement.blur()")
    page.wait_for_timeout(3000)
    keep("dispersion", shot(page))
    relight = made(url, "demo")
    look_into(page, relight)
    keep("job", shot(page))
    dark = open_page(browser, url, DESK, "dark", "en-GB")
    go(dark, "jobs")
    keep("jobs", shot(dark))
    go(dark, "new/photo.film")
    keep("form", shot(dark))
    return coffee, relight


def phone(browser: Browser, url: str, coffee: str, relight: str) -> None:
    """The pictures of a phone."""
    views: list[Callable[[Page], Any]] = [
        lambda page: go(page, f"scene/{coffee}", 5),
        lambda page: go(page, "jobs", 3),
        lambda page: look_into(page, relight),
        lambda page: go(page, "new/photo.predict", 2),
    ]
    rows: list[Image.Image] = []
    for index, view in enumerate(views):
        theme, lang = ("dark", "zh-CN") if index % 2 else ("light", "en-GB")
        page = open_page(browser, url, PHONE, theme, lang)
        view(page)
        rows.append(shot(page))
        page.context.close()
    row = beside(rows)
    keep("phone", row.resize((row.width // 2, row.height // 2), Image.Resampling.LANCZOS))


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    given = sys.argv[1:]
    with nullcontext(given[0]) if given else service() as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        phone(browser, url, *desk(browser, url))
        browser.close()


if __name__ == "__main__":
    main()
