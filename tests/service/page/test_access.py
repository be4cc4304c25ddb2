"""Everything is reached by key, read by a machine, and opened with a key where one is asked for."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

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


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_axe_finds_nothing_serious_on_any_view(
    theme: str, size: str, service: Any, look: Callable[..., Any]
) -> None:
    done = service.submit("toy.count", steps=4)
    service.wait(done["id"])
    failed = service.submit("toy.count", steps=3, fails=True)
    service.wait(failed["id"])
    sight = look(service.url, theme=theme, size=size)
    page = sight.page
    views = ("", "jobs", f"jobs/{done['id']}", f"jobs/{failed['id']}", "new", "new/events.train")
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


def test_a_service_with_keys_asks_for_one_and_opens(
    make_service: Callable[..., Any], look: Callable[..., Any], tmp_path: Path
) -> None:
    made = [sys.executable, "-m", "fovea", "keys", "create", "me", "--scopes", "admin"]
    said = subprocess.run(
        [*made, "--runs", str(tmp_path / "runs")], capture_output=True, text=True, check=True
    )
    key = re.search(r"fv_\w+_\S+", said.stdout)
    assert key, said.stdout
    service = make_service("--access.mode", "keys+jwt")
    sight = look(service.url)
    page = sight.page
    page.wait_for_selector("dialog[open] #key-input")
    page.fill("#key-input", "fv_wrong_wrong")
    page.click("dialog .go")
    expect(page.locator("dialog .trouble")).to_have_text("The service does not take this key.")
    page.fill("#key-input", key[0])
    page.click("dialog .go")
    expect(page.locator("dialog")).to_have_count(0)
    sight.go("jobs")
    expect(page.locator(".nothing")).to_be_visible()
    cookies = page.context.cookies()
    assert [cookie["httpOnly"] for cookie in cookies if "session" in cookie["name"]] == [True]
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
