"""Jobs from a form, and how they go."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run, three_balls
from playwright.sync_api import expect

from fovea.scene.ply import write_ply

pytestmark = pytest.mark.browser

Look = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_recipe_is_started_from_its_form_and_its_curves_grow(
    size: str, service: Any, look: Look
) -> None:
    sight = look(service.url, size=size)
    page = sight.page
    sight.go("new")
    page.click(".catalog a:has-text('relight-tiny')")
    page.select_option("[id='set-vars.photographs']", "samples/still_life")
    page.click(".sheet summary:has-text('fit')")
    page.fill("[id='set-fit.iterations']", "40" if size == "desktop" else "41")
    page.click(".sheet .go")
    page.wait_for_selector(".jobpage .plot svg path")
    assert "fit" in page.inner_text(".stages")
    page.click(".jobhead button:has-text('Stop')")
    page.wait_for_selector(".jobhead .pill:has-text('Stopped')")
    assert page.inner_text(".settings").split("\n")[-1] == ("40" if size == "desktop" else "41")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert sight.complaints == []
    assert sight.foreign == []


def test_errors_stand_beside_their_settings(service: Any, look: Look) -> None:
    sight = look(service.url)
    page = sight.page
    sight.go("new/toy.count")
    page.fill("#set-steps", "0")
    page.click("summary:has-text('pace')")
    page.fill("[id='set-pace.pause_s']", "-1")
    page.click("summary:has-text('pace')")
    page.click(".sheet .go")
    for name in ("steps", "pace.pause_s"):
        trouble = page.locator(f"[id='trouble-{name}']")
        expect(trouble).to_be_visible()
        expect(trouble).to_contain_text("must be greater than")
        expect(page.locator(f"[id='set-{name}']")).to_have_attribute("aria-invalid", "true")
    assert page.evaluate("() => document.activeElement.id") == "set-steps"
    assert [text for text in sight.complaints if "422" not in text] == []


def test_a_job_takes_a_file_shows_what_it_made_and_runs_again_with_changes(
    service: Any, look: Look
) -> None:
    sight = look(service.url)
    page = sight.page
    sight.go("new/toy.count")
    with page.expect_file_chooser() as chooser:
        page.click("[aria-label='Send a file as start']")
    file = {"name": "start.bin", "mimeType": "application/octet-stream", "buffer": b"1234"}
    chooser.value.set_files([file])
    expect(page.locator(".place.has")).to_have_count(1)
    page.fill("#set-steps", "6")
    page.click(".sheet .go")
    expect(page.locator(".jobhead .pill")).to_have_text("Done")
    expect(page.locator(".report")).to_contain_text("count.number")
    expect(page.locator(".plot")).to_have_count(1)
    with page.expect_download() as download:
        page.click("[aria-label='Save number.json']")
    assert '"value": 10' in download.value.path().read_text()
    page.click("a:has-text('Change and run')")
    expect(page.locator("#set-steps")).to_have_value("6")
    page.fill("#set-label", "again")
    page.click(".sheet .go")
    expect(page.locator(".jobhead .pill")).to_have_text(re.compile("Done"))
    expect(page.locator(".settings")).to_contain_text("again")
    assert sight.complaints == []


def test_a_job_of_a_preset_is_shown_run_again_and_changed_with_it(service: Any, look: Look) -> None:
    asked = service.client.post("/v1/jobs/synth.simulate?preset=tiny", json={"seed": 3}).json()
    service.wait(asked["id"])
    assert (asked["preset"], service.job(asked["id"])["state"]) == ("tiny", "succeeded")
    sight = look(service.url)
    page = sight.page
    sight.go(f"jobs/{asked['id']}")
    expect(page.locator(".settings")).to_have_text("Presettinyseed3")
    page.click("button:has-text('Run again')")
    expect(page).not_to_have_url(re.compile(asked["id"]))
    again = service.job(page.evaluate("location.hash.split('/').pop()"))
    assert (again["preset"], again["config"]) == ("tiny", {"seed": 3})
    page.click("a:has-text('Change and run')")
    expect(page.locator(".presets input:checked")).to_have_value("tiny")
    expect(page.locator("#set-seed")).to_have_value("3")
    assert sight.complaints == []


def test_a_job_is_stopped_from_the_list_and_a_failed_one_says_why(service: Any, look: Look) -> None:
    going = service.submit("toy.count", steps=10_000, pace={"pause_s": 0.05})
    service.wait_for_step(going["id"], 2)
    failed = service.submit("toy.count", steps=2, fails=True)
    service.wait(failed["id"])
    sight = look(service.url)
    page = sight.page
    sight.go("jobs")
    row = page.locator(f".job[data-id='{going['id']}']")
    expect(row.locator(".spark")).to_have_count(1)
    expect(row.locator("progress")).to_have_count(1)
    row.locator("[aria-label^=Stop]").click()
    expect(row).to_have_attribute("data-state", "cancelled")
    page.locator(f".job[data-id='{failed['id']}'] .head").click()
    expect(page.locator(".failure")).to_contain_text("the toy was told to fail")
    expect(page.locator(".failure pre")).to_contain_text("told to fail")
    page.click("button:has-text('Run again')")
    service.wait(failed["id"], lambda job: job["attempt"] == 2 and job["state"] == "failed")
    expect(page.locator(".jobhead")).to_contain_text("attempt 2")
    expect(page.locator(".jobhead .pill")).to_have_text("Failed")
    page.click("a:has-text('Jobs') >> nth=0")
    page.check(".chips input[value=failed]", force=True)
    expect(page.locator(".job[data-state=failed]")).to_have_count(1)
    expect(page.locator(".page > .jobs .job:not([data-state=failed])")).to_have_count(0)
    assert sight.complaints == []


def test_runs_of_the_command_line_are_listed_and_open(
    service: Any, look: Look, tmp_path: Path
) -> None:
    write_ply(tmp_path / "balls.ply", three_balls(20))
    make_run(service.folder / "2026-01-01_1200_by-hand_abcd", tmp_path / "balls.ply")
    sight = look(service.url)
    sight.go("jobs")
    row = sight.page.locator(".others .job:has-text('by-hand')")
    expect(row).to_contain_text("psnr 31.234")
    sight.page.goto(service.url + row.locator("a").get_attribute("href"))
    expect(sight.page.locator("#title")).to_have_text("balls")
    assert sight.complaints == []
