"""A real browser for tests: Debian's Chromium, driven by Playwright.

A plugin of pytest (tests/conftest.py names it). One browser serves the tests of a module and ends
with it: as long as Playwright is at work its event loop counts as running on the main thread,
and what starts a loop of its own there, as the test client of an ASGI application does, would
fail. Where no Chromium is installed, the tests that need it are skipped.
"""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

FLAGS = (
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
)
"""WebGL 2 without a graphics card, and no word to anybody."""
PATIENCE_S = 180
"""For a network, and for software rendering, on a busy machine."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser; a test opens pages or profiles of its own in it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs a browser: install Debian's package chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    playwright.expect.set_options(timeout=PATIENCE_S * 1000)
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()
