"""The page of the service in a browser: from the form to the job's own page."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

if TYPE_CHECKING:
    from conftest import Service

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt install chromium"),
]
PATIENCE_MS = 60_000


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_a_job_is_asked_for_in_the_form_and_seen_in_the_list(
    service: "Service", browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("pageerror", lambda error: pytest.fail(f"the page's script failed: {error}"))
    page.goto(service.url)
    page.select_option("#kind", "toy.count")
    page.fill("#set-steps", "0")
    page.click("#go")
    expect(page.locator(".field .trouble", has_text="must be greater than")).to_be_visible()
    page.fill("#set-steps", "6")
    file = {"name": "start.bin", "mimeType": "application/octet-stream", "buffer": b"1234"}
    page.locator(".drop", has_text="a file whose size is added").locator(
        "input:not([webkitdirectory])"
    ).set_input_files(file)  # pyright: ignore[reportArgumentType]
    expect(page.locator(".drop.has")).to_have_count(1)
    page.click("#go")
    expect(page.locator(".job", has_text="toy.count").first).to_have_attribute(
        "data-state", "succeeded"
    )
    expect(page.locator(".job", has_text="value 10.00")).to_have_count(1)
    page.click("#language")
    expect(page.locator("#go")).to_have_text("开始")
    page.locator(".job a").first.click()
    expect(page.locator("#state")).to_be_visible()
    assert all(url.startswith((service.url, "data:", "blob:")) for url in seen), seen
