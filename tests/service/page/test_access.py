"""Everything is reached by key, read by a machine, and opened with a key where one is asked for."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE_S
from made_runs import make_run, three_balls
from playwright.sync_api import expect

from fovea.scene.ply import write_ply

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "axe/axe.min.js").read_text(encoding="utf-8")
SERIOUS = ("serious", "critical")
CHECK = "() => axe.run(document, { resultTypes: ['violations'], iframes: false })"


def findings(sight: Any) -> list[str]:
    """What axe-core finds serious."""
    sight.page.wait_for_timeout(250)  # colours fade in
    sight.page.evaluate(AXE + "; 0")
    found = sight.page.evaluate(CHECK)["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.fixture(scope="module")
def jobs(service: Any) -> tuple[str, str]:
    """A job that is done, and one that failed."""
    done = service.submit("toy.count", steps=4)
    failed = service.submit("toy.count", steps=3, fails=True)
    return service.wait(done["id"])["id"], service.wait(failed["id"])["id"]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_axe_finds_nothing_serious_on_any_view(
    theme: str, size: str, service: Any, jobs: tuple[str, str], look: Callable[..., Any]
) -> None:
    done, failed = jobs
    sight = look(service.url, theme=theme, size=size)
    page = sight.page
    views = ("", "jobs", f"jobs/{done}", f"jobs/{failed}", "new", "new/events.train", "studies")
    found = {}
    for view in views:
        sight.go(view)
        if view == "new/events.train":
            page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
        found[view] = findings(sight)
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    found["keys"] = findings(sight)
    page.keyboard.press("Escape")
    assert {view: what for view, what in found.items() if what} == {}
    assert sight.complaints == []


def test_keys_lead_everywhere_and_are_listed(service: Any, look: Callable[..., Any]) -> None:
    sight = look(service.url)
    page = sight.page
    for letter, view in (("j", "jobs"), ("n", "new"), ("p", "")):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_selector(f"#main[data-ready='{view}']", state="attached")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_contain_text("full screen")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.evaluate("() => document.activeElement.blur()")
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "() => document.activeElement.innerText.trim() || document.activeElement.ariaLabel"
            )
        )
    assert {"Photographs", "Jobs", "New job", "Choose photographs", "Try sample 1"} <= reached


def until(claim: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.2)


def key_of(folder: Path) -> str:
    """A new key that may do everything, whose jobs belong to `team`."""
    made = ["keys", "create", "me", "--scopes", "admin", "--owner", "team", "--runs", str(folder)]
    words = [sys.executable, "-m", "fovea", *made]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    key = re.search(r"fv_\w+_\S+", said.stdout)
    assert key, said.stdout
    return key[0]


def test_a_service_with_keys_opens_with_one_and_shows_pictures_and_scenes(
    make_service: Callable[..., Any], look: Callable[..., Any], tmp_path: Path
) -> None:
    key = key_of(tmp_path / "runs")
    service = make_service("--access.mode", "keys", "--access.session_lifetime_s", "20")
    write_ply(tmp_path / "balls.ply", three_balls(200))
    run = make_run(service.folder / "2026-11-21_1200_balls_abcd", tmp_path / "balls.ply")
    job = service.adopt(run, "relight.fit", owner="team")
    sight = look(service.url)
    page = sight.page
    page.wait_for_selector("dialog[open] #key-input")
    page.fill("#key-input", "fv_wrong_wrong")
    page.click("dialog .go")
    expect(page.locator("dialog .trouble")).to_have_text("The service does not take this key.")
    page.fill("#key-input", key)
    page.click("dialog .go")
    until(page.context.cookies)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    sight.complaints.clear()  # of what was not let in, as it should be
    sight.go("jobs")
    sight.wait(f"document.querySelector('[data-id=\"{job}\"] img.thumb')?.naturalWidth")
    sight.go(f"jobs/{job}")
    sight.wait("document.querySelector('.gallery img')?.naturalWidth")
    assert sight.viewer().evaluate("() => fovea.view.mesh.packedSplats.numSplats") == 600
    with page.expect_download() as download:
        page.click("[aria-label='Save scene.ply']")
    assert download.value.path().stat().st_size == (tmp_path / "balls.ply").stat().st_size
    me = "async () => (await fetch('/v1/me')).status"
    assert page.evaluate(me) == 401, "the cookie opens what jobs made, and nothing else"
    sight.complaints.clear()
    other = page.context.new_page()  # has the key from the first tab
    other.goto(service.url)
    other.wait_for_selector("html[data-ready]", state="attached")
    assert other.evaluate("() => document.querySelector('dialog')") is None
    assert other.evaluate("() => sessionStorage.getItem('fovea.key')") == key
    other.close()
    assert sight.complaints == []
    first = cookie["value"]
    until(lambda: page.context.cookies()[0]["value"] != first)
    page.click("#key")
    page.click("dialog button:has-text('Forget')")
    until(lambda: not page.context.cookies())
    expect(page.locator("dialog button:has-text('Forget')")).to_have_count(0)  # loaded anew
    page.wait_for_selector("dialog[open] #key-input")
    assert page.evaluate("() => sessionStorage.length") == 0
    assert sight.foreign == []


def test_a_service_that_went_away_is_said_to_be_gone(
    make_service: Callable[..., Any], look: Callable[..., Any]
) -> None:
    service = make_service()
    sight = look(service.url)
    service.stop()
    expect(sight.page.locator("#pulse")).to_have_text(
        "The service does not answer.", timeout=60_000
    )
