"""Two languages, light and dark, kept in the browser."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "src/fovea/service/page"
PACKS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((PAGE / "languages").glob("*.json"))
}
VIEWER = (PAGE.parents[1] / "viewer/static/words.js").read_text(encoding="utf-8")
PLURAL = re.compile(r"\.(one|other)$")


def test_every_pack_has_the_same_keys() -> None:
    assert set(PACKS) == {"en", "zh-CN"}
    keys = {name: set(pack) for name, pack in PACKS.items()}
    assert keys["en"] == keys["zh-CN"]


def test_what_is_filled_in_is_the_same_in_every_language() -> None:
    for key, text in PACKS["en"].items():
        other = PACKS["zh-CN"][key]
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", other)), key


def _used() -> tuple[set[str], set[str]]:
    """Keys that the page asks for, and the beginnings of those it puts together."""
    text = "".join(path.read_text(encoding="utf-8") for path in PAGE.glob("*.js"))
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    whole = set(re.findall(r'say\("([\w.]+)"', text)) | set(
        re.findall(r'data-say[-a-z]*="([\w.]+)"', html)
    )
    whole |= set(re.findall(r'card\("([\w.]+)"', text)) | set(
        re.findall(r'group\("([\w.]+)"', text)
    )
    whole |= {
        found
        for pair in re.findall(r'say\([^"`()]+\? "([\w.]+)" : "([\w.]+)"', text)
        for found in pair
    }
    return whole, set(re.findall(r"say\(`([\w.]+\.|\w+_)\$\{", text))


def test_no_word_is_missing_and_none_is_left_over() -> None:
    whole, beginnings = _used()
    known = {PLURAL.sub("", key) for key in PACKS["en"]}
    missing = {key for key in whole - known if not re.search(rf"\b{key}:", VIEWER)}
    assert not missing
    left_over = {key for key in known - whole if not key.startswith(tuple(beginnings))}
    assert not left_over


@pytest.mark.browser
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_language_is_switched_and_stays(
    size: str, service: Any, look: Callable[..., Any]
) -> None:
    sight = look(service.url, size=size)
    page = sight.page
    assert "Walk into a photograph" in page.inner_text("main")
    assert page.locator(".hero .frame").bounding_box()["height"] > 300
    page.click("#language")
    assert "走进一张照片" in page.inner_text("main")
    assert page.evaluate("() => document.documentElement.lang") == "zh-CN"
    sight.go("jobs")
    assert page.inner_text("h1") == "任务"
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.inner_text("h1") == "任务"
    page.click("#language")
    assert page.inner_text("h1") == "Jobs"
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert sight.complaints == []


@pytest.mark.browser
def test_the_theme_follows_the_system_until_somebody_chooses(
    service: Any, look: Callable[..., Any]
) -> None:
    sight = look(service.url, theme="dark")
    page = sight.page
    theme = "() => document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.emulate_media(color_scheme="light")
    sight.wait("document.documentElement.dataset.theme === 'light'")
    page.keyboard.press("t")
    assert page.evaluate(theme) == "dark"
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.evaluate(theme) == "dark"
