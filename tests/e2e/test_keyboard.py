"""The main path without a mouse."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import steps

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,  # with the real engine; test_keyboard_path.py goes the same way without
    pytest.mark.timeout(600),
]


def test_main_path_by_keyboard_alone(page: Page):
    page.goto("/")
    steps.check_widths(page, "home")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    steps.tab_to(page, "Smartwatch motion")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/projects/"), timeout=30_000)
    steps.wait_for_answers(page, seconds=200)

    steps.tab_to(page, "Storage")
    before = steps.slider(page, "Storage").input_value()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowRight")
    assert steps.slider(page, "Storage").input_value() == "11" != before

    _map_tells_why_not(page)
    steps.tab_to(page, "Build this model")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/jobs/"))
    steps.tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Go on")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Stop it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#job-pill")).to_contain_text(
        re.compile("cancel", re.IGNORECASE), timeout=60_000
    )


def _map_tells_why_not(page: Page) -> None:
    """Which techniques fit which layers: one Tab stop, arrow keys inside, words below."""
    steps.tab_to(page, "What fits where")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    reasons = []
    for _ in range(30):
        words = page.locator("#fit-card [role=status]").inner_text()
        reasons.append(words)
        page.keyboard.press("ArrowRight")
    assert any(re.fullmatch(r".+ fits conv\d\.", words) for words in reasons)
    assert any(re.fullmatch(r".+ on conv\d: .+\.", words) for words in reasons)
