"""Studies: begun from the form of a stage, and looked at while they go."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_a_study_shows_its_trials_and_the_best_of_them(
    service: Any, look: Callable[..., Any]
) -> None:
    study = {
        "study": "toy",
        "target": {"stage": "toy.count"},
        "objective": {"metric": "value", "goal": "max"},
        "space": {"steps": {"int": [1, 4]}},
        "budget": {"trials": 2},
    }
    made = service.client.post("/v1/studies", json=study)
    assert made.status_code == 202, made.text
    sight = look(service.url)
    sight.go("studies")
    sight.page.click(".study .head")
    expect(sight.page.locator(".jobhead .pill")).to_have_text("Done")
    expect(sight.page.locator(".trials tbody tr")).to_have_count(2)
    expect(sight.page.locator(".dots circle")).to_have_count(2)
    expect(sight.page.locator(".report")).to_contain_text("Best so far")
    steps = sight.page.locator(".report dd >> nth=1").inner_text()
    sight.page.click("a:has-text('Use these settings')")
    expect(sight.page.locator("#set-steps")).to_have_value(steps)
    assert sight.complaints == []


def test_the_form_of_a_stage_offers_to_tune_what_is_worth_it(
    service: Any, look: Callable[..., Any]
) -> None:
    sight = look(service.url)
    page = sight.page
    sight.go("new/relight.fit")
    page.click("button:has-text('Tune it')")
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("rates.means")
    dialog.locator("[aria-label='iterations, to']").fill("1")
    dialog.locator(".go").click()
    expect(dialog.locator(".trouble")).not_to_be_empty()
    assert [text for text in sight.complaints if "422" not in text] == []
